"""What a provider answers, before it is bytes: so that it can be spoiled on its way."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

COMPRESS_FROM = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    payload: Any
    """JSON."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def encode(payload: Any) -> bytes:
    """Compact JSON; NaN and Infinity go through, since some upstreams send them."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def respond(request: Request, answer: Answer) -> Response:
    """The answer as the provider would send it, compressed where the client takes it."""
    return body_response(request, encode(answer.payload), answer.status, answer.headers)


def body_response(
    request: Request,
    body: bytes,
    status: int = 200,
    headers: dict[str, str] | None = None,
    media: str = "application/json",
) -> Response:
    found = dict(headers or {})
    if len(body) >= COMPRESS_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        from isal import igzip

        body = igzip.compress(body, 1, mtime=0)
        found["content-encoding"] = "gzip"
        found["vary"] = "accept-encoding"
    return Response(body, status, found, media_type=media)
