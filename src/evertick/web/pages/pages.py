"""Renders the templates and sends them. Jinja is imported by the first page."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import HTMLResponse, Response

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
SLICE_S = 0.004
"""How long a page may be rendered before other requests get a turn."""


class Pages:
    def __init__(self, services: Services, access: Access, assets: Assets) -> None:
        self._services, self._access, self._assets = services, access, assets
        self._environment: Environment | None = None

    async def send(
        self,
        request: Request,
        template: str,
        /,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """The page of ``template`` with ``values`` and what every page has; packed where the browser takes it."""
        body = await self._render(template, self._common(request) | values)
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

    def _common(self, request: Request) -> dict[str, Any]:
        now = self._services.clock.now()
        return {
            "reader": self._access.page(request),
            "path": request.url.path,
            "css": self._assets.address("site.css"),
            "js": self._assets.address("site.js"),
            "notice": self._services.settings.notice,
            "version": self._services.version,
            "zone": self._services.settings.timezone,
            "now": now,
            "when": format.When(self._services.settings.timezone, now),
        }

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
