"""``/reports``: the library and the reports themselves; ``/assets``: what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from evertick.model import part_name
from evertick.reports.compare import Figure, Move, compare, notable
from evertick.web.opened import DeskId, reports_of, scope_of, unshared
from evertick.web.pages import format
from evertick.web.pages.sources import STATES
from evertick.web.problems import Problem
from evertick.web.state import web_of
from evertick.web.stored import send_asset, send_part

router = APIRouter(include_in_schema=False)

PAGE = 20
ROWS = 500
"""Instruments on a page of changes; the API and the command have all of them."""
SHOWN = 0.005
"""A smaller change of a key figure reads 0.00."""
LANGUAGES = {"vi": "Tiếng Việt", "en": "English"}

Id = Annotated[str, Path(max_length=64)]


@router.head("/reports")
@router.get("/reports")
async def library(
    request: Request,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
    job: Annotated[str, Query(max_length=96)] = "",
    desk: DeskId = None,
) -> Response:
    web = web_of(request)
    scope = await scope_of(request, desk)
    try:
        page = await (await reports_of(request)).list(limit=PAGE, cursor=cursor, desk=scope.id if scope else None)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return await web.pages.send(
        request,
        "library.html",
        desk=scope,
        reports=page.items,
        next=page.next,
        first=cursor is None,
        job=job,
        languages=LANGUAGES,
        named=None if web.desks.only_default else web.desks.name,
    )


@router.head("/reports/{id}")
@router.get("/reports/{id}")
async def first_language(request: Request, id: Id) -> Response:
    meta = await (await reports_of(request)).get(id)
    return RedirectResponse(f"/reports/{meta.id}/{meta.languages[0]}", 302)


@router.head("/reports/{before}/diff/{after}")
@router.get("/reports/{before}/diff/{after}")
async def diff(request: Request, before: Id, after: Id, all: bool = False) -> Response:
    """What changed from one report to another: what moved by more than noise, or ``all`` instruments."""
    web = web_of(request)
    found = await compare(await reports_of(request), before, after)
    return await web.pages.send(
        request,
        "diff.html",
        found=found,
        rises=[_row(m) for m in found.rises],
        falls=[_row(m) for m in found.falls],
        rows=[_row(m) for m in (found.instruments if all else notable(found.instruments))[:ROWS]],
        all=all,
        figures=[_figure(f) for f in found.figures if all or _changed(f)],
        spoken=tuple(dict.fromkeys((*found.before.headline, *found.after.headline))),
        languages=LANGUAGES,
        states=STATES,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A line of numbers as it is shown."""

    name: str
    below: str
    before: str
    after: str
    change: str
    tone: str
    """``up``, ``down`` or ``flat``."""


def _row(move: Move) -> Row:
    points = move.unit == "%"
    change = f"{format.price(move.difference, move.decimals)} points" if points else format.change(move.change_pct)
    return Row(
        move.name,
        move.id
        if move.source_before == move.source_after
        else f"{move.id}, {move.source_before} → {move.source_after}",
        format.price(move.before, move.decimals),
        format.price(move.after, move.decimals),
        f"+{change}" if points and move.difference > 0 else change,
        format.tone(move.difference if points else move.change_pct),
    )


def _changed(figure: Figure) -> bool:
    """As far as its two decimals show."""
    return figure.difference is None or abs(figure.difference) >= SHOWN


def _figure(figure: Figure) -> Row:
    unit, apart = (" %", " points") if figure.unit == "%" else ("", "")
    before, after, difference = (format.price(v, 2) for v in (figure.before, figure.after, figure.difference))
    return Row(
        figure.name[0].upper() + figure.name[1:],
        figure.section,
        before + unit if figure.before is not None else before,
        after + unit if figure.after is not None else after,
        f"{'+' if (figure.difference or 0) > 0 else ''}{difference}{apart}"
        if figure.difference is not None
        else difference,
        format.tone(figure.difference),
    )


@router.head("/reports/{id}/{language}")
@router.get("/reports/{id}/{language}")
async def reader(request: Request, id: Id, language: Annotated[str, Path(max_length=12)]) -> Response:
    services = web_of(request).services
    meta = await (await reports_of(request)).get(id)
    part = meta.part(part_name("html", language, meta.languages)) if language in meta.languages else None
    if part is None:
        raise Problem(404, f"Report {id} is not in '{language}'. Its languages are {', '.join(meta.languages)}.")
    return unshared(request, meta.desk, await send_part(request, services, meta, part))


@router.head("/assets/{hash}.{kind}")
@router.get("/assets/{hash}.{kind}")
async def asset(
    request: Request,
    hash: Annotated[str, Path(pattern=r"^[0-9a-f]{8,64}$")],
    kind: Annotated[str, Path(pattern=r"^(css|js)$")],
) -> Response:
    return await send_asset(request, web_of(request).services, hash, kind)
