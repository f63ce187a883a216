"""What a provider answers, before it is bytes: so that it can be spoiled on its way."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from evertick.simulator.market import Market

COMPRESS_FROM = 1024
JSON = "application/json"
CSV = "text/csv"
XML = "text/xml"
HTML = "text/html"
TEXT = "text/plain"


@dataclass(frozen=True, slots=True)
class Answer:
    payload: Any
    """JSON; with any other ``media`` than `JSON` the body itself, text or bytes."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media: str = JSON


Endpoint: TypeAlias = "Callable[[Market, Request], Awaitable[Answer]]"
RouteOf: TypeAlias = "tuple[str, str, Endpoint]"
"""Method, path below the provider's base, endpoint."""
Failure: TypeAlias = "Answer | Callable[[Market, Request], Answer]"


def encode(payload: Any) -> bytes:
    """Compact JSON; NaN and Infinity go through, since some upstreams send them."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def body_of(answer: Answer) -> bytes:
    """The bytes of an answer, uncompressed."""
    if answer.media == JSON:
        return encode(answer.payload)
    return answer.payload if isinstance(answer.payload, bytes) else str(answer.payload).encode()


def respond(request: Request, answer: Answer) -> Response:
    """The answer as the provider would send it, compressed where the client takes it."""
    return body_response(request, body_of(answer), answer.status, answer.headers, answer.media)


def body_response(
    request: Request,
    body: bytes,
    status: int = 200,
    headers: dict[str, str] | None = None,
    media: str = JSON,
) -> Response:
    found = dict(headers or {})
    if len(body) >= COMPRESS_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        from isal import igzip

        body = igzip.compress(body, 1, mtime=0)
        found["content-encoding"] = "gzip"
        found["vary"] = "accept-encoding"
    return Response(body, status, found, media_type=media)
