"""Facts as the values of blocks: each number gets its style here, once, so that tables and sentences cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evertick.model import Group, Instrument, Session, SourceStatus
from evertick.reports.blocks import Name, Number, Spark, Text
from evertick.reports.findings import Facts

GROUPS: Mapping[Group, Text] = {
    Group.INDICES: Text("World indices"),
    Group.VIETNAM: Text("Vietnam"),
    Group.CRYPTO: Text("Crypto"),
    Group.SENTIMENT: Text("Sentiment"),
    Group.FX: Text("Currencies"),
    Group.COMMODITIES: Text("Commodities"),
    Group.RATES: Text("Interest rates"),
    Group.VOLATILITY: Text("Volatility"),
    Group.SECTORS: Text("Sectors and funds"),
}
REGIONS: Mapping[str, Text] = {
    "americas": Text("Americas"),
    "europe": Text("Europe"),
    "asia": Text("Asia-Pacific"),
    "africa": Text("Middle East and Africa"),
    "world": Text("World"),
}
SESSIONS: Mapping[Session, Text] = {
    Session.OPEN: Text("Open"),
    Session.BREAK: Text("Lunch break"),
    Session.CLOSED: Text("Closed"),
    Session.ALWAYS: Text("Around the clock"),
}
STATES: Mapping[str, Text] = {
    "ok": Text("Working"),
    "partial": Text("Incomplete"),
    "failing": Text("Not answering"),
    "resting": Text("Waiting"),
    "idle": Text("Not needed now"),
    "off": Text("Switched off"),
}

FLAT = 0.2
"""Percent: a smaller 1D move is "little changed" and has no tone."""


def region(key: str) -> Text:
    return REGIONS.get(key) or Text("{name}", {"name": Name(key.title())})


def provider(name: str, sources: Iterable[SourceStatus]) -> str:
    """A proper name, the same in every language: the title that the source goes by, else its name."""
    return next((s.title for s in sources if s.name == name and s.title), name)


def name(f: Facts) -> Name:
    """With a link to its card, which only what has a price gets."""
    return Name(f.instrument.name, f"card-{f.id}" if f.price is not None else None)


def unit(instrument: Instrument) -> str:
    """A currency, where the price is money; indices and yields have none worth showing."""
    if instrument.group in (Group.INDICES, Group.VOLATILITY, Group.SENTIMENT, Group.RATES, Group.FX):
        return ""
    return {"pts": "", "%": "", "USX": "US¢"}.get(instrument.currency, instrument.currency)


def level(f: Facts, value: float | None) -> Number:
    """A price of the instrument, or an average, high or band of its prices."""
    return at_level(f.instrument, value)


def at_level(instrument: Instrument, value: float | None) -> Number:
    if instrument.currency == "%":
        return Number(value, "percent", instrument.decimals)
    if value is not None and abs(value) >= 1e9:
        return Number(value, "compact", 2, unit=unit(instrument))
    return Number(value, "decimal", instrument.decimals, unit=unit(instrument))


def price(f: Facts) -> Number:
    return level(f, f.price)


def change(value: float | None) -> Number:
    """A signed move in percent."""
    return Number(value, "percent", 2, signed=True)


def basis_points(value: float | None) -> Number:
    """A signed move of a yield."""
    return Number(value, "decimal", 1, signed=True)


def size(value: float | None) -> Number:
    """A move in percent whose direction the words tell."""
    return Number(None if value is None else abs(value), "percent", 2)


def percent(value: float | None, decimals: int = 1) -> Number:
    """A share or volatility, without a sign."""
    return Number(value, "percent", decimals)


def number(value: float | None, decimals: int = 2, *, signed: bool = False) -> Number:
    return Number(value, "decimal", decimals, signed)


def compact(value: float | None, unit: str = "") -> Number:
    return Number(value, "compact", 2, unit=unit)


def tone(value: float | None, flat: float = 0.0) -> str:
    if value is None or abs(value) <= flat:
        return "neutral"
    return "up" if value > 0 else "down"


def spark(f: Facts) -> Spark | None:
    """The small line of recent prices; ``None`` when there are too few to be one."""
    points = list(f.spark)
    if len(points) < 2:
        return None
    way = points[-1] - points[0]
    label = Text("Rising") if way > 0 else Text("Falling") if way < 0 else Text("Unchanged")
    return Spark(points, label, tone(way))
