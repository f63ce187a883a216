"""``/api/v1/reports``: the published reports, their parts, and the order for a new one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from evertick.reports.compare import Comparison, compare
from evertick.web import shapes
from evertick.web.auth import Writer, is_form
from evertick.web.opened import DeskId, changing, desk_of, reports_of, scope_of, unshared
from evertick.web.problems import Problem
from evertick.web.replies import back_to
from evertick.web.routes.jobs import Cursor, Limit
from evertick.web.state import web_of
from evertick.web.stored import send_part

router = APIRouter(prefix="/api/v1/reports", tags=["reports"], responses=shapes.PROBLEMS)

ReportId = Annotated[str, Path(max_length=64)]


@router.get("", summary="Reports", response_model=shapes.Listed[shapes.ReportShape])
async def reports(
    request: Request, limit: Limit = 20, cursor: Cursor = None, desk: DeskId = None
) -> shapes.Listed[shapes.ReportShape]:
    """The published reports, newest first: of one desk, or with `API_TOKEN` and without `desk` of all."""
    scope = await scope_of(request, desk)
    try:
        page = await (await reports_of(request)).list(limit=limit, cursor=cursor, desk=scope.id if scope else None)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return shapes.reports_shape(page)


@router.post("", summary="Order a report", status_code=202, response_model=shapes.SlotShape, dependencies=[Writer])
async def make(request: Request, response: Response, desk: DeskId = None) -> shapes.SlotShape | Response:
    """Order a report of a desk. The answer is its slot; `Location` leads to its progress."""
    services = web_of(request).services
    ordered = await desk_of(request, desk)
    changing(request, ordered.id)
    slot = await services.ledger.submit(ordered.id, services.settings.report_job, {}, services.clock.now())
    services.runner.wake()
    if is_form(request):
        return back_to(f"/reports?job={slot.id}" + ("" if desk is None else f"&desk={desk}"))
    response.headers["Location"] = f"/api/v1/jobs/{slot.id}"
    return shapes.slot_shape(slot)


@router.get("/{id}", summary="One report", response_model=shapes.ReportShape)
async def report(request: Request, id: ReportId) -> shapes.ReportShape:
    """The metadata of one report."""
    return shapes.report_shape(await (await reports_of(request)).get(id))


@router.get("/{id}/parts/{part}", summary="One part of a report", response_class=Response)
async def part(request: Request, id: ReportId, part: Annotated[str, Path(max_length=32)]) -> Response:
    """One part as it was stored: `html css js` in the first language, `html_en js_en` and so on in the others.

    `facts` is what the report was made from, as JSON lines.
    """
    return await _part(request, id, part)


@router.head("/{id}/parts/{part}", include_in_schema=False)
async def part_head(request: Request, id: ReportId, part: Annotated[str, Path(max_length=32)]) -> Response:
    return await _part(request, id, part)


@router.post("/{id}/pin", summary="Keep a report", response_model=shapes.ReportShape, dependencies=[Writer])
async def pin(request: Request, id: ReportId) -> shapes.ReportShape | Response:
    """Keep a report however old it gets, and however many come after it."""
    return await _pin(request, id, True)


@router.post("/{id}/unpin", summary="No longer keep a report", response_model=shapes.ReportShape, dependencies=[Writer])
async def unpin(request: Request, id: ReportId) -> shapes.ReportShape | Response:
    """Let a report go when it is its turn."""
    return await _pin(request, id, False)


@router.get("/{before}/diff/{after}", summary="What changed between two reports", response_model=Comparison)
async def diff(request: Request, before: ReportId, after: ReportId) -> Comparison:
    """What changed from one report to another: headline, instruments, key figures of sections, sources."""
    return await compare(await reports_of(request), before, after)


@router.post(
    "/{id}/render", summary="Render a report again", response_model=list[shapes.RemadeShape], dependencies=[Writer]
)
async def render(request: Request, id: ReportId) -> list[shapes.RemadeShape]:
    """Render every part again from the saved facts, and compare it with what is stored. Nothing is changed."""
    from evertick.reports.again import render_again

    services, reports = web_of(request).services, await reports_of(request)
    changing(request, (await reports.get(id)).desk)
    made = await render_again(reports, id, services.packer, services.scratch)
    return [shapes.RemadeShape.model_validate(part) for part in made]


async def _pin(request: Request, id: str, pinned: bool) -> shapes.ReportShape | Response:
    reports = await reports_of(request)
    desk = (await reports.get(id)).desk
    changing(request, desk)
    await reports.pin(id, pinned)
    if is_form(request):
        return back_to("/reports" if web_of(request).desks.only_default else f"/reports?desk={desk}")
    return shapes.report_shape(await reports.get(id))


async def _part(request: Request, id: str, part: str) -> Response:
    web = web_of(request)
    meta = await (await reports_of(request)).get(id)
    found = meta.part(part)
    if found is None:
        names = ", ".join(p.part for p in meta.parts)
        raise Problem(404, f"Report {id} has no part '{part}'. Its parts are {names}.")
    return unshared(request, meta.desk, await send_part(request, web.services, meta, found))
