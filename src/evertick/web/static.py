"""The files that the build made for the pages, under names with their hash, served as immutable."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path

from fastapi import Request
from starlette.responses import Response

from evertick.errors import AssetsMissing
from evertick.web.problems import Problem
from evertick.web.streams import Body

DIST = Path(__file__).parent / "static" / "dist"
ICON = Path(__file__).parent / "static" / "icon.svg"
IMMUTABLE = "public, max-age=31536000, immutable"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
PIECE = 64 << 10


class Assets:
    """``folder`` holds what ``frontend/build.mjs`` wrote. Nothing is read before it is asked for, and no file is kept."""

    def __init__(self, folder: Path = DIST) -> None:
        self.folder = folder
        self._names: dict[str, str] | None = None

    def address(self, name: str) -> str:
        """``site.css`` → ``/static/site-1a2b3c4d.css``. Raises `AssetsMissing`."""
        found = self._manifest().get(name)
        if found is None:
            raise AssetsMissing(f"The page asset {name} is not in this installation.", hint="Run: make install")
        return f"/static/{found}"

    def file(self, name: str) -> Path:
        """The file behind ``/static/{name}``. Raises `Problem` 404 for whatever the manifest does not name."""
        if name not in self._manifest().values():
            raise Problem(404, f"There is no file {name}.")
        return self.folder / name

    def _manifest(self) -> dict[str, str]:
        if self._names is None:
            try:
                self._names = json.loads((self.folder / "manifest.json").read_bytes())
            except (OSError, ValueError) as error:
                raise AssetsMissing("The page assets were not built.", hint="Run: make install") from error
        return self._names


def send_file(request: Request, file: Path, stall_s: float, *, cache: str = IMMUTABLE) -> Response:
    try:
        size = file.stat().st_size
    except OSError as error:
        raise AssetsMissing(f"The file {file.name} is missing.", hint="Run: make install") from error
    headers = {"Cache-Control": cache, "Content-Length": str(size)}
    media_type = TYPES.get(file.suffix, "application/octet-stream")
    if request.method == "HEAD":
        return Response(None, 200, headers, media_type)
    return Body(_pieces(file), stall_s=stall_s, headers=headers, media_type=media_type)


async def _pieces(file: Path) -> AsyncGenerator[bytes, None]:
    # Read on the loop: small pieces of small local files cost less than a thread for them.
    with file.open("rb", buffering=0) as opened:
        while piece := opened.read(PIECE):
            yield piece
