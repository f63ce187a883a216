"""Every fault the simulator knows, through the real client and the conductor: the poll goes on, no wrong price gets in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
import stamina

from evertick import universe
from evertick.board import open_embedded
from evertick.board.poll import poll
from evertick.errors import SourceError
from evertick.model import SystemClock
from evertick.settings import HttpSettings, SourceSettings
from evertick.simulator.faults import ANSWERED, KINDS, SLOW, SPOILED, Faults
from evertick.simulator.market import Market
from evertick.simulator.serve import base_urls, serve
from evertick.sources.conductor import Conductor, Fetched
from evertick.sources.http import Http, open_http
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
    conductor: Conductor
    clock: ShiftedClock


@pytest.fixture(scope="module")
def instruments() -> Universe:
    return universe.load()


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=2)
    yield
    stamina.set_testing(False)


@asynccontextmanager
async def opened(instruments: Universe, settings: HttpSettings = PATIENT) -> AsyncIterator[Bench]:
    faults, clock = Faults(), ShiftedClock()
    async with serve(Market(instruments.instruments, 1), faults) as address, open_http(settings) as http:
        own = {name: SourceSettings(base_url=base) for name, base in base_urls(address).items()}
        yield Bench(instruments, faults, http, Conductor(http, instruments, own, clock), clock)


@pytest.fixture
async def bench(instruments: Universe) -> AsyncIterator[Bench]:
    async with opened(instruments) as it:
        yield it


Prices = dict[str, float]


async def fetched(bench: Bench, *, after: float = 0.0) -> Fetched:
    """A run ``after`` more seconds, so that no source rests any more."""
    bench.clock.shift += timedelta(seconds=after)
    return await bench.conductor.fetch()


async def healthy(bench: Bench) -> Prices:
    """The right prices, from a run in which nothing fails."""
    bench.faults.replace([])
    run = await fetched(bench, after=120)
    assert [(s.name, s.state) for s in run.statuses] == [("yahoo", "ok"), ("coingecko", "ok"), ("alternative", "ok")]
    assert len(run.quotes) == len(bench.universe)
    return {q.id: q.price for q in run.quotes}


def near(price: float, right: float) -> bool:
    return price == pytest.approx(right, rel=0.05)


@pytest.mark.parametrize("kinds", [tuple(ANSWERED), tuple(SLOW)], ids=["answered", "slow"])
async def test_an_answer_that_is_none_costs_its_quotes_and_says_why(instruments: Universe, kinds: tuple[str, ...]):
    async with opened(instruments, HASTY if kinds == tuple(SLOW) else PATIENT) as bench:
        for kind in kinds:
            before = await healthy(bench)
            bench.faults.replace([f"all={kind}"])
            run = await fetched(bench)
            assert (kind, run.quotes) == (kind, ())
            for status in run.statuses:
                assert (kind, status.name, status.state) == (kind, status.name, "failing")
                assert status.error
                assert status.error_kind in ("unavailable", "rate_limited", "refused", "malformed"), (kind, status)
                assert status.last_success is not None
            assert before.keys() == (await healthy(bench)).keys()
            assert bench.http.open_connections() <= PATIENT.connections


async def test_of_an_answer_with_wrong_content_only_right_prices_are_taken(bench: Bench):
    for kind in SPOILED:
        right = await healthy(bench)
        bench.faults.replace([f"all={kind}"])
        run = await fetched(bench)
        wrong = [(kind, q.id, q.price, right[q.id]) for q in run.quotes if not near(q.price, right[q.id])]
        assert wrong == []
        assert all(q.as_of <= bench.clock.now() + timedelta(minutes=1) for q in run.quotes), kind
        states = {s.name: s.state for s in run.statuses}
        assert set(states.values()) <= {"ok", "partial", "failing"}
        missing = len(bench.universe) - len(run.quotes)
        assert (missing > 0) == (set(states.values()) != {"ok"}), (kind, states)


async def test_bars_are_right_or_an_error(bench: Bench):
    spx = bench.universe.get("SPX")
    assert spx is not None
    since = date.today() - timedelta(days=90)
    right = await bench.conductor.bars(spx, since)
    by_day = dict(zip(right.day, right.close, strict=True))
    refused = []
    for kind in [k for k in KINDS if k not in SLOW]:
        bench.faults.replace([f"yahoo={kind}"])
        bench.clock.shift += timedelta(seconds=120)
        try:
            bars = await bench.conductor.bars(spx, since)
        except SourceError as error:
            assert error.provider == "yahoo"
            refused.append(kind)
            continue
        assert list(bars.day) == sorted(set(bars.day)), kind
        if kind not in ("stale", "future"):  # these shift the days themselves
            for day, close in zip(bars.day, bars.close, strict=True):
                assert near(close, by_day[day]), (kind, date.fromordinal(day), close, by_day[day])
    assert set(ANSWERED) <= set(refused)


async def test_three_in_ten_answers_wrong_and_the_board_loses_nothing(bench: Bench):
    async with open_embedded(None) as board:
        clean = await poll(bench.conductor.fetch, board, bench.universe, bench.clock)
        assert len(clean.quotes) == len(bench.universe)
        bench.faults.replace(["all=any:0.3"])
        for n in range(20):
            bench.clock.shift = timedelta(seconds=20 * n)
            snapshot = await poll(bench.conductor.fetch, board, bench.universe, bench.clock)
            assert [q.id for q in snapshot.quotes] == [q.id for q in clean.quotes]
            for quote, first in zip(snapshot.quotes, clean.quotes, strict=True):
                assert quote.price == pytest.approx(first.price, rel=0.05)
        assert bench.faults.served
        assert bench.http.open_connections() <= PATIENT.connections


async def test_one_provider_down_the_others_are_saved_and_the_last_good_values_stay(bench: Bench):
    async with open_embedded(None) as board:
        first = await poll(bench.conductor.fetch, board, bench.universe, bench.clock)
        bench.faults.replace(["yahoo=503"])
        second = await poll(bench.conductor.fetch, board, bench.universe, bench.clock)
    assert [q.id for q in second.quotes] == [q.id for q in first.quotes]
    assert second.quote("SPX") == first.quote("SPX")
    assert [(s.name, s.state) for s in second.sources] == [
        ("yahoo", "failing"),
        ("coingecko", "ok"),
        ("alternative", "ok"),
    ]
