"""Sentence rules: when a fact crosses a threshold, one sentence says so.

A `Rule` has at least three wordings; a hash of the date and the symbol chooses one, so that two reports do not read alike
and the same report always reads the same. The functions beside the rules decide which of them fire. None advises anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import blake2s
from importlib import import_module
from typing import Any

from evertick.reports.blocks import Sentence, Text

Wording = str | tuple[str, str]
"""A msgid, or (singular, plural) where ``{n}`` decides."""

MODULES = ("sources", "market", "instrument", "crypto", "risk", "vietnam", "money", "signals", "seasons", "ahead")


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    tone: str
    wordings: tuple[Wording, ...]

    def say(self, day: date, key: str, inputs: dict[str, Any], /, **values: Any) -> Sentence:
        """The sentence about ``key`` (an instrument's id, or what the sentence is about) on ``day``.

        ``inputs`` are the facts that fired the rule; ``values`` fill the places of the wording.
        """
        wording = self.wordings[choice(day, self.id, key, len(self.wordings))]
        if isinstance(wording, tuple):
            return Sentence(self.id, Text(wording[0], values, wording[1]), inputs, self.tone)
        return Sentence(self.id, Text(wording, values), inputs, self.tone)


def choice(day: date, rule: str, key: str, count: int) -> int:
    digest = blake2s(f"{day.isoformat()} {rule} {key}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % count


def all_rules() -> Iterator[Rule]:
    """Every rule of this package, for the checks of its catalogue."""
    for name in MODULES:
        yield from (value for value in vars(import_module(f"{__name__}.{name}")).values() if isinstance(value, Rule))
