"""Opens every resource and wires every part; nothing else.

`open_server` is the one way in: the server, the one-off commands, the soak and the tests enter it. Resources open in the
order database → board → HTTP client → runner → scheduler and close in reverse, also when a start fails half-way.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from socket import socket
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog

from evertick import desks, remote
from evertick.archive import Archive, open_archive
from evertick.archive.database import address
from evertick.archive.parts import compressor
from evertick.board import Board, open_embedded
from evertick.board.document import document
from evertick.desk import REPORT, Desk, report_schedules
from evertick.desks import Desks
from evertick.embedded import Embedded
from evertick.errors import EvertickError, SchemaMismatch
from evertick.jobs.heartbeat import Heartbeat
from evertick.jobs.runner import Runner
from evertick.jobs.schedule import parse
from evertick.jobs.scheduler import Scheduler
from evertick.memory import Allocator, Gauge, Keeper, settle
from evertick.memory.account import Account
from evertick.memory.budget import State
from evertick.memory.inquiry import Inquiry
from evertick.memory.restart import Restart
from evertick.memory.watch import Watch
from evertick.model import Clock
from evertick.notify import READY, notify
from evertick.reports.catalogue import Catalogue
from evertick.reports.render import Renderers
from evertick.reports.workflow import Author
from evertick.settings import Settings
from evertick.sources.conductor import Conductor
from evertick.sources.history import History
from evertick.sources.http import Http, open_http
from evertick.universe import Universe
from evertick.web.minutes import Minutes

if TYPE_CHECKING:
    from evertick.distributed import Distributed
    from evertick.web import Check, Services

log = structlog.get_logger()

READY_WITHIN_S = 3.0
POLL_S = 1.0


def check(settings: Settings) -> None:
    """What can be wrong with the settings beyond their types, before anything is opened. Raises `SettingsError`."""
    every = desks.load(settings)
    parse(settings.indices_every, settings.timezone)
    parse(settings.report_every, settings.timezone)
    deque(report_schedules(every), maxlen=0)
    address(settings.database_url_or_default)
    for language in every.languages:
        Catalogue.load(language)
    if settings.writer.base_url is not None:
        from evertick.reports.writer.author import languages

        languages(settings.writer, every.languages)


def tell_gaps(languages: Sequence[str]) -> None:
    """Warns of languages whose reports have texts in English, because their catalogue has no words for them."""
    for language in languages:
        missing, known = Catalogue.load(language).untranslated()
        if missing:
            log.warning("texts without a translation read in English", language=language, texts=missing, of=known)


@dataclass(frozen=True)
class Server:
    """Everything that is open."""

    settings: Settings
    clock: Clock
    desks: Desks
    archive: Archive
    board: Board
    keeper: Keeper
    watch: Watch
    account: Account
    inquiry: Inquiry
    traffic: Minutes
    runner: Runner

    @property
    def universe(self) -> Universe:
        """The instruments of all desks."""
        return self.desks.universe

    def services(self) -> Services:
        """What the pages and the API work with."""
        from evertick.web import Services, WebSettings

        return Services(
            board=self.board,
            document=document,
            reports=self.archive.reports,
            ledger=self.archive.ledger,
            runner=self.runner,
            memory=self.keeper,
            account=self.account,
            timeline=self.archive.timeline,
            inquiry=self.inquiry,
            minutes=self.traffic,
            receipts=self.archive.receipts,
            quotes=self.archive.quotes,
            bars=self.archive.bars,
            universe=self.universe,
            clock=self.clock,
            settings=WebSettings.of(self.settings),
            desks=self.desks,
            ready=self.ready,
            packer=compressor,
            scratch=self.settings.data_dir,
        )

    async def ready(self) -> Sequence[Check]:
        """What must be well for this server to be ready: each part is asked."""
        from evertick.web import Check

        checks = []
        for name, part, ping in (
            ("database", self.archive.name, self.archive.ping),
            ("board", self.board.kind, self.board.ping),
        ):
            try:
                async with asyncio.timeout(READY_WITHIN_S):
                    await ping()
                checks.append(Check(name, True, part))
            except EvertickError as error:
                checks.append(Check(name, False, error.message))
            except TimeoutError:
                checks.append(Check(name, False, f"{part} does not answer within {READY_WITHIN_S:g} s"))
        budget = self.watch.budget
        checks.append(Check("memory", budget.state is not State.OVER, f"{budget.state}: {budget.reason}"))
        return checks


@asynccontextmanager
async def open_storage(
    settings: Settings, clock: Clock, instruments: Universe, *, own: bool = False, lock: bool = True
) -> AsyncIterator[tuple[Archive, Board]]:
    """The database and the board. ``own`` brings the schema up to date and takes the lock of the data folder; with
    ``lock`` false it does without the lock.
    """
    url = settings.database_url_or_default
    owner_lock = remote.lock_file(settings) if own and lock else None

    def opened() -> AbstractAsyncContextManager[Archive]:
        return open_archive(url, clock, owner_lock=owner_lock, settings=settings.archive)

    async with AsyncExitStack() as stack:
        try:
            archive = await stack.enter_async_context(opened())
        except SchemaMismatch:
            if not own:
                raise
            await _upgrade(settings)
            archive = await stack.enter_async_context(opened())
        board: Board
        if settings.redis_url is None:
            board = await stack.enter_async_context(open_embedded(settings.data_dir / "board.json"))
        else:
            from evertick.board.redis import open_redis

            redis = settings.redis_url.get_secret_value()
            board = await stack.enter_async_context(open_redis(redis, universe=instruments))
        yield archive, board


def _mode(settings: Settings, roles: Sequence[str], clock: Clock | None) -> Embedded | Distributed:
    match settings.mode:
        case "embedded":
            return Embedded(roles, clock)
        case "distributed":
            from evertick.distributed import Distributed

            return Distributed(roles, clock)


@asynccontextmanager
async def open_server(
    settings: Settings,
    *,
    clock: Clock | None = None,
    roles: Sequence[str] | None = None,
    restart: asyncio.Event | None = None,
    restarts: Sequence[datetime] = (),
    poll_s: float = POLL_S,
) -> AsyncIterator[Server]:
    """Open everything and start the roles; close everything in reverse.

    ``restart`` is set when the process is to restart in place, ``restarts`` are those of the last hour; without the event
    an exhausted memory budget holds reports back and nothing more. ``poll_s``: how often the ledger is asked for slots that
    nobody in this process told of (retries, other processes).

    Raises `SettingsError` before anything is opened, else the error of what could not be opened; nothing stays open then.
    """
    roles = settings.roles if roles is None else roles
    check(settings)
    every = desks.load(settings)
    instruments = every.universe
    mode = _mode(settings, roles, clock)
    clock = mode.clock
    allocator = Allocator()
    allocator.steady()  # before there are threads: each would open an arena
    async with AsyncExitStack() as stack:
        storage = open_storage(settings, clock, instruments, own=True, lock=mode.owns_folder)
        archive, board = await stack.enter_async_context(storage)
        await stack.enter_async_context(mode.joined(archive))
        http = await stack.enter_async_context(open_http(settings.http))

        def pools() -> dict[str, int]:
            return {
                "database": archive.connections(), "board": board.connections(), "providers": http.open_connections()
            }  # fmt: skip

        gauge = Gauge(lambda: sum(pools().values()), allocator)
        keeper = Keeper(gauge, sink=archive.receipts.add, now=clock.now, memory_limit=settings.memory_limit)
        conductor = Conductor(http, instruments, settings.sources, clock, archive.usage)
        tell_gaps(every.languages)
        history = History(instruments, conductor, archive.bars, clock, settings.retention.bar_days)
        desk = Desk(
            settings, clock, every, archive, board, conductor, history, Renderers(), keeper.keep, lambda: look(),
            author(settings, every.languages, http, archive, clock),
        )  # fmt: skip
        heartbeat = Heartbeat(archive.ledger.renewals(), clock, settings.lease_s)
        traffic = Minutes(gauge.allocator.heap, keeper.busy)
        watch = Watch(
            gauge,
            keeper.limit,
            clock,
            archive.timeline,
            every_s=settings.memory_every,
            restarts=restarts,
            restarts_an_hour=settings.memory_restarts if restart is not None else 0,
            changed=lambda budget: budgeted.changed(budget),
            traffic=traffic.collect,
        )
        budgeted = Restart(watch, restart, lambda: len(runner.running), clock, reports=(REPORT,))
        stack.push_async_callback(budgeted.close)
        runner = mode.runner(desk.specs(), archive, keeper.keep, heartbeat, budgeted.gate, poll_s)
        await stack.enter_async_context(watch.watching())
        account = Account(archive.timeline, archive.receipts, watch, clock, ZoneInfo(settings.timezone))
        inquiry = Inquiry(keeper.run_ended, archive.timeline, watch.process, clock, pools)
        stack.push_async_callback(inquiry.close)

        async def look() -> bool:
            return await inquiry.consider((await account.statement()).verdict)

        await stack.enter_async_context(mode.working(archive, runner, heartbeat))
        if "schedule" in roles:
            await stack.enter_async_context(Scheduler(desk.specs(), archive.ledger, clock, runner.wake))
        yield Server(settings, clock, every, archive, board, keeper, watch, account, inquiry, traffic, runner)


def author(settings: Settings, languages: Sequence[str], http: Http, archive: Archive, clock: Clock) -> Author | None:
    """The AI writer, where one is configured; nothing of it is imported otherwise (nh3 alone is 1.5 MB)."""
    if settings.writer.base_url is None:
        return None
    from evertick.reports.writer import open_author

    return open_author(http, archive.usage, settings.writer, clock, languages)


async def run_server(
    settings: Settings,
    *,
    announce: Callable[[str], None] = lambda url: None,
    may_restart: bool = False,
    restarts: Sequence[datetime] = (),
    clock: Clock | None = None,
    poll_s: float = POLL_S,
    opened: Callable[[Server], None] = lambda server: None,
    restart: asyncio.Event | None = None,
) -> socket | None:
    """Serve until SIGINT or SIGTERM. ``announce`` is told the address when the server is ready, ``opened`` gets the server.

    With ``may_restart`` it also ends when memory is to be freed by a restart: then it returns the socket, which still listens,
    for the process that comes next. ``restarts`` are the earlier ones. Whoever sets ``restart`` asks for one as well.
    """
    from evertick.web.serve import address as address_of
    from evertick.web.serve import bind, serve

    check(settings)
    if restart is None and may_restart:
        restart = asyncio.Event()
    again = False
    with bind(settings.host, settings.port) as listening:
        url = address_of(listening)
        async with open_server(settings, clock=clock, restart=restart, restarts=restarts, poll_s=poll_s) as server:
            opened(server)
            from evertick.web.app import create_app

            app = create_app(server.services())

            def ready() -> None:
                settle(server.keeper.gauge.allocator)
                log.info(
                    "ready",
                    url=url,
                    database=server.archive.name,
                    board=server.board.kind,
                    roles=",".join(settings.roles),
                )
                notify(READY)
                announce(url)

            with remote.announced(settings, url):
                async with app.state.web.feed.watching():
                    again = await serve(
                        app, [listening.dup()], ready=ready, stopping=app.state.web.stop, leaving=listening.close,
                        restart=restart, grace_s=settings.stop_grace,
                    )  # fmt: skip
        log.info("restarting" if again else "stopped")
        return listening.dup() if again else None


async def run_headless(
    settings: Settings,
    *,
    roles: Sequence[str],
    may_leave: bool = True,
    restarts: Sequence[datetime] = (),
    until: Awaitable[Any] | None = None,
) -> bool:
    """Do the work of ``roles`` without pages until SIGINT or SIGTERM, or until ``until`` is done.

    A stopped process takes nothing more, gives what runs `Settings.stop_grace` seconds to end, and hands the rest back; a
    second signal hands back at once. Returns whether it left by itself, because its memory is used up and nothing runs.
    """
    check(settings)
    leave = asyncio.Event() if may_leave else None
    async with open_server(settings, roles=roles, restart=leave, restarts=restarts) as server:
        settle(server.keeper.gauge.allocator)
        log.info("ready", database=server.archive.name, board=server.board.kind, roles=",".join(roles))
        notify(READY)
        async with signals() as (stopped, hurried):
            ends: list[asyncio.Future[Any]] = [
                asyncio.ensure_future(each.wait()) for each in (stopped, leave) if each is not None
            ]
            if until is not None:
                ends.append(asyncio.ensure_future(until))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            left = leave is not None and leave.is_set() and not stopped.is_set()
            log.info("leaving" if left else "stopping", running=len(server.runner.running))
            draining = asyncio.ensure_future(server.runner.drain(settings.stop_grace))
            ends += [draining, asyncio.ensure_future(hurried.wait())]
            await asyncio.wait(ends[-2:], return_when=asyncio.FIRST_COMPLETED)
            for each in ends:
                each.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
    log.info("left" if left else "stopped")
    return left


@asynccontextmanager
async def signals() -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """Set by the first SIGINT or SIGTERM, and by one that comes a second or more after it: one stop is often told twice."""
    loop = asyncio.get_running_loop()
    first, second = asyncio.Event(), asyncio.Event()
    stopped_at = 0.0

    def came() -> None:
        nonlocal stopped_at
        if not first.is_set():
            stopped_at = loop.time()
            first.set()
        elif loop.time() - stopped_at >= 1:
            second.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, came)
    try:
        yield first, second
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _upgrade(settings: Settings) -> None:
    """In a process of its own: Alembic is 10 MB that a server needs for a second of its life."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "evertick", "db", "upgrade", "--data", str(settings.data_dir),
        env={**os.environ, "EVERTICK_DATABASE_URL": settings.database_url_or_default},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    if process.returncode:
        text = said.decode(errors="replace").strip().removeprefix("evertick: ")
        raise SchemaMismatch(text or f"evertick db upgrade ended with {process.returncode}")
