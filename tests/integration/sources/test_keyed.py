"""The six providers with a key, over the real HTTP client, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Group, Instrument
from evertick.settings import HttpSettings, SourceSettings
from evertick.simulator import Faults, Market, MarketClock, base_urls, serve
from evertick.sources.conductor import Conductor
from evertick.sources.http import Http, open_http
from evertick.sources.listing import BUILT_IN, Listed
from evertick.universe import Universe

KEY = "a-k3y-nobody-has"
MONDAY = datetime(2026, 11, 23, 16, 7, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
KEYED = [one for one in BUILT_IN if one.needs_key]
WITH_BARS = [one for one in KEYED if hasattr(one.load(), "bars")]
NAMES = ("XLK", "XLE", "XLF")


def fund(name: str) -> Instrument:
    return Instrument(name, name, Group.SECTORS, "americas", "USD", "XNYS", 2, {"ticker": name})


FUNDS = [fund(name) for name in NAMES]
STRANGER = fund("ZZZZ")
"""No instrument of the simulated market."""


class Upstream:
    """The simulated market at one moment, and the client that asks it."""

    def __init__(self, address: str, market: Market, http: Http) -> None:
        self.market, self.http, self._urls = market, http, base_urls(address)

    def source(self, listed: Listed, key: str | None = KEY):
        return listed.load()(Stopped(self.market), self._urls[listed.name], key)

    def settings(self, names: Sequence[str]) -> dict[str, SourceSettings]:
        return {name: SourceSettings(base_url=self._urls[name], api_key=KEY) for name in names}


class Stopped:
    """The market's clock, for an adapter."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def now(self) -> datetime:
        return self._market.clock.now()

    def monotonic(self) -> float:
        return self._market.clock.at()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("an adapter does not sleep")


@asynccontextmanager
async def simulated(now: datetime = MONDAY, faults: Sequence[str] = ()) -> AsyncIterator[Upstream]:
    market = Market(FUNDS, 7, MarketClock(now, 0))
    async with serve(market, Faults(faults)) as address, open_http(HttpSettings()) as http:
        yield Upstream(address, market, http)


@pytest.mark.parametrize("now", [MONDAY, SATURDAY], ids=["open", "closed"])
@pytest.mark.parametrize("listed", KEYED, ids=lambda one: one.name)
async def test_quotes_are_the_markets_own(listed: Listed, now: datetime) -> None:
    async with simulated(now) as upstream:
        asked = FUNDS[:1] if listed.name == "alphavantage" else FUNDS
        answer = await upstream.source(listed).fetch(upstream.http, asked)
        assert (dict(answer.refused), list(answer.failures), list(answer.later)) == ({}, [], [])
        assert [q.id for q in answer.quotes] == [i.id for i in asked]
        for quote, instrument in zip(answer.quotes, asked, strict=True):
            tick = upstream.market.tick(instrument, now.timestamp())
            ended = listed.name == "massive" and tick.trading
            assert quote.price == (tick.previous_close if ended else tick.price)
            assert quote.source == listed.name
            assert quote.as_of <= now
            assert quote.change_pct is not None
            if not ended:
                assert quote.previous_close == tick.previous_close
            if not tick.trading:
                assert quote.as_of.timestamp() == tick.at


@pytest.mark.parametrize("listed", WITH_BARS, ids=lambda one: one.name)
async def test_daily_bars_are_the_markets_own(listed: Listed) -> None:
    since = date(2026, 8, 3)
    async with simulated() as upstream:
        found = []
        source = upstream.source(listed)
        for n in range(0, len(FUNDS), source.bars_at_once):
            found += await source.bars(upstream.http, FUNDS[n : n + source.bars_at_once], since)
        for bars, instrument in zip(found, FUNDS, strict=True):
            whole = upstream.market.columns(instrument, since.toordinal(), date(2026, 11, 20).toordinal())
            assert (bars.instrument, list(bars.day), list(bars.close)) == (instrument.id, whole.days, whole.close)
            assert (list(bars.open), list(bars.high), list(bars.low)) == (whole.open, whole.high, whole.low)
            assert list(bars.volume) == whole.volume


@pytest.mark.parametrize("listed", KEYED, ids=lambda one: one.name)
async def test_an_unknown_symbol_is_missing_or_refused_and_never_an_error(listed: Listed) -> None:
    async with simulated() as upstream:
        source = upstream.source(listed)
        answer = await source.fetch(upstream.http, [STRANGER])
        assert (list(answer.quotes), list(answer.failures)) == ([], [])
        assert bool(answer.refused) == (listed.name == "finnhub")
        if listed in WITH_BARS:
            assert [len(bars) for bars in await source.bars(upstream.http, [STRANGER], date(2026, 10, 1))] == [0]


@pytest.mark.parametrize("key", [None, "bad-k3y"])
@pytest.mark.parametrize("listed", KEYED, ids=lambda one: one.name)
async def test_a_missing_or_wrong_key_is_refused_in_words_without_it(listed: Listed, key: str | None) -> None:
    async with simulated() as upstream:
        source = upstream.source(listed, key)
        asks = [source.fetch(upstream.http, FUNDS)]
        if listed in WITH_BARS:
            asks.append(source.bars(upstream.http, FUNDS[:1], date(2026, 10, 1)))
        for ask in asks:
            with pytest.raises(SourceRefused) as caught:
                await ask
            assert len(caught.value.came) > 10
            assert "bad-k3y" not in repr(caught.value) + str(caught.value)


LIMITED = "limited-k3y"


@pytest.mark.parametrize("listed", KEYED, ids=lambda one: one.name)
async def test_beyond_the_plan_it_is_asked_to_slow_down(listed: Listed) -> None:
    """Asked by adapters that do not know of each other, as by several servers with one key."""
    async with simulated() as upstream:
        with pytest.raises(SourceRateLimited) as caught:
            for _ in range(260):
                answer = await upstream.source(listed, LIMITED).fetch(upstream.http, FUNDS)
                if limits := [f for f in answer.failures if isinstance(f, SourceRateLimited)]:
                    raise limits[0]
        assert LIMITED not in repr(caught.value) + str(caught.value)
        upstream.market.clock.set(MONDAY + timedelta(days=1))
        assert (await upstream.source(listed, LIMITED).fetch(upstream.http, FUNDS)).quotes


@pytest.mark.parametrize("kind", ["429", "200ratelimit", "401", "403", "404", "500", "challenge", "truncated", "empty"])
@pytest.mark.parametrize("listed", KEYED, ids=lambda one: one.name)
async def test_failures_become_our_errors_and_never_show_the_key(listed: Listed, kind: str) -> None:
    async with simulated(faults=[f"{listed.name}={kind}"]) as upstream:
        source = upstream.source(listed)
        try:
            answer = await source.fetch(upstream.http, FUNDS)
        except SourceError as error:
            assert KEY not in repr(error) + str(error)
            expected = {"429": SourceRateLimited, "200ratelimit": SourceRateLimited, "401": SourceRefused, "403": SourceRefused, "challenge": SourceRefused}  # fmt: skip
            assert isinstance(error, expected.get(kind, SourceError))
            if kind == "404":
                assert isinstance(error, SourceMalformed)
        else:
            assert kind == "404"
            assert not answer.quotes


async def test_all_six_stand_in_for_one_another() -> None:
    """The first cannot be reached; the others share its instruments, and each says how it is."""
    names = [one.name for one in KEYED]
    async with simulated(faults=["twelvedata=500", "finnhub=429"]) as upstream:
        conductor = Conductor(upstream.http, Universe.of(FUNDS), upstream.settings(names), Stopped(upstream.market))
        fetched = await conductor.fetch()
        assert {q.id: q.source for q in fetched.quotes} == dict.fromkeys(NAMES, "fmp")
        states = {s.name: s.state for s in fetched.statuses if s.name in names}
        assert states == {
            "twelvedata": "failing", "finnhub": "failing", "fmp": "ok", "tiingo": "idle", "massive": "idle", "alphavantage": "idle",
        }  # fmt: skip
        assert KEY not in repr(fetched.statuses)
