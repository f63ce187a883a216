from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from evertick.memory import restart as restarting
from evertick.memory.gauge import Gauge, Sample
from evertick.memory.restart import Restart
from evertick.memory.watch import Watch

MB = 1 << 20
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class StepClock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class Stage(Gauge):
    """A budget of 100 MB of which ``rss`` are in use, and ``runs`` jobs under way."""

    def __init__(self, asked: asyncio.Event | None, restarts: int = 0) -> None:
        super().__init__()
        self.rss, self.runs = 50, 0
        self.clock = StepClock()
        self.watch = Watch(
            self, 100 * MB, self.clock, restarts=[START] * restarts, changed=lambda budget: self.restart.changed(budget)
        )
        self.restart = Restart(self.watch, asked, lambda: self.runs, self.clock)

    def sample(self) -> Sample:
        return Sample(heap=1, blocks=1, rss=self.rss * MB, fds=1, tasks=1, threads=1, connections=None)

    async def at(self, rss: int) -> None:
        self.rss = rss
        for _ in range(3):
            await self.watch.look()
        for _ in range(5):
            await asyncio.sleep(0)

    def held(self) -> tuple[str | None, str | None]:
        return self.restart.gate("refresh_indices"), self.restart.gate("report")


async def test_reports_wait_while_memory_is_tight() -> None:
    stage = Stage(asyncio.Event())
    assert stage.held() == (None, None)
    await stage.at(75)
    assert stage.held() == (None, "memory is tight")
    await stage.at(50)
    assert stage.held() == (None, None)


async def test_over_the_budget_nothing_starts_and_what_runs_ends_before_the_restart() -> None:
    asked = asyncio.Event()
    stage = Stage(asked)
    stage.runs = 1
    await stage.at(95)
    assert stage.held() == ("the server restarts to free its memory",) * 2
    assert not asked.is_set()
    stage.runs = 0
    await asyncio.wait_for(asked.wait(), 5)
    await stage.at(10)
    assert stage.held() == ("the server restarts to free its memory",) * 2, "it is under way, whatever memory does"


async def test_a_run_that_does_not_end_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()
    stage = Stage(asked)
    stage.runs = 1
    await stage.at(95)
    await asyncio.wait_for(asked.wait(), 5)
    assert stage.clock.at - START >= timedelta(seconds=restarting.WAIT_S)


async def test_memory_that_falls_meanwhile_needs_no_restart() -> None:
    asked = asyncio.Event()
    stage = Stage(asked)
    stage.runs = 1
    await stage.at(95)
    await stage.at(50)
    await asyncio.sleep(0.01)
    assert stage.held() == (None, None)
    assert not asked.is_set()
    stage.runs = 0
    await stage.at(95)
    await asyncio.wait_for(asked.wait(), 5)


async def test_restarted_too_often_or_with_nobody_to_restart_it_goes_on_as_tight() -> None:
    for asked, restarts in ((asyncio.Event(), 3), (None, 0)):
        stage = Stage(asked, restarts)
        await stage.at(95)
        assert stage.held() == (None, "memory is over")
        assert asked is None or not asked.is_set()


async def test_closing_ends_the_waiting() -> None:
    asked = asyncio.Event()
    stage = Stage(asked)
    stage.runs = 1
    await stage.at(95)
    await stage.restart.close()
    assert not asked.is_set()
    assert all(t.get_name() != "memory restart" for t in asyncio.all_tasks())
