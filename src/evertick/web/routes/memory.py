"""``/api/v1/memory``: what this process holds, and a receipt for every run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from evertick.web import shapes
from evertick.web.problems import Problem
from evertick.web.routes.jobs import Cursor, Limit
from evertick.web.state import web_of

router = APIRouter(prefix="/api/v1/memory", tags=["memory"], responses=shapes.PROBLEMS)


@router.get("", summary="Memory now", response_model=shapes.MemoryNow)
async def now(request: Request) -> Any:
    """What this process holds now. Bytes; null where this system cannot measure a quantity."""
    return web_of(request).services.memory.now()


@router.get("/receipts", summary="Receipts", response_model=shapes.Listed[shapes.ReceiptShape])
async def receipts(
    request: Request, limit: Limit = 50, cursor: Cursor = None, job: Annotated[str | None, Query(max_length=32)] = None
) -> shapes.Listed[shapes.ReceiptShape]:
    """One row for each run of each job, newest first: memory before and after, what its release gave back."""
    try:
        page = await web_of(request).services.receipts.recent(limit=limit, cursor=cursor, job=job)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return shapes.receipts_shape(page)
