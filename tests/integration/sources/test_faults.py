"""Every fault the simulator knows, through the real client and the conductor: the poll goes on, no wrong price gets in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest
import stamina

from evertick import universe
from evertick.board import open_embedded
from evertick.board.poll import poll
from evertick.model import Quote, Snapshot, SystemClock
from evertick.settings import HttpSettings, SourceSettings
from evertick.simulator.clock import MarketClock
from evertick.simulator.faults import ANSWERED, KINDS, SLOW, SPOILED, Faults
from evertick.simulator.market import Market
from evertick.simulator.serve import base_urls, serve
from evertick.sources.conductor import Conductor, Fetched
from evertick.sources.http import Http, open_http
from evertick.sources.listing import sources
from evertick.sources.reading import AHEAD_AT_MOST, symbol_of
from evertick.universe import Universe

PATIENT = HttpSettings()
HASTY = HttpSettings(read_timeout=1.0, total_timeout=1.2)
"""For the faults that only a time-out ends; long enough for right answers on a busy machine."""


class ShiftedClock(SystemClock):
    """The real clock, but a rest can be slept through at once."""

    shift = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift


@dataclass
class Bench:
    universe: Universe
    faults: Faults
    http: Http
    own: dict[str, SourceSettings]
    clock: ShiftedClock

    def conductor(self) -> Conductor:
        """A new one, in which no source rests yet."""
        return Conductor(self.http, self.universe, self.own, self.clock)


def _few() -> Universe:
    """Three instruments of every source, and what everybody knows."""
    whole = universe.load()
    wanted = {"SPX", "BTC", "VNINDEX", "VIX"}
    for listed in sources():
        namespaces = listed.load().namespaces
        wanted |= {i.id for i in [i for i in whole if symbol_of(i, namespaces)][:3]}
    return Universe.of([i for i in whole if i.id in wanted])


@pytest.fixture(scope="module")
def instruments() -> Universe:
    return _few()


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=2)
    yield
    stamina.set_testing(False)


@asynccontextmanager
async def opened(
    instruments: Universe, settings: HttpSettings = PATIENT, ahead: timedelta = timedelta()
) -> AsyncIterator[Bench]:
    """``ahead``: how far the market's clock and ours are before the real one."""
    faults, clock = Faults(), ShiftedClock()
    clock.shift = ahead
    market = Market(instruments.instruments, 1, MarketClock(clock.now()))
    async with serve(market, faults) as address, open_http(settings) as http:
        own = {name: SourceSettings(base_url=base) for name, base in base_urls(address).items()}
        yield Bench(instruments, faults, http, own, clock)


@pytest.fixture
async def bench(instruments: Universe) -> AsyncIterator[Bench]:
    async with opened(instruments) as it:
        yield it


async def healthy(bench: Bench) -> Fetched:
    """A run in which nothing fails."""
    bench.faults.replace([])
    run = await bench.conductor().fetch()
    assert [(s.name, s.error) for s in run.statuses if s.state not in ("ok", "idle", "off")] == []
    assert len(run.quotes) == len(bench.universe)
    return run


async def after(bench: Bench, right: Fetched) -> Fetched:
    """A run of a new process that knows the prices of ``right`` as those of long ago: so all of them are asked for."""
    long_ago = tuple(replace(q, as_of=q.as_of - timedelta(days=30)) for q in right.quotes)
    return await bench.conductor().fetch(Snapshot(bench.clock.now(), long_ago, right.statuses))


def prices(quotes: Iterable[Quote]) -> dict[str, float]:
    return {q.id: q.price for q in quotes}


def near(price: float, right: float) -> bool:
    """Of the same scale and sign: what stands in for a source may have yesterday's fixing, and a market moves."""
    return price == pytest.approx(right, rel=0.3, abs=0.3)


TABLES = {"treasury", "fred", "cboe"}
"""A table that is cut off between two rows looks whole, and what is left of it is right."""


async def test_an_answer_that_is_none_costs_its_quotes_and_says_why(bench: Bench):
    assert await _each_costs_its_quotes(bench, ANSWERED) >= {"coingecko", "alternative", "vps", "vietcombank", "yahoo"}


async def test_so_does_an_answer_that_only_a_time_out_ends(instruments: Universe):
    stamina.set_testing(True, attempts=1)
    two = Universe.of([i for i in instruments if i.id in ("SPX", "FNG")])
    async with opened(two, HASTY) as bench:
        assert await _each_costs_its_quotes(bench, SLOW) == {"yahoo", "alternative"}


async def _each_costs_its_quotes(bench: Bench, kinds: Iterable[str]) -> set[str]:
    right = await healthy(bench)
    answered, known = {s.name for s in right.statuses if s.quotes}, prices(right.quotes)
    for kind in kinds:
        bench.faults.replace([f"all={kind}"])
        run = await after(bench, right)
        cut = {
            q.source for q in run.quotes if kind == "truncated" and q.source in TABLES and near(q.price, known[q.id])
        }
        assert (kind, [q for q in run.quotes if q.source not in cut]) == (kind, [])
        asked = [s for s in run.statuses if s.state not in ("idle", "off")]
        assert {s.name for s in asked} >= answered
        for status in asked:
            if status.name in cut:
                continue
            assert (kind, status.name, status.state) == (kind, status.name, "failing")
            assert status.error
            assert status.error_kind in ("unavailable", "rate_limited", "refused", "malformed"), (kind, status)
            assert (status.last_success is not None) == (status.name in answered)
        assert bench.http.open_connections() <= PATIENT.connections
    assert prices((await healthy(bench)).quotes).keys() == prices(right.quotes).keys()
    return answered


async def test_of_an_answer_with_wrong_content_only_right_prices_are_taken(bench: Bench):
    await _only_right_prices_are_taken(bench)


async def test_nor_is_it_otherwise_just_before_midnight(instruments: Universe):
    """Then the days to come that a provider may send begin within minutes."""
    now = datetime.now(UTC)
    almost = now.replace(hour=23, minute=57, second=0, microsecond=0)
    async with opened(instruments, ahead=(almost - now) % timedelta(days=1)) as bench:
        await _only_right_prices_are_taken(bench)


async def _only_right_prices_are_taken(bench: Bench) -> None:
    right = await healthy(bench)
    known = prices(right.quotes)
    for kind in SPOILED:
        bench.faults.replace([f"all={kind}"])
        run = await after(bench, right)
        wrong = [(kind, q.id, q.source, q.price, known[q.id]) for q in run.quotes if not near(q.price, known[q.id])]
        assert wrong == []
        assert all(q.as_of <= bench.clock.now() + AHEAD_AT_MOST for q in run.quotes), kind
        states = {s.state for s in run.statuses if s.state not in ("idle", "off")}
        assert states <= {"ok", "partial", "failing"}
        if len(run.quotes) < len(bench.universe):
            assert states != {"ok"}, kind


async def test_bars_are_right_or_an_error(bench: Bench):
    spx = bench.universe.get("SPX")
    assert spx is not None
    since = date.today() - timedelta(days=90)
    ((right,), _) = await bench.conductor().bars([spx], since)
    by_day = dict(zip(right.day, right.close, strict=True))
    refused = []
    for kind in [k for k in KINDS if k not in SLOW]:
        bench.faults.replace([f"yahoo={kind}"])
        found, failures = await bench.conductor().bars([spx], since)
        if failures:
            assert failures["SPX"].provider == "yahoo"
            refused.append(kind)
        for bars in found:
            assert list(bars.day) == sorted(set(bars.day)), kind
            if kind not in ("stale", "future"):  # these shift the days themselves
                for day, close in zip(bars.day, bars.close, strict=True):
                    assert near(close, by_day[day]), (kind, date.fromordinal(day), close, by_day[day])
    assert set(ANSWERED) - {"404"} <= set(refused)


async def test_three_in_ten_answers_wrong_and_the_board_loses_nothing(bench: Bench):
    conductor = bench.conductor()
    async with open_embedded(None) as board:
        clean = await poll(conductor.fetch, board, bench.universe, bench.clock)
        assert len(clean.quotes) == len(bench.universe)
        bench.faults.replace(["all=any:0.3"])
        for n in range(20):
            bench.clock.shift = timedelta(seconds=20 * n)
            snapshot = await poll(conductor.fetch, board, bench.universe, bench.clock)
            assert [q.id for q in snapshot.quotes] == [q.id for q in clean.quotes]
            for quote, first in zip(snapshot.quotes, clean.quotes, strict=True):
                assert near(quote.price, first.price), (quote, first)
        assert bench.faults.served
        assert bench.http.open_connections() <= PATIENT.connections


async def test_one_provider_down_others_stand_in_and_the_last_good_values_stay(bench: Bench):
    right = await healthy(bench)
    async with open_embedded(None) as board:
        await board.save(Snapshot(bench.clock.now(), right.quotes, right.statuses))
        bench.faults.replace(["yahoo=503", "coingecko=503"])
        second = await poll(lambda previous: after(bench, right), board, bench.universe, bench.clock)
    assert {q.id for q in second.quotes} == {q.id for q in right.quotes}
    assert second.quote("SPX") == next(q for q in right.quotes if q.id == "SPX")
    states = {s.name: s.state for s in second.sources}
    assert (states["yahoo"], states["coingecko"], states["alternative"]) == ("failing", "failing", "ok")
    coin = second.quote("BTC")
    assert coin is not None
    assert coin.source == "binance"
