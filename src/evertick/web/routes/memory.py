"""``/api/v1/memory``: what this process holds, its timeline, what each component keeps, and a receipt for every run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import isfinite
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from evertick.model import Page
from evertick.web import shapes
from evertick.web.auth import Keeper
from evertick.web.feed import to_json
from evertick.web.opened import opens
from evertick.web.problems import Problem
from evertick.web.routes.jobs import Cursor, Limit
from evertick.web.state import web_of

router = APIRouter(prefix="/api/v1/memory", tags=["memory"], responses=shapes.PROBLEMS)

Range = Literal["1h", "6h", "24h", "7d", "30d", "90d"]
SPANS = {
    "1h": timedelta(hours=1), "6h": timedelta(hours=6), "24h": timedelta(days=1), "7d": timedelta(days=7),
    "30d": timedelta(days=30), "90d": timedelta(days=90),
}  # fmt: skip
Span = Annotated[Range, Query(alias="range", description="How far back.")]


class Diagnose(BaseModel):
    runs: int = Field(5, ge=1, le=100, description="Runs to watch.")
    at_most_s: float = Field(1800, gt=0, le=7200, description="Seconds after which it ends in any case.")


@router.get("", summary="Memory now", response_model=shapes.MemoryNow)
async def now(request: Request) -> Any:
    """What this process holds now. Bytes; null where this system cannot measure a quantity."""
    return web_of(request).services.memory.now()


@router.get("/timeline", summary="Timeline", response_model=shapes.MemoryTimeline)
async def timeline(request: Request, span: Span = "24h") -> Response:
    """What every process of this server held: a sample every 10 s for an hour, every minute for a day, every 10 minutes
    for 90 days; thinned to 720 a process. Marks: restarts, reports, and up to a day refreshes; each run ends with a release.
    """
    found = await web_of(request).services.account.course(SPANS[span])
    return _json(found)


@router.get("/components", summary="Components and verdict", response_model=shapes.MemoryStatement)
async def components(request: Request) -> Response:
    """Whether memory grows, in words and numbers; what each component keeps; and the figures that a service of this kind
    has without and with care, beside those of this server.
    """
    services = web_of(request).services
    found = await services.account.statement()
    budget = services.account.budget
    document = {
        **_plain(found),
        "budget": {
            "state": budget.state,
            "reason": budget.reason,
            "since": budget.since,
            "limit": budget.limit,
            "restarts": budget.restarts,
        },
    }
    return _json(document)


@router.get("/web", summary="Requests", response_model=shapes.Listed[shapes.WebReceiptShape])
async def web(request: Request, span: Span = "24h") -> Response:
    """What the requests of each route did, added up: how many, how long, what they kept. Event streams are among them."""
    services = web_of(request).services
    now = services.clock.now()
    return _json({"items": await services.timeline.web(now - SPANS[span], now), "next": None})


@router.get("/receipts", summary="Receipts", response_model=shapes.Listed[shapes.ReceiptShape])
async def receipts(
    request: Request, limit: Limit = 50, cursor: Cursor = None, job: Annotated[str | None, Query(max_length=32)] = None
) -> shapes.Listed[shapes.ReceiptShape]:
    """One row for each run of each job, newest first: memory before and after, what its release gave back."""
    web = web_of(request)
    may_read = opens(web, await web.access.reader(request))
    try:
        page = await web.services.receipts.recent(limit=limit, cursor=cursor, job=job)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    # What a run did to the memory is everybody's; of which closed desk it was is not.
    report = f"{web.services.settings.report_job}."
    rows = [
        r if r.desk is None or may_read(r.desk) or not str(r.slot).startswith(report) else replace(r, slot=None)
        for r in page.items
    ]
    return shapes.receipts_shape(Page(rows, page.next))


@router.get("/diagnoses", summary="Diagnoses", response_model=shapes.Diagnoses)
async def diagnoses(request: Request) -> Response:
    """What was found when somebody, or the server itself, asked who leaks; newest first."""
    services = web_of(request).services
    found = await services.timeline.diagnoses(10)
    items = [{"at": at, "process": process, **body} for at, process, body in found]
    return _json({"running_since": services.inquiry.since, "items": items, "next": None})


@router.post(
    "/diagnose", status_code=202, summary="Ask who leaks", response_model=shapes.Diagnoses, dependencies=[Keeper]
)
async def diagnose(request: Request, asked: Diagnose | None = None) -> Response:
    """Trace what the next runs leave behind, by line, type, descriptor and task. Python code runs about twice as slowly
    meanwhile; it ends by itself.
    """
    asked = asked or Diagnose()
    services = web_of(request).services
    services.inquiry.start(asked.runs, asked.at_most_s)
    return _json({"running_since": services.inquiry.since, "items": [], "next": None}, 202)


def _json(value: Any, status: int = 200) -> Response:
    return Response(
        to_json(_plain(value)), status, headers={"Cache-Control": "no-store"}, media_type="application/json"
    )


def _plain(value: Any) -> Any:
    """Dataclasses and tuples as JSON takes them; what is infinite has no number there and is null."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
