"""A soak from its start to its end: simulator, measured server, readers and time, and what was seen of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from evertick import __version__, universe
from evertick.archive import Archive, open_archive
from evertick.errors import EvertickError, ServerEnded, SoakError
from evertick.model import SystemClock
from evertick.settings import Settings
from evertick.simulator.process import simulator
from evertick.soak.disk import Disk
from evertick.soak.machine import machine, versions
from evertick.soak.plan import DAY_S, Plan, described, settings_of
from evertick.soak.readers import Readers
from evertick.soak.recorder import Recorder
from evertick.soak.servers import Server, postgres_server, redis_server
from evertick.soak.stage import Stage
from evertick.soak.tape import EVERTICK, Injury, Soak, Tape
from evertick.soak.verdict import bounds
from evertick.soak.wire import post

BEFORE_NEXT_S = 1.0
"""A step ends this much before the next refresh is due: the simulator's time is set for it first."""
READ_MEANWHILE = 0.125
"""In so many steps readers ask while the refresh runs; else between two, as most do in a real day."""
AFTER_REFRESH_S = 2.0
"""After its due time a refresh has begun, and the clock does not jump before it has ended."""
COLLECT_S = 43_200.0
"""Receipts are collected twice a day: the server keeps 20,000 of them."""


class Beside:
    """What goes along with the play, such as faults; here it does nothing. Any of the calls may take its time, kill the
    server and start it again, and move it through a part of the step that is to come."""

    async def prepare(self, data: Path) -> None:
        """Before anything is started; ``data`` will be the server's data folder, and is not there yet."""

    async def through(self, name: str, port: int) -> int:
        """The port at which the server is to find ``redis``, ``postgresql`` or the ``simulator`` of ``port``."""
        return port

    async def begin(self, scene: Scene) -> None:
        """The server is ready; nothing was played."""

    async def before(self, scene: Scene, at: float, until: float) -> None:
        """Before the step from ``at`` to ``until`` (seconds since the soak began)."""

    async def end(self, scene: Scene) -> None:
        """After the last step, while the server still runs."""


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
    servers: dict[str, Server]
    """Started by the soak, by ``postgresql`` and ``redis``: to be killed, stopped and started again."""
    disk: Disk | None = None
    notes: list[str] = field(default_factory=list)
    injuries: list[Injury] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(f"scene {self.plan.seed}")

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


Show = Callable[[Scene], None]


async def play(scene: Scene, beside: Beside, show: Show = lambda scene: None) -> str | None:
    """Step by step to the end of the plan; returns why the server ended before, if it did."""
    plan, stage, recorder = scene.plan, scene.stage, scene.recorder
    collected = 0.0
    recorder.look(stage.status, stage.starts)
    try:
        await beside.begin(scene)
        for n in range(plan.steps):
            at, until = n * plan.step_s, (n + 1) * plan.step_s
            await scene.set_market(at)
            await beside.before(scene, at, until)
            if plan.real_s is not None:
                await asyncio.gather(_live(scene, until), *([scene.readers.step(_in_bursts(plan))] if _busy(n) else []))
            elif scene.random.random() < READ_MEANWHILE:
                await asyncio.gather(_live(scene, until), scene.readers.step(plan.requests_a_step))
            else:
                # Before any other job is due: what reading puts into caches, and the next refresh takes out of them, would
                # else be told of another component in each case.
                await _live(scene, at + AFTER_REFRESH_S, brief=True)
                await scene.readers.step(plan.requests_a_step)
                await _live(scene, until)
            recorder.look(stage.status, stage.starts)
            if until - collected >= COLLECT_S:
                with suppress(EvertickError):  # a database that was hurt is asked again the next time
                    async with scene.archive() as archive:
                        await recorder.collect(archive.receipts)
                    collected = until
            show(scene)
        await beside.end(scene)
    except ServerEnded as error:
        recorder.moment(stage.now, "crash", str(error))
        return str(error)
    return None


def _busy(step: int) -> bool:
    """In real time readers also keep away for a while: until connections that are kept alive have been closed for it."""
    return step % 10 < 7


def _in_bursts(plan: Plan) -> float:
    return plan.requests_a_step * 10 / 7


async def _live(scene: Scene, until: float, *, brief: bool = False) -> None:
    """Until the end of a step, in the server's time; ``brief``: another part of the step comes, and nobody looks before."""
    stage = scene.stage
    if scene.plan.real_s is None:
        await stage.advance(until - BEFORE_NEXT_S, brief=brief)
        return
    await asyncio.sleep(max(0.0, until - stage.elapsed))
    await stage.look()


@dataclass(frozen=True)
class Surroundings:
    """What the server talks to, beside the simulator."""

    database_url: str | None
    """``None``: SQLite in the data folder. As others reach it; the measured server may be led another way."""
    redis_url: str | None
    servers: dict[str, Server]
    """The soak's own, by ``postgresql`` and ``redis``."""
    disk: Disk | None = None
    """Of the database, where it may become full."""


@asynccontextmanager
async def surroundings(plan: Plan, folder: Path) -> AsyncIterator[Surroundings]:
    """Starts the servers of the plan. Raises `SoakError`, also for a database that is not empty."""
    servers: dict[str, Server] = {}
    database = None if plan.database == "sqlite" else plan.database
    redis = None if plan.board == "embedded" else plan.board
    async with AsyncExitStack() as stack:
        if (disk := _disk(plan, folder)) is not None:
            stack.enter_context(disk)
        for name, chosen, start in (
            ("postgresql", database, postgres_server),
            ("redis", redis, redis_server),
        ):
            if chosen == name:
                place = folder / name
                place.mkdir(parents=True, exist_ok=True)
                opened = start(place)
                servers[name] = await asyncio.to_thread(opened.__enter__)
                stack.push_async_callback(asyncio.to_thread, opened.__exit__, None, None, None)
        if "postgresql" in servers:
            database = f"postgresql://evertick@127.0.0.1:{servers['postgresql'].port}/postgres"
        elif database is not None:
            await _refuse_used(database)
        if "redis" in servers:
            redis = f"redis://127.0.0.1:{servers['redis'].port}/0"
        elif redis is not None:
            await _refuse_board(redis)
        yield Surroundings(database, redis, servers, disk)


def _disk(plan: Plan, folder: Path) -> Disk | None:
    """For the database, if it is to run full."""
    if not plan.faults or plan.database not in ("sqlite", "postgresql"):
        return None
    if plan.database == "sqlite":
        return Disk(folder / "data", limits_files=True)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(folder.stat().st_mode | 0o011)  # the user of PostgreSQL passes through
    return Disk(folder / "postgresql", limits_files=False)


async def _refuse_board(url: str) -> None:
    """As `_refuse_used`, for the market that other programs may read in Redis."""
    from evertick.board.redis import open_redis

    used = False
    with suppress(EvertickError):  # not reachable: the server will say so
        async with open_redis(url, universe=universe.load()) as board:
            used = await board.load() is not None
    if used:
        raise SoakError(
            "The Redis of --redis-url is in use: it holds a market", hint="Name an empty one, or another number"
        )


async def _refuse_used(url: str) -> None:
    """Somebody's reports are nothing to play with."""
    used = False
    with suppress(EvertickError):  # no schema yet, or not reachable: the server will say so
        async with open_archive(url, SystemClock()) as archive:
            if (await archive.reports.list(1)).items or (await archive.receipts.recent(1)).items:
                used = True
    if used:
        raise SoakError(
            "The database of --database-url is in use: it holds receipts or reports", hint="Name an empty one"
        )


@asynccontextmanager
async def opened(
    plan: Plan, own: Settings, folder: Path, around: Surroundings, beside: Beside | None = None
) -> AsyncIterator[Scene]:
    """Simulator and server started, the server ready."""
    beside = beside or Beside()
    start = plan.start if plan.real_s is None else None
    file = None if own.universe is None else own.universe.resolve()
    async with AsyncExitStack() as stack:
        await beside.prepare(folder / "data")
        upstream = await stack.enter_async_context(
            simulator(plan.seed, universe=file, start=start, speed=0.0 if start else 1.0)
        )
        settings = settings_of(
            plan, own, folder, await _led(upstream, "simulator", beside),
            database_url=around.database_url and await _led(around.database_url, "postgresql", beside),
            redis_url=around.redis_url and await _led(around.redis_url, "redis", beside),
        )  # fmt: skip
        stage = await stack.enter_async_context(Stage(folder, settings, start=start))
        readers = await stack.enter_async_context(Readers(lambda: stage.url, plan.seed, tuple(settings["locales"])))
        url = around.database_url or f"sqlite:///{folder / 'data' / 'evertick.db'}"
        yield Scene(
            plan,
            folder,
            upstream,
            url,
            stage,
            readers,
            Recorder(start or datetime.now(UTC)),
            around.servers,
            around.disk,
        )


async def _led(url: str, name: str, beside: Beside) -> str:
    """``url`` by the way that ``beside`` wants."""
    address = urlsplit(url)
    port = await beside.through(name, address.port or 0)
    return url if port == address.port else url.replace(f":{address.port}", f":{port}", 1)


async def soak(
    plan: Plan,
    own: Settings,
    folder: Path,
    *,
    command: str,
    beside: Beside | None = None,
    show: Show = lambda scene: None,
    others: Callable[[dict[str, Any], Surroundings], Awaitable[dict[str, Tape]]] | None = None,
) -> Soak:
    """Play the plan and judge it. ``folder`` is to be empty, and may be thrown away afterwards.

    ``others`` plays other variants when the server has ended; it gets the server's settings.
    """
    began, started = time.monotonic(), datetime.now(UTC)
    async with surroundings(plan, folder) as around:
        async with opened(plan, own, folder, around, beside) as scene:
            settings = described(plan, scene.stage.settings)
            crashed = await play(scene, beside or Beside(), show)
            with suppress(EvertickError):
                async with scene.archive() as archive:
                    await scene.recorder.collect(archive.receipts)
                    newest = (await archive.reports.list(1)).items
                    settings["report_bytes"] = newest[0].size if newest else None
        tape = scene.recorder.tape(
            days=plan.length_s / DAY_S,
            seconds=round(time.monotonic() - began, 1),
            requests=scene.readers.counts,
            crashed=crashed,
            notes=[f"{n} × {why}" for why, n in scene.readers.why.most_common(20)],
        )
        variants = {EVERTICK: tape}
        if others is not None:
            variants |= await others(scene.stage.settings, around)
    return Soak(
        command=command,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 1),
        seed=plan.seed,
        evertick=__version__,
        machine=machine(),
        versions=versions(),
        settings=settings,
        variants=variants,
        bounds=bounds(tape, settings, scene.injuries),
        faults=tuple(scene.injuries),
        notes=tuple(scene.notes),
    )
