"""What a report says, before any language: blocks of text, tables and figures.

The writer yields them section by section; the renderer turns each into HTML in one language. Text is a ``msgid`` (English,
the key of the catalogue) with named values; a value keeps its number, so that every language formats the same fact.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from dataclasses import dataclass as made_often
else:

    def made_often(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """Frozen for the type checker only: a frozen dataclass takes three times as long to make, and a report makes
        some 80,000 of these."""
        return dataclass(unsafe_hash=frozen, slots=slots)


T = TypeVar("T")


@made_often(frozen=True, slots=True)
class Number:
    """A fact as a number, and how it is to be written. ``None`` shows as a dash."""

    value: float | None
    style: str = "decimal"
    """``decimal``, ``percent`` (the value already is in percent), ``compact`` (1.2 billion), ``integer``."""
    decimals: int = 2
    signed: bool = False
    """Written with + or −, ▲ or ▼ beside its colour."""
    unit: str = ""
    """A currency code or ``pts``; shown after the number where there is room."""


@made_often(frozen=True, slots=True)
class Name:
    """An instrument, region, group or other proper name, looked up in the catalogue (English where it has none)."""

    text: str
    link: str | None = None
    """Fragment of the card it leads to, such as ``card-SPX``."""


@made_often(frozen=True, slots=True)
class Text:
    """A message of the catalogue. ``msgid`` has ``{named}`` places for ``values``; ``plural`` chooses by ``values['n']``.

    A value is a `Number`, a `Name`, another `Text`, a ``date`` (a day, no zone), an aware ``datetime``, an ``int`` (written
    like ``Number(style="integer")``; ``n`` is always one), a ``str`` (written as it is, escaped), or a tuple of those, joined
    as a list in the language (``a, b and c``; ``a, b và c``).
    """

    msgid: str
    values: Mapping[str, Any] = field(default_factory=dict)
    plural: str | None = None


@made_often(frozen=True, slots=True)
class Sentence:
    """One sentence of a rule; ``text`` is the wording already chosen, by a hash of date and symbol."""

    rule: str
    text: Text
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """The facts that fired the rule, shown on demand (``data-rule``, ``data-inputs``)."""
    tone: str = "neutral"
    """``up``, ``down``, ``neutral``, ``warn``."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    sentences: Sequence[Sentence]


@dataclass(frozen=True, slots=True)
class KeyPoints:
    points: Sequence[Sentence]


@dataclass(frozen=True, slots=True)
class Banner:
    """A notice above the rest: stale or missing sources. ``tone``: ``ok`` or ``warn``."""

    tone: str
    text: Sequence[Sentence]


@dataclass(frozen=True, slots=True)
class Column:
    title: Text
    kind: str = "number"
    """``name``, ``text``, ``number``, ``change`` (coloured, signed), ``range`` (52-week position bar, 0-1), ``spark``,
    ``time``, ``state``."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under ``columns``."""

    id: str
    caption: Text
    columns: Sequence[Column]
    rows: Iterable[Sequence[Any]]
    """Cells: `Number`, `Name`, `Text`, ``datetime``, ``date``, `Spark`, ``None`` (a dash)."""
    brief: int | None = None
    """How many rows a printed brief shows; all of them if ``None``."""


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line of ``points`` (oldest first) with its label for those who do not see it."""

    points: Sequence[float]
    label: Text
    tone: str = "neutral"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure drawn on the server as SVG.

    ``kind`` and its ``data``:

    - ``sparks``: ``{"items": [{"name": Name, "price": Number, "change": Number, "spark": [float]}]}``
    - ``treemap``: ``{"groups": [{"name": Name, "items": [{"name": Name, "short": str, "weight": float, "change": Number}]}]}``
    - ``lines``: ``{"dates": [date], "series": [{"name": Name, "values": [float | None]}], "unit": str}``
    - ``heatmap``: ``{"rows": [Name], "columns": [Name], "cells": [[Number]], "low": -1.0, "high": 1.0}``
    - ``area``: ``{"dates": [date], "values": [float], "unit": "%"}`` (drawdown)
    - ``bars``: ``{"items": [{"name": Name, "value": Number}]}`` (diverging round zero)
    - ``gauge``: ``{"value": Number, "low": 0, "high": 100, "band": Text, "history": [float]}``
    - ``share``: ``{"items": [{"name": Name, "value": Number}]}`` (parts of 100 %)
    - ``curve``: ``{"terms": [Text], "series": [{"name": Text, "values": [float | None]}], "unit": "%"}`` (evenly apart; in percent unless ``unit`` is empty)
    - ``session``: ``{"times": [int, Unix seconds], "values": [float], "previous": Number | None}``
    - ``advances``: ``{"rows": [{"name": Name, "up": Number, "flat": Number, "down": Number}]}``
    - ``calendar``: ``{"days": [date], "values": [float | None], "limit": float}`` (daily changes in percent)
    - ``timeline``: ``{"start": datetime, "end": datetime, "rows": [{"name": Name, "spans": [(datetime, datetime)]}]}``
    """

    id: str
    kind: str
    caption: Text
    label: Text
    """The trend in words, for ``role="img"``."""
    data: Mapping[str, Any]
    drawn: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Pieces of it that are the same in every language, kept by whoever drew them first (`once`)."""


@dataclass(frozen=True, slots=True)
class Card:
    """One instrument: statistics, the last bars, a one-year line, and the data of the interactive chart."""

    id: str
    name: Name
    group: Text
    price: Number
    change: Number
    as_of: datetime | None
    source: str | None
    statistics: Sequence[tuple[Text, Number]]
    sentences: Sequence[Sentence]
    bars: Table | None
    year: Figure | None
    chart: Mapping[str, Any] | None
    """``{"day": [int, days since 1970-01-01], "open": [...], "high": [...], "low": [...], "close": [...], "decimals": int}``,
    for lightweight-charts; at most 260 bars."""
    drawn: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """As of a `Figure`."""


def once(block: Figure | Card, name: str, make: Callable[[], T]) -> T:
    """What ``make`` makes of ``block`` whatever the language, made once for all of them."""
    found = block.drawn.get(name)
    if found is None:
        found = block.drawn[name] = make()
    return cast(T, found)


@dataclass(frozen=True, slots=True)
class Cards:
    """Instrument cards, made one at a time while they are rendered: each reads its bars when its turn comes."""

    cards: AsyncIterable[Card]


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the sections: title, times, languages, and where the shared parts are.

    The workflow makes one per language; ``css`` and ``js`` are content hashes (``/assets/{hash}.css``).
    """

    report: str
    """The report's id."""
    title: Text
    as_of: datetime
    """Of the snapshot."""
    created: datetime
    languages: Sequence[str]
    """All of them, the first one first; for the language switch."""
    headline: Sentence
    """The first key point, for ``<meta name="description">`` and the lead."""
    css: str = ""
    js: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One section: ``blocks`` may be lazy (an iterable that is walked once)."""

    id: str
    number: int
    title: Text
    blocks: Iterable[Any]
    brief: bool = True
    """Part of the printed brief."""
    slow: bool = False
    """It takes longer to find a block than the event loop may be held: a renderer looks for it in a thread."""
