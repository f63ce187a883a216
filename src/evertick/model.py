"""The nouns of Evertick. Frozen values, no I/O, no library but the standard one.

Times are aware ``datetime`` in UTC unless a name says otherwise; durations are seconds; ``change_pct`` and every other
``*_pct`` is in percent (1.5 means 1.5 %); prices are in the instrument's own currency or unit.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from hashlib import blake2s, sha256
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Where time comes from. The server uses `SystemClock`; the soak jumps a virtual one."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


# --- market data -----------------------------------------------------------------------------------------------------


class Group(StrEnum):
    """What kind of market an instrument belongs to: the groups of the dashboard and of the report."""

    INDICES = "indices"
    VIETNAM = "vietnam"
    CRYPTO = "crypto"
    SENTIMENT = "sentiment"
    FX = "fx"
    COMMODITIES = "commodities"
    RATES = "rates"
    VOLATILITY = "volatility"
    SECTORS = "sectors"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of the universe. ``symbols`` maps a source's name to the symbol it knows the instrument by."""

    id: str
    name: str
    """English name; the report translates it through the catalogue."""
    group: Group
    region: str
    """``americas``, ``europe``, ``asia``, ``africa``, ``world``."""
    currency: str
    """ISO 4217 code, or ``pts``, ``%`` for what has no currency."""
    exchange: str
    """A key of `evertick.sessions.EXCHANGES`, for example ``XNYS``; ``24/7`` for what always trades."""
    decimals: int
    symbols: Mapping[str, str]
    core: bool = True


class Session(StrEnum):
    OPEN = "open"
    BREAK = "break"
    CLOSED = "closed"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Breadth:
    """How many shares of a market rose, fell and stood still in its session."""

    advances: int
    declines: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest known price of one instrument, with its own ``as_of`` (the provider's time, not ours)."""

    id: str
    price: float
    as_of: datetime
    source: str
    change_pct: float | None = None
    """Against the previous close of the instrument's session, in percent."""
    previous_close: float | None = None
    day_high: float | None = None
    day_low: float | None = None
    volume: float | None = None
    market_cap: float | None = None
    spark: tuple[float, ...] = ()
    """At most `SPARK_POINTS` recent prices, oldest first, for a sparkline."""
    breadth: Breadth | None = None
    """Of an index, where its source counts it."""


SPARK_POINTS = 32


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What a source did in its last run. ``error`` is in plain words and never has a key in it."""

    name: str
    state: str
    """``ok``, ``partial`` (some instruments missing), ``failing``, ``resting`` (not asked until ``retry_at``: a breaker, a
    limit or a used-up quota), ``idle`` (nothing to ask it for now: markets closed, not due, or others answer), ``off``."""
    quotes: int = 0
    last_success: datetime | None = None
    error: str | None = None
    """Of the last run; ``None`` when it went well."""
    error_kind: str | None = None
    retry_at: datetime | None = None
    """The next probe of a source that is resting."""
    duration_s: float | None = None
    title: str = ""
    """The provider's name for people."""
    last_error: str | None = None
    """The newest error, kept after the source recovered; with ``last_error_at``."""
    last_error_at: datetime | None = None
    quota: int | None = None
    """Requests a day that the provider grants; ``None``: it states no daily limit."""
    quota_left: int | None = None
    note: str | None = None
    """Why it is off or idle, in plain words: ``no API key``, ``its markets are closed``."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All latest quotes at one moment, in the order of the universe, the last good ones of failing sources among them."""

    as_of: datetime
    """When the run that made it ended."""
    quotes: tuple[Quote, ...]
    sources: tuple[SourceStatus, ...] = ()

    def quote(self, instrument_id: str) -> Quote | None:
        return next((q for q in self.quotes if q.id == instrument_id), None)


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Daily bars of one instrument as columns of equal length, oldest first, one per trading day, no NaN in ``close``.

    ``day`` holds proleptic Gregorian ordinals (``date.toordinal()``) of the exchange's own calendar day. ``open``,
    ``high``, ``low`` and ``volume`` may hold NaN where the provider had none.
    """

    instrument: str
    day: array[int]
    """typecode ``i``"""
    open: array[float]
    """typecode ``d``, as are the rest"""
    high: array[float]
    low: array[float]
    close: array[float]
    volume: array[float]
    source: str = field(default="", kw_only=True)
    """Who sent them, where that is known."""

    def __len__(self) -> int:
        return len(self.day)

    def dates(self) -> list[date]:
        return [date.fromordinal(d) for d in self.day]

    def last(self, n: int) -> Bars:
        """The newest ``n`` bars (all, if there are fewer)."""
        if n >= len(self):
            return self
        cut = slice(len(self) - n, None)
        return Bars(
            self.instrument,
            self.day[cut],
            self.open[cut],
            self.high[cut],
            self.low[cut],
            self.close[cut],
            self.volume[cut],
        )

    @staticmethod
    def empty(instrument: str) -> Bars:
        return Bars(instrument, array("i"), array("d"), array("d"), array("d"), array("d"), array("d"))


# --- jobs ------------------------------------------------------------------------------------------------------------


class SlotState(StrEnum):
    DUE = "due"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Slot:
    """One occasion on which one job of one desk is due: unique in the database by (desk, job, due)."""

    id: str
    """Sortable and derived from (desk, job, due) alone, so that whoever computes it computes the same."""
    desk: str
    job: str
    due: datetime
    state: SlotState = SlotState.DUE
    trigger: str = "schedule"
    """``schedule`` or ``manual``."""
    params: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    token: int = 0
    """Grows with every lease; what publishes or finishes checks it in its own transaction (fencing)."""
    owner: str | None = None
    lease_until: datetime | None = None
    not_before: datetime | None = None
    """A retry waits until then."""
    started: datetime | None = None
    finished: datetime | None = None
    coalesced: int = 0
    """How many older missed slots this one stands for."""
    progress: Mapping[str, Any] | None = None
    """``{"done": 0.0-1.0, "stage": "render", "text": "…"}`` while it runs."""
    result: Mapping[str, Any] | None = None
    """Metadata only, at most 4 KB as JSON."""
    error: str | None = None

    def with_(self, **changes: Any) -> Slot:
        return replace(self, **changes)


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one run of one job did to the memory of its process. Bytes, counts and seconds; ``None``: not measurable here."""

    job: str
    component: str
    """``indices``, ``save``, ``auto_report``, ``web`` or ``other``."""
    slot: str | None
    started: datetime
    duration_s: float
    outcome: Outcome
    heap_before: int | None
    heap_after: int | None
    blocks_before: int
    blocks_after: int
    rss_before: int | None
    rss_after: int | None
    peak_rss: int | None
    freed: int | None
    """Bytes of heap that the release itself gave back: heap before the release minus heap after it."""
    fds_delta: int | None
    tasks_delta: int
    connections_delta: int | None
    overlapped: bool
    """Another job ran in this process meanwhile: left out of every proof."""
    release_s: float
    pid: int = 0

    @property
    def desk(self) -> str | None:
        """Whose run it was; see `slot_id`."""
        return None if self.slot is None else self.slot.split(".")[1]

    @property
    def retained(self) -> int | None:
        """Bytes of heap kept after the run and its release."""
        if self.heap_after is None or self.heap_before is None:
            return None
        return self.heap_after - self.heap_before


class RunFigures(NamedTuple):
    """What a receipt says of memory, and nothing else: for sums over many thousands of them."""

    started: datetime
    job: str
    component: str
    retained: int | None
    """Bytes of heap kept; ``None`` where it cannot be measured."""
    over_steady: int | None
    """Peak RSS less RSS before, in bytes."""
    fds: int | None
    connections: int | None
    overlapped: bool
    ok: bool
    heap_before: int | None = None
    pid: int = 0


@dataclass(frozen=True, slots=True)
class MemorySample:
    """One point of the timeline of one process: what it held, or the medians over ``step_s`` seconds. Bytes and counts."""

    process: str
    """Host, pid and start: a process that restarts is another one."""
    at: datetime
    step_s: int
    """Seconds that the point stands for: 10, 60 or 600."""
    rss: int | None
    rss_max: int | None
    heap: int | None
    blocks: int
    fds: int | None
    sockets: int | None
    threads: int
    tasks: int
    connections: int | None
    pss: int | None
    """Proportional and private bytes are looked at once a minute only."""
    uss: int | None
    budget: int
    """The limit in force."""


@dataclass(frozen=True, slots=True)
class WebReceipt:
    """What the requests of one route did in one minute of one process: counts, seconds and bytes."""

    process: str
    minute: datetime
    route: str
    """As it is declared, ``/reports/{id}``; SSE streams and unknown addresses have names of their own."""
    requests: int
    failed: int
    """Answered with 5xx, or ended by an error."""
    cancelled: int
    """Given up by the client."""
    duration_s: float
    """In all."""
    longest_s: float
    alone: int
    """Requests beside which nothing else ran in this process: only those are measured."""
    retained: int | None
    """Bytes of heap kept by those, in all."""
    rss_max: int | None
    open: int
    """Of them still open at the end of the minute (SSE)."""
    fds: int | None
    """At the end of the minute, of the whole process, as the next two."""
    tasks: int
    connections: int | None


def slot_id(desk: str, job: str, due: datetime) -> str:
    """The id of a slot, from what makes it unique; ids of one job sort by time.

    >>> slot_id("default", "report", datetime(2026, 11, 23, 9, 30, tzinfo=UTC))
    'report.default.20261123T093000.000000'
    """
    return f"{job}.{desk}.{due.astimezone(UTC):%Y%m%dT%H%M%S.%f}"


def report_id(slot: str) -> str:
    """The id of the report of a slot: the same however often the slot is run again.

    >>> report_id("report.default.20261123T093000.000000")
    '20261123T093000-1bdac559'

    Of desks there may be thousands whose reports are due at one instant: theirs has eight bytes of a hash.

    >>> report_id("report.asia.20261123T093000.000000")
    '20261123T093000-d3fca2bcaab01875'
    """
    _, desk, stamp, _ = slot.rsplit(".", 3)
    return f"{stamp}-{blake2s(slot.encode(), digest_size=4 if desk == 'default' else 8).hexdigest()}"


# --- reports ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartMeta:
    """One part of a report: ``html css js`` in the first language, ``html_en js_en`` and so on in the others."""

    part: str
    language: str
    size: int
    """Bytes as a reader sees them."""
    stored: int
    """Bytes as kept (gzip)."""
    sha256: str
    """Of the stored bytes; the strong ETag."""
    asset: str | None = None
    """Content hash where the part is a shared asset, stored once for many reports."""


@dataclass(frozen=True, slots=True)
class ReportMeta:
    """All that stays in memory of a report: at most 4 KB as JSON."""

    id: str
    desk: str
    slot: str
    created: datetime
    as_of: datetime
    languages: tuple[str, ...]
    parts: tuple[PartMeta, ...]
    headline: Mapping[str, str]
    """Language to the first sentence of the report, at most 200 characters."""
    instruments: int
    duration_s: float
    stages_s: Mapping[str, float]
    warnings: tuple[str, ...] = ()
    state: str = "published"
    pinned: bool = False
    facts: PartMeta | None = None
    """What the report was made from (`evertick.reports.record`); none of the parts that make its pages."""

    def part(self, name: str) -> PartMeta | None:
        """The part of that name; ``facts`` are those saved with the report."""
        if self.facts is not None and name == self.facts.part:
            return self.facts
        return next((p for p in self.parts if p.part == name), None)

    @property
    def sha256(self) -> str:
        """The content hash of the whole report: sha256 of the lines ``<part> <sha256>`` of its parts, then of its facts."""
        parts = self.parts if self.facts is None else (*self.parts, self.facts)
        return sha256("".join(f"{p.part} {p.sha256}\n" for p in parts).encode()).hexdigest()

    @property
    def stored(self) -> int:
        """Bytes that are kept for this report alone: its facts are among them, assets are shared and are not."""
        return sum(p.stored for p in (*self.parts, self.facts) if p is not None and p.asset is None)

    @property
    def size(self) -> int:
        return sum(p.size for p in self.parts)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, ``next`` an opaque cursor."""

    items: Sequence[T]
    next: str | None = None


def part_name(kind: str, language: str, languages: Sequence[str]) -> str:
    """The name a part has in the flow diagrams: bare in the first language, ``_en`` and so on in the others."""
    return kind if language == languages[0] else f"{kind}_{language}"
