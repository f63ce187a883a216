"""Hands out what the archive keeps as gzip: as it is to whoever takes gzip, unpacked in a stream to the others.

The memory of an answer is one piece (about 64 KB), whatever the size of the report.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import Request
from starlette.responses import Response

from evertick.model import PartMeta, ReportMeta
from evertick.web.problems import Problem
from evertick.web.replies import accepts_gzip, matches
from evertick.web.services import Services
from evertick.web.static import IMMUTABLE, TYPES
from evertick.web.streams import Body

PIECE = 64 << 10

_TYPES = {"html": "text/html; charset=utf-8", "css": TYPES[".css"], "js": TYPES[".js"], "facts": "application/x-ndjson"}


async def send_part(request: Request, services: Services, meta: ReportMeta, part: PartMeta) -> Response:
    """One part of a report, immutable, with a strong ETag for each coding."""
    kind = part.part.partition("_")[0]
    answer = _Answer(request, part.sha256, _TYPES.get(kind, "application/octet-stream"))
    if answer.known:
        return answer.not_modified()
    if request.method == "HEAD":
        return answer.head(part.stored, part.size)
    if part.asset is not None:
        _, body = await services.reports.asset_body(part.asset)
        return answer.stream(_one(body), len(body), part.size, services.settings.stall_s)
    pieces = await begun(services.reports.part(meta.id, part.part))
    return answer.stream(pieces, part.stored, part.size, services.settings.stall_s)


async def send_asset(request: Request, services: Services, hash: str, kind: str) -> Response:
    """A shared css or js by its content hash. Raises `evertick.errors.NotFound`."""
    answer = _Answer(request, hash, _TYPES[kind])
    if answer.known:
        return answer.not_modified()
    stored, body = await services.reports.asset_body(hash)
    if stored != kind:
        raise Problem(404, f"{hash} is not {kind}, but {stored}.")
    return answer.stream(_one(body), len(body), None, services.settings.stall_s)


class _Answer:
    def __init__(self, request: Request, hash: str, media_type: str) -> None:
        self.packed = accepts_gzip(request)
        etag = f'"{hash}"' if self.packed else f'"{hash}-plain"'
        self.head_only = request.method == "HEAD"
        self.known = matches(request.headers.get("if-none-match"), etag)
        self.media_type = media_type
        self.headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": "Accept-Encoding"}
        if self.packed:
            self.headers["Content-Encoding"] = "gzip"

    def not_modified(self) -> Response:
        self.headers.pop("Content-Encoding", None)
        return Response(None, 304, self.headers)

    def head(self, stored: int, size: int | None) -> Response:
        length = stored if self.packed else size
        if length is not None:
            self.headers["Content-Length"] = str(length)
        return Response(None, 200, self.headers, self.media_type)

    def stream(self, pieces: AsyncGenerator[bytes, None], stored: int, size: int | None, stall_s: float) -> Response:
        if self.head_only:
            return self.head(stored, size)
        length = stored if self.packed else size
        if length is not None:
            self.headers["Content-Length"] = str(length)
        body = pieces if self.packed else unpacked(pieces)
        return Body(body, stall_s=stall_s, headers=self.headers, media_type=self.media_type)


async def _one(body: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]


async def begun(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same pieces, the first of them here already: what is not there is an error of its own, not half a page."""
    walk = _walk(pieces)
    await anext(walk)
    return walk


async def _walk(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    try:
        first = await anext(pieces, b"")
        yield b""  # for `begun`: from here on whoever closes the walk closes the pieces
        yield first
        async for piece in pieces:
            yield piece
    finally:
        if close := getattr(pieces, "aclose", None):
            await close()


async def unpacked(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The plain bytes of one gzip stream, never more than `PIECE` of them at once."""
    from isal import isal_zlib

    inflate = isal_zlib.decompressobj(31)
    async with aclosing(pieces):
        async for piece in pieces:
            while piece:
                plain = inflate.decompress(piece, PIECE)
                piece = inflate.unconsumed_tail
                if plain:
                    yield plain
    if rest := inflate.flush():
        yield rest
