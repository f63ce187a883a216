"""The archive: reports, bars, quotes, receipts and the ledger of slots, over one engine, opened and closed here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import text

from evertick.archive.bars import BarStore
from evertick.archive.bodies import Places
from evertick.archive.database import Engine, check_schema, is_sqlite, open_engine, shown, sqlite_path
from evertick.archive.handout import Handout
from evertick.archive.ledger import Ledger
from evertick.archive.lock import owned
from evertick.archive.quotes import QuoteStore
from evertick.archive.receipts import ReceiptStore
from evertick.archive.reports import ReportStore
from evertick.archive.timeline import TimelineStore
from evertick.archive.usage import UsageStore
from evertick.errors import ArchiveError, SchemaMismatch
from evertick.model import Clock
from evertick.settings import ArchiveSettings


class Archive:
    """What `open_archive` opens. ``url`` may hold a password: show `name` instead."""

    def __init__(self, engine: Engine, url: str, clock: Clock, settings: ArchiveSettings) -> None:
        self.engine = engine
        self.url = url
        self.name = shown(url)
        self.places = Places(engine, settings, clock)
        self.reports = ReportStore(engine, clock, self.places)
        self.bars = BarStore(engine, clock)
        self.quotes = QuoteStore(engine)
        self.receipts = ReceiptStore(engine)
        self.usage = UsageStore(engine)
        self.ledger = Ledger(engine, url)
        self.handout = Handout(engine)
        self.timeline = TimelineStore(engine)

    def connections(self) -> int:
        """Connections of the pool that are checked out now."""
        return self.engine.connections()

    async def renew_connections(self) -> None:
        """Close pooled connections after much went through them (`Engine.close_idle`), and begin anew with one."""
        if await self.engine.close_idle():
            with suppress(ArchiveError):
                await self.ping()

    async def ping(self) -> None:
        """One round trip to the database. Raises `ArchiveError`."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))


@asynccontextmanager
async def open_archive(
    url: str, clock: Clock, *, owner_lock: Path | None = None, settings: ArchiveSettings | None = None
) -> AsyncIterator[Archive]:
    """The archive in the database at ``url`` (``sqlite:///…``, ``postgresql://…``), closed at the end of the block.

    ``settings`` may say that the parts of new reports go elsewhere; nothing there is opened before a report asks for it.
    ``owner_lock`` is the lock file of the data folder: with it, no second process opens the same folder.

    Raises `SettingsError` (unusable URL), `DataFolderInUse`, `SchemaMismatch` (run ``evertick db upgrade``) and the
    other `ArchiveError`\\ s; nothing stays open when it raises.
    """
    async with AsyncExitStack() as stack:
        if owner_lock is not None:
            stack.enter_context(owned(owner_lock))
        if is_sqlite(url) and not sqlite_path(url).is_file():  # the driver would make an empty one
            raise SchemaMismatch(f"There is no database {sqlite_path(url)} yet.", hint="Run: evertick db upgrade")
        engine = open_engine(url)
        stack.push_async_callback(engine.dispose)
        await check_schema(engine, url)
        yield Archive(engine, url, clock, settings or ArchiveSettings())
