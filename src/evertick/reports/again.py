"""Renders a stored report again from its saved facts: no provider, no board and no daily bars are asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from evertick.errors import NotFound
from evertick.model import PartMeta, ReportMeta, part_name
from evertick.reports import record
from evertick.reports.blocks import Head
from evertick.reports.catalogue import Catalogue
from evertick.reports.findings import Findings
from evertick.reports.render import Renderer
from evertick.reports.roll import Roll
from evertick.reports.sections.cards import cards
from evertick.reports.shelf import Shelf
from evertick.reports.together import Together
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


async def render_again(store: Store, id: str, packer: Any, scratch: Path | None = None) -> Sequence[Remade]:
    """Every part of the report, made again; ``packer()`` begins a gzip stream as the archive does. ``scratch`` is the folder
    for the facts of more than a thousand instruments, as of a report that is made.

    Raises `NotFound`, also for a report without facts, and `ReportError` for facts of another version.
    """
    meta = await store.get(id)
    if meta.facts is None:
        raise NotFound(f"Report {id} was made before facts were saved; it cannot be rendered again.")
    with Roll(scratch) as rows, Shelf(rows, scratch) as shelf:
        heading, findings = await record.heading_and_findings(store.part(id, record.PART), rows, shelf)
        return await _made_again(store, meta, packer, heading, findings)


async def _made_again(
    store: Store, meta: ReportMeta, packer: Any, heading: record.Heading, findings: Findings
) -> Sequence[Remade]:
    made: dict[str, _Packed] = {}
    pages: dict[str, AsyncIterator[bytes]] = {}
    async with record.Replay(store.part(meta.id, record.PART)) as bars, aclosing(cards(findings, bars)) as shared:
        together = Together(shared, sum(_kind(part) == "html" for part in meta.parts))
        for part in meta.parts:
            renderer = Renderer(part.language, Catalogue.load(part.language), heading.timezone)
            body = made[part.part] = _Packed(packer)
            if _kind(part) != "html":
                body.add(renderer.css() if _kind(part) == "css" else renderer.js())
                continue
            script = meta.part(part_name("js", part.language, meta.languages))
            style = meta.part("css")
            head = Head(
                meta.id,
                heading.title,
                findings.as_of,
                findings.made,
                heading.languages,
                first_sentence(findings, part.language),
                (style and style.asset) or "",
                (script and script.asset) or "",
            )
            pages[part.part] = renderer.render(write(findings, together.reader(len(pages)), part.language), head)
        names = list(pages)
        async with aclosing(together.pieces(list(pages.values()))) as pieces:  # type: ignore[type-var]
            async for place, piece in pieces:
                made[names[place]].add(piece)
    return [made[part.part].ended(part) for part in meta.parts]


def _kind(part: PartMeta) -> str:
    return part.part.partition("_")[0]


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
