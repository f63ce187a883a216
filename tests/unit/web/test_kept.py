"""Pages that are asked for again and again come from memory: the same bytes, within bounds, and no longer than they are there."""

from __future__ import annotations

import asyncio
import gzip
import random
from typing import Any

import pytest

from evertick.web import kept
from evertick.web.kept import Kept, Pages
from evertick.web.static import IMMUTABLE

PACKED = gzip.compress(random.Random(3).randbytes(600_000))


class Routes:
    """Answers every path with the same immutable page, and counts how often it was asked."""

    def __init__(self, body: bytes = PACKED, cache: str = IMMUTABLE) -> None:
        self.body, self.cache = body, cache
        self.asked: list[str] = []
        self.gone = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["method"])
        scope["route"] = "the route"
        headers = [(b"etag", b'"x"'), (b"cache-control", self.cache.encode()), (b"content-encoding", b"gzip"), (b"content-length", str(len(self.body)).encode())]  # fmt: skip
        status = 404 if self.gone else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        for start in range(0, len(body), 65_536):
            await send({"type": "http.response.body", "body": body[start : start + 65_536], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


class World:
    def __init__(self, routes: Routes | None = None) -> None:
        self.routes, self.clock = routes or Routes(), Clock()
        self.pages = Pages(self.clock)
        self.app = Kept(self.routes, stall_s=0.05, pages=self.pages)

    async def get(self, path: str = "/reports/a/vi", **headers: str) -> tuple[int, bytes, dict[bytes, bytes]]:
        given = {"accept-encoding": "gzip"} | {k.replace("_", "-"): v for k, v in headers.items()}
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(k.encode(), v.encode()) for k, v in given.items()]}  # fmt: skip
        told: list[Any] = []

        async def send(message: Any) -> None:
            told.append({**message, "body": bytes(message.get("body", b""))})

        await self.app(scope, None, send)
        assert scope.get("route") == "the route"
        return told[0]["status"], b"".join(m["body"] for m in told), dict(told[0]["headers"])


@pytest.fixture
async def world() -> Any:
    world = World()
    yield world
    world.pages.clear()


async def test_the_third_request_comes_from_memory(world: World) -> None:
    first, second, third, fourth = [await world.get() for _ in range(4)]
    assert first == second == third == fourth
    assert first[1] == PACKED
    assert world.routes.asked == ["GET", "GET"]
    assert world.pages.bytes == len(PACKED)


async def test_who_knows_it_already_gets_no_body(world: World) -> None:
    for _ in range(2):
        await world.get()
    status, body, headers = await world.get(if_none_match='"y", "x"')
    assert (status, body) == (304, b"")
    assert headers == {b"etag": b'"x"', b"cache-control": IMMUTABLE.encode()}
    assert (await world.get(if_none_match='"other"'))[0] == 200
    assert world.routes.asked == ["GET", "GET"]


async def test_what_is_deleted_is_gone(world: World) -> None:
    for _ in range(3):
        await world.get()
    world.routes.gone = True
    world.clock.at += kept.SURE_S
    assert (await world.get())[0] == 404
    assert world.pages.bytes == 0
    assert world.routes.asked == ["GET", "GET", "HEAD", "GET"]


async def test_its_route_is_asked_again_now_and_then(world: World) -> None:
    for _ in range(2):
        await world.get()
    for _ in range(3):
        world.clock.at += kept.SURE_S
        assert (await world.get())[1] == PACKED
        assert (await world.get())[1] == PACKED
    assert world.routes.asked == ["GET", "GET", "HEAD", "HEAD", "HEAD"]


@pytest.mark.parametrize("encoding", ["identity", "br", "gzip;q=0"])
async def test_plain_answers_are_not_kept(world: World, encoding: str) -> None:
    for _ in range(4):
        await world.get(accept_encoding=encoding)
    assert len(world.routes.asked) == 4
    assert world.pages.bytes == 0


@pytest.mark.parametrize("routes", [Routes(cache="no-store"), Routes(body=bytes(kept.LARGEST + 1))])
async def test_what_may_change_or_is_large_is_not_kept(routes: Routes) -> None:
    world = World(routes)
    for _ in range(3):
        await world.get()
    assert (len(routes.asked), world.pages.bytes) == (3, 0)


async def test_memory_is_bounded_and_given_back(world: World) -> None:
    for n in range(40):
        for _ in range(2):
            await world.get(f"/reports/{n}/vi")
        assert world.pages.bytes <= kept.LIMIT
    assert world.pages.bytes > kept.LIMIT - len(PACKED)
    assert len(world.pages._asked) <= kept.REMEMBERED
    world.clock.at += kept.IDLE_S - 1
    await world.get("/reports/39/vi")
    world.clock.at += 2
    world.pages.sweep()
    assert world.pages.bytes == len(PACKED), "only the one that was asked for"
    world.clock.at += kept.IDLE_S
    world.pages.sweep()
    assert (world.pages.bytes, world.pages._timer) == (0, None)


async def test_whoever_asks_next_lets_go_of_what_nobody_asked_for(world: World) -> None:
    """The clock of a soak jumps further than the timer, which goes by the loop's."""
    for n in range(3):
        for _ in range(2):
            await world.get(f"/reports/{n}/vi")
    world.clock.at += kept.IDLE_S
    await world.get("/reports/9/vi")
    assert world.pages.bytes == 0


async def test_pages_asked_for_once_in_turn_are_not_gathered(world: World) -> None:
    for n in range(3 * kept.REMEMBERED):
        await world.get(f"/reports/{n % (2 * kept.REMEMBERED)}/vi")
    assert world.pages.bytes == 0


async def test_who_does_not_read_is_dropped(world: World) -> None:
    for _ in range(2):
        await world.get()
    dropped = asyncio.Event()
    scope = {
        "type": "http", "method": "GET", "path": "/reports/a/vi", "query_string": b"",
        "headers": [(b"accept-encoding", b"gzip")], "extensions": {"evertick.abort": {"now": dropped.set}},
    }  # fmt: skip

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    await world.app(scope, None, send)
    assert dropped.is_set()
