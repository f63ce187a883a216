"""Section 14: the sessions of the next 24 hours that have any, how the report is made, whose data it uses, and what it is not."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from evertick import sessions
from evertick.model import Session
from evertick.reports.blocks import Card, Column, Figure, Name, Paragraph, Sentence, Table, Text
from evertick.reports.blocks import Section as Section_
from evertick.reports.findings import Findings
from evertick.reports.rules import ahead
from evertick.reports.values import SESSIONS, provider

HOURS = 24
PLACES = {
    "XSTC": Text("Ho Chi Minh City"),
    "XTKS": Text("Tokyo"),
    "XHKG": Text("Hong Kong"),
    "XSHG": Text("Shanghai"),
    "XSES": Text("Singapore"),
    "XNSE": Text("Mumbai"),
    "XASX": Text("Sydney"),
    "XLON": Text("London"),
    "XETR": Text("Frankfurt"),
    "XPAR": Text("Paris"),
    "XNYS": Text("New York"),
    "XTSE": Text("Toronto"),
    "BVMF": Text("São Paulo"),
    "CME": Text("CME futures"),
    "FX": Text("Foreign exchange"),
}
"""Exchanges of the timeline by where they are; those that the universe uses are shown."""

METHOD = (
    Text(
        "Prices are the latest that the sources gave before {time}; each keeps its own time. "
        "Returns count from the exchange's last session on or before the day one week, one month, three months or one year ago, "
        "or the end of last year."
    ),
    Text(
        "Indicators follow their usual definitions: simple averages over 20, 50 and 200 days, exponential ones over 12 and 26, "
        "MACD 12-26-9, Wilder's RSI and ATR over 14, Bollinger bands over 20 with 2 standard deviations."
    ),
    Text(
        "Volatility is the standard deviation of daily log returns over 20 and 60 days, annualised with 252 sessions (365 days for crypto). "
        "Drawdown is measured from the highest close of the year, beta and correlation over 60 common days."
    ),
    Text("Sessions keep the holidays and half days of the exchanges, as far ahead as these are known."),
)
ATTRIBUTION = Text("Data: {names}. Each source keeps its rights and its terms of use.")
DISCLAIMER = Text(
    "This report is made by rules from market data. It is information, not investment advice, and no offer to buy or sell; "
    "data may be delayed, incomplete or wrong."
)


def section(findings: Findings, made: AsyncIterable[Card]) -> Section_:
    return Section_("ahead", 14, Text("Sessions ahead and method"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    used = {f.instrument.exchange for f in findings.facts if f.price is not None}
    codes = [code for code in PLACES if code in used]
    at = findings.made
    stock = [code for code in codes if code not in ("FX", "CME")]
    if stock:
        yield Paragraph(list(_said(findings, stock, at)))
    if codes:
        yield timeline(codes, at)
        yield _table(codes, at)
    yield Paragraph([_fixed("method", text, time=findings.as_of) for text in METHOD])
    named = dict.fromkeys(
        provider(name, findings.sources) for name in dict.fromkeys(f.source for f in findings.facts) if name
    )
    yield Paragraph([_fixed("attribution", ATTRIBUTION, names=tuple(named)), _fixed("disclaimer", DISCLAIMER)])


def _fixed(rule: str, text: Text, **values: Any) -> Sentence:
    places = {key: value for key, value in values.items() if "{" + key + "}" in text.msgid}
    return Sentence(f"fixed.{rule}", Text(text.msgid, places))


def _said(findings: Findings, codes: list[str], at: datetime) -> Iterator[Sentence]:
    trading = [_name(code) for code in codes if sessions.session(code, at) is Session.OPEN]
    closed = {code: sessions.next_change(code, at) for code in codes if sessions.session(code, at) is Session.CLOSED}
    first = min(closed.values(), default=None)
    opening = [_name(code) for code, opens in closed.items() if opens == first]
    yield from ahead.sessions(findings.day, trading, opening, first)


def _name(code: str) -> Name:
    return Name(PLACES[code].msgid)


def spans(code: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """When the exchange trades between ``start`` and ``end`` (UTC)."""
    found = []
    at = start
    while at < end:
        change = min(sessions.next_change(code, at), end)
        if sessions.session(code, at) in (Session.OPEN, Session.ALWAYS):
            found.append((at, change))
        at = change
    return found


def timeline(codes: list[str], at: datetime) -> Figure:
    """The next 24 hours; while nothing opens in them, as on a Saturday, those from the hour of the next opening."""
    span = timedelta(hours=HOURS)
    caption = Text("The next 24 hours")
    label = Text(
        "Trading hours of {n} exchange over the next 24 hours.",
        {"n": len(codes)},
        plural="Trading hours of {n} exchanges over the next 24 hours.",
    )
    if not any(spans(code, at, at + span) for code in codes):
        at = min(sessions.next_change(code, at) for code in codes).replace(minute=0, second=0, microsecond=0)
        caption = Text("24 hours from {time}", {"time": at})
        label = Text(
            "Trading hours of {n} exchange over 24 hours from {time}.",
            {"n": len(codes), "time": at},
            plural="Trading hours of {n} exchanges over 24 hours from {time}.",
        )
    rows = [{"name": _name(code), "spans": spans(code, at, at + span)} for code in codes]
    return Figure("ahead-timeline", "timeline", caption, label, {"start": at, "end": at + span, "rows": rows})


def _table(codes: list[str], at: datetime) -> Table:
    columns = (Column(Text("Exchange"), "name"), Column(Text("Session"), "state"), Column(Text("Next change"), "time"))
    rows = ((_name(code), SESSIONS[sessions.session(code, at)], sessions.next_change(code, at)) for code in codes)
    return Table("ahead-sessions", Text("Sessions now and their next change"), columns, rows, brief=0)
