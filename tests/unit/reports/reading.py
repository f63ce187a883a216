"""Reads blocks as plain English, and walks everything that a report says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any

from evertick.reports.blocks import Cards, Name, Number, Section, Sentence, Text


def english(value: Any) -> str:
    match value:
        case Sentence():
            return english(value.text)
        case Text():
            wording = value.plural if value.plural is not None and int(value.values["n"]) != 1 else value.msgid
            return wording.format(**{k: english(v) for k, v in value.values.items()})
        case Number():
            if value.value is None:
                return "-"
            sign = "+" if value.signed else ""
            return f"{value.value:{sign}.{value.decimals}f}" + ("%" if value.style == "percent" else "")
        case Name():
            return value.text
        case tuple():
            return ", ".join(english(v) for v in value)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case date() | int() | str():
            return str(value)
    raise TypeError(f"{type(value).__name__} is not part of the vocabulary of texts")


async def everything(sections: Iterator[Section]) -> list[Any]:
    """Every block and every value within the blocks, cards and rows included."""
    found: list[Any] = []
    for section in sections:
        found.append(section.title)
        for block in section.blocks:
            if isinstance(block, Cards):
                async for card in block.cards:
                    found.extend(_within(card))
            else:
                found.extend(_within(block))
    return found


def _within(value: Any) -> list[Any]:
    found: list[Any] = []
    waiting = [value]
    while waiting:
        value = waiting.pop()
        found.append(value)
        if is_dataclass(value):
            inner: Any = [getattr(value, f.name) for f in fields(value)]
        elif isinstance(value, dict):
            inner = list(value.values())
        elif isinstance(value, str | bytes | int | float | date) or value is None:
            continue
        else:
            inner = list(value)
        waiting.extend(reversed(inner))
    return found
