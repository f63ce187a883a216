"""A soak from its start to its end: simulator, measured server, readers and time, and what was seen of them."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from evertick import __version__
from evertick.archive import Archive, open_archive
from evertick.errors import EvertickError, ServerEnded
from evertick.model import SystemClock
from evertick.settings import Settings
from evertick.simulator.process import simulator
from evertick.soak.plan import START, Plan, described, settings_of
from evertick.soak.readers import Readers
from evertick.soak.recorder import Recorder
from evertick.soak.stage import Stage
from evertick.soak.tape import EVERTICK, Injury, Soak
from evertick.soak.wire import post

BEFORE_NEXT_S = 1.0
"""A step ends this much before the next refresh is due: the simulator's time is set for it first."""
COLLECT_S = 43_200.0
"""Receipts are collected twice a day: the server keeps 20,000 of them."""


@dataclass
class Scene:
    """All that plays together, for who shows it and for who hurts it."""

    plan: Plan
    folder: Path
    simulator: str
    database_url: str
    stage: Stage
    readers: Readers
    recorder: Recorder
    notes: list[str] = field(default_factory=list)
    injuries: list[Injury] = field(default_factory=list)

    @asynccontextmanager
    async def archive(self) -> AsyncIterator[Archive]:
        """The database of the server, to read in it. Raises `ArchiveError`."""
        async with open_archive(self.database_url, SystemClock()) as archive:
            yield archive

    async def set_market(self, at: float) -> None:
        """The simulator's time, in seconds since the soak began."""
        if self.stage.start_at is not None:
            await post(
                self.simulator, "/control/clock", {"now": (self.stage.start_at + timedelta(seconds=at)).isoformat()}
            )


class Beside(Protocol):
    """What goes along with the play, such as faults. Any of the calls may kill and start the server, and take its time."""

    async def begin(self, scene: Scene) -> None: ...

    async def before(self, scene: Scene, at: float, until: float) -> None:
        """Before the step from ``at`` to ``until`` (seconds since the soak began)."""

    async def end(self, scene: Scene) -> None:
        """After the last step, while the server still runs."""


Show = Callable[[Scene], None]


async def play(scene: Scene, beside: Sequence[Beside] = (), show: Show = lambda scene: None) -> str | None:
    """Step by step to the end of the plan; returns why the server ended before, if it did."""
    plan, stage, recorder = scene.plan, scene.stage, scene.recorder
    collected = 0.0
    recorder.look(stage.status, stage.starts)
    try:
        for one in beside:
            await one.begin(scene)
        for n in range(plan.steps):
            at, until = n * plan.step_s, (n + 1) * plan.step_s
            await scene.set_market(at)
            for one in beside:
                await one.before(scene, at, until)
            await asyncio.gather(_live(scene, until), scene.readers.step(plan.requests_a_step))
            recorder.look(stage.status, stage.starts)
            if until - collected >= COLLECT_S:
                with suppress(EvertickError):  # a database that was hurt is asked again the next time
                    async with scene.archive() as archive:
                        await recorder.collect(archive.receipts)
                    collected = until
            show(scene)
        for one in beside:
            await one.end(scene)
    except ServerEnded as error:
        recorder.moment(stage.now, "crash", str(error))
        return str(error)
    return None


async def _live(scene: Scene, until: float) -> None:
    """Until the end of a step, in the server's time."""
    stage = scene.stage
    if scene.plan.real_s is None:
        await stage.advance(until - BEFORE_NEXT_S)
        return
    await asyncio.sleep(max(0.0, until - stage.elapsed))
    await stage.look()


@contextmanager
def _servers(plan: Plan, folder: Path) -> Any:
    """``(database_url, redis_url, own servers by name)`` of the plan."""
    from contextlib import ExitStack

    from evertick.soak.servers import postgres_server, redis_server

    with ExitStack() as stack:
        database = redis = None
        if plan.database == "postgresql":
            server = stack.enter_context(postgres_server(folder / "postgresql"))
            database = f"postgresql://evertick@127.0.0.1:{server.port}/postgres"
        elif plan.database != "sqlite":
            database = plan.database
        if plan.board == "redis":
            redis = f"redis://127.0.0.1:{stack.enter_context(redis_server(folder / 'redis')).port}/0"
        elif plan.board != "embedded":
            redis = plan.board
        yield database, redis


@asynccontextmanager
async def opened(plan: Plan, own: Settings, folder: Path) -> AsyncIterator[Scene]:
    """Everything started, the server ready."""
    async with AsyncExitStack() as stack:
        database, redis = stack.enter_context(_servers(plan, folder))
        start = START if plan.real_s is None else None
        file = own.universe if own.universe is None else own.universe.resolve()
        upstream = await stack.enter_async_context(
            simulator(plan.seed, universe=file, start=start, speed=0.0 if start else 1.0)
        )
        settings = settings_of(plan, own, folder, upstream, database_url=database, redis_url=redis)
        stage = await stack.enter_async_context(Stage(folder, settings, start=start))
        readers = await stack.enter_async_context(Readers(lambda: stage.url, plan.seed, tuple(settings["locales"])))
        recorder = Recorder(start or datetime.now(UTC))
        url = database or f"sqlite:///{folder / 'data' / 'evertick.db'}"
        scene = Scene(plan, folder, upstream, url, stage, readers, recorder)
        yield scene


async def soak(
    plan: Plan,
    own: Settings,
    folder: Path,
    *,
    command: str,
    beside: Sequence[Beside] = (),
    show: Show = lambda scene: None,
) -> Soak:
    """Play the plan and say what was seen; the bounds are another's matter (`evertick.soak.verdict`)."""
    began, started = time.monotonic(), datetime.now(UTC)
    async with opened(plan, own, folder) as scene:
        settings = described(plan, scene.stage.settings)
        crashed = await play(scene, beside, show)
        with suppress(EvertickError):
            async with scene.archive() as archive:
                await scene.recorder.collect(archive.receipts)
                page = await archive.reports.list(1)
                settings["report_bytes"] = page.items[0].size if page.items else None
    seconds = time.monotonic() - began
    tape = scene.recorder.tape(
        days=plan.length_s / 86_400, seconds=seconds, requests=scene.readers.counts, crashed=crashed,
        notes=[f"{n} × {why}" for why, n in scene.readers.why.most_common(20)],
    )  # fmt: skip
    return Soak(
        command=command,
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        seed=plan.seed,
        evertick=__version__,
        machine=machine(),
        versions=versions(),
        settings=settings,
        variants={EVERTICK: tape},
        faults=tuple(scene.injuries),
        notes=tuple(scene.notes),
    )


def machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "libc": " ".join(platform.libc_ver()),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "implementation": sys.implementation.name}
    for name in ("uvloop", "fastapi", "sqlalchemy", "httpx2", "redis", "psycopg", "jinja2"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
