"""The Vietnamese adapters and the simulated brokers, over real HTTP: any moment, any fault, one market."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from evertick.errors import SourceError
from evertick.model import Group, Instrument, Quote
from evertick.sessions import fresh
from evertick.settings import HttpSettings
from evertick.simulator import Faults, Market, MarketClock, base_urls, serve
from evertick.simulator.faults import ANSWERED, SLOW, SPOILED
from evertick.sources.http import Http, open_http
from evertick.sources.kbs import Kbs
from evertick.sources.vci import Vci
from evertick.sources.vietcombank import Vietcombank
from evertick.sources.vndirect import VnDirect
from evertick.sources.vps import Vps

TRADING = datetime(2026, 11, 25, 3, 20, tzinfo=UTC)
"""A Wednesday, 10:20 in Vietnam."""
MOMENTS = [
    TRADING,
    datetime(2026, 11, 25, 2, 0, 20, tzinfo=UTC),  # the opening
    datetime(2026, 11, 25, 5, 0, tzinfo=UTC),  # lunch
    datetime(2026, 11, 25, 8, 0, tzinfo=UTC),  # after the close
    datetime(2026, 11, 25, 17, 0, 5, tzinfo=UTC),  # midnight
    datetime(2026, 11, 29, 3, 0, tzinfo=UTC),  # Sunday
    datetime(2026, 11, 30, 1, 0, tzinfo=UTC),  # Monday before the opening
]
SINCE = date(2026, 9, 1)


def vietnamese(id: str, exchange: str = "XSTC", currency: str = "VND") -> Instrument:
    return Instrument(id, id, Group.VIETNAM, "asia", currency, exchange, 0 if currency == "VND" else 2, {"vn": id})


INDICES = [
    vietnamese(*row, "pts") for row in (("VNINDEX", "XSTC"), ("VN30", "XSTC"), ("HNX", "XHNX"), ("UPCOM", "XHNX"))
]
SHARES = [vietnamese(id) for id in ("FPT", "VCB", "HPG")]
EVERYTHING = [*INDICES, *SHARES]
TWO = [INDICES[0], SHARES[0]]
USD, DKK = (
    Instrument(f"{code}VND", code, Group.FX, "world", "VND", "FX", 0, {"vietcombank": code}) for code in ("USD", "DKK")
)
BROKERS = (Vps, VnDirect, Kbs, Vci)
HISTORY = (VnDirect, Kbs, Vci)


class MarketTime:
    def __init__(self, clock: MarketClock) -> None:
        self.now = clock.now

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Bench:
    market: Market
    faults: Faults
    http: Http
    urls: dict[str, str]

    def source(self, kind: Any) -> Any:
        return kind(MarketTime(self.market.clock), self.urls[kind.name])

    async def quotes(self, kind: Any, asked: Sequence[Instrument] = EVERYTHING) -> dict[str, Quote]:
        asked = [USD, DKK] if kind is Vietcombank else asked
        answer = await self.source(kind).fetch(self.http, asked)
        assert set(answer.refused) <= {i.id for i in asked}
        return {quote.id: quote for quote in answer.quotes}


@asynccontextmanager
async def opened(now: datetime = TRADING) -> AsyncIterator[Bench]:
    market, faults = Market([*EVERYTHING, USD, DKK], 7, MarketClock(now, 0)), Faults()
    async with serve(market, faults) as address, open_http(HttpSettings(read_timeout=1, total_timeout=2)) as http:
        yield Bench(market, faults, http, base_urls(address))


@pytest.mark.parametrize("now", MOMENTS, ids=str)
async def test_every_broker_tells_the_market_s_price_and_none_says_it_is_newer_than_it_is(now: datetime):
    async with opened(now) as bench:
        for kind in BROKERS:
            quotes = await bench.quotes(kind)
            for instrument in EVERYTHING:
                quote, tick = quotes[instrument.id], bench.market.tick(instrument, now.timestamp())
                assert quote.price == pytest.approx(tick.price, rel=1e-9), (kind.name, instrument.id)
                assert quote.previous_close == pytest.approx(tick.previous_close, rel=1e-9)
                assert quote.as_of.timestamp() <= tick.at
                if kind is Vps:
                    assert quote.as_of.timestamp() == tick.at
                if kind in (Vps, VnDirect):
                    assert fresh(quote, instrument, now)
            assert (quotes["VNINDEX"].breadth is not None) == (kind is Vps)


async def test_every_history_has_the_market_s_days():
    async with opened() as bench:
        for kind in HISTORY:
            found = await bench.source(kind).bars(bench.http, EVERYTHING, SINCE)
            for instrument, bars in zip(EVERYTHING, found, strict=True):
                whole = bench.market.columns(instrument, SINCE.toordinal(), TRADING.toordinal() - 1)
                assert list(bars.day[:-1]) == whole.days
                assert list(bars.close[:-1]) == pytest.approx(whole.close, rel=1e-9)
                assert list(bars.high[:-1]) == pytest.approx(whole.high, rel=1e-9)
                assert bars.close[-1] == pytest.approx(bench.market.price(instrument, TRADING.timestamp()))


async def test_the_bank_s_rates_are_those_of_this_morning():
    async with opened() as bench:
        quotes = await bench.quotes(Vietcombank)
        for code in ("USD", "DKK"):
            quote = quotes[f"{code}VND"]
            assert quote.as_of == datetime(2026, 11, 25, 1, 30, tzinfo=UTC)
            assert quote.price == pytest.approx(bench.market.rate(code, "VND", quote.as_of.timestamp()), rel=1e-5)


@pytest.mark.parametrize("kind", [*BROKERS, Vietcombank], ids=lambda kind: kind.name)
async def test_what_is_no_answer_is_an_error_of_ours(kind: Any):
    async with opened() as bench:
        for fault in ANSWERED:
            bench.faults.replace([f"{kind.name}={fault}"])
            with pytest.raises(SourceError) as caught:
                await bench.quotes(kind, TWO)
            assert caught.value.provider == kind.name, fault
            if kind in HISTORY:
                with pytest.raises(SourceError):
                    await bench.source(kind).bars(bench.http, SHARES[:1], SINCE)


@pytest.mark.parametrize("kind", [*BROKERS, Vietcombank], ids=lambda kind: kind.name)
async def test_of_an_answer_with_wrong_content_only_right_prices_are_taken(kind: Any):
    async with opened() as bench:
        right = await bench.quotes(kind, TWO)
        for fault in SPOILED:
            bench.faults.replace([f"{kind.name}={fault}"])
            try:
                quotes = await bench.quotes(kind, TWO)
            except SourceError as error:
                assert error.provider == kind.name
                continue
            for id, quote in quotes.items():
                assert quote.price == pytest.approx(right[id].price, rel=0.15), (fault, id)
                assert quote.as_of <= TRADING + timedelta(minutes=10), (fault, id)


@pytest.mark.parametrize("kind", HISTORY, ids=lambda kind: kind.name)
async def test_bars_are_right_or_an_error(kind: Any):
    async with opened() as bench:
        share = SHARES[:1]
        (right,) = await bench.source(kind).bars(bench.http, share, SINCE)
        by_day = dict(zip(right.day, right.close, strict=True))
        for fault in SPOILED:
            bench.faults.replace([f"{kind.name}={fault}"])
            try:
                (bars,) = await bench.source(kind).bars(bench.http, share, SINCE)
            except SourceError as error:
                assert error.provider == kind.name
                continue
            assert list(bars.day) == sorted(set(bars.day)), fault
            for day, close in zip(bars.day, bars.close, strict=True):
                assert close == pytest.approx(by_day[day], rel=0.15), (fault, date.fromordinal(day))


async def test_a_fault_of_one_leaves_the_others_alone():
    async with opened() as bench:
        bench.faults.replace(["vps=403html", f"vci={next(iter(SLOW))}"])
        with pytest.raises(SourceError, match="access denied"):
            await bench.quotes(Vps)
        assert len(await bench.quotes(VnDirect)) == len(await bench.quotes(Kbs)) == len(EVERYTHING)
