"""Answers that go wrong on the way: wrong status, wrong body, no body, no end."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from evertick.simulator.answers import JSON, XML, Answer, body_of, body_response, encode, respond
from evertick.simulator.faults import SPOILED
from evertick.simulator.market import Market
from evertick.simulator.providers import Provider
from evertick.simulator.spoil import spoil
from evertick.simulator.spoil_text import spoil_csv, spoil_xml

TRANSPORT = "evertick.transport"
"""Key of the ASGI scope under which `evertick.simulator.serve` hands over the connection itself."""
CLOSING = "closing"
"""Name of the app's state that is set when the simulator stops: what would wait gives up."""
HANG = 120.0
LATE = 2.0
RETRY_AFTER = {"429": "7", "429far": "864000", "418": "60", "503": "30"}

_CHALLENGE = """<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title><meta charset="utf-8">
<meta name="robots" content="noindex,nofollow"></head><body><div class="main-wrapper" role="main"><noscript>Enable
JavaScript and cookies to continue</noscript></div><script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1">
</script></body></html>"""
_WORK = """<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Checking</title>
</head><body><form method="post" action="/__verify"><input name="nonce"><input name="sha256"></form></body></html>"""
_DOWN = "<!DOCTYPE html><html><head><title>Yahoo</title></head><body><h1>Will be right back...</h1></body></html>"
_CONSENT = """<!DOCTYPE html><html lang="en"><head><title>Your privacy choices</title></head><body><form method="post">
<button name="agree" value="agree">Accept all</button></form></body></html>"""
_DTD = (
    '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a0 "' + "lol" * 8 + '">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]><r>&a9;</r>"
)  # fmt: skip
_RATE_LIMIT = {"error": "Too many requests"}
_ERROR = {"status": "error", "error": "internal error"}
_QUOTA = {"error": "You have used up the requests of the day."}
_BAD_KEY = {"error": "invalid API key"}
_NOT_FOUND = {"error": "not found"}
_UNAUTHORIZED = {"error": "unauthorized"}
_FORBIDDEN = {"error": {"code": 1020, "message": "Access denied"}}
_BAN = {
    "code": -1003,
    "msg": "Way too much request weight used; IP banned. Please use the websocket for live updates to avoid bans.",
}
_LOCATION = {"code": 0, "msg": "Service unavailable from a restricted location according to the terms of use."}

_LIKE: Mapping[str, str] = {"429far": "429", "429date": "429", "quota": "429", "badkey": "401"}
"""Which of a provider's own answers serves for a fault that it has none of its own for."""

Handler = Callable[[], Awaitable[Answer]]


async def broken(kind: str, provider: Provider, market: Market, request: Request, handler: Handler) -> Response:
    """The answer to ``request`` with the fault ``kind``; ``handler`` makes the right one."""
    if kind in SPOILED:
        answer = await handler()
        if answer.status != 200:
            return respond(request, answer)
        return respond(request, replace(answer, payload=_spoiled(kind, answer)))
    if (own := provider.failures.get(kind) or provider.failures.get(_LIKE.get(kind, ""))) is not None:
        return _own(kind, own(market, request) if callable(own) else own)
    if (fixed := _fixed(kind, request)) is not None:
        return fixed
    if kind in ("reset", "close", "garbage", "badchunk", "tls"):
        return Severed(kind)
    if kind == "hang":
        return Severed("close", after=HANG)
    if kind == "late":
        await _wait(request, LATE)
        return respond(request, await handler())
    return _damaged(kind, request, await handler())


def _spoiled(kind: str, answer: Answer) -> Any:
    if answer.media == JSON:
        return spoil(kind, answer.payload)
    text = body_of(answer).decode()
    return spoil_csv(kind, text) if "csv" in answer.media else spoil_xml(kind, text) if "xml" in answer.media else text


def _own(kind: str, answer: Answer) -> Response:
    """What the provider itself says, with ``Retry-After`` where the fault has one and the provider none."""
    return Response(body_of(answer), answer.status, _retry_after(kind) | answer.headers, answer.media)


def _retry_after(kind: str) -> dict[str, str]:
    if kind == "429date":
        return {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)}
    return {"retry-after": RETRY_AFTER[kind]} if kind in RETRY_AFTER else {}


def _fixed(kind: str, request: Request) -> Response | None:
    """Answers that do not depend on the right one."""
    html: dict[str, tuple[int, str]] = {
        "challenge": (200, _CHALLENGE), "pow": (200, _WORK), "down": (200, _DOWN), "401html": (401, _page("401 Unauthorized")),
        "403html": (403, _page("403 Forbidden")), "500": (500, _page("500 Internal Server Error")),
        "502": (502, _page("502 Bad Gateway")), "503": (503, _page("503 Service Unavailable")),
        "504": (504, _page("504 Gateway Time-out")),
    }  # fmt: skip
    json: dict[str, tuple[int, Any]] = {
        "200ratelimit": (200, _RATE_LIMIT), "401": (401, _UNAUTHORIZED), "403": (403, _FORBIDDEN),
        "429far": (429, _RATE_LIMIT), "429date": (429, _RATE_LIMIT), "200error": (200, _ERROR), "quota": (429, _QUOTA),
        "badkey": (401, _BAD_KEY), "echo": (400, _echo(request)), "404": (404, _NOT_FOUND), "418": (418, _BAN),
        "429": (429, _RATE_LIMIT), "451": (451, _LOCATION),
    }  # fmt: skip
    headers = _retry_after(kind)
    if kind in html:
        if kind == "challenge":
            headers["cf-mitigated"] = "challenge"
        return Response(html[kind][1], html[kind][0], headers, "text/html")
    if kind in json:
        return Response(encode(json[kind][1]), json[kind][0], headers, JSON)
    match kind:
        case "429text":
            return Response("Edge: Too Many Requests", 429, media_type="text/plain")
        case "204":
            return Response(status_code=204)
        case "redirect":
            return Response(
                status_code=302, headers={"location": "/consent.yahoo.com/v2/collectConsent?sessionId=simulated"}
            )
        case "loop":
            return Response(status_code=302, headers={"location": str(request.url)})
        case "dtd":
            return Response(_DTD, media_type=XML)
    return None


def _damaged(kind: str, request: Request, answer: Answer) -> Response:
    """The right answer, and something happens to its bytes; or others in their place, of the same type."""
    body, media = body_of(answer), answer.media
    match kind:
        case "empty":
            return Response(b"", media_type=media)
        case "endless":
            return _Unbounded(_endless(request, body), media_type=media)
        case "deep":
            return Response(_deep(media), media_type=media)
        case "bomb":
            return Response(_bomb(), headers={"content-encoding": "gzip"}, media_type=media)
        case "badgzip":
            return Response(
                b"\x1f\x8b" + b"not gzip at all" * 8, headers={"content-encoding": "gzip"}, media_type=media
            )
        case "truncated":
            return body_response(request, body[: len(body) // 2], media=media)
        case "html":
            return Response(_DOWN, media_type=media)
        case "bom":
            return body_response(request, b"\xef\xbb\xbf" + body, media=media)
        case "utf16":
            return body_response(request, body.decode("utf-8", "replace").encode("utf-16"), media=media)
        case "trailing":
            return body_response(request, body + body[:64] + b"<!-- cached -->", media=media)
        case "headers":
            return body_response(request, body, headers={"x-padding": "x" * (256 << 10)}, media=media)
        case "wrongtype":
            return body_response(request, body, media="text/html; charset=utf-8")
        case "badutf8":
            middle = body.index(b'"') + 1 if b'"' in body else 0
            return Response(body[:middle] + b"\xff\xfe\xc3\x28" + body[middle:], media_type=media)
        case "cut":
            return Severed("cut", body, media=media)
        case "drip":
            return _Unbounded(_drip(request, body), media_type=media)
    raise AssertionError(f"no answer for the fault {kind}")


def consent() -> Response:
    """The page that the fault ``redirect`` leads to."""
    return Response(_CONSENT, media_type="text/html")


def _page(title: str) -> str:
    return f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"


def _echo(request: Request) -> dict[str, str]:
    """A refusal that says back what was asked, as some do, with the key in it wherever it was sent."""
    told = {name: value for name, value in request.headers.items() if "key" in name or "token" in name}
    told |= {"authorization": request.headers["authorization"]} if "authorization" in request.headers else {}
    return {
        "error": f"Cannot serve {request.method} {request.url} {told}",
        "Information": f"Your request: {request.url}",
    }


def _deep(media: str) -> bytes:
    if "xml" in media:
        return b"<r>" * 200_000 + b"</r>" * 200_000
    if "csv" in media:
        return b'Date,Close\n"' + b"9" * 400_000 + b'",1\n'
    return b"[" * 200_000 + b"]" * 200_000


@cache
def _bomb() -> bytes:
    """A gzip stream of "[", 64 MB of spaces and "]", made from one block repeated: a full flush leaves no reference back."""
    spaces = b" " * (1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(b"[") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH)
    tail = packer.compress(b"]") + packer.flush()
    crc = zlib.crc32(b"[")
    for _ in range(64):
        crc = zlib.crc32(spaces, crc)
    trailer = struct.pack("<II", zlib.crc32(b"]", crc), 64 * len(spaces) + 2)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + head + block * 64 + tail + trailer


# --- slow ------------------------------------------------------------------------------------------------------------


async def _wait(request: Request, seconds: float) -> bool:
    """Wait; `True` if the simulator stopped meanwhile."""
    closing: asyncio.Event | None = getattr(request.app.state, CLOSING, None)
    if closing is None:
        await asyncio.sleep(seconds)
        return False
    try:
        await asyncio.wait_for(closing.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _drip(request: Request, body: bytes) -> AsyncIterator[bytes]:
    for i in range(len(body)):
        yield body[i : i + 1]
        if await _wait(request, 1.0):
            return


async def _endless(request: Request, body: bytes) -> AsyncIterator[bytes]:
    """The answer over and over."""
    piece = body * (65536 // len(body) + 1)
    while True:
        yield piece
        if await _wait(request, 0.002):
            return


class _Unbounded(StreamingResponse):
    """Ends quietly when the client has gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except OSError:
            return


# --- the connection itself -------------------------------------------------------------------------------------------


_WRITTEN: Mapping[str, bytes] = {
    "garbage": b"\x00\x01\x02 this is not the protocol you are looking for\r\n\r\n",
    "badchunk": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nmany\r\n{}\r\n0\r\n\r\n",
    "tls": b"\x15\x03\x03\x00\x02\x02\x28",
}


class Severed(Response):
    """No answer, or part of one, and the connection is gone.

    With a server that hands over the connection (`evertick.simulator.serve`) a ``reset`` really is one; under any other
    ASGI server the answer breaks off.
    """

    def __init__(self, how: str, body: bytes = b"", after: float = 0.0, media: str = JSON) -> None:
        super().__init__(body, media_type=media)
        self._how, self._after = how, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._after:
            await _until_gone(Request(scope), receive, self._after)
        if self._how == "cut":
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        transport: asyncio.Transport | None = scope.get(TRANSPORT)
        if transport is None:
            raise ConnectionResetError(f"the simulator breaks off: {self._how}")
        if self._how == "reset":
            _linger_no_more(transport)
            transport.abort()
        elif not transport.is_closing():  # whoever asked may have gone by himself
            transport.write(_WRITTEN.get(self._how, b""))
            transport.close()
        # the server learns of it before the application returns
        while (await receive())["type"] != "http.disconnect":
            pass


async def _until_gone(request: Request, receive: Receive, seconds: float) -> None:
    """Wait until the client goes, the simulator stops, or ``seconds`` have passed."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waiting = {asyncio.ensure_future(gone()), asyncio.ensure_future(_wait(request, seconds))}
    _, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _linger_no_more(transport: asyncio.Transport) -> None:
    """Make the next close send RST instead of FIN."""
    theirs = transport.get_extra_info("socket")
    if theirs is None:
        return
    with socket.socket(fileno=os.dup(theirs.fileno())) as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
