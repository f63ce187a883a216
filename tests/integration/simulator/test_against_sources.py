"""The adapters and the simulator were written from the same notes, apart: here they meet."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from evertick.sessions import fresh
from evertick.settings import HttpSettings, SourceSettings
from evertick.simulator import Faults, Market, MarketClock, base_urls, serve
from evertick.sources.conductor import Conductor
from evertick.sources.http import open_http
from evertick.universe import Universe, load

MOMENTS = [
    datetime(2026, 11, 25, 15, 7, tzinfo=UTC),  # Wednesday: America and Europe are open
    datetime(2026, 11, 25, 4, 45, tzinfo=UTC),  # lunch in Asia
    datetime(2026, 11, 26, 16, 0, tzinfo=UTC),  # Thanksgiving
    datetime(2026, 11, 28, 3, 0, tzinfo=UTC),  # Saturday
    datetime(2026, 11, 29, 23, 30, tzinfo=UTC),  # Sunday: FX and futures have opened, their Monday has not begun
    datetime(2027, 3, 14, 7, 30, tzinfo=UTC),  # daylight saving begins in New York
    datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC),
    datetime(2027, 2, 8, 4, 0, tzinfo=UTC),  # Tết
]


class SimulatedTime:
    """The adapters' clock: the market's."""

    def __init__(self, clock: MarketClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@pytest.fixture(scope="module")
def universe() -> Universe:
    return load()


@pytest.mark.parametrize("now", MOMENTS, ids=str)
async def test_every_instrument_has_a_fresh_price_at_any_moment(universe: Universe, now: datetime) -> None:
    market = Market(universe, 7, MarketClock(now, 0))
    async with serve(market) as address, open_http(HttpSettings()) as http:
        settings = {name: SourceSettings(base_url=url) for name, url in base_urls(address).items()}
        conductor = Conductor(http, universe, settings, SimulatedTime(market.clock))
        fetched = await conductor.fetch()
        assert [(s.name, s.state, s.error) for s in fetched.statuses if s.state not in ("ok", "idle", "off")] == []
        quotes = {quote.id: quote for quote in fetched.quotes}
        assert [i.id for i in universe if i.id not in quotes] == []
        assert [i.id for i in universe if not fresh(quotes[i.id], i, now)] == []
        several = [i for i in universe if i.id in ("SPX", "BTC", "GOLD", "EURUSD", "TASI", "VNINDEX", "FPT", "US10Y")]
        for one in several:
            at = now.timestamp() // 60 * 60 if one.id == "BTC" else now.timestamp()
            assert quotes[one.id].price == pytest.approx(market.price(one, at), rel=1e-4)
        found, failures = await conductor.bars(several, now.date() - timedelta(days=365))
        assert failures == {}
        assert {bars.instrument for bars in found} == {one.id for one in several}
        for bars in found:
            days = [d for d in bars.day if d < now.toordinal() - 1]
            whole = market.columns(market.instruments[bars.instrument], days[0], days[-1])
            expected = dict(zip(whole.days, whole.close, strict=True))
            assert len(days) > 0.97 * len(whole)
            assert all(
                close == pytest.approx(expected[d], rel=1e-3) for d, close in zip(days, bars.close, strict=False)
            )


async def test_what_goes_wrong_costs_only_what_it_touches(universe: Universe) -> None:
    market = Market(universe, 7, MarketClock(MOMENTS[0], 0))
    async with serve(market, Faults(["coingecko=500"])) as address, open_http(HttpSettings()) as http:
        settings = {name: SourceSettings(base_url=url) for name, url in base_urls(address).items()}
        fetched = await Conductor(http, universe, settings, SimulatedTime(market.clock)).fetch()
        states = {s.name: s.state for s in fetched.statuses if s.state not in ("idle", "off")}
        assert {name for name, state in states.items() if state != "ok"} == {"coingecko"}
        # others know its coins and the market's size
        assert {quote.source for quote in fetched.quotes} >= {"yahoo", "alternative", "binance", "coinpaprika"}
        assert "coingecko" not in {quote.source for quote in fetched.quotes}
