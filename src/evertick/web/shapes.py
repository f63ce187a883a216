"""The JSON of the API, for its OpenAPI description and for what is made from our own values.

Times are ISO 8601 in UTC (``…Z``), durations seconds, sizes bytes, ``*_pct`` percent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from evertick.desks import Desk
from evertick.model import Page, PartMeta, Receipt, ReportMeta, Slot

T = TypeVar("T")


class Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Problem(Shape):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    hint: str | None = None


class QuoteShape(Shape):
    id: str
    name: str
    group: str
    price: float
    change_pct: float | None = Field(description="Against the previous close, in percent.")
    currency: str
    as_of: datetime = Field(description="The provider's time of this price.")
    age_s: float
    fresh: bool = Field(description="Recent enough for the state of its session.")
    source: str
    session: Literal["open", "break", "closed", "always"]
    session_until: datetime | None = Field(
        description="When trading next stops or starts; null where it always goes on."
    )
    spark: list[float] | None = Field(None, description="Recent prices, oldest first; only with `spark=true`.")


class SourceShape(Shape):
    name: str
    title: str = Field(description="The provider's name for people.")
    state: Literal["ok", "partial", "failing", "resting", "idle", "off"] = Field(
        description="`partial`: some instruments are missing; `resting`: not asked until `retry_at`; "
        "`idle`: nothing to ask it for now; `off`: not switched on."
    )
    note: str | None = Field(description="Why it is idle or off.")
    quotes: int = Field(description="Quotes of its last run.")
    last_success: datetime | None
    error: str | None = Field(description="Of its last run; null when that went well.")
    error_kind: str | None = Field(
        description="`unavailable`, `rate_limited`, `refused`, `malformed`, or `missing` where only quotes are missing."
    )
    retry_at: datetime | None = Field(description="When a source that is resting is asked again.")
    last_error: str | None = Field(description="The newest error, kept after the source recovered.")
    last_error_at: datetime | None
    quota: int | None = Field(description="Requests a day; null where there is no daily limit.")
    quota_left: int | None = Field(description="Requests left until midnight UTC.")
    duration_s: float | None = Field(description="What its last run took.")


class Indices(Shape):
    as_of: datetime | None = Field(description="The end of the poll that saved this; null before the first one.")
    quotes: list[QuoteShape]
    sources: list[SourceShape]


class Refreshed(Indices):
    slot: str = Field(description="The slot of the run that saved it.")


class HistoryShape(Shape):
    id: str
    range: Literal["1d", "7d", "30d", "2y"]
    kind: Literal["quotes", "days"] = Field(description="Prices of the refreshes, or closes of trading days.")
    currency: str
    times: list[datetime | date] = Field(description="Oldest first: instants, or days of the exchange's calendar.")
    prices: list[float]


class Listed(Shape, Generic[T]):
    items: list[T]
    next: str | None = Field(description="The cursor of the next page, null on the last.")


class PartShape(Shape):
    part: str
    language: str
    size: int
    stored: int = Field(description="Bytes as kept (gzip).")
    sha256: str
    href: str


class RemadeShape(Shape):
    part: str
    language: str
    size: int
    sha256: str = Field(description="Of the gzip bytes, as that of the stored part.")
    stored: str = Field(description="The sha256 of the stored part.")
    same: bool


class ReportShape(Shape):
    id: str
    desk: str
    slot: str
    created: datetime
    as_of: datetime
    languages: list[str]
    headline: dict[str, str]
    instruments: int
    size: int
    duration_s: float
    stages_s: dict[str, float]
    warnings: list[str]
    parts: list[PartShape]
    pinned: bool = Field(description="Kept however old it gets.")
    sha256: str = Field(
        description="Content hash of the whole: sha256 of the lines `part sha256` of its parts, then of its facts."
    )
    facts: PartShape | None = Field(
        description="What it was made from, JSON lines; null for reports of older versions."
    )
    href: dict[str, str] = Field(description="Language to the address of its page.")


class SlotShape(Shape):
    id: str
    desk: str
    job: str
    due: datetime
    state: Literal["due", "leased", "done", "failed", "missed"]
    trigger: str
    attempts: int
    not_before: datetime | None = Field(description="A retry waits until then.")
    started: datetime | None
    finished: datetime | None
    coalesced: int = Field(description="Older missed slots that this one stands for.")
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None


class ScheduleShape(Shape):
    desk: str
    job: str
    spec: str = Field(description="As in the settings, such as `3m` or `3h..6h`.")
    next_due: datetime


class SlotsShape(Listed[SlotShape]):
    schedules: list[ScheduleShape] = Field(description="Every schedule with its next run, the soonest first.")


class DeskShape(Shape):
    id: str
    name: str
    instruments: list[str]
    locales: list[str]
    timezone: str
    report_every: str = Field(description="Its schedule; empty where the server was told of no desks.")
    closed: bool = Field(description="Has a token of its own: only that and `API_TOKEN` open it.")
    next_report: datetime | None


class ReceiptShape(Shape):
    job: str
    component: str
    slot: str | None
    started: datetime
    duration_s: float
    outcome: str
    heap_before: int | None
    heap_after: int | None
    blocks_before: int
    blocks_after: int
    rss_before: int | None
    rss_after: int | None
    peak_rss: int | None
    freed: int | None
    retained: int | None
    fds_delta: int | None
    tasks_delta: int
    connections_delta: int | None
    overlapped: bool
    release_s: float
    pid: int


class MemoryNow(Shape):
    """Bytes and counts; null where this system cannot measure one."""

    model_config = ConfigDict(extra="allow")

    at: datetime
    pid: int
    heap: int | None = None
    blocks: int | None = None
    rss: int | None = None
    pss: int | None = None
    uss: int | None = None
    fds: int | None = None
    sockets: int | None = None
    threads: int | None = None
    tasks: int | None = None
    connections: int | None = None
    limit: int | None = None


class MemoryPoint(Shape):
    process: str = Field(description="Host, pid and start: a process that restarts is another one.")
    at: datetime
    step_s: int
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
    uss: int | None
    budget: int


class MemoryMark(Shape):
    at: datetime
    kind: Literal["restart", "report", "refresh"]


class MemoryTimeline(Shape):
    since: datetime
    until: datetime
    step_s: int
    samples: list[MemoryPoint]
    marks: list[MemoryMark]


class StepShape(Shape):
    at: float
    by: float


class TrendShape(Shape):
    """Bytes a day with the ends of the 95 % interval; null: not bounded by what was measured."""

    per_day: float
    low: float | None
    high: float | None
    span_s: float
    points: int
    steps: list[StepShape]


class VerdictShape(Shape):
    state: Literal["early", "flat", "growing", "shrinking", "unclear"]
    text: str
    trend: TrendShape | None
    full_at: datetime | None


class ComponentShape(Shape):
    name: str
    title: str
    runs: int
    measured: int = Field(description="Runs beside which nothing else ran: only they count.")
    kept: int | None = Field(description="Bytes of heap kept by one run, the median.")
    per_day: TrendShape | None
    peak: int | None = Field(description="Bytes of RSS above what was there before, the median.")
    connections: int
    descriptors: int


class MemoryRow(Shape):
    what: str
    before: str
    after: str
    aim: str
    measured: float | None
    unit: Literal["bytes", "bytes a day", "count"]
    high: float | None
    met: bool | None


class BudgetShape(Shape):
    state: Literal["ok", "tight", "over"]
    reason: str
    since: datetime
    limit: int
    restarts: list[datetime] = Field(description="Restarts in place within the last hour.")


class MemoryStatement(Shape):
    at: datetime
    verdict: VerdictShape
    heap: VerdictShape
    rss: VerdictShape
    components: list[ComponentShape]
    rows: list[MemoryRow]
    budget: BudgetShape


class WebReceiptShape(Shape):
    process: str
    minute: datetime
    route: str
    requests: int
    failed: int
    cancelled: int
    duration_s: float
    longest_s: float
    alone: int = Field(description="Requests beside which nothing else ran: only they are measured.")
    retained: int | None = Field(description="Bytes of heap kept by those in all.")
    rss_max: int | None
    open: int
    fds: int | None
    tasks: int
    connections: int | None


class DiagnosisShape(Shape):
    model_config = ConfigDict(extra="allow")

    at: datetime
    process: str
    runs: int
    complete: bool


class Diagnoses(Shape):
    running_since: datetime | None
    items: list[DiagnosisShape]
    next: str | None


def report_shape(meta: ReportMeta) -> ReportShape:
    return ReportShape(
        id=meta.id,
        desk=meta.desk,
        slot=meta.slot,
        created=meta.created,
        as_of=meta.as_of,
        languages=list(meta.languages),
        headline=dict(meta.headline),
        instruments=meta.instruments,
        size=meta.size,
        duration_s=meta.duration_s,
        stages_s=dict(meta.stages_s),
        warnings=list(meta.warnings),
        parts=[_part_shape(meta, p) for p in meta.parts],
        pinned=meta.pinned,
        sha256=meta.sha256,
        facts=_part_shape(meta, meta.facts) if meta.facts is not None else None,
        href={language: f"/reports/{meta.id}/{language}" for language in meta.languages},
    )


def _part_shape(meta: ReportMeta, part: PartMeta) -> PartShape:
    return PartShape(
        part=part.part,
        language=part.language,
        size=part.size,
        stored=part.stored,
        sha256=part.sha256,
        href=f"/api/v1/reports/{meta.id}/parts/{part.part}",
    )


def reports_shape(page: Page[ReportMeta]) -> Listed[ReportShape]:
    return Listed[ReportShape](items=[report_shape(m) for m in page.items], next=page.next)


def slot_shape(slot: Slot) -> SlotShape:
    return SlotShape.model_validate(slot)


def slots_shape(page: Page[Slot], schedules: Iterable[tuple[str, str, str, datetime]]) -> SlotsShape:
    rows = [ScheduleShape(desk=desk, job=job, spec=spec, next_due=due) for desk, job, spec, due in schedules]
    rows.sort(key=lambda row: row.next_due)
    return SlotsShape(items=[slot_shape(s) for s in page.items], next=page.next, schedules=rows)


def desk_shape(desk: Desk, next_report: datetime | None) -> DeskShape:
    return DeskShape(
        id=desk.id,
        name=desk.name,
        instruments=[instrument.id for instrument in desk.instruments],
        locales=list(desk.locales),
        timezone=desk.timezone,
        report_every=desk.report_every,
        closed=desk.token is not None,
        next_report=next_report,
    )


def receipts_shape(page: Page[Receipt]) -> Listed[ReceiptShape]:
    return Listed[ReceiptShape](items=[ReceiptShape.model_validate(r) for r in page.items], next=page.next)


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem document (RFC 9457)",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""``responses=`` of every route."""
