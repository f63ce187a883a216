"""Section 13: one card for each instrument. Its bars are read when its turn comes, and gone before the next."""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import replace
from datetime import date
from typing import Any

from evertick import sessions
from evertick.model import Bars, Quote
from evertick.reports.analyse import with_quote
from evertick.reports.blocks import Card, Cards, Column, Figure, Name, Number, Section, Sentence, Table, Text
from evertick.reports.collect import BarReader
from evertick.reports.findings import Facts, Findings
from evertick.reports.rules import instrument
from evertick.reports.sections.world_indices import thin
from evertick.reports.values import (
    GROUPS,
    at_level,
    change,
    compact,
    level,
    name,
    number,
    percent,
    price,
    provider,
)

CHART_BARS = 260
TABLE_BARS = 10
YEAR_POINTS = 90
EPOCH = date(1970, 1, 1).toordinal()

_BARS_COLUMNS = (
    Column(Text("Date"), "time"),
    Column(Text("Open")),
    Column(Text("High")),
    Column(Text("Low")),
    Column(Text("Close")),
    Column(Text("Change"), "change"),
    Column(Text("Volume")),
)

_STATISTICS = (
    Text("Day low"),
    Text("Day high"),
    Text("52-week low"),
    Text("52-week high"),
    Text("One week"),
    Text("One month"),
    Text("Three months"),
    Text("Year to date"),
    Text("One year"),
    Text("SMA 20"),
    Text("SMA 50"),
    Text("SMA 200"),
    Text("EMA 12"),
    Text("EMA 26"),
    Text("MACD"),
    Text("MACD signal"),
    Text("MACD histogram"),
    Text("RSI 14"),
    Text("Bollinger, lower"),
    Text("Bollinger, upper"),
    Text("ATR 14"),
    Text("Volatility 20 D"),
    Text("Volatility 60 D"),
    Text("Drawdown"),
    Text("Deepest in a year"),
    Text("z 60 D"),
    Text("Beta 60 D"),
    Text("Correlation 60 D"),
    Text("Volume"),
    Text("Capitalisation"),
)
"""Made once: thousands of cards say the same."""


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("cards", 13, Text("Instruments one by one"), [Cards(made)], brief=False)


async def cards(findings: Findings, bars: BarReader) -> AsyncGenerator[Card, None]:
    for f in findings.facts:
        if f.price is not None:
            yield card(f, findings, await bars(f.instrument))


def card(f: Facts, findings: Findings, stored: Bars) -> Card:
    """Pure: the card from the facts and the bars as they are stored; at most `CHART_BARS` of them are used."""
    history = _up_to_now(f, stored)
    return Card(
        id=f.id,
        name=name(f),
        group=GROUPS[f.group],
        price=price(f),
        change=change(f.change),
        as_of=f.as_of,
        source=provider(f.source, findings.sources) if f.source else None,
        statistics=statistics(f),
        sentences=[_within(name(f), sentence) for sentence in instrument.about(f, findings)],
        bars=_table(f, history) if len(history) else None,
        year=_year(f, history) if len(history) > 1 else None,
        chart=_chart(f, history) if len(history) > 1 else None,
    )


def _within(own: Name, sentence: Sentence) -> Sentence:
    """The sentence without links to the card it stands in."""
    return replace(sentence, text=_unlinked(own, sentence.text))


def _unlinked(own: Name, value: Any) -> Any:
    if isinstance(value, Name) and value.link == own.link:
        return Name(value.text)
    if isinstance(value, Text) and value.values:
        return replace(value, values={key: _unlinked(own, v) for key, v in value.values.items()})
    if isinstance(value, tuple):
        return tuple(_unlinked(own, v) for v in value)
    return value


def _up_to_now(f: Facts, stored: Bars) -> Bars:
    if f.price is None or f.as_of is None:
        return stored.last(CHART_BARS)
    quote = Quote(f.id, f.price, f.as_of, f.source or "", day_high=f.day_high, day_low=f.day_low)
    # One bar more than is shown: the first shown one needs the close before it for its change.
    newest = stored.last(CHART_BARS + 1)
    return with_quote(newest, quote, sessions.zone(sessions.EXCHANGES[f.instrument.exchange].tz)).last(CHART_BARS)


def statistics(f: Facts) -> list[tuple[Text, Number]]:
    """What is known of it; unknown rows are left out."""
    values = (
        level(f, f.day_low),
        level(f, f.day_high),
        level(f, f.low_52w),
        level(f, f.high_52w),
        change(f.ret_1w),
        change(f.ret_1m),
        change(f.ret_3m),
        change(f.ret_ytd),
        change(f.ret_1y),
        level(f, f.sma20),
        level(f, f.sma50),
        level(f, f.sma200),
        level(f, f.ema12),
        level(f, f.ema26),
        _plain(f, f.macd),
        _plain(f, f.macd_signal),
        _plain(f, f.macd_histogram),
        number(f.rsi14, 1),
        level(f, f.band_lower),
        level(f, f.band_upper),
        _plain(f, f.atr14),
        percent(f.vol20),
        percent(f.vol60),
        percent(f.drawdown),
        percent(f.max_drawdown),
        number(f.z60),
        number(f.beta60),
        number(f.correlation60),
        compact(f.volume),
        compact(f.market_cap, "USD"),
    )
    return [(title, value) for title, value in zip(_STATISTICS, values, strict=True) if value.value is not None]


def _plain(f: Facts, value: float | None) -> Number:
    """A distance in price, without unit."""
    return Number(value, "decimal", max(2, f.instrument.decimals))


def _table(f: Facts, history: Bars) -> Table:
    return Table(f"bars-{f.id}", Text("Last daily bars"), _BARS_COLUMNS, _rows(f, history))


def _rows(f: Facts, history: Bars) -> list[tuple[Any, ...]]:
    rows = []
    for i in range(len(history) - 1, max(-1, len(history) - 1 - TABLE_BARS), -1):
        before = history.close[i - 1] if i else 0.0
        moved = 100 * (history.close[i] / before - 1) if before > 0 else None
        prices = (history.open[i], history.high[i], history.low[i], history.close[i])
        rows.append(
            (
                date.fromordinal(history.day[i]),
                *(Number(_known(v), "decimal", f.instrument.decimals) for v in prices),
                change(moved),
                compact(_known(history.volume[i])),
            )
        )
    return rows


def _known(value: float) -> float | None:
    return None if value != value else value


def _year(f: Facts, history: Bars) -> Figure:
    picked = thin(list(range(len(history))), YEAR_POINTS)
    closes = array("d", (history.close[i] for i in picked))
    label = Text(
        "{name} over one year: between {low} and {high}, now {now}.",
        {
            "name": name(f),
            "low": at_level(f.instrument, min(history.close)),
            "high": at_level(f.instrument, max(history.close)),
            "now": price(f),
        },
    )
    data = {
        "dates": [date.fromordinal(history.day[i]) for i in picked],
        "series": [{"name": name(f), "values": [round(v, f.instrument.decimals + 2) for v in closes]}],
        "unit": "",
    }
    return Figure(f"year-{f.id}", "lines", Text("One year"), label, data)


def _chart(f: Facts, history: Bars) -> dict[str, Any]:
    """Columns for the interactive chart."""
    return {
        "day": [d - EPOCH for d in history.day],
        "open": history.open,
        "high": history.high,
        "low": history.low,
        "close": history.close,
        "decimals": f.instrument.decimals,
    }
