"""What the web needs of the other packages, each part as a small Protocol; `evertick.app` supplies them.

The pages and the API read the board and the archive and hand jobs to the runner. They never call a provider and never write
a quote or a report themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from evertick import __version__
from evertick.desks import Desks
from evertick.model import Bars, Clock, Instrument, Page, Receipt, ReportMeta, Slot, Snapshot, WebReceipt
from evertick.settings import Settings
from evertick.web.minutes import Minutes


class Universe(Protocol):
    """The instruments, in the order in which they are shown: `evertick.universe.Universe`."""

    def get(self, id: str, /) -> Instrument | None: ...

    def __iter__(self) -> Iterator[Instrument]: ...

    def __len__(self) -> int: ...


class Board(Protocol):
    """The latest quotes. Raises `evertick.errors.BoardError` when they cannot be reached."""

    @property
    def kind(self) -> str: ...

    async def load(self) -> Snapshot | None: ...

    def updates(self) -> AbstractAsyncContextManager[AsyncIterator[datetime]]:
        """The time of every new snapshot; a slow subscriber sees only the newest."""


class Document(Protocol):
    """The API's shape of a snapshot: `evertick.board.document.document`."""

    def __call__(
        self, snapshot: Snapshot, universe: Any, now: datetime, *, spark: bool = False
    ) -> Mapping[str, Any]: ...


class Reports(Protocol):
    """The published reports. Raises `evertick.errors.NotFound`, and ``ValueError`` for a cursor it did not hand out."""

    async def list(self, limit: int = 20, cursor: str | None = None, desk: str | None = None) -> Page[ReportMeta]: ...

    async def get(self, id: str, /) -> ReportMeta: ...

    async def pin(self, id: str, pinned: bool = True, /) -> None:
        """Keep a report however old it gets, or no longer."""

    def part(self, report: str, part: str, /) -> AsyncIterator[bytes]:
        """The stored gzip pieces, read in short transactions."""

    async def asset_body(self, hash: str, /) -> tuple[str, bytes]:
        """``(kind, gzip bytes)``; kind is ``css`` or ``js``."""


class Ledger(Protocol):
    """The slots. Raises `evertick.errors.NotFound`, and ``ValueError`` for a cursor it did not hand out."""

    async def submit(self, desk: str, job: str, params: Mapping[str, Any], now: datetime, /) -> Slot: ...

    async def get(self, id: str, /) -> Slot: ...

    async def list(
        self,
        limit: int = 20,
        cursor: str | None = None,
        job: str | None = None,
        state: str | None = None,
        desk: str | None = None,
    ) -> Page[Slot]: ...

    async def next_due(self, desks: Collection[str] | None = None) -> Sequence[tuple[str, str, str, datetime]]:
        """``(desk, job, spec, next_due)`` of every schedule, or of those of ``desks``."""


class Quotes(Protocol):
    """The quotes of the last weeks: `evertick.archive.quotes.QuoteStore`. Raises `evertick.errors.ArchiveError`."""

    async def load(self, instrument: str, since: datetime, until: datetime, /) -> tuple[Sequence[int], Sequence[float]]:
        """Unix seconds, rising, and prices."""


class DailyBars(Protocol):
    """The daily bars: `evertick.archive.bars.BarStore`. Raises `evertick.errors.ArchiveError`."""

    async def load(self, instrument: str, since: date, /) -> Bars: ...


class Runner(Protocol):
    def wake(self) -> None:
        """A slot was submitted: look for it now."""

    async def run_now(self, job: str, params: Mapping[str, Any], /) -> Slot:
        """Submit a manual slot and wait for its end; calls at the same time share one run."""

    def updates(self, slot: str, /) -> AbstractAsyncContextManager[AsyncIterator[Slot]]:
        """The slot at every change, until it has ended."""


class Memory(Protocol):
    def now(self) -> Mapping[str, Any]:
        """The quantities of this process: `evertick.memory.Keeper.now`."""


class Account(Protocol):
    """The timeline of memory and the verdict on it: `evertick.memory.account.Account`."""

    @property
    def budget(self) -> Any: ...

    async def course(self, span: timedelta = ..., /) -> Any: ...

    async def statement(self) -> Any: ...


class Timeline(Protocol):
    """`evertick.archive.timeline.TimelineStore`"""

    async def web(self, since: datetime, until: datetime, /) -> Sequence[WebReceipt]: ...

    async def diagnoses(self, limit: int = 10, /) -> Sequence[tuple[datetime, str, Mapping[str, Any]]]: ...


class Inquiry(Protocol):
    """Asks who leaks: `evertick.memory.inquiry.Inquiry`."""

    since: datetime | None

    def start(self, runs: int, at_most_s: float, /) -> None:
        """Raises `evertick.errors.JobRefused` while one is on."""


class Receipts(Protocol):
    async def recent(self, limit: int = 50, cursor: str | None = None, job: str | None = None) -> Page[Receipt]: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be well for the server to be ready. ``detail`` is in plain words and has no secret in it."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What of the settings the web may know. ``hosts``: further names the server answers to while it is bound to loopback."""

    api_token: SecretStr | None = None
    loopback: bool = True
    locales: tuple[str, ...] = ("vi", "en")
    timezone: str = "Asia/Ho_Chi_Minh"
    desk: str = "default"
    hosts: tuple[str, ...] = ()
    notice: str = ""
    """Shown above every page, for example that the prices are simulated."""
    refresh_job: str = "refresh_indices"
    report_job: str = "report"
    stream_clients: int = 200
    heartbeat_s: float = 15.0
    """Seconds between the comments that keep an idle stream open."""
    stall_s: float = 10.0
    """Seconds after which a reader that takes nothing is dropped."""
    max_body: int = 64 << 10
    """Bytes of a request's body."""

    @classmethod
    def of(cls, settings: Settings, **changes: Any) -> WebSettings:
        own = [s.base_url for s in settings.sources.values() if s.enabled and s.base_url]
        simulated = any((urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1") for url in own)
        values: dict[str, Any] = {
            "api_token": settings.api_token,
            "loopback": settings.loopback,
            "locales": tuple(settings.locales),
            "timezone": settings.timezone,
            "notice": "Simulated data: these prices come from a local source, not from a market." if simulated else "",
        }
        return cls(**(values | changes))


async def always_ready() -> Sequence[Check]:
    return ()


def gzip_stream() -> Any:
    return zlib.compressobj(6, zlib.DEFLATED, 31)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the web works with. ``document`` and ``ready`` are functions, the rest are the Protocols above."""

    board: Board
    document: Document
    reports: Reports
    ledger: Ledger
    runner: Runner
    memory: Memory
    account: Account
    timeline: Timeline
    inquiry: Inquiry
    receipts: Receipts
    quotes: Quotes
    bars: DailyBars
    universe: Universe
    clock: Clock
    settings: WebSettings = field(default_factory=WebSettings)
    desks: Desks | None = None
    """``None``: one, which sees the whole universe."""
    minutes: Minutes = field(default_factory=Minutes)
    ready: Callable[[], Awaitable[Sequence[Check]]] = always_ready
    packer: Callable[[], Any] = gzip_stream
    """Begins a gzip stream as the archive does: `evertick.archive.parts.compressor`."""
    scratch: Path | None = None
    """Folder for the facts of large reports that are rendered again; ``None``: that of temporary files."""
    version: str = __version__
