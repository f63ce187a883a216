"""Section 5: the size of the crypto market, who dominates it, the mood, and the coins by capitalisation."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Sequence
from typing import Any

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Card, Column, Figure, Name, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Some
from evertick.reports.rules import crypto, market
from evertick.reports.values import change, compact, name, percent, price, spark

TOP = 100


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("crypto", 5, Text("Crypto"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    said = [
        *crypto.capitalisation(findings),
        *crypto.dominance(findings),
        *crypto.breadth(findings),
        *crypto.leaders(findings),
        *market.trend(findings, Group.CRYPTO, Text("the coins")),
        *crypto.mood(findings),
    ]
    if said:
        yield Paragraph(said)
    yield from _dominance(findings)
    yield from _gauge(findings)
    coins = (f for f in findings.of(Group.CRYPTO) if f.id not in landmarks.SPECIAL)
    largest = Some.of(coins, TOP, lambda f: f.market_cap or 0).first
    if largest:
        yield _table(largest)


def _dominance(findings: Findings) -> Iterator[Figure]:
    btc, eth = findings.get("BTC_DOM"), findings.get("ETH_DOM")
    if btc is None or eth is None or btc.price is None or eth.price is None:
        return
    rest = max(0.0, 100 - btc.price - eth.price)
    items = [
        {"name": Name("Bitcoin", "card-BTC" if findings.get("BTC") else None), "value": percent(btc.price)},
        {"name": Name("Ethereum", "card-ETH" if findings.get("ETH") else None), "value": percent(eth.price)},
        {"name": Name("All other coins"), "value": percent(rest)},
    ]
    label = Text(
        "Share of the crypto market: bitcoin {btc}, ether {eth}, all other coins {rest}.",
        {"btc": percent(btc.price), "eth": percent(eth.price), "rest": percent(rest)},
    )
    yield Figure("crypto-dominance", "share", Text("Share of total capitalisation"), label, {"items": items})


def _gauge(findings: Findings) -> Iterator[Figure]:
    f = findings.get("FNG")
    if f is None or f.price is None:
        return
    history = [round(v, 2) for v in f.spark]
    band = crypto.band(f.price)
    values = {"value": Number(f.price, "integer"), "band": band}
    if len(history) > 1:
        label = Text(
            "Fear & Greed index at {value} of 100, {band}; it was {before} at the start of the {n} days shown.",
            {**values, "before": Number(history[0], "integer"), "n": len(history)},
            plural="Fear & Greed index at {value} of 100, {band}; it was {before} at the start of the {n} days shown.",
        )
    else:
        label = Text("Fear & Greed index at {value} of 100, {band}.", values)
    data = {"value": Number(f.price, "integer"), "low": 0, "high": 100, "band": band, "history": history}
    yield Figure("crypto-mood", "gauge", Text("Fear & Greed, last 30 days"), label, data)


def _table(coins: Sequence[Facts]) -> Table:
    columns = (
        Column(Text("Rank")),
        Column(Text("Coin"), "name"),
        Column(Text("Price")),
        Column(Text("24 h"), "change"),
        Column(Text("1W"), "change"),
        Column(Text("1M"), "change"),
        Column(Text("1Y"), "change"),
        Column(Text("Capitalisation")),
        Column(Text("Volume, 24 h")),
        Column(Text("Recent"), "spark"),
    )
    rows = (
        (
            Number(rank, "integer"),
            name(f),
            price(f),
            *(change(v) for v in (f.change, f.ret_1w, f.ret_1m, f.ret_1y)),
            compact(f.market_cap),
            compact(f.volume),
            spark(f),
        )
        for rank, f in enumerate(coins, 1)
    )
    return Table("crypto-table", Text("Coins by market capitalisation, in US dollars"), columns, rows, brief=10)
