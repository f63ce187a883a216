"""``/``: the markets by group, live, and beside them the reports, the schedules, the sources and the memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from evertick.desks import Desk
from evertick.errors import ArchiveError, BoardError
from evertick.model import Receipt, Slot
from evertick.settings import DEFAULT_DESK
from evertick.web.opened import DeskId, desk_of
from evertick.web.pages import views
from evertick.web.pages.sources import credits
from evertick.web.routes.jobs import schedules
from evertick.web.state import Web, web_of

router = APIRouter(include_in_schema=False)

REPORTS, RUNS = 4, 60

JOBS = {
    "refresh_indices": "Market indices",
    "update_bars": "Daily bars",
    "report": "Report",
    "save_report": "Save report",
    "housekeeping": "Housekeeping",
}
"""What people call the jobs."""


@dataclass(frozen=True, slots=True)
class Planned:
    name: str
    spec: str
    due: datetime
    in_s: float


@router.head("/")
@router.get("/")
async def dashboard(request: Request, part: str = "", desk: DeskId = None) -> Response:
    web = web_of(request)
    seen = await desk_of(request, desk)
    if part == "aside":
        return await web.pages.send(request, "aside.html", desk=seen, **await aside(web, seen))
    problem = ""
    try:
        document = web.feed.document(await web.feed.current(), True, seen)
    except BoardError as error:
        document, problem = web.feed.document(None), str(error)
    await asyncio.sleep(0)  # some milliseconds of work lie behind, and before: others first
    return await web.pages.send(
        request,
        "dashboard.html",
        desk=seen,
        market=views.market(document, seen.universe),
        problem=problem,
        credits=credits(quote["source"] for quote in document["quotes"]),
        **await aside(web, seen),
    )


async def aside(web: Web, desk: Desk) -> dict[str, Any]:
    """What stands beside the markets. A database that is away leaves its parts empty, and says so."""
    services = web.services
    now = services.clock.now()
    with suppress(BoardError):  # the page itself says so
        await web.feed.current()
    snapshot = web.feed.snapshot
    found: dict[str, Any] = {
        "reports": (),
        "planned": (),
        "running": (),
        "missed": (),
        "memory": services.memory.now(),
        "runs": (),
        "memory_line": "",
        "sources": snapshot.sources if snapshot else (),
        "archive_problem": "",
        "report_job": services.settings.report_job,
    }
    try:
        reports, due, running, missed, runs = await asyncio.gather(
            services.reports.list(limit=REPORTS, desk=desk.id),
            schedules(web, desk),
            _slots(web, desk, 5, "leased"),
            _slots(web, desk, 3, "missed"),
            services.receipts.recent(limit=RUNS),
        )
    except ArchiveError as error:
        return found | {"archive_problem": str(error)}
    return found | {
        "reports": reports.items,
        "planned": [Planned(JOBS.get(job, job), spec, at, (at - now).total_seconds()) for _, job, spec, at in due],
        "running": [(JOBS.get(s.job, s.job), s) for s in running],
        "missed": [(JOBS.get(s.job, s.job), s) for s in missed],
        "runs": runs.items,
        "memory_line": memory_line(runs.items),
    }


async def _slots(web: Web, desk: Desk, limit: int, state: str) -> Sequence[Slot]:
    """Of the desk, and of what is done for all: the newest of both."""
    ledger, report = web.services.ledger, web.services.settings.report_job
    own = (await ledger.list(limit=limit, state=state, desk=desk.id)).items
    if desk.id == DEFAULT_DESK:
        return own
    common = (await ledger.list(limit=limit, state=state, desk=DEFAULT_DESK)).items
    both = [*own, *(slot for slot in common if slot.job != report)]
    return sorted(both, key=lambda slot: slot.due, reverse=True)[:limit]


def memory_line(receipts: Sequence[Receipt]) -> str:
    """The sparkline of RSS after the newest runs, oldest first, on a scale that begins at nothing: flat looks flat."""
    values = [float(r.rss_after) for r in reversed(receipts) if r.rss_after is not None]
    if len(values) < 2:
        return ""
    top = max(values) * 1.15
    width, height = 240, 48
    step = width / (len(values) - 1)
    return "M" + "L".join(f"{i * step:.1f} {height - value / top * height:.1f}" for i, value in enumerate(values))
