"""Makes the ASGI application. Nothing runs and nothing is opened here; `Services` are open already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from evertick.desks import Desk, Desks, Retention
from evertick.universe import Universe
from evertick.web import kept as kept_pages
from evertick.web import shapes
from evertick.web.auth import Access
from evertick.web.description import Description
from evertick.web.feed import Feed
from evertick.web.guard import Guard
from evertick.web.kept import Kept
from evertick.web.metrics import Metrics, Traffic
from evertick.web.pages import dashboard, reading, sources, system
from evertick.web.pages import desks as desks_page
from evertick.web.pages import memory as memory_page
from evertick.web.pages.pages import Pages
from evertick.web.problems import add_handlers
from evertick.web.routes import desks as desks_api
from evertick.web.routes import indices, jobs, memory, reports, status
from evertick.web.services import Services
from evertick.web.state import Web
from evertick.web.static import Assets
from evertick.web.streams import Streams

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

DESCRIPTION = """Market indices every few minutes, reports every few hours.

Reading is free, but for desks that have a token. What changes something needs `API_TOKEN` (the Authorize button), or the
token of the desk, unless the server is bound to loopback without one. Lists are `{"items", "next"}`: pass `next` as `cursor`. Errors are problem documents (RFC 9457)."""


def create_app(services: Services, lifespan: Lifespan | None = None) -> FastAPI:
    """The application over ``services``.

    ``app.state.web`` is the `Web`. Whoever serves without ASGI lifespan enters ``web.feed.watching()`` around the serving, and
    calls ``web.stop()`` when the server begins to stop, so that the event streams end. ``lifespan`` replaces the default, which
    does both.
    """
    settings = services.settings
    desks = services.desks or _one(services)
    access = Access(settings, services.clock, desks)
    assets = Assets()
    feed = Feed(services.board, services.document, services.universe, services.clock)
    streams = Streams(settings.stream_clients)
    kept = kept_pages.Pages(services.clock.monotonic)
    traffic = Traffic()
    metrics = Metrics(
        traffic,
        version=services.version,
        memory=services.memory.now,
        snapshot=lambda: feed.snapshot,
        streams=lambda: streams.open,
        kept=lambda: kept.bytes,
        now=lambda: services.clock.now().timestamp(),
        budget=lambda: services.account.budget,
    )
    app = bare_app(services.version, lifespan or _lifespan)
    pages = Pages(services, access, assets, desks)
    description = Description(services.version, app.openapi)
    app.state.web = Web(services, access, feed, streams, metrics, assets, pages, kept, desks, description)
    app.add_middleware(Kept, stall_s=settings.stall_s, pages=kept)
    app.add_middleware(
        Guard,
        traffic=traffic,
        check_host=settings.loopback and not access.needs_token,
        hosts=settings.hosts,
        max_body=settings.max_body,
        stopping=streams.stopping.is_set,
        minutes=services.minutes,
    )
    return app


def bare_app(version: str, lifespan: Lifespan | None = None) -> FastAPI:
    """The routes, and what is said of them; there is nothing behind them yet."""
    app = FastAPI(
        title="Evertick",
        version=version,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: "_".join([*map(str, route.tags[:1]), route.name]),
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    add_handlers(app)
    for module in (
        indices, reports, desks_api, jobs, memory, status, dashboard, reading, desks_page, sources, memory_page, system,
    ):  # fmt: skip
        app.include_router(module.router)
    _describe_problems(app)
    return app


def _one(services: Services) -> Desks:
    """The one desk of a server that was told of none."""
    settings = services.settings
    keep = Retention(1, 1, 1)  # nobody asks the web what is kept
    name, rows = settings.desk, tuple(services.universe)
    return Desks([Desk(name, name, rows, settings.locales, settings.timezone, "", keep)], Universe.of(rows))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    web: Web = app.state.web
    async with web.feed.watching():
        yield
    web.stop()


def _describe_problems(app: FastAPI) -> None:
    """`shapes.PROBLEMS` refers to the problem document by name; put it among the components when they are first asked for."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        first = app.openapi_schema is None
        schema = plain()
        if first:
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            components["Problem"] = shapes.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
