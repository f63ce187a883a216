"""The state of the sources and of the server: ``/api/v1/sources``, ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from evertick.web import shapes
from evertick.web.state import web_of

router = APIRouter(tags=["status"], responses=shapes.PROBLEMS)

_NO_STORE = {"Cache-Control": "no-store"}


@router.get("/api/v1/sources", summary="Sources", response_model=shapes.Listed[shapes.SourceShape])
async def sources(request: Request) -> Any:
    """What every source did in its last run."""
    feed = web_of(request).feed
    return {"items": feed.document(await feed.current())["sources"], "next": None}


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Alive", response_model=dict[str, str])
async def healthz(request: Request) -> Response:
    """The process is alive: it answers. Restart it when it does not."""
    return JSONResponse({"status": "ok", "version": web_of(request).services.version}, headers=_NO_STORE)


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Ready", response_model=dict[str, Any])
async def readyz(request: Request) -> Response:
    """Whether everything that the server needs is there: 200 if so, else 503, with one line for each check."""
    checks = await web_of(request).services.ready()
    ready = all(c.ok for c in checks)
    body = {
        "status": "ready" if ready else "not ready",
        "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks],
    }
    return JSONResponse(body, 200 if ready else 503, _NO_STORE)


@router.get("/metrics", summary="Metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    body, content_type = web_of(request).metrics.render()
    return Response(body, headers=_NO_STORE | {"Content-Type": content_type})
