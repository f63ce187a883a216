from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
import structlog

from evertick.web.app import create_app
from unit.web.fakes import World, world

Calls = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


@asynccontextmanager
async def calling(world: World, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application itself, without a server between; an error of the application is an answer."""
    transport = httpx2.ASGITransport(create_app(world.services), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers) as client:
        yield client


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Without structlog's default of drawing every local variable of a traceback, which takes seconds."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture
def calls() -> Calls:
    return calling


@pytest.fixture
def filled() -> World:
    return world()


@pytest.fixture
async def client(filled: World) -> AsyncIterator[Any]:
    async with calling(filled) as client:
        yield client
