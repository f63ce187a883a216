"""The ECB, the US Treasury, FRED, Cboe and Yahoo through the real client: right answers, and every way to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from evertick.errors import SourceError, SourceRefused
from evertick.model import Group, Instrument, SystemClock
from evertick.settings import HttpSettings
from evertick.simulator import Faults, Market, MarketClock, base_urls, serve
from evertick.simulator.faults import ANSWERED, DISGUISED, SPOILED
from evertick.sources.cboe import Cboe
from evertick.sources.ecb import Ecb
from evertick.sources.fred import Fred
from evertick.sources.http import Http, open_http
from evertick.sources.treasury import Treasury
from evertick.sources.yahoo import Yahoo

NOW = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)
"""Wednesday evening in New York, before Thanksgiving."""
SINCE = date(2026, 9, 1)


def one(id_: str, group: Group, exchange: str, decimals: int, **symbols: str) -> Instrument:
    return Instrument(id_, id_, group, "americas", "USD", exchange, decimals, symbols)


EURUSD = one("EURUSD", Group.FX, "FX", 4, yahoo="EURUSD=X", ecb="USD")
USDJPY = one("USDJPY", Group.FX, "FX", 3, yahoo="JPY=X", ecb="USD/JPY")
US2Y = one("US2Y", Group.RATES, "UST", 3, yahoo="2YY=F", treasury="2Yr", fred="DGS2")
US10Y = one("US10Y", Group.RATES, "UST", 3, yahoo="^TNX", treasury="10Yr", fred="DGS10")
VIX = one("VIX", Group.VOLATILITY, "XCBO", 2, yahoo="^VIX", cboe="VIX")
ALL = (EURUSD, USDJPY, US2Y, US10Y, VIX)
CLASSES = (Ecb, Treasury, Fred, Cboe, Yahoo)


SHIFTED = ("stale", "future")
"""Faults that move the days themselves, so that a bar's day cannot be compared."""


class MarketTime(SystemClock):
    def __init__(self, clock: MarketClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()


@dataclass
class Bench:
    market: Market
    faults: Faults
    http: Http
    bases: dict[str, str]
    clock: MarketTime

    def make(self, cls: type[Any], key: str | None = None) -> Any:
        return cls(self.clock, self.bases[cls.name], key)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    market, faults = Market(ALL, 3, MarketClock(NOW, 0)), Faults()
    async with serve(market, faults) as address, open_http(HttpSettings(read_timeout=2, total_timeout=3)) as http:
        yield Bench(market, faults, http, dict(base_urls(address)), MarketTime(market.clock))


def known_to(cls: type[Any]) -> list[Instrument]:
    return [i for i in ALL if cls.name in i.symbols]


async def test_the_official_prices_are_those_of_the_market(bench: Bench):
    market = bench.market
    fixed = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
    euro, yen = (await bench.make(Ecb).fetch(bench.http, [EURUSD, USDJPY])).quotes
    assert (euro.price, euro.as_of) == (round(market.price(EURUSD, fixed.timestamp()), 4), fixed)
    assert yen.price == pytest.approx(market.price(USDJPY, fixed.timestamp()), rel=2e-4)

    today = date(2026, 11, 25).toordinal()
    two, ten = (await bench.make(Treasury).fetch(bench.http, [US2Y, US10Y])).quotes
    assert (two.price, ten.price) == (round(market.curve(today)[24], 2), round(market.curve(today)[120], 2))
    assert ten.as_of == datetime(2026, 11, 25, 20, 30, tzinfo=UTC)

    for key in (None, "sesame-17"):
        two, ten = (await bench.make(Fred, key).fetch(bench.http, [US2Y, US10Y])).quotes
        assert ten.price == round(market.curve(today - 1)[120], 2)
        assert ten.as_of == datetime(2026, 11, 24, 21, 0, tzinfo=UTC)

    (vix,) = (await bench.make(Cboe).fetch(bench.http, [VIX])).quotes
    assert (vix.price, vix.as_of) == (market.close(VIX, today), datetime(2026, 11, 25, 21, 15, tzinfo=UTC))


async def test_bars_of_one_market_agree(bench: Bench):
    (yahoo,) = await bench.make(Yahoo).bars(bench.http, [US10Y], SINCE)
    (official,) = await bench.make(Treasury).bars(bench.http, [US10Y], SINCE)
    (fred,) = await bench.make(Fred).bars(bench.http, [US10Y], SINCE)
    closes = dict(zip(yahoo.day, yahoo.close, strict=True))
    assert len(official) > 55
    assert all(abs(closes[d] - c) < 0.006 for d, c in zip(official.day, official.close, strict=True) if d in closes)
    assert set(fred.day) == set(official.day) - {date(2026, 11, 25).toordinal()}
    (cboe,) = await bench.make(Cboe).bars(bench.http, [VIX], SINCE)
    (vix,) = await bench.make(Yahoo).bars(bench.http, [VIX], SINCE)
    rows = {day: tuple(row) for day, *row in zip(vix.day, vix.open, vix.high, vix.low, vix.close, strict=True)}
    found = zip(cboe.day, cboe.open, cboe.high, cboe.low, cboe.close, strict=True)
    assert {day: tuple(row) for day, *row in found if day in rows} == rows
    euro, yen = await bench.make(Ecb).bars(bench.http, [EURUSD, USDJPY], SINCE)
    assert len(euro) == len(yen) > 55


async def test_two_years_of_yields_and_a_new_year(bench: Bench):
    (bars,) = await bench.make(Treasury).bars(bench.http, [US10Y], date(2024, 11, 25))
    assert 495 < len(bars) < 503
    bench.market.clock.set(datetime(2027, 1, 2, 12, tzinfo=UTC))
    (quote,) = (await bench.make(Treasury).fetch(bench.http, [US10Y])).quotes
    assert (quote.as_of.date(), len(quote.spark)) == (date(2026, 12, 31), 32)


async def test_an_unknown_series_and_an_unknown_index_cost_only_themselves(bench: Bench):
    odd = one("ODD", Group.RATES, "UST", 2, fred="NOPE", cboe="NOPE")
    for cls, right in ((Fred, US10Y), (Cboe, VIX)):
        answer = await bench.make(cls).fetch(bench.http, [odd, right])
        assert [q.id for q in answer.quotes] == [right.id]
        assert len(answer.failures) == 1


async def test_a_key_that_is_refused_is_said_to_be_so_and_never_shown(bench: Bench):
    with pytest.raises(SourceRefused) as caught:
        await bench.make(Fred, "bad-sesame-17").fetch(bench.http, [US10Y])
    assert "sesame" not in f"{caught.value!r} {caught.value}"


async def test_fred_is_asked_by_our_own_name_alone(bench: Bench):
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        body = b"observation_date,DGS10\n2026-11-24,4.70\n"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/csv\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(body) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        (quote,) = (await Fred(bench.clock, f"http://127.0.0.1:{port}").fetch(bench.http, [US10Y])).quotes
    assert quote.price == 4.7
    (head,) = heads
    names = [line for line in head.split(b"\r\n") if line.lower().startswith(b"user-agent:")]
    assert len(names) == 1
    assert b"Evertick/" in names[0]
    assert b"Mozilla" not in names[0]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.name)
async def test_whatever_goes_wrong_is_our_error_or_costs_prices_but_never_makes_one_up(bench: Bench, cls: type[Any]):
    mine = known_to(cls)
    right = {q.id: q.price for q in (await bench.make(cls).fetch(bench.http, mine)).quotes}
    closes = {
        (bars.instrument, day): close
        for bars in await bench.make(cls).bars(bench.http, mine, SINCE)
        for day, close in zip(bars.day, bars.close, strict=True)
    }
    assert right.keys() == {i.id for i in mine} == {id_ for id_, _ in closes}
    for kind in (*ANSWERED, *SPOILED, *DISGUISED):
        bench.faults.replace([f"{cls.name}={kind}"])
        try:
            answer = await bench.make(cls).fetch(bench.http, mine)
            found = await bench.make(cls).bars(bench.http, mine, SINCE)
        except SourceError as error:
            assert error.provider == cls.name
            assert str(error).isprintable()
            continue
        assert kind not in ANSWERED, kind
        for quote in answer.quotes:
            assert quote.price == pytest.approx(right[quote.id], rel=0.2), kind
            assert quote.as_of <= NOW + timedelta(minutes=10), kind
        for bars in found:
            assert list(bars.day) == sorted(set(bars.day)), kind
            for day, close in zip(bars.day, bars.close, strict=True):
                if kind not in SHIFTED:
                    assert close == pytest.approx(closes[bars.instrument, day], rel=0.2), (kind, date.fromordinal(day))
