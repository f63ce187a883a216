"""Renders a stored report again from its saved facts: no provider, no board and no daily bars are asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from evertick.errors import NotFound
from evertick.model import PartMeta, ReportMeta, part_name
from evertick.reports import record
from evertick.reports.blocks import Head
from evertick.reports.catalogue import Catalogue
from evertick.reports.render import Renderer
from evertick.reports.write import first_sentence, write


class Store(Protocol):
    async def get(self, id: str, /) -> ReportMeta: ...

    def part(self, report: str, part: str, /) -> AsyncIterator[bytes]: ...


class Packer(Protocol):
    """The compression of the archive: `evertick.archive.parts.compressor`."""

    def compress(self, content: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Remade:
    """One part that was made again, beside the one that is stored."""

    part: str
    language: str
    size: int
    sha256: str
    """Of the gzip bytes, as that of the stored part."""
    stored: str
    """The sha256 of the stored part."""
    same: bool


async def render_again(store: Store, id: str, packer: Any) -> Sequence[Remade]:
    """Every part of the report, made again; ``packer()`` begins a gzip stream as the archive does.

    Raises `NotFound`, also for a report without facts, and `ReportError` for facts of another version.
    """
    meta = await store.get(id)
    if meta.facts is None:
        raise NotFound(f"Report {id} was made before facts were saved; it cannot be rendered again.")
    heading, findings = await record.heading_and_findings(store.part(id, record.PART))
    made = []
    for part in meta.parts:
        renderer = Renderer(part.language, Catalogue.load(part.language), heading.timezone)
        kind = part.part.partition("_")[0]
        if kind != "html":
            body = _Packed(packer)
            body.add(renderer.css() if kind == "css" else renderer.js())
            made.append(body.ended(part))
            continue
        script = meta.part(part_name("js", part.language, meta.languages))
        style = meta.part("css")
        head = Head(
            meta.id,
            heading.title,
            findings.as_of,
            findings.made,
            heading.languages,
            first_sentence(findings),
            (style and style.asset) or "",
            (script and script.asset) or "",
        )
        page = _Packed(packer)
        async with (
            record.Replay(lambda: store.part(id, record.PART), part.language) as bars,
            aclosing(renderer.render(write(findings, bars), head)) as pieces,  # type: ignore[type-var]
        ):
            async for piece in pieces:
                page.add(piece)
        made.append(page.ended(part))
    return made


class _Packed:
    """Counts and hashes what the archive would store, and keeps nothing of it."""

    def __init__(self, packer: Any) -> None:
        self._stream: Packer = packer()
        self._hash = sha256()
        self._size = 0

    def add(self, content: bytes) -> None:
        self._size += len(content)
        self._hash.update(self._stream.compress(content))

    def ended(self, part: PartMeta) -> Remade:
        self._hash.update(self._stream.flush())
        digest = self._hash.hexdigest()
        return Remade(part.part, part.language, self._size, digest, part.sha256, digest == part.sha256)
