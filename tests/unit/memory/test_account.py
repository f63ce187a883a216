from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evertick.memory.account import DRAWN, Account, drifts
from evertick.memory.gauge import Gauge
from evertick.memory.watch import Watch
from evertick.model import MemorySample, RunFigures

MB = 1 << 20
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return NOW.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


def sample(
    before: timedelta, rss: float = 85, heap: float = 20, step_s: int = 60, process: str = "h/1/1"
) -> MemorySample:
    return MemorySample(
        process=process, at=NOW - before, step_s=step_s, rss=int(rss * MB), rss_max=int(rss * MB) + MB, heap=int(heap * MB),
        blocks=1, fds=20, sockets=3, threads=2, tasks=7, connections=4, pss=None, uss=None, budget=256 * MB,
    )  # fmt: skip


def figures(before: timedelta, component: str = "indices", job: str = "refresh_indices", **more: object) -> RunFigures:
    values = {"retained": 100, "over_steady": 2 * MB, "fds": 0, "connections": 0, "overlapped": False, "ok": True}
    return RunFigures(NOW - before, job, component, **{**values, **more})  # type: ignore[arg-type]


class Stored:
    def __init__(self, samples: Sequence[MemorySample] = (), runs: Sequence[RunFigures] = ()) -> None:
        self.stored = samples
        self.runs = runs

    async def samples(
        self, since: datetime, until: datetime, step_s: int, process: str | None = None
    ) -> AsyncIterator[MemorySample]:
        for s in self.stored:
            if s.step_s == step_s and since <= s.at < until:
                yield s

    async def counts(self, since: datetime, until: datetime, step_s: int) -> Mapping[str, int]:
        return Counter([s.process async for s in self.samples(since, until, step_s)])

    async def figures(self, since: datetime, jobs: Collection[str] = ()) -> AsyncIterator[RunFigures]:
        for r in self.runs:
            if r.started >= since and (not jobs or r.job in jobs):
                yield r


def account(stored: Stored) -> Account:
    clock = FixedClock()
    return Account(stored, stored, Watch(Gauge(), 256 * MB, clock, process="h/1/1"), clock)


def a_day(growth_mb: float = 0.0) -> list[MemorySample]:
    draw = random.Random(1)
    return [
        sample(timedelta(minutes=m), 85 + growth_mb * (1440 - m) / 1440 + draw.gauss(0, 0.05), 20 + growth_mb * (1440 - m) / 1440)
        for m in range(1439, 0, -1)
    ]  # fmt: skip


def refreshes(retained: int = 0) -> list[RunFigures]:
    """A day of them, each beginning with a heap that is larger by ``retained`` than that of the one before."""
    draw = random.Random(2)
    return [
        figures(timedelta(minutes=3 * n), retained=900, heap_before=20 * MB + (480 - n) * retained + int(draw.gauss(0, 30)))
        for n in range(479, 0, -1)
    ]  # fmt: skip


async def test_a_flat_day() -> None:
    save = [figures(timedelta(hours=h), "save", "save_report", retained=200, over_steady=MB) for h in range(1, 9)]
    found = await account(Stored(a_day(), [*refreshes(), *save])).statement()
    assert (found.verdict.state, found.heap.state, found.rss.state) == ("flat", "flat", "flat")
    assert [row.met for row in found.rows] == [True, True, True, None, True, True, True]
    assert [c.runs for c in found.components] == [479, 8, 0, 0, 0]
    connections, kept, indices, auto, whole, steady, peak = found.rows
    assert (connections.measured, kept.measured, auto.measured, peak.measured) == (0, 200, None, MB)
    assert indices.high is not None
    assert indices.high < 32 << 10
    assert whole.measured == 0
    assert steady.measured is not None
    assert abs(steady.measured - 85 * MB) < 0.1 * MB


async def test_a_leak_is_named_with_its_component() -> None:
    found = await account(Stored(a_day(5), refreshes(retained=11_000))).statement()
    assert found.verdict.state == "growing"
    assert "component indices" in found.verdict.text
    assert found.rows[2].met is found.rows[4].met is False


async def test_runs_that_overlapped_count_and_prove_nothing() -> None:
    runs = [figures(timedelta(minutes=n), retained=MB, connections=5, overlapped=True) for n in range(1, 50)]
    found = await account(Stored(a_day(), runs)).statement()
    indices = found.components[0]
    assert (indices.runs, indices.measured, indices.kept, indices.connections) == (49, 0, None, 0)
    assert found.rows[2].met is None


async def test_connections_are_those_that_stay_open() -> None:
    """A run that finds a neighbour's connection open, and leaves without it, hides no leak."""
    runs = [figures(timedelta(minutes=3 * n), connections=-1) for n in range(1, 400)]
    leaking = [replace(s, connections=4 + n // 3) for n, s in enumerate(a_day())]
    found = await account(Stored(leaking, runs)).statement()
    assert found.rows[0].measured is not None
    assert 460 <= found.rows[0].measured <= 480
    assert found.rows[0].met is False
    restarted = [replace(s, process="h/1/2") for s in a_day()[-10:]]
    assert (await account(Stored([*leaking[:-10], *restarted])).statement()).rows[0].measured is None


async def test_what_is_given_back_after_a_run_counts() -> None:
    """A run that ends 900 bytes higher than it began, and begins where the one before began, keeps nothing."""
    found = await account(Stored(a_day(), refreshes())).statement()
    indices = found.components[0]
    assert indices.kept == 900
    assert indices.per_day is not None
    assert indices.per_day.low <= 0 <= indices.per_day.high < 1024
    assert found.rows[2].met is True


async def test_drifts_are_of_one_process_without_its_warm_up_and_without_overlaps() -> None:
    def run(minutes: int, heap: int | None, component: str = "indices", **more: Any) -> RunFigures:
        return figures(timedelta(minutes=600 - minutes), component, heap_before=heap, **more)

    found = drifts(
        [
            run(0, 0), run(3, 5 * MB), run(20, 6 * MB), run(23, 6 * MB + 100), run(26, 7 * MB, overlapped=True),
            run(29, 8 * MB), run(32, 8 * MB + 7, "auto_report"), run(33, 9 * MB, "save", retained=55), run(35, 8 * MB + 9),
            run(36, 1, pid=2), run(38, 8 * MB + 12), run(41, None), run(44, 8 * MB),
        ]
    )  # fmt: skip
    assert [value for _, value in found["indices"]] == [100, 7, 3]
    assert [value for _, value in found["auto_report"]] == [2]
    assert [value for _, value in found["save"]] == [55]


async def test_where_a_job_often_runs_twice_in_a_row_only_moments_of_the_same_kind_are_compared() -> None:
    """Each refresh begins 9,000 bytes above the run before it and keeps 10: readers came, and left before the next job."""
    runs, kept = [], 0
    for n in range(200):
        at = timedelta(minutes=600 - 3 * n)
        runs.append(figures(at, "indices", heap_before=MB + kept + 9000))
        kept += 10
        if n % 2:
            runs.append(figures(at - timedelta(minutes=1), "other", job="update_bars", heap_before=MB + kept))
    found = drifts(runs)
    total = sum(value for _, value in found["indices"])
    assert total == pytest.approx(10 * len([r for r in runs if r.component == "indices"]), rel=0.05)
    assert {value for _, value in found["other"]} == {9000}, "never twice in a row: what came before the next run"


async def test_at_the_start_it_is_too_early_to_say() -> None:
    found = await account(Stored([sample(timedelta(minutes=m)) for m in range(40, 0, -1)])).statement()
    assert found.verdict.text == "too early to say: 24 min"
    assert [row.met for row in found.rows] == [True, None, None, None, None, True, None], "levels are known at once"
    assert (await account(Stored()).statement()).verdict.state == "early"


async def test_two_weeks_of_runs_pass_through() -> None:
    """An account that held them all would raise the memory that it tells of: 7 MB for a moment, and the room for it stays."""

    class Many(Stored):
        async def figures(self, since: datetime, jobs: Collection[str] = ()) -> AsyncIterator[RunFigures]:
            for n in range(11_000, 0, -1):
                yield figures(timedelta(seconds=110 * n), heap_before=20 * MB + n % 7)

    held = account(Many([sample(timedelta(minutes=10 * n), step_s=600) for n in range(2000, 0, -1)]))
    await held.statement()
    tracemalloc.start()
    try:
        found = await held.statement()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.components[0].per_day is not None
    assert peak < 2 * MB


async def test_two_weeks_count_where_there_are_as_many() -> None:
    long = [sample(timedelta(minutes=10 * n), step_s=600) for n in range(1000, 0, -1)]
    found = await account(Stored([*long, *a_day(50)])).statement()
    assert found.heap.trend is not None
    assert found.heap.trend.span_s > 6 * 86_400


async def test_the_course_takes_the_step_of_its_span_and_is_thinned() -> None:
    stored = Stored([*a_day(), *(sample(timedelta(minutes=10 * n), step_s=600) for n in range(12_000, 0, -1))])
    day = await account(stored).course()
    assert (day.step_s, day.until - day.since) == (60, DAY)
    assert len(day.samples) <= DRAWN
    assert day.samples[0].rss_max == max(s.rss_max or 0 for s in stored.stored[:2])
    months = await account(stored).course(timedelta(days=400))
    assert (months.step_s, months.until - months.since) == (600, timedelta(days=90))
    assert len(months.samples) <= DRAWN
    assert (await account(stored).course(timedelta(minutes=30))).step_s == 10


async def test_the_marks_of_the_course() -> None:
    started = int((NOW - timedelta(hours=5)).timestamp())
    samples = [sample(timedelta(minutes=10), process="h/1/1"), sample(timedelta(minutes=5), process=f"h/1/{started}")]
    runs = [
        figures(timedelta(hours=30)),
        figures(timedelta(hours=3)),
        figures(timedelta(hours=2), "auto_report", "report"),
    ]
    day = await account(Stored(samples, runs)).course()
    assert [m.kind for m in day.marks] == ["restart", "refresh", "report"]
    assert day.marks[0].at == NOW - timedelta(hours=5)
    week = await account(Stored(samples, runs)).course(7 * DAY)
    assert [m.kind for m in week.marks] == ["report"], "480 refreshes a day would hide everything else"


async def test_the_newest_looks_are_in_the_course_before_they_are_stored() -> None:
    one = account(Stored())
    await one._watch.look()
    assert len((await one.course(timedelta(hours=1))).samples) == 1
    assert len((await one.course()).samples) == 1
