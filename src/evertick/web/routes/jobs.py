"""``/api/v1/jobs`` and ``/api/v1/slots``: what runs, ran and is due."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from evertick.desks import Desk
from evertick.model import Slot, SlotState
from evertick.settings import DEFAULT_DESK
from evertick.web import shapes
from evertick.web.opened import DeskId, scope_of, slot_of
from evertick.web.problems import Problem
from evertick.web.state import Web, web_of
from evertick.web.streams import HEARTBEAT, EventStream, beating, frame

router = APIRouter(prefix="/api/v1", tags=["jobs"], responses=shapes.PROBLEMS)

Id = Annotated[str, Path(max_length=96, description="The id of a slot.")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=256, description="`next` of the page before.")]

ENDED = (SlotState.DONE, SlotState.FAILED, SlotState.MISSED)


@router.get("/jobs/{id}", summary="One job", response_model=shapes.SlotShape)
async def job(request: Request, id: Id) -> shapes.SlotShape:
    """One slot: its state, its progress while it runs, its result or error afterwards."""
    return shapes.slot_shape(await slot_of(request, id))


@router.get("/jobs/{id}/stream", summary="One job, live", response_class=EventStream)
async def stream(request: Request, id: Id) -> Response:
    """Server-sent events: `job` with the slot, at once and at every change, until it has ended."""
    web = web_of(request)
    slot = await slot_of(request, id)
    return EventStream(_frames(web, slot), web.streams, stall_s=web.services.settings.stall_s)


@router.get("/slots", summary="Slots of all jobs", response_model=shapes.SlotsShape)
async def slots(
    request: Request,
    limit: Limit = 20,
    cursor: Cursor = None,
    job: Annotated[str | None, Query(max_length=32)] = None,
    state: SlotState | None = None,
    desk: DeskId = None,
) -> shapes.SlotsShape:
    """Slots, newest first: due, running (`leased`), done, failed and missed; and the schedules they come from. Of one desk, or
    with `API_TOKEN` and without `desk` of all.
    """
    scope = await scope_of(request, desk)
    ledger = web_of(request).services.ledger
    try:
        page = await ledger.list(limit=limit, cursor=cursor, job=job, state=state, desk=scope.id if scope else None)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return shapes.slots_shape(page, await schedules(web_of(request), scope))


async def schedules(web: Web, desk: Desk | None) -> Sequence[tuple[str, str, str, datetime]]:
    """Those of one desk together with what is done for all, or all there are."""
    ledger, report = web.services.ledger, web.services.settings.report_job
    if desk is None:
        return await ledger.next_due()
    rows = await ledger.next_due({desk.id, DEFAULT_DESK})
    return [row for row in rows if row[0] == desk.id or row[1] != report]


async def _frames(web: Web, slot: Slot) -> AsyncGenerator[bytes, None]:
    yield _frame(slot)
    if slot.state in ENDED:
        return
    async with web.services.runner.updates(slot.id) as updates:
        async for update in beating(updates, web.streams.stopping, web.services.settings.heartbeat_s):
            yield HEARTBEAT if update is None else _frame(update)
            if update is not None and update.state in ENDED:
                return


def _frame(slot: Slot) -> bytes:
    return frame(shapes.slot_shape(slot).model_dump_json().encode(), event="job")
