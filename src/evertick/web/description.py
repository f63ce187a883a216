"""The OpenAPI document, made by a process of its own: ``python -m evertick.web.description`` prints it.

A server runs without docstrings (`evertick.lean`), and they are what the document says of each route. It is asked for
seldom, while what makes it would stay in memory for good: 2.6 MB.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import zlib
from collections.abc import Callable
from typing import Any

from evertick.errors import EvertickError

MADE_WITHIN_S = 60.0


class Description:
    """The document of one application: made when it is first asked for, then kept packed (50 KB)."""

    def __init__(self, version: str, here: Callable[[], dict[str, Any]]) -> None:
        """``here`` makes it in this process, where that has docstrings."""
        self._version = version
        self._here = here
        self._packed: bytes | None = None
        self._making = asyncio.Lock()

    async def document(self) -> bytes:
        async with self._making:
            if self._packed is None:
                made = _json(self._here()) if sys.flags.optimize < 2 else await described(self._version)
                self._packed = zlib.compress(made)
            return zlib.decompress(self._packed)


async def described(version: str) -> bytes:
    """The document as JSON, by another process. Raises `EvertickError` when that fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "evertick.web.description", version,
        env={**os.environ, "PYTHONOPTIMIZE": ""},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(MADE_WITHIN_S):
            document, said = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise EvertickError(
            f"the reference of the API could not be made: {last or f'exit code {process.returncode}'}",
            hint="python -m evertick.web.description makes it by hand.",
        )
    return document


def main(version: str = "") -> None:
    from evertick.web.app import bare_app

    sys.stdout.buffer.write(_json(bare_app(version).openapi()))


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


if __name__ == "__main__":
    main(*sys.argv[1:2])
