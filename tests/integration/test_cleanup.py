"""Whatever stage of a job fails, and however, nothing stays behind: the receipt says so and it is checked from outside."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import text

from acceptance.processes import running
from evertick.app import Server, open_server
from evertick.archive.bars import BarStore
from evertick.archive.parts import PartWriter
from evertick.archive.quotes import QuoteStore
from evertick.archive.reports import ReportStore
from evertick.board.embedded import EmbeddedBoard
from evertick.memory import settle
from evertick.model import Outcome, Receipt, SlotState, report_id
from evertick.reports import workflow
from evertick.settings import Settings, SourceSettings, load
from evertick.simulator import base_urls
from evertick.sources.conductor import Conductor

REFRESH, REPORT = "refresh_indices", "report"
RUNS = 11
KEPT_AT_MOST = 4096
LIMIT_S = 77.0
"""What a run may take: of no other time-out, so that the run's is told by it and can be let expire."""

UNIVERSE = """id,name,group,region,currency,exchange,decimals,core,symbols
-*
BTC,Bitcoin,crypto,world,USD,24/7,2,yes,coingecko=bitcoin
ETH,Ether,crypto,world,USD,24/7,2,yes,coingecko=ethereum
SPX,S&P 500,indices,americas,pts,XNYS,2,yes,yahoo=^GSPC
"""

STAGES: dict[str, tuple[str, Any, str]] = {
    "load the board": (REFRESH, EmbeddedBoard, "load"),
    "ask the providers": (REFRESH, Conductor, "fetch"),
    "save the board": (REFRESH, EmbeddedBoard, "save"),
    "store the quotes": (REFRESH, QuoteStore, "add"),
    "read the bars": (REPORT, BarStore, "load_some"),
    "collect": (REPORT, workflow, "collect"),
    "analyse": (REPORT, workflow, "analyse"),
    "validate": (REPORT, workflow, "validate"),
    "begin the draft": (REPORT, ReportStore, "draft"),
    "store a style": (REPORT, ReportStore, "asset"),
    "store a piece": (REPORT, PartWriter, "write"),
    "publish": (REPORT, ReportStore, "publish"),
}
"""Stage to the job it is of, and the function that is made to fail."""


class Saboteur:
    """Makes one function fail once, in one of three ways."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, server: Server, where: Any, name: str) -> None:
        self.server = server
        self.how: str | None = None
        self.limit: asyncio.Timeout | None = None
        self.timeout = asyncio.timeout
        monkeypatch.setattr(asyncio, "timeout", self.limited)
        self.plain = getattr(where, name)
        wrapped = self.later if asyncio.iscoroutinefunction(self.plain) else self.now
        monkeypatch.setattr(where, name, lambda *args, **more: wrapped(*args, **more))

    def limited(self, delay: float | None) -> asyncio.Timeout:
        limit = self.timeout(delay)
        if delay == LIMIT_S:
            self.limit = limit
        return limit

    async def later(self, *args: Any, **more: Any) -> Any:
        how, self.how = self.how, None
        if how == "an exception":
            raise RuntimeError("injected")
        if how == "a cancellation":
            self.cancel()
        if how == "a time-out":
            assert self.limit is not None
            self.limit.reschedule(asyncio.get_running_loop().time())
        if how is not None:
            await asyncio.sleep(60)
        return await self.plain(*args, **more)

    def now(self, *args: Any, **more: Any) -> Any:
        """A function without a turn of the loop: it ends, and the cancellation comes at the next one."""
        how, self.how = self.how, None
        if how == "an exception":
            raise RuntimeError("injected")
        if how == "a cancellation":
            self.cancel()
        if how == "a time-out":
            raise TimeoutError
        return self.plain(*args, **more)

    def cancel(self) -> None:
        for run in self.server.runner._runs.values():
            run.cancel("shutdown")


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """In a process of its own, so that the heap measured is the server's."""
    with running("simulate", "--port", "0", cwd=tmp_path_factory.mktemp("upstream")) as simulator:
        yield simulator.address()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    tmp_path = tmp_path_factory.mktemp("server")
    file = tmp_path / "universe.csv"
    file.write_text(UNIVERSE)
    settings: Settings = load(
        environ={},
        data_dir=tmp_path / "data",
        universe=file,
        job_attempts=2,
        memory_every=60,
        memory_limit=8 << 30,  # this process is the tests' as well
        sources={name: SourceSettings(base_url=url) for name, url in base_urls(upstream).items()},
    )
    # Without structlog's default of drawing every local variable of a traceback, and without a logger that stays.
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
    try:
        async with open_server(settings, roles=("work",)) as server:
            await server.runner.run_now(REFRESH)
            await server.runner.run_now(REPORT)
            specs = server.runner._specs
            for key, spec in specs.items():
                specs[key] = replace(spec, max_run_s=LIMIT_S, retry_s=0.01)
            server.runner._poll_s = 0.02  # a second try is looked for at once
            settle(server.keeper.gauge.allocator)
            yield server
    finally:
        structlog.reset_defaults()


async def ended(server: Server, job: str) -> tuple[Receipt, Any]:
    """Submit ``job`` and wait for its end; the receipt of the attempt that failed, and the slot."""
    server.keeper.recent.clear()
    slot = await server.runner.submit(job, {})
    async with server.runner.updates(slot.id) as updates:
        async for slot in updates:  # noqa: B007 - the last one counts
            pass
    async with asyncio.timeout(10):
        while server.runner.running:
            await asyncio.sleep(0.01)
    return next(r for r in server.keeper.recent if r.job == job), slot


async def settled(server: Server, before: tuple[int, int, int]) -> tuple[int, int, int]:
    """What is open, once what was on its way out has gone: at the latest after two seconds."""
    for _ in range(100):
        if state(server) == before:
            break
        await asyncio.sleep(0.02)
    return state(server)


def state(server: Server) -> tuple[int, int, int]:
    """Descriptors, tasks, connections of the pools."""
    sample = server.keeper.gauge.sample()
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), sample.connections or 0


EXPECTED = {
    "an exception": Outcome.FAILED,
    "a cancellation": Outcome.CANCELLED,
    "a time-out": Outcome.TIMED_OUT,
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("stage", STAGES)
async def test_nothing_stays_behind(stage: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaks leaks every time, so one failure that leaves nothing is enough; the first may warm something up, and is
    never the one that counts."""
    saboteur = Saboteur(monkeypatch, server, *STAGES[stage][1:])
    for how in EXPECTED:
        left: list[str] = []
        for number in range(RUNS):
            left = await kept_by_a_failure(server, saboteur, STAGES[stage][0], how)
            if number and not left:
                break
        assert left == [], how


async def kept_by_a_failure(server: Server, saboteur: Saboteur, job: str, how: str) -> list[str]:
    """Fail once and succeed at the second try; what was left behind by the failure, in words."""
    data = server.settings.data_dir
    files, before = sorted(p.name for p in data.iterdir()), state(server)
    saboteur.how = how
    receipt, slot = await ended(server, job)
    assert receipt.outcome is EXPECTED[how]
    assert slot.state is SlotState.DONE, slot.error
    # A slot that was handed back was not tried; one that failed or ran out of time has used an attempt.
    assert slot.attempts == (1 if how == "a cancellation" else 2)
    if job == REPORT:
        assert (await server.archive.reports.get(report_id(slot.id))).slot == slot.id
        assert await drafts(server) == 0, (
            "what the failed attempt began is hidden, and gone with the report's publication"
        )
    after = await settled(server, before)
    kept = {
        "descriptors": receipt.fds_delta or after[0] - before[0],
        # Those of the receipt may be this test's own, which follows the slot and looks into the ledger meanwhile.
        "tasks": after[1] - before[1],
        "connections": after[2] - before[2],
        "heap": (receipt.retained or 0) // KEPT_AT_MOST,
        "files": sorted(p.name for p in data.iterdir()) != files,
    }
    return [f"{what}: {count}" for what, count in kept.items() if count and count > 0]


async def drafts(server: Server) -> int:
    async with server.archive.engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM reports WHERE state = 'draft'")) or 0)
