"""The work of a day, as the naive twin does it in both of its manners: with Evertick's own sources, bars and pages.

So the twin asks the simulator for the same instruments, saves the same quotes and makes reports of the same sections and
size; how it holds what it has in its hands is in `evertick.soak.naive_service`, and only that differs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from weakref import WeakSet
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from evertick import universe
from evertick.app import open_storage
from evertick.archive import Archive
from evertick.archive.database import address
from evertick.board.poll import merge
from evertick.model import Bars, Clock, Instrument, Snapshot
from evertick.reports.analyse import analyse
from evertick.reports.blocks import Head
from evertick.reports.catalogue import Catalogue
from evertick.reports.collect import collect
from evertick.reports.findings import Findings
from evertick.reports.record import BARS
from evertick.reports.render import Renderer
from evertick.reports.sections.cards import cards
from evertick.reports.validate import validate
from evertick.reports.workflow import title
from evertick.reports.write import first_sentence, write
from evertick.settings import Settings
from evertick.sources.conductor import Conductor
from evertick.sources.history import History
from evertick.sources.http import Http, open_http
from evertick.universe import Universe

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


class Client(Protocol):
    """What is made anew for every run: a Redis client, or a connection to a SQLite file where there is no Redis."""

    def set(self, name: str, value: str) -> Awaitable[Any]: ...

    def ping(self) -> Awaitable[Any]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SqliteClient:
    """A key-value store in a file, for a twin without Redis. It is opened when first used, as a Redis client is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def set(self, name: str, value: str) -> None:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path)
            self._connection.execute("CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT)")
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))

    async def ping(self) -> bool:
        if self._connection is None:
            return False
        self._connection.execute("SELECT 1").fetchone()
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()


class Work:
    """Made by `open_work`. It keeps the newest snapshot, as a board does, and nothing else of a run."""

    def __init__(
        self, settings: Settings, clock: Clock, instruments: Universe, archive: Archive, http: Http, engine: AsyncEngine
    ) -> None:
        self.clock = clock
        self.engine = engine
        self.http = http
        self.languages = settings.locales
        self._settings = settings
        self._universe = instruments
        self._archive = archive
        self._conductor = Conductor(http, instruments, settings.sources, clock)
        self._history = History(instruments, self._conductor, archive.bars, clock, settings.retention.bar_days)
        self._renderers = {name: Renderer(name, Catalogue.load(name), settings.timezone) for name in self.languages}
        self._snapshot: Snapshot | None = None
        self._clients: WeakSet[Client] = WeakSet()

    # --- a refresh ---------------------------------------------------------------------------------------------------

    async def fetch(self) -> dict[str, Any]:
        """Ask the sources, add the quotes to the history, and put the market into a dict."""
        fetched = await self._conductor.fetch(self._snapshot)
        snapshot = merge(self._snapshot, fetched.quotes, fetched.statuses, self._universe, self.clock.now())
        await self._archive.quotes.add(snapshot.as_of, snapshot.quotes)
        self._snapshot = snapshot
        return _plain(snapshot)

    def client(self) -> Client:
        client: Client
        if self._settings.redis_url is None:
            client = SqliteClient(self._settings.data_dir / "market.db")
        else:
            from redis.asyncio import Redis

            client = Redis.from_url(self._settings.redis_url.get_secret_value())
        self._clients.add(client)
        return client

    def clients(self) -> int:
        """How many clients there still are; for the measurement alone."""
        return len(self._clients)

    async def answering(self) -> int:
        """How many of them are connected: each is asked."""
        return sum([bool(await client.ping()) for client in tuple(self._clients)])

    # --- a report ----------------------------------------------------------------------------------------------------

    async def analysed(self) -> Findings:
        """What the report is made from, its bars fetched where they are missing."""
        await self._history.missing()
        await self._history.due(len(self._universe))
        made = self.clock.now()
        snapshot = self._snapshot or Snapshot(made, ())
        found = await collect(snapshot, self._bars, self._universe, made, intraday=self._archive.quotes.load)
        findings = analyse(
            found.facts,
            found.kept,
            snapshot_as_of=found.as_of,
            made=made,
            day=made.astimezone(ZoneInfo(self._settings.timezone)).date(),
            sources=found.sources,
            intraday=found.intraday,
        )
        validate(findings)
        return findings

    async def html(self, findings: Findings, language: str) -> str:
        """A page as one string, as ``template.render()`` makes it; empty for a language that is not configured."""
        if language not in self._renderers:
            return ""
        head = Head(
            f"{findings.made:%Y%m%d-%H%M}",
            title(findings.made, self._settings.timezone),
            findings.as_of,
            findings.made,
            self.languages,
            first_sentence(findings),
        )
        pages = self._renderers[language].render(write(findings, cards(findings, self._cards)), head)
        return "".join([piece.decode() async for piece in pages])

    def css(self) -> str:
        return self._renderers[self.languages[0]].css().decode()

    def js(self, language: str) -> str:
        return self._renderers[language].js().decode() if language in self._renderers else ""

    async def _bars(self, instrument: Instrument) -> Bars:
        since = (self.clock.now() - timedelta(days=self._settings.retention.bar_days)).date()
        return await self._archive.bars.load(instrument.id, since)

    async def _cards(self, instrument: Instrument) -> Bars:
        """As many as the cards of Evertick's reports are made from."""
        return (await self._bars(instrument)).last(BARS)


@asynccontextmanager
async def open_work(settings: Settings, clock: Clock) -> AsyncIterator[Work]:
    """With a database, an HTTP client and an engine of its own, which both manners keep open for the life of the service."""
    instruments = universe.load(settings.universe)
    own = settings.model_copy(update={"redis_url": None})  # the board of `open_storage` is not used
    async with AsyncExitStack() as stack:
        archive, _ = await stack.enter_async_context(open_storage(own, clock, instruments, own=True))
        http = await stack.enter_async_context(open_http(settings.http))
        url = address(settings.database_url_or_default)
        engine = create_async_engine(url.set(drivername=_DRIVERS[url.drivername]), hide_parameters=True)
        stack.push_async_callback(engine.dispose)
        yield Work(settings, clock, instruments, archive, http, engine)


def _plain(snapshot: Snapshot) -> dict[str, Any]:
    """The market as the dict that such services make of it, ready for ``json.dumps``."""
    return {
        "timestamp": snapshot.as_of.isoformat(),
        "indices": [_row(quote) for quote in snapshot.quotes],
        "sources": {status.name: status.state for status in snapshot.sources},
    }


def _row(quote: Any) -> Mapping[str, Any]:
    row = {"id": quote.id, "price": quote.price, "source": quote.source, "as_of": _iso(quote.as_of)}
    row |= {name: value for name in _OPTIONAL if (value := getattr(quote, name)) is not None}
    row["spark"] = list(quote.spark)
    if quote.breadth is not None:
        row["breadth"] = asdict(quote.breadth)
    return row


_OPTIONAL = ("change_pct", "previous_close", "day_high", "day_low", "volume", "market_cap")


def _iso(at: datetime) -> str:
    return at.isoformat()
