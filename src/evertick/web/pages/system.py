"""The remaining pages: signing in, the API's reference, and the files of them all."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from evertick.web.auth import COOKIE, Writer, form, local_path, same_origin, set_session
from evertick.web.guard import DOCS_CSP
from evertick.web.replies import back_to
from evertick.web.state import web_of
from evertick.web.static import ICON, send_file

OPENAPI = "/openapi.json"

router = APIRouter(include_in_schema=False)


@router.head("/login")
@router.get("/login")
async def login_page(request: Request, next: Annotated[str, Query(max_length=512)] = "/") -> Response:
    web = web_of(request)
    if not web.access.needs_token or web.access.session(request):
        return back_to(local_path(next))
    return await web.pages.send(request, "login.html", next=local_path(next), wrong=False, closed=web.access.closed)


@router.post("/login")
async def login(request: Request) -> Response:
    same_origin(request)
    web = web_of(request)
    fields = await form(request)
    target = local_path(fields.get("next"))
    if not web.access.needs_token:
        return back_to(target)
    reader = await web.access.of_token(fields.get("token", "").strip())
    if reader is None:
        return await web.pages.send(
            request, "login.html", status=401, next=target, wrong=True, closed=web.access.closed
        )
    response = back_to(target)
    set_session(response, web.access.new_session(reader), secure=request.url.scheme == "https")
    return response


@router.post("/logout", dependencies=[Writer])
async def logout() -> Response:
    response = back_to("/")
    response.delete_cookie(COOKIE, path="/")
    return response


@router.head("/docs")
@router.get("/docs")
async def docs(request: Request) -> Response:
    web = web_of(request)
    return await web.pages.send(
        request,
        "docs.html",
        headers={"Content-Security-Policy": DOCS_CSP},
        swagger_css=web.assets.address("swagger-ui.css"),
        swagger_js=web.assets.address("swagger-ui-bundle.js"),
        openapi=OPENAPI,
    )


@router.head(OPENAPI)
@router.get(OPENAPI)
async def openapi(request: Request) -> Response:
    return Response(await web_of(request).description.document(), media_type="application/json")


@router.head("/static/{name}")
@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    web = web_of(request)
    return send_file(request, web.assets.file(name), web.services.settings.stall_s)


@router.head("/favicon.ico")
@router.get("/favicon.ico")
async def icon(request: Request) -> Response:
    return send_file(request, ICON, web_of(request).services.settings.stall_s, cache="public, max-age=86400")
