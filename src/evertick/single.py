"""A page of a report as one file that needs nothing else: styles and script inside, allowed by their hashes.

The policy stands in the page itself, so that it holds where there is no server, as on ``file://``: nothing is fetched, and
no other script or style runs than the two whose sha256 it names.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from evertick.errors import EvertickError

_HEAD_AT_MOST = 256 << 10
_CHARSET = b'<meta charset="utf-8">'
_END = b"</body>"
_MAIN = b"<main"


class Client(Protocol):
    def download(self, path: str) -> AsyncIterator[bytes]: ...


async def export_single(client: Client, meta: Any, language: str | None, folder: Path) -> Path:
    """Write the page of ``language`` (the first one unless given) to ``folder``; returns the file.

    The page is streamed; the style sheet and the script are held whole (about 0.4 MB).
    """
    language = language or meta["languages"][0]
    if language not in meta["languages"]:
        raise EvertickError(
            f"report {meta['id']} is not in '{language}'", hint=f"It has {', '.join(meta['languages'])}"
        )
    style = await _asset(client, meta, "css", meta["languages"][0])
    script = await _asset(client, meta, "js", language)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    to = folder / f"evertick-{meta['id']}-{language}.html"
    temporary = to.with_name(to.name + ".part")
    with temporary.open("wb") as file:
        async for piece in single(client.download(f"/reports/{meta['id']}/{language}"), style, script):
            file.write(piece)
    temporary.replace(to)
    return to


async def _asset(client: Client, meta: Any, kind: str, language: str) -> bytes:
    part = next(p for p in meta["parts"] if p["part"].partition("_")[0] == kind and p["language"] == language)
    return b"".join([piece async for piece in client.download(f"/assets/{part['sha256']}.{kind}")])


async def single(page: AsyncIterator[bytes], style: bytes, script: bytes) -> AsyncIterator[bytes]:
    """``page`` with ``style`` and ``script`` inside. Raises `EvertickError` for a page that is not one of ours."""
    style, script = inline(style, "style"), inline(script, "script")
    head = b""
    async for piece in page:
        head += piece
        if _MAIN in head:
            break
        if len(head) > _HEAD_AT_MOST:
            break
    if _MAIN not in head or _CHARSET not in head:
        raise EvertickError("the page does not look like a report of this version")
    top, _, rest = head.partition(_MAIN)
    yield _top(top, style, script)
    rest = _MAIN + rest
    async for piece in page:
        keep = len(_END) + 64
        yield rest[:-keep] if len(rest) > keep else b""
        rest = (rest[-keep:] if len(rest) > keep else rest) + piece
    before, end, after = rest.rpartition(_END)
    if not end:
        raise EvertickError("the page of the report ends too early")
    yield before + b"<script>" + script + b"</script>\n" + end + after


def inline(content: bytes, element: str) -> bytes:
    """``content`` as it can stand in a ``<script>`` or ``<style>``: nothing in it ends or comments out the element."""
    text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
    text = re.sub(rb"<(/%s)" % element.encode(), rb"<\\\1", text, flags=re.IGNORECASE)
    return text.replace(b"<!--", b"<\\!--") if element == "script" else text


def policy(style: bytes, script: bytes | None = None) -> str:
    runs = f"script-src '{_hash(script)}'; " if script is not None else ""
    return f"default-src 'none'; {runs}style-src '{_hash(style)}'; img-src data:; base-uri 'none'; form-action 'none'"


def _hash(content: bytes) -> str:
    return f"sha256-{b64encode(sha256(content).digest()).decode()}"


def _top(top: bytes, style: bytes, script: bytes) -> bytes:
    """What stands above the report: no links to files or to pages of a server, which are not there."""
    top = re.sub(rb'<link rel="stylesheet"[^>]*>\n?', b"", top)
    top = re.sub(rb'<script src="[^>]*></script>\n?', b"", top)
    top = re.sub(rb'<a class="bar-link".*?</a>\n?', b"", top, flags=re.DOTALL)
    top = re.sub(rb'<nav class="languages".*?</nav>\n?', b"", top, flags=re.DOTALL)
    top = top.replace(b'href="/"', b'href="#report"')
    stands = b'<meta http-equiv="Content-Security-Policy" content="' + policy(style, script).encode() + b'">'
    top = top.replace(_CHARSET, _CHARSET + b"\n" + stands, 1)
    return top.replace(b"</head>", b"<style>" + style + b"</style>\n</head>", 1)
