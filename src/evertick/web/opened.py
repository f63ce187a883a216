"""What of the server a request may see: the desk it is about, and reports and jobs of the desks that are open to its reader.

What is closed to a reader is answered as if it were not there, so that nobody learns of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from evertick.desks import Desk
from evertick.errors import NotFound
from evertick.model import Page, ReportMeta, Slot
from evertick.web.auth import CHALLENGE, Reader
from evertick.web.problems import Problem
from evertick.web.services import Reports
from evertick.web.state import Web, web_of

DeskId = Annotated[
    str | None,
    Query(alias="desk", max_length=32, description="The id of a desk; default: the desk of the token, else the first."),
]


class OpenReports:
    """The reports of ``reports`` whose desk is one that ``may_read`` says yes to."""

    def __init__(self, reports: Reports, may_read: Callable[[str], bool]) -> None:
        self._reports = reports
        self._may_read = may_read
        self._found: set[str] = set()

    async def list(self, limit: int = 20, cursor: str | None = None, desk: str | None = None) -> Page[ReportMeta]:
        page = await self._reports.list(limit=limit, cursor=cursor, desk=desk)
        return Page([meta for meta in page.items if self._may_read(meta.desk)], page.next)

    async def get(self, id: str, /) -> ReportMeta:
        meta = await self._reports.get(id)
        if not self._may_read(meta.desk):
            raise NotFound(f"There is no report {id}.")
        self._found.add(id)
        return meta

    async def part(self, report: str, part: str, /) -> AsyncGenerator[bytes, None]:
        if report not in self._found:
            await self.get(report)
        pieces: Any = self._reports.part(report, part)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def pin(self, id: str, pinned: bool = True, /) -> None:
        await self.get(id)
        await self._reports.pin(id, pinned)

    async def asset_body(self, hash: str, /) -> tuple[str, bytes]:
        return await self._reports.asset_body(hash)


async def desk_of(request: Request, id: str | None) -> Desk:
    """The desk that a request is about, by its id; without one the desk of its token, else the first that is open to it."""
    web = web_of(request)
    reader = await web.access.reader(request)
    if id is not None:
        desk = web.desks.get(id)
        if desk is None or not reader.may_read(desk):
            raise NotFound(f"There is no desk '{id}'.", hint="A desk with a token is seen by whoever sends it.")
        return desk
    if reader.desk is not None and (own := web.desks.get(reader.desk)) is not None:
        return own
    desk = next((desk for desk in web.desks if reader.may_read(desk)), None)
    if desk is None:
        raise Problem(
            401,
            "Every desk of this server is closed: send the token of yours, or sign in at /login.",
            headers=CHALLENGE,
        )
    return desk


async def scope_of(request: Request, id: str | None) -> Desk | None:
    """As `desk_of`, for lists; ``None``: all desks, for a reader to whom all are open and who named none."""
    web = web_of(request)
    if id is None and (web.desks.only_default or (await web.access.reader(request)).everything):
        return None
    return await desk_of(request, id)


async def reports_of(request: Request) -> Reports:
    """The reports that are open to whoever asks."""
    web = web_of(request)
    if not web.access.closed:
        return web.services.reports
    reader = await web.access.reader(request)
    return web.services.reports if reader.everything else OpenReports(web.services.reports, opens(web, reader))


def opens(web: Web, reader: Reader) -> Callable[[str], bool]:
    """Whether a desk, by its id, is open to ``reader``. One that the settings no longer have is open to `Reader.everything`,
    and where no desk is closed."""

    def may_read(id: str) -> bool:
        desk = web.desks.get(id)
        return reader.everything or (not web.access.closed if desk is None else reader.may_read(desk))

    return may_read


async def slot_of(request: Request, id: str) -> Slot:
    """A slot that is open to whoever asks: of one of their desks, or of what is done for all. Raises `NotFound`."""
    web = web_of(request)
    slot = await web.services.ledger.get(id)
    reader = await web.access.reader(request)
    if slot.job == web.services.settings.report_job and not opens(web, reader)(slot.desk):
        raise NotFound(f"there is no job '{id}'", hint="Jobs that ended long ago are pruned")
    return slot


def changing(request: Request, id: str) -> None:
    """Raise `Problem` unless whoever asks, let in by `evertick.web.auth.Writer`, may change this desk."""
    web = web_of(request)
    desk, reader = web.desks.get(id), web.access.known(request)
    if not (reader.everything if desk is None else reader.may_change(desk)):
        raise Problem(
            403, f"Your token does not open the desk '{id}' for changes: that needs its own token, or API_TOKEN."
        )


def unshared(request: Request, desk: str, response: Response) -> Response:
    """What is of a closed desk is not for the caches between."""
    found = web_of(request).desks.get(desk)
    if web_of(request).access.closed and (found is None or found.token is not None):
        response.headers["Cache-Control"] = response.headers.get("Cache-Control", "no-cache").replace(
            "public", "private"
        )
        if "private" not in response.headers["Cache-Control"]:
            response.headers["Cache-Control"] += ", private"
        response.headers["Vary"] = "Accept-Encoding, Authorization, Cookie"
    return response
