"""Every error as an RFC 9457 problem document, or as a page for whoever reads with a browser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from evertick.errors import (
    ArchiveFull,
    ArchiveLocked,
    ArchiveReadOnly,
    ArchiveUnavailable,
    AssetsMissing,
    BadCursor,
    BoardError,
    BodyLost,
    EvertickError,
    JobRefused,
    NotFound,
    SchemaMismatch,
)

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_S = "5"

# The first that fits counts; what is not named here is our own fault: 500.
_STATUS: tuple[tuple[type[EvertickError], int], ...] = (
    (NotFound, 404),
    (BodyLost, 502),
    (BadCursor, 400),
    (ArchiveFull, 507),
    (ArchiveReadOnly, 503),
    (ArchiveLocked, 503),
    (ArchiveUnavailable, 503),
    (SchemaMismatch, 503),
    (BoardError, 503),
    (AssetsMissing, 503),
    (JobRefused, 503),
)


class Problem(Exception):
    """Raise it where a request cannot be answered. ``detail`` says what to do."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def problem_of(error: EvertickError) -> Problem:
    """The problem that stands for an error of our tree; its hint becomes a member of the document."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers = {"Retry-After": RETRY_S} if status == 503 else {}
    return Problem(status, error.message, headers=headers, extra={"hint": error.hint} if error.hint else {})


def title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem_response(problem: Problem, instance: str = "") -> Response:
    """``instance`` is the path that was asked for."""
    document = {
        "type": "about:blank",
        "title": title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
    }
    if instance:
        document["instance"] = instance
    document |= problem.extra
    headers = {"Cache-Control": "no-store"} | problem.headers
    body = json.dumps(document, ensure_ascii=False).encode()
    return Response(body, problem.status, headers, media_type=MEDIA_TYPE)


def reads_pages(path: str, accept: str) -> bool:
    """Whether the client is a browser that opens a page, and not a program that calls the API."""
    return not path.startswith("/api/") and "text/html" in accept


async def respond(request: Request, problem: Problem) -> Response:
    if reads_pages(request.url.path, request.headers.get("accept", "")):
        return await request.app.state.web.pages.error(request, problem)
    return problem_response(problem, request.url.path)


def add_handlers(app: FastAPI) -> None:
    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return await respond(request, error)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = {404: f"There is nothing at {request.url.path}.", 405: f"{request.method} is not possible here."}
        said = str(error.detail)
        detail = known.get(error.status_code, said) if said == title(error.status_code) else said
        return await respond(request, Problem(error.status_code, detail, headers=error.headers or {}))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [{"at": [str(p) for p in e["loc"]], "message": e["msg"]} for e in error.errors()]
        detail = "; ".join(f"{'.'.join(e['at'][1:]) or e['at'][0]}: {e['message']}" for e in errors[:5])
        return await respond(request, Problem(422, detail, extra={"errors": errors[:20]}))

    async def on_own(request: Request, error: Exception) -> Response:
        assert isinstance(error, EvertickError)
        problem = problem_of(error)
        if problem.status == 500:
            log.error("request failed", path=request.url.path, error=str(error), exc_info=error)
        elif problem.status == 502:
            log.error("body of a report is lost", path=request.url.path, error=str(error))
        return await respond(request, problem)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(EvertickError, on_own)
