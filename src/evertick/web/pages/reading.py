"""``/reports``: the library and the reports themselves; ``/assets``: what they share."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from evertick.model import part_name
from evertick.web.problems import Problem
from evertick.web.state import web_of
from evertick.web.stored import send_asset, send_part

router = APIRouter(include_in_schema=False)

PAGE = 20
LANGUAGES = {"vi": "Tiếng Việt", "en": "English"}

Id = Annotated[str, Path(max_length=64)]


@router.head("/reports")
@router.get("/reports")
async def library(
    request: Request,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
    job: Annotated[str, Query(max_length=96)] = "",
) -> Response:
    web = web_of(request)
    try:
        page = await web.services.reports.list(limit=PAGE, cursor=cursor)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return await web.pages.send(
        request, "library.html", reports=page.items, next=page.next, first=cursor is None, job=job, languages=LANGUAGES
    )


@router.head("/reports/{id}")
@router.get("/reports/{id}")
async def first_language(request: Request, id: Id) -> Response:
    meta = await web_of(request).services.reports.get(id)
    return RedirectResponse(f"/reports/{meta.id}/{meta.languages[0]}", 302)


@router.head("/reports/{id}/{language}")
@router.get("/reports/{id}/{language}")
async def reader(request: Request, id: Id, language: Annotated[str, Path(max_length=12)]) -> Response:
    services = web_of(request).services
    meta = await services.reports.get(id)
    part = meta.part(part_name("html", language, meta.languages)) if language in meta.languages else None
    if part is None:
        raise Problem(404, f"Report {id} is not in '{language}'. Its languages are {', '.join(meta.languages)}.")
    return await send_part(request, services, meta, part)


@router.head("/assets/{hash}.{kind}")
@router.get("/assets/{hash}.{kind}")
async def asset(
    request: Request,
    hash: Annotated[str, Path(pattern=r"^[0-9a-f]{8,64}$")],
    kind: Annotated[str, Path(pattern=r"^(css|js)$")],
) -> Response:
    return await send_asset(request, web_of(request).services, hash, kind)
