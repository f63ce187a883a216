"""``/api/v1/indices``: the latest quotes, on demand, live, and refreshed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from evertick.desks import Desk
from evertick.errors import BoardError, NotFound
from evertick.model import SlotState
from evertick.web import shapes
from evertick.web.auth import Writer, is_form
from evertick.web.feed import to_json
from evertick.web.opened import DeskId, desk_of, unshared
from evertick.web.problems import Problem
from evertick.web.replies import accepts_gzip, back_to
from evertick.web.state import Web, web_of
from evertick.web.streams import HEARTBEAT, EventStream

router = APIRouter(prefix="/api/v1", tags=["indices"], responses=shapes.PROBLEMS)

Spark = Annotated[bool, Query(description="Add the points of a sparkline to each quote.")]

RANGES = {"1d": (timedelta(days=1), 0), "7d": (timedelta(days=7), 0), "30d": (timedelta(days=30), 900)}
"""How far back, and how many seconds there are between two prices; 0: all of them."""
TWO_YEARS = timedelta(days=731)

_HEADERS = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
_PACKED = _HEADERS | {"Content-Encoding": "gzip"}


@router.head("/indices", include_in_schema=False)
@router.get("/indices", summary="Latest quotes", response_model=shapes.Indices)
async def indices(request: Request, spark: Spark = False, desk: DeskId = None) -> Response:
    """The latest quote of every instrument of the desk, in the order of the universe, and the state of every source."""
    seen = await desk_of(request, desk)
    body = await web_of(request).feed.body(spark, seen)
    if accepts_gzip(request):
        answer = Response(body.packed, 200, _PACKED, "application/json")
    else:
        answer = Response(body.plain, 200, _HEADERS, "application/json")
    return unshared(request, seen.id, answer)


@router.post(
    "/indices/refresh", summary="Refresh the quotes now", response_model=shapes.Refreshed, dependencies=[Writer]
)
async def refresh(request: Request, desk: DeskId = None) -> Response:
    """Poll the sources now, for all desks, and answer with what was saved. Requests at the same time share one poll."""
    web = web_of(request)
    seen = await desk_of(request, desk)
    slot = await web.services.runner.run_now(web.services.settings.refresh_job, {})
    if slot.state is not SlotState.DONE:
        why = slot.error or "The poll did not end."
        raise Problem(502, f"The quotes were not refreshed: {why}", extra={"slot": slot.id})
    document: dict[str, Any] = {**web.feed.document(await web.feed.reload(), desk=seen), "slot": slot.id}
    if is_form(request):
        return back_to("/" if desk is None else f"/?desk={desk}")
    return Response(to_json(document), headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.get("/indices/stream", summary="Quotes, live", response_class=EventStream)
async def stream(
    request: Request,
    spark: Spark = False,
    desk: DeskId = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Server-sent events: `indices` with the whole document, at once and at every update; its id is the document's `as_of`."""
    web = web_of(request)
    seen = await desk_of(request, desk)
    return EventStream(_frames(web, spark, last_event_id, seen), web.streams, stall_s=web.services.settings.stall_s)


async def _frames(web: Web, spark: bool, known: str | None, desk: Desk) -> AsyncGenerator[bytes, None]:
    """A reader that fell behind gets the newest document only: there is no queue."""
    feed, seen = web.feed, 0
    yield b"retry: 3000\n\n"
    while not feed.closed:
        with suppress(BoardError):  # nothing to send yet; the next heartbeat looks again
            await feed.current()
        try:
            async with asyncio.timeout(web.services.settings.heartbeat_s):
                seen = await feed.wait(seen)
        except TimeoutError:
            yield HEARTBEAT
            continue
        if feed.closed:
            return
        body = await feed.body(spark, desk)
        if body.as_of != known:
            known = body.as_of
            yield body.event


@router.get("/indices/{id}/history", summary="Prices of the past", response_model=shapes.HistoryShape)
async def history(
    request: Request, id: str, range: Annotated[Literal["1d", "7d", "30d", "2y"], Query()] = "1d", desk: DeskId = None
) -> Response:
    """Prices of one instrument: those of the refreshes for up to 30 days, its daily closes for two years.

    For 30 days one price every 15 minutes, the last of each.
    """
    services = web_of(request).services
    instrument = (await desk_of(request, desk)).universe.get(id)
    if instrument is None:
        raise NotFound(f"There is no instrument {id}.", hint="GET /api/v1/indices lists them")
    now = services.clock.now()
    document: dict[str, Any] = {"id": id, "range": range, "kind": "quotes", "currency": instrument.currency}
    if range == "2y":
        bars = await services.bars.load(id, (now - TWO_YEARS).date())
        document |= {"kind": "days", "times": [day.isoformat() for day in bars.dates()], "prices": list(bars.close)}
    else:
        span, step = RANGES[range]
        times, prices = thinned(*await services.quotes.load(id, now - span, now), step)
        document |= {"times": [f"{datetime.fromtimestamp(t, UTC):%Y-%m-%dT%H:%M:%SZ}" for t in times], "prices": prices}
    return Response(to_json(document), headers={"Cache-Control": "no-cache"}, media_type="application/json")


def thinned(times: Sequence[int], prices: Sequence[float], step: int) -> tuple[list[int], list[float]]:
    """The last price of every ``step`` seconds; all of them where it is 0."""
    if not step:
        return list(times), list(prices)
    last = {second // step: i for i, second in enumerate(times)}
    return [times[i] for i in last.values()], [prices[i] for i in last.values()]
