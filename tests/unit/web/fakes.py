"""Scripted stand-ins for what `evertick.web.services` names, and a real uvicorn in front of them."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import threading
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

from pydantic import SecretStr

from evertick import universe
from evertick.board.document import document
from evertick.desks import Desks
from evertick.errors import BadCursor, BoardUnavailable, EvertickError, JobRefused, NotFound
from evertick.memory import Gauge
from evertick.memory.account import Account
from evertick.memory.watch import Watch
from evertick.model import (
    Bars,
    MemorySample,
    Outcome,
    Page,
    PartMeta,
    Quote,
    Receipt,
    ReportMeta,
    RunFigures,
    Slot,
    SlotState,
    Snapshot,
    SourceStatus,
    WebReceipt,
    report_id,
    slot_id,
)
from evertick.web import Check, Services, WebSettings
from evertick.web.app import create_app

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
"""A Tuesday on which New York trades and Asia sleeps."""
TOKEN = "a-token-of-sixteen-characters"


class Clock:
    """Stands still until it is moved; `sleep` moves it."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at
        self.mono = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.mono

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.mono += seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


LEVELS = {
    "indices": (400, 42_000), "vietnam": (9_000, 120_000), "crypto": (0.4, 700), "fx": (0.6, 2_000), "commodities": (3, 2_000),
    "rates": (3.5, 5), "volatility": (14, 30), "sectors": (40, 210), "sentiment": (20, 70),
}  # fmt: skip
KNOWN = {"SPX": 6_412.5, "VNINDEX": 1_684.2, "BTC": 118_402.0, "GOLD": 4_061.3, "USDVND": 26_318.0, "VIX": 16.42, "BTC_DOM": 57.3, "CRYPTO_CAP": 3.94e12}  # fmt: skip


def quotes(seed: int = 1, at: datetime = NOW) -> tuple[Quote, ...]:
    """One plausible quote for every instrument of the built-in universe, the same for the same seed."""
    found = []
    for place, instrument in enumerate(universe.load()):
        dice = random.Random(instrument.id)
        low, high = LEVELS[instrument.group.value]
        level = start = KNOWN.get(instrument.id, low * (high / low) ** dice.random())
        spark = [level := level * (1 + dice.gauss(0, 0.002)) for _ in range(31)]
        price = round(level * (1 + random.Random(f"{instrument.id}{seed}").gauss(0, 0.003)), instrument.decimals)
        found.append(
            Quote(
                id=instrument.id,
                price=price,
                as_of=at - timedelta(seconds=dice.choice([20, 70, 200, 400])),
                source=next(iter(instrument.symbols)),
                change_pct=None if place == 7 else 0.0 if place == 9 else 100 * (price / start - 1),
                spark=(*spark, price),
            )
        )
    return tuple(found)


SOURCES = (
    SourceStatus("yahoo", "ok", 168, NOW, duration_s=0.8, title="Yahoo Finance"),
    SourceStatus("coingecko", "resting", 0, NOW - timedelta(minutes=6), "coingecko /api/v3/coins/markets: HTTP 429: asked us to wait", "rate_limited", NOW + timedelta(minutes=1), title="CoinGecko", last_error="coingecko /api/v3/coins/markets: HTTP 429: asked us to wait", last_error_at=NOW - timedelta(minutes=3), quota=10_000, quota_left=9_412),
    SourceStatus("alternative", "ok", 1, NOW, title="alternative.me", last_error="alternative /fng/: an HTML page 'Bad gateway', expected JSON", last_error_at=NOW - timedelta(hours=20)),
    SourceStatus("vps", "idle", 0, NOW - timedelta(hours=6), title="VPS", note="its markets are closed"),
    SourceStatus("tiingo", "off", title="Tiingo", note="no API key; set EVERTICK_SOURCES__TIINGO__API_KEY"),
)  # fmt: skip


def snapshot(seed: int = 1, at: datetime = NOW) -> Snapshot:
    return Snapshot(at, quotes(seed, at), SOURCES)


class Board:
    kind = "fake"

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.snapshot = snapshot
        self.loads = 0
        self.away = False
        self.subscribers: list[asyncio.Queue[datetime | None]] = []

    async def load(self) -> Snapshot | None:
        self.loads += 1
        if self.away:
            raise BoardUnavailable("The board cannot be reached.", hint="Start Redis again.")
        return self.snapshot

    def put(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        for queue in self.subscribers:
            queue.put_nowait(snapshot.as_of)

    def lose(self) -> None:
        """Redis goes: loads and subscriptions fail until `away` is unset."""
        self.away = True
        for queue in self.subscribers:
            queue.put_nowait(None)

    @asynccontextmanager
    async def updates(self) -> AsyncIterator[AsyncIterator[datetime]]:
        if self.away:
            raise BoardUnavailable("The board cannot be reached.")
        queue: asyncio.Queue[datetime | None] = asyncio.Queue()
        self.subscribers.append(queue)

        async def heard() -> AsyncIterator[datetime]:
            while True:
                at = await queue.get()
                if at is None:
                    raise BoardUnavailable("The board cannot be reached.")
                yield at

        try:
            yield heard()
        finally:
            self.subscribers.remove(queue)


HEADLINES = {
    "en": "World indices rose: S&P 500 +0.8%, and 31 of 48 markets closed higher.",
    "vi": "Chứng khoán thế giới tăng: S&P 500 +0,8%, 31 trên 48 thị trường đóng cửa cao hơn.",
}


@dataclass
class Stored:
    meta: ReportMeta
    bodies: Mapping[str, bytes]


class Reports:
    """Published reports in memory, kept as gzip pieces of ``piece`` bytes."""

    def __init__(self, piece: int = 700) -> None:
        self.piece = piece
        self.stored: dict[str, Stored] = {}
        self.assets: dict[str, tuple[str, bytes]] = {}
        self.open = 0
        self.failure: EvertickError | None = None

    def add(
        self, at: datetime, *, html: bytes = b"", warnings: Sequence[str] = (), desk: str = "default"
    ) -> ReportMeta:
        css = gzip.compress(b":root{color:black}", mtime=0)
        hash = sha256(css).hexdigest()
        self.assets[hash] = ("css", css)
        bodies, parts = {}, []
        for name, language in (("html", "vi"), ("html_en", "en")):
            plain = (
                html
                or f"<!doctype html><html lang={language}><title>{language}</title><h1>{HEADLINES[language]}</h1>".encode()
            )
            packed = gzip.compress(plain, mtime=0)
            bodies[name] = packed
            parts.append(PartMeta(name, language, len(plain), len(packed), sha256(packed).hexdigest()))
        parts.append(PartMeta("css", "vi", 18, len(css), hash, asset=hash))
        slot = slot_id(desk, "report", at)
        meta = ReportMeta(
            report_id(slot), desk, slot, at, at, ("vi", "en"), tuple(parts), HEADLINES, 178, 2.4,
            {"collect": 0.4, "render": 1.7}, tuple(warnings),
        )  # fmt: skip
        self.stored[meta.id] = Stored(meta, bodies)
        return meta

    async def list(self, limit: int = 20, cursor: str | None = None, desk: str | None = None) -> Page[ReportMeta]:
        if self.failure:
            raise self.failure
        metas = (s.meta for s in self.stored.values() if desk in (None, s.meta.desk))
        found = sorted(metas, key=lambda m: m.created, reverse=True)
        return page(found, limit, cursor)

    async def get(self, id: str) -> ReportMeta:
        if id not in self.stored:
            raise NotFound(f"There is no report {id}.")
        return self.stored[id].meta

    async def part(self, report: str, part: str) -> AsyncIterator[bytes]:
        body = self.stored[report].bodies[part]
        self.open += 1
        try:
            for start in range(0, len(body), self.piece):
                await asyncio.sleep(0)
                yield body[start : start + self.piece]
        finally:
            self.open -= 1

    async def pin(self, id: str, pinned: bool = True) -> None:
        meta = await self.get(id)
        self.stored[id] = replace(self.stored[id], meta=replace(meta, pinned=pinned))

    async def asset_body(self, hash: str) -> tuple[str, bytes]:
        if hash not in self.assets:
            raise NotFound(f"There is no asset {hash}.")
        return self.assets[hash]


def page(found: Sequence[Any], limit: int, cursor: str | None) -> Page[Any]:
    """Cursors are places in the list."""
    if cursor is not None and not cursor.isdigit():
        raise BadCursor("The cursor is not one of this list.", hint="Start again without a cursor")
    start = int(cursor or 0)
    return Page(found[start : start + limit], str(start + limit) if len(found) > start + limit else None)


class Ledger:
    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.desks: tuple[str, ...] = ("default",)

    async def submit(
        self, desk: str, job: str, params: Mapping[str, Any], now: datetime, trigger: str = "manual"
    ) -> Slot:
        slot = Slot(slot_id(desk, job, now), desk, job, now, trigger=trigger, params=params)
        self.slots[slot.id] = slot
        return slot

    async def get(self, id: str) -> Slot:
        if id not in self.slots:
            raise NotFound(f"there is no job '{id}'")
        return self.slots[id]

    async def list(
        self,
        limit: int = 20,
        cursor: str | None = None,
        job: str | None = None,
        state: str | None = None,
        desk: str | None = None,
    ) -> Page[Slot]:
        if cursor == "wrong":
            raise ValueError("the cursor is not one of a page of slots; start without one")
        found = [
            s
            for s in self.slots.values()
            if job in (None, s.job) and state in (None, s.state) and desk in (None, s.desk)
        ]
        return page(sorted(found, key=lambda s: s.due, reverse=True), limit, cursor)

    async def next_due(self, desks: Collection[str] | None = None) -> Sequence[tuple[str, str, str, datetime]]:
        rows = (
            ("default", "refresh_indices", "3m", NOW + timedelta(seconds=95)),
            *((desk, "report", "3h..6h", NOW + timedelta(hours=3, minutes=20)) for desk in self.desks),
            ("default", "housekeeping", "cron: 30 3 * * *", NOW + timedelta(hours=12)),
        )
        return [row for row in rows if desks is None or row[0] in desks]


@dataclass
class Runner:
    """``script`` are the states that a submitted slot goes through; ``run`` happens inside `run_now`."""

    ledger: Ledger
    script: list[Mapping[str, Any]] = field(default_factory=list)
    outcome: Mapping[str, Any] = field(default_factory=lambda: {"state": SlotState.DONE, "result": {"quotes": 3}})
    run: Any = None
    woken: int = 0
    listening: int = 0
    ran: int = 0

    def wake(self) -> None:
        self.woken += 1

    async def run_now(self, job: str, params: Mapping[str, Any]) -> Slot:
        self.ran += 1
        slot = await self.ledger.submit("default", job, params, NOW + timedelta(microseconds=self.ran))
        if self.run:
            self.run()
        slot = self.ledger.slots[slot.id] = replace(slot, **self.outcome)
        return slot

    @asynccontextmanager
    async def updates(self, slot: str) -> AsyncIterator[AsyncIterator[Slot]]:
        async def changes() -> AsyncIterator[Slot]:
            for change in self.script:
                await asyncio.sleep(change.get("after", 0))
                values = {name: value for name, value in change.items() if name != "after"}
                self.ledger.slots[slot] = replace(self.ledger.slots[slot], **values)
                yield self.ledger.slots[slot]
            await asyncio.Event().wait()

        self.listening += 1
        try:
            yield changes()
        finally:
            self.listening -= 1


class Memory:
    def now(self) -> Mapping[str, Any]:
        mb = 1 << 20
        return {
            "at": NOW, "pid": 4711, "started": NOW - timedelta(hours=3), "heap": 31 * mb, "blocks": 412_345,
            "rss": int(81.4 * mb), "fds": 19, "tasks": 9, "threads": 4, "connections": 2, "pss": 70 * mb, "uss": 66 * mb,
            "sockets": 6, "heap_idle": 3 * mb, "limit": 256 * mb, "limit_source": "default", "used_pct": 31.8, "running": [],
            "runs": [{"job": "report", "outcome": "ok", "runs": 8}],
            "jobs": [{"job": "report", "seconds": 20.5, "retained": -300.0, "peak_rss": 90 * mb, "ended": NOW.timestamp()}],
        }  # fmt: skip


class Receipts:
    def __init__(self, count: int = 130) -> None:
        mb = 1 << 20
        dice = random.Random(5)
        self.rows = [
            Receipt(
                job=("refresh_indices", "refresh_indices", "report")[i % 3], component="indices", slot=None,
                started=NOW - timedelta(minutes=3 * i), duration_s=0.4 + dice.random(),
                outcome=Outcome.FAILED if i == 4 else Outcome.OK, heap_before=31 * mb, heap_after=31 * mb + dice.randrange(-900, 900),
                blocks_before=412_000, blocks_after=412_004, rss_before=81 * mb, rss_after=81 * mb + dice.randrange(mb),
                peak_rss=85 * mb, freed=dice.randrange(mb), fds_delta=0, tasks_delta=0, connections_delta=0,
                overlapped=i % 11 == 0, release_s=0.0008, pid=4711,
            )
            for i in range(count)
        ]  # fmt: skip

    async def recent(self, limit: int = 50, cursor: str | None = None, job: str | None = None) -> Page[Receipt]:
        return page([r for r in self.rows if job in (None, r.job)], limit, cursor)


class Quotes:
    """A price every three minutes up to now, by the place in time; ``away`` as a database that is gone."""

    failure: EvertickError | None = None

    async def load(self, instrument: str, since: datetime, until: datetime) -> tuple[array[int], array[float]]:
        if self.failure:
            raise self.failure
        first, last = int(since.timestamp()), int(until.timestamp())
        times = array("q", range(first - first % 180 + 180, last + 1, 180)) if instrument == "SPX" else array("q")
        return times, array("d", [n / 4 for n in range(len(times))])


class DailyBars:
    async def load(self, instrument: str, since: date) -> Bars:
        if instrument != "SPX":
            return Bars.empty(instrument)
        days = array("i", range(since.toordinal(), NOW.toordinal() + 1, 7))
        close = array("d", [100 + n for n in range(len(days))])
        return Bars(instrument, days, close, close, close, close, close)


@dataclass
class World:
    """Everything behind one application, to be set up and looked at by a test."""

    clock: Clock
    board: Board
    reports: Reports
    ledger: Ledger
    runner: Runner
    receipts: Receipts
    checks: list[Check]
    settings: WebSettings
    quotes: Quotes = field(default_factory=Quotes)
    desks: Desks | None = None
    web: Any = None
    """The `Web` of the application that `serving` serves."""
    loop: asyncio.AbstractEventLoop | None = None

    def call(self, function: Callable[..., Any], *given: Any) -> None:
        """Do something on the server's own loop."""
        done = threading.Event()

        def run() -> None:
            function(*given)
            done.set()

        assert self.loop is not None
        self.loop.call_soon_threadsafe(run)
        assert done.wait(10)

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Wait for what the server does meanwhile; an error if it does not come to it."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.01)

    @property
    def services(self) -> Services:
        async def ready() -> Sequence[Check]:
            return self.checks

        return Services(
            board=self.board, document=document, reports=self.reports, ledger=self.ledger, runner=self.runner,
            memory=Memory(), account=account(self.clock), timeline=MemoryStore(), inquiry=Inquiry(), receipts=self.receipts, quotes=self.quotes,
            bars=DailyBars(), universe=universe.load(), clock=self.clock, settings=self.settings,
            ready=ready, desks=self.desks,
        )  # fmt: skip


class MemoryStore:
    """A day of one process that restarted at six in the morning, as the archive has it."""

    async def samples(
        self, since: datetime, until: datetime, step_s: int, process: str | None = None
    ) -> AsyncIterator[MemorySample]:
        starts = [NOW - timedelta(hours=26), NOW.replace(hour=6, minute=0)]
        steps = int((until - since).total_seconds() // step_s)
        for n in range(steps):
            at = since + timedelta(seconds=step_s * n)
            if at < starts[0]:
                continue
            start = max(s for s in starts if s <= at)
            up = (at - start).total_seconds()
            level = 86 + min(up, 900) / 900 * 5 + random.Random(n).gauss(0, 0.05)
            yield MemorySample(
                process=f"desk/42/{int(start.timestamp())}", at=at, step_s=step_s, rss=int(level * 2**20),
                rss_max=int((level + 0.8) * 2**20), heap=int((level - 70) * 2**20), blocks=450_000, fds=24, sockets=9,
                threads=4, tasks=14, connections=3, pss=None, uss=None, budget=256 << 20,
            )  # fmt: skip

    async def counts(self, since: datetime, until: datetime, step_s: int) -> Mapping[str, int]:
        return Counter([s.process async for s in self.samples(since, until, step_s)])

    async def figures(self, since: datetime, jobs: Collection[str] = ()) -> AsyncIterator[RunFigures]:
        def runs(job: str, component: str, minutes: int, retained: int) -> list[RunFigures]:
            last = int((NOW - max(since, NOW - timedelta(days=1))).total_seconds() / 60)
            return [
                RunFigures(
                    NOW - timedelta(minutes=m),
                    job,
                    component,
                    retained + m % 7,
                    1 << 20,
                    0,
                    0,
                    m % 60 == 0,
                    True,
                    (20 << 20) + m % 7,
                    1,
                )
                for m in range(last - last % minutes, 0, -minutes)
            ]

        found = runs("refresh_indices", "indices", 3, -3) + runs("save_report", "save", 200, 900)
        for run in sorted(found + runs("report", "auto_report", 200, 500), key=lambda f: f.started):
            if not jobs or run.job in jobs:
                yield run

    async def web(self, since: datetime, until: datetime) -> list[WebReceipt]:
        return [
            WebReceipt("", since, route, requests, 0, 1, 0.4, 0.02, requests // 2, -200, 92 << 20, 0, 24, 14, 3)
            for route, requests in (("/", 40), ("/api/v1/indices", 900), ("/api/v1/indices/stream", 12))
        ]

    async def diagnoses(self, limit: int = 10) -> list[tuple[datetime, str, Mapping[str, Any]]]:
        grown = {"what": "evertick/board/poll.py:71", "count": 12, "size": 4096}
        body = {
            "started": (NOW - timedelta(hours=3)).isoformat(), "duration_s": 900.0, "runs": 5, "complete": True,
            "heap_delta": 6000, "lines": [grown], "types": [{"what": "Quote", "count": 12, "size": None}],
            "descriptors": [], "tasks": [], "pools": {"database": 1}, "tracer_bytes": 2_000_000, "tracer_s": 0.2,
        }  # fmt: skip
        return [(NOW - timedelta(hours=3), "desk/42/1", body)]


class Inquiry:
    since: datetime | None = None

    def start(self, runs: int, at_most_s: float) -> None:
        if self.since is not None:
            raise JobRefused("A memory diagnosis has been running since 14:30 UTC.")
        self.since = NOW


def account(clock: Clock) -> Account:
    watch = Watch(Gauge(), 256 << 20, clock, process="desk/42/1")
    watch.budget = watch.budget.look(int(81.4 * 2**20), clock.now())
    return Account(MemoryStore(), MemoryStore(), watch, clock)


def world(*, token: str | None = None, filled: bool = True, **settings: Any) -> World:
    ledger = Ledger()
    made = World(
        clock=Clock(),
        board=Board(snapshot() if filled else None),
        reports=Reports(),
        ledger=ledger,
        runner=Runner(ledger),
        receipts=Receipts(130 if filled else 0),
        checks=[Check("database", True, "sqlite"), Check("board", True, "embedded")],
        settings=WebSettings(**{"api_token": SecretStr(token) if token else None} | settings),
    )
    if filled:
        for hours in (3, 8, 12, 17):
            warnings = ("coingecko: last good prices of 6 minutes ago",) if hours == 8 else ()
            made.reports.add(NOW - timedelta(hours=hours), warnings=warnings)
    return made


@contextmanager
def serving(world: World) -> Iterator[str]:
    """The application on a free port of loopback, on a loop of its own thread; gives its address."""
    import uvicorn

    from evertick.web.connection import Connection

    app = create_app(world.services)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            world.web, world.loop = app.state.web, asyncio.get_running_loop()
            started.set()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.web.stop()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app, http=Connection, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="web under test")
    thread.start()
    try:
        assert started.wait(10), "uvicorn did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive(), "the server did not stop"
