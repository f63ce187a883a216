"""What the dashboard shows, decided before any template: pure functions from the API's document to views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from evertick.model import Group, Instrument
from evertick.web.pages import format
from evertick.web.services import Universe

TITLES: Mapping[Group, str] = {
    Group.INDICES: "World indices",
    Group.VIETNAM: "Vietnam",
    Group.CRYPTO: "Crypto",
    Group.SENTIMENT: "Sentiment",
    Group.FX: "Currencies",
    Group.COMMODITIES: "Commodities",
    Group.RATES: "Rates",
    Group.VOLATILITY: "Volatility",
    Group.SECTORS: "Sectors and funds",
}

HEADLINES: Mapping[Group, str] = {
    Group.INDICES: "SPX",
    Group.VIETNAM: "VNINDEX",
    Group.CRYPTO: "BTC",
    Group.COMMODITIES: "GOLD",
    Group.FX: "USDVND",
    Group.VOLATILITY: "VIX",
}
"""Who leads the page for each of these groups; in a universe without it, the first of the group."""

SHOWN = 12
"""Rows of a group that show at once; the rest unfolds."""
SPARE = 3
"""So few more rows are not worth folding away."""

SPARK_WIDTH, SPARK_HEIGHT, SPARK_PAD = 192, 56, 4
"""Twice what is shown, so that whole numbers are fine enough."""

SESSIONS = {"open": "Open", "break": "In a break", "closed": "Closed", "always": "Always open"}


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    name: str
    unit: str
    decimals: int
    price: str
    change: str
    tone: str
    line: str
    """``d`` of the sparkline in a box of `SPARK_WIDTH` by `SPARK_HEIGHT`; empty without points."""
    age: str
    as_of: str
    fresh: bool
    session: str
    session_text: str


@dataclass(frozen=True, slots=True)
class Card:
    """One group of the dashboard."""

    id: str
    title: str
    rows: Sequence[Row]
    more: Sequence[Row]
    up: int
    down: int
    flat: int

    @property
    def count(self) -> int:
        return len(self.rows) + len(self.more)

    @property
    def bar(self) -> tuple[float, float, float]:
        """Widths of the breadth bar's parts, together 100."""
        total = self.up + self.down + self.flat or 1
        return round(100 * self.up / total, 4), round(100 * self.flat / total, 4), round(100 * self.down / total, 4)


@dataclass(frozen=True, slots=True)
class Market:
    as_of: str | None
    headlines: Sequence[Row]
    columns: Sequence[Sequence[Card]]

    def as_of_clock(self, when: format.When) -> str:
        return when.clock(datetime.fromisoformat(self.as_of) if self.as_of else None)


def market(document: Mapping[str, Any], universe: Universe, columns: int = 2) -> Market:
    """The dashboard's middle. ``document`` is that of ``GET /api/v1/indices?spark=true``."""
    rows: dict[Group, list[Row]] = {group: [] for group in TITLES}
    instruments: dict[str, Instrument] = {}
    for quote in document["quotes"]:
        instrument = universe.get(quote["id"])
        if instrument is not None:
            instruments[instrument.id] = instrument
            rows[instrument.group].append(row(quote, instrument))
    headlines = [
        next((r for r in rows[group] if r.id == leader), rows[group][0])
        for group, leader in HEADLINES.items()
        if rows[group]
    ]
    cards = [card(group, found, instruments) for group, found in rows.items() if found]
    return Market(document["as_of"], headlines, balanced(cards, columns))


def row(quote: Mapping[str, Any], instrument: Instrument) -> Row:
    return Row(
        id=instrument.id,
        name=instrument.name,
        unit=instrument.currency,
        decimals=instrument.decimals,
        price=format.price(quote["price"], instrument.decimals),
        change=format.change(quote["change_pct"]),
        tone=format.tone(quote["change_pct"]),
        line=spark(quote.get("spark") or ()),
        age=format.age(quote["age_s"]),
        as_of=quote["as_of"],
        fresh=quote["fresh"],
        session=quote["session"],
        session_text=SESSIONS.get(quote["session"], ""),
    )


def card(group: Group, rows: Sequence[Row], instruments: Mapping[str, Instrument]) -> Card:
    first = leading(rows, [instruments[r.id].region for r in rows], SHOWN, SPARE)
    tones = [r.tone for r in rows]
    return Card(
        id=group.value,
        title=TITLES[group],
        rows=[r for i, r in enumerate(rows) if i in first],
        more=[r for i, r in enumerate(rows) if i not in first],
        up=tones.count("up"),
        down=tones.count("down"),
        flat=tones.count("flat"),
    )


def leading(rows: Sequence[Any], regions: Sequence[str], shown: int, spare: int) -> set[int]:
    """The places of the rows that show at once: region by region in turns, so that no part of the world is folded away."""
    if len(rows) <= shown + spare:
        return set(range(len(rows)))
    queues: dict[str, list[int]] = {}
    for place, region in enumerate(regions):
        queues.setdefault(region, []).append(place)
    chosen: set[int] = set()
    while len(chosen) < shown:
        for queue in queues.values():
            if queue and len(chosen) < shown:
                chosen.add(queue.pop(0))
    return chosen


def balanced(cards: Sequence[Card], columns: int) -> list[list[Card]]:
    """Cards in columns of about equal height: the tallest first, each into the shortest column; then in their own order again,
    the column of the first card foremost."""
    placed: list[list[int]] = [[] for _ in range(columns)]
    heights = [0.0] * columns
    for place in sorted(range(len(cards)), key=lambda p: -_height(cards[p])):
        shortest = heights.index(min(heights))
        placed[shortest].append(place)
        heights[shortest] += _height(cards[place])
    placed.sort(key=lambda places: min(places, default=len(cards)))
    return [[cards[p] for p in sorted(places)] for places in placed]


def _height(card: Card) -> float:
    """In rows: its own, the fold, the title and the space around."""
    return len(card.rows) + bool(card.more) + 2.5


def spark(points: Sequence[float], width: int = SPARK_WIDTH, height: int = SPARK_HEIGHT, pad: int = SPARK_PAD) -> str:
    """The ``d`` of a line through ``points``, lowest at the bottom; a level line where they are all the same.

    >>> spark([1.0, 3.0, 2.0], 10, 10, 0)
    'M0 10L5 0L10 5'
    """
    if len(points) < 2:
        return ""
    low, high = min(points), max(points)
    scale = (height - 2 * pad) / (high - low) if high > low else 0.0
    top = pad + 0.5 if scale else height / 2 + 0.5
    places = zip(_places(len(points), width), points, strict=True)
    return "M" + "L".join([f"{x} {int(top + (high - value) * scale)}" for x, value in places])


@lru_cache(maxsize=8)
def _places(count: int, width: int) -> tuple[int, ...]:
    step = width / (count - 1)
    return tuple(int(i * step + 0.5) for i in range(count))
