"""Renders the templates and sends them. Jinja is imported by the first page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from evertick.desks import Desk, Desks
from evertick.errors import AssetsMissing
from evertick.web.auth import Access
from evertick.web.pages import format
from evertick.web.problems import Problem, problem_response, title
from evertick.web.replies import accepts_gzip
from evertick.web.services import Services
from evertick.web.static import Assets

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent.parent / "templates"
SWITCHED = 12
"""Desks in the header; the page of desks has all of them."""
SLICE_S = 0.004
"""How long a page may be rendered before other requests get a turn."""


@dataclass(frozen=True, slots=True)
class Switch:
    """What the header offers: the first desks, and how many there are. ``all``: the page can also show all of them at once."""

    path: str
    desk: Desk | None
    desks: Sequence[Desk]
    count: int
    all: bool


class Pages:
    def __init__(self, services: Services, access: Access, assets: Assets, desks: Desks) -> None:
        self._services, self._access, self._assets, self._desks = services, access, assets, desks
        self._environment: Environment | None = None

    async def send(
        self,
        request: Request,
        template: str,
        /,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        desk: Desk | None = None,
        **values: Any,
    ) -> Response:
        """The page of ``template`` with ``values`` and what every page has; packed where the browser takes it.

        ``desk`` is the one the page is about: it decides the time zone, and what the reader may do.
        """
        body = await self._render(template, self._common(request, desk) | values)
        sent = {"Cache-Control": "no-cache, private", "Vary": "Accept-Encoding, Cookie"} | (headers or {})
        if accepts_gzip(request):
            from isal import igzip

            body = igzip.compress(body, 1, mtime=0)
            sent["Content-Encoding"] = "gzip"
        return HTMLResponse(body, status, sent)

    async def error(self, request: Request, problem: Problem) -> Response:
        """A problem as a page; as a document where not even a page can be made."""
        try:
            return await self.send(
                request,
                "error.html",
                status=problem.status,
                headers=problem.headers | {"Cache-Control": "no-store"},
                problem=problem,
                title=title(problem.status),
            )
        except AssetsMissing:
            return problem_response(problem, request.url.path)

    def _common(self, request: Request, desk: Desk | None) -> dict[str, Any]:
        now = self._services.clock.now()
        zone = desk.timezone if desk is not None else self._services.settings.timezone
        return {
            "reader": self._access.page(request, desk or self._the_one),
            "path": request.url.path,
            "desk": desk,
            "switch": self._switch(request, desk),
            "of_desk": self._of_desk(desk),
            "css": self._assets.address("site.css"),
            "js": self._assets.address("site.js"),
            "notice": self._services.settings.notice,
            "version": self._services.version,
            "zone": zone,
            "now": now,
            "when": format.When(zone, now),
        }

    @property
    def _the_one(self) -> Desk | None:
        return self._desks.first if self._desks.only_default else None

    def _of_desk(self, desk: Desk | None) -> str:
        """What an address needs behind it to lead to the same desk; nothing where there is one only."""
        return "" if desk is None or self._desks.only_default else f"?desk={desk.id}"

    def _switch(self, request: Request, desk: Desk | None) -> Switch | None:
        """The desks to choose among, where there is something to choose."""
        if len(self._desks) < 2:
            return None
        reader = self._access.known(request)
        found = [d for d in self._desks if reader.may_read(d)]
        if len(found) < 2:
            return None
        path = request.url.path if request.url.path in ("/", "/reports") else "/"
        return Switch(path, desk, found[:SWITCHED], len(found), path == "/reports" and reader.everything)

    async def _render(self, template: str, values: dict[str, Any]) -> bytes:
        pieces, turn = [], time.perf_counter()
        for piece in self.environment.get_template(template).generate(values):
            pieces.append(piece)
            if time.perf_counter() - turn > SLICE_S:
                await asyncio.sleep(0)
                turn = time.perf_counter()
        return "".join(pieces).encode()

    @property
    def environment(self) -> Environment:
        if self._environment is None:
            from jinja2 import Environment, FileSystemLoader, StrictUndefined

            self._environment = Environment(
                loader=FileSystemLoader(TEMPLATES),
                autoescape=True,
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                auto_reload=False,
            )
            self._environment.filters.update(
                age=format.age, size=format.size, seconds=format.seconds, signed=format.signed, iso=format.iso
            )
            self._environment.globals["until"] = format.until
        return self._environment
