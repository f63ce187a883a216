"""``/api/v1/desks``: the desks that are open to whoever asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from evertick.web import shapes
from evertick.web.problems import Problem
from evertick.web.routes.jobs import Cursor, Limit
from evertick.web.state import web_of

router = APIRouter(prefix="/api/v1/desks", tags=["desks"], responses=shapes.PROBLEMS)


@router.get("", summary="Desks", response_model=shapes.Listed[shapes.DeskShape])
async def desks(
    request: Request,
    limit: Limit = 50,
    cursor: Cursor = None,
    q: Annotated[str, Query(max_length=80, description="Only those whose id or name has this in it.")] = "",
) -> shapes.Listed[shapes.DeskShape]:
    """The desks in the order of the settings: what they follow, and when their next report is due."""
    web = web_of(request)
    reader = await web.access.reader(request)
    wanted = q.casefold()
    found = [d for d in web.desks if reader.may_read(d) and wanted in f"{d.id}\n{d.name}".casefold()]
    if cursor is not None and not cursor.isdigit():
        raise Problem(400, "The cursor is not one of this list. Start again without a cursor.")
    start = int(cursor or 0)
    shown = found[start : start + limit]
    due = {
        desk: at
        for desk, job, _, at in await web.services.ledger.next_due({d.id for d in shown})
        if job == web.services.settings.report_job
    }
    items = [shapes.desk_shape(desk, due.get(desk.id)) for desk in shown]
    return shapes.Listed[shapes.DeskShape](items=items, next=str(start + limit) if len(found) > start + limit else None)
