"""``/desks``: the desks to choose among, where there are several."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from evertick.web.routes.desks import desks
from evertick.web.state import web_of

router = APIRouter(include_in_schema=False)

ROWS = 100


@router.head("/desks")
@router.get("/desks")
async def page(
    request: Request,
    q: Annotated[str, Query(max_length=80)] = "",
    cursor: Annotated[str | None, Query(max_length=12)] = None,
) -> Response:
    web = web_of(request)
    found = await desks(request, limit=ROWS, cursor=cursor, q=q)
    return await web.pages.send(
        request, "desks.html", rows=found.items, next=found.next, first=cursor is None, q=q, count=len(web.desks)
    )
