"""The way of a report, top to bottom: collect, analyse, validate, write and render, check, archive, publish.

Values only go forward: each stage takes what the one before returned. What is as large as the report never exists here; it
goes through the renderer and the store's writer in pieces of about 64 KB. What comes back is metadata, at most 4 KB.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from evertick.errors import NotFound
from evertick.model import Bars, Clock, Instrument, PartMeta, ReportMeta, Slot, Snapshot, part_name, report_id
from evertick.reports import record
from evertick.reports.analyse import analyse
from evertick.reports.blocks import Head, Section, Text
from evertick.reports.check import Check
from evertick.reports.collect import BarReader, Intraday, collect
from evertick.reports.findings import MANY, Findings
from evertick.reports.sections.cards import cards as cards_of
from evertick.reports.shelf import Shelf
from evertick.reports.together import Together
from evertick.reports.validate import validate
from evertick.reports.write import first_sentence, write
from evertick.reports.written import Written

T = TypeVar("T")

HEADLINE = 200
"""Characters of a headline that metadata keeps."""
WARNINGS = 1_200
"""Bytes of warnings, as JSON, that metadata keeps."""
TURN = 10
"""Progress is told once for so many instruments."""

Progress = Callable[[float, str, str], None]
"""Share done (0 to 1), the stage, and what it does in plain English."""


class Words(Protocol):
    def plain(self, value: Any) -> str:
        """A sentence or any other value of the blocks as plain text in the language."""


class Reading(Protocol):
    """Holds one rendered page against what was to be on it."""

    def follow(self, sections: Iterable[Section]) -> Iterable[Section]:
        """The same sections, on their way to the renderer."""

    async def read(self, piece: bytes) -> None:
        """A piece of the page. Raises `ReportRejected`, as does ``close``."""

    def close(self) -> None: ...


class Checking(Protocol):
    """The check of all pages of a report: see `evertick.reports.check`."""

    def page(self, language: str, words: Any, timezone: str, head: Head) -> Reading: ...

    def close(self) -> None:
        """All pages are read. Raises `ReportRejected` when they differ."""


class Renderer(Protocol):
    """One language: see `evertick.reports.render`."""

    @property
    def words(self) -> Words: ...

    def css(self) -> bytes: ...

    def js(self) -> bytes: ...

    def render(self, sections: Iterable[Section], head: Head) -> AsyncIterator[bytes]: ...


class Asset(Protocol):
    """A style sheet or script, stored once for many reports."""

    @property
    def hash(self) -> str: ...

    def part(self, name: str, language: str) -> PartMeta: ...


class Writer(Protocol):
    """Takes the bytes of one part; ``meta`` is there once its block has ended well."""

    @property
    def meta(self) -> PartMeta: ...

    async def write(self, content: bytes) -> None: ...


class Store(Protocol):
    """Where the report goes: see `evertick.archive.reports`."""

    async def get(self, id: str) -> ReportMeta: ...

    async def draft(self, slot: Slot, languages: Sequence[str], created: datetime) -> str: ...

    async def asset(self, kind: str, content: bytes) -> Asset: ...

    def writer(
        self, report: str, token: int, part: str, *, language: str = ""
    ) -> AbstractAsyncContextManager[Writer]: ...

    async def publish(self, slot: Slot, meta: ReportMeta) -> None: ...


class Author(Protocol):
    """May word the headline and the key points of a language: see `evertick.reports.writer`."""

    async def write(
        self, language: str, findings: Findings, words: Any, timezone: str
    ) -> tuple[Written | None, Sequence[str]]:
        """The text, or ``None`` where the rules' text stands; and what a keeper of the server should know. Does not fail."""


async def make_report(
    slot: Slot,
    *,
    snapshot: Snapshot,
    bars: BarReader,
    store: Store,
    renderers: Mapping[str, Renderer],
    universe: Iterable[Instrument],
    clock: Clock,
    languages: Sequence[str] | None = None,
    timezone: str = "UTC",
    progress: Progress | None = None,
    intraday: Intraday | None = None,
    scratch: Path | None = None,
    check: Callable[[Findings], Checking] = Check,
    author: Author | None = None,
) -> ReportMeta:
    """Make the report of ``slot`` under its lease and publish it; returns its metadata.

    ``renderers`` maps a language to its renderer; ``languages`` are all of them unless given, the first is the one whose parts
    have bare names. ``timezone`` decides the date. ``intraday`` reads the quotes
    of a session; without it that figure is left out. ``author`` may word what stands at the top. ``scratch`` is the folder for the
    facts of more than a thousand instruments, which lie there in a file without a name. The event loop gets its turn at least
    every 5 ms.

    Raises `ReportRejected` when the findings may not be published or a page does not show them as they are, `Fenced` when the lease was lost, and what ``bars`` and
    ``store`` raise. A draft that was begun stays invisible, and the store's sweeper removes it.
    """
    with suppress(NotFound):  # an earlier attempt may have published, and died before it could say so
        return await store.get(report_id(slot.id))
    languages = tuple(languages or renderers)
    made = clock.now()
    run = _Run(clock, languages, progress)
    rows = tuple(universe)

    with Shelf(rows, scratch) as shelf:
        async with run.stage("collect"):
            collected = await collect(snapshot, bars, rows, made, run.collected, intraday, shelf)
        many = len(rows) > MANY
        async with run.stage("analyse"):
            day = made.astimezone(ZoneInfo(timezone)).date()
            findings = await _turned(
                many,
                analyse,
                collected.facts,
                collected.kept,
                snapshot_as_of=collected.as_of,
                made=made,
                day=day,
                sources=collected.sources,
                intraday=collected.intraday,
            )
        async with run.stage("validate"):
            await _turned(many, validate, findings)
        if author is not None:
            async with run.stage("author"):
                run.tell(0.3, "author", "a model writes the headline")
                findings = await _authored(findings, author, renderers, languages, timezone)
        checked = await _turned(many, check, findings)
        async with run.stage("draft"):
            report = await store.draft(slot, languages, made)
            style = await store.asset("css", renderers[languages[0]].css())
        parts = [style.part("css", languages[0])]
        async with store.writer(report, slot.token, record.PART) as saved, run.stage("render"):
            recorder = record.Recorder(saved)
            heading = title(made, timezone)
            await recorder.begin(record.Heading(report, heading, languages, timezone), findings)
            cards = cards_of(findings, recorder.reader(run.counted(bars, findings.quoted)))
            async with aclosing(cards), AsyncExitStack() as stack:
                together = Together(cards, len(languages))
                pages: list[_Page] = []
                for place, language in enumerate(languages):
                    renderer = renderers[language]
                    script = await store.asset("js", renderer.js())
                    parts.append(script.part(part_name("js", language, languages), language))
                    said = first_sentence(findings, language)
                    head = Head(report, heading, findings.as_of, made, languages, said, style.hash, script.hash)
                    reading = checked.page(language, renderer.words, timezone, head)
                    sections = reading.follow(write(findings, together.reader(place), language))
                    html = store.writer(report, slot.token, part_name("html", language, languages), language=language)
                    pages.append(_Page(renderer.render(sections, head), reading, await stack.enter_async_context(html)))
                async with aclosing(together.pieces([page.pieces for page in pages])) as pieces:  # type: ignore[type-var]
                    async for place, piece in pieces:
                        await pages[place].reading.read(piece)
                        await pages[place].part.write(piece)
                for page in pages:
                    page.reading.close()
            parts += [page.part.meta for page in pages]
        await _turned(many, checked.close)
        headlines = {code: _short(renderers[code].words.plain(first_sentence(findings, code))) for code in languages}
        meta = run.meta(report, slot, findings, parts, headlines, saved.meta)
        run.tell(1.0, "publish", "")
        await store.publish(slot, meta)
        return meta


async def _authored(
    findings: Findings, author: Author, renderers: Mapping[str, Renderer], languages: Sequence[str], timezone: str
) -> Findings:
    """The findings with what the author wrote. One language after the other: a model at home answers one at a time."""
    written: dict[str, Written] = {}
    warnings: list[str] = []
    for language in languages:
        text, said = await author.write(language, findings, renderers[language].words, timezone)
        warnings += said
        if text is not None:
            written[language] = text
    return findings.told(written, warnings)


_EDITIONS = (
    (5, Text("Overnight market report")),
    (11, Text("Morning market report")),
    (14, Text("Midday market report")),
    (18, Text("Afternoon market report")),
    (24, Text("Evening market report")),
)
"""By the hour before which they are made."""


def title(made: datetime, timezone: str) -> Text:
    """The report's title, by the hour of the day in its time zone."""
    hour = made.astimezone(ZoneInfo(timezone)).hour
    return next(text for before, text in _EDITIONS if hour < before)


async def _turned(many: bool, function: Callable[..., T], *args: Any, **named: Any) -> T:
    """``function(…)``, of ``many`` instruments in a thread, so that the event loop gets its turns meanwhile."""
    return await asyncio.to_thread(function, *args, **named) if many else function(*args, **named)


@dataclass(frozen=True, slots=True)
class _Page:
    """One language's page on its way: from the renderer, past the check, to the store."""

    pieces: AsyncIterator[bytes]
    reading: Reading
    part: Writer


class _Run:
    """Takes the time of each stage and tells the progress; knows nothing of what the stages do."""

    def __init__(self, clock: Clock, languages: Sequence[str], progress: Progress | None) -> None:
        self._clock = clock
        self._languages = languages
        self._progress = progress
        self._started = clock.monotonic()
        self.stages: dict[str, float] = {}

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        started = self._clock.monotonic()
        yield
        self.stages[name] = round(self._clock.monotonic() - started, 4)
        await asyncio.sleep(0)

    def tell(self, share: float, stage: str, text: str) -> None:
        if self._progress is not None:
            self._progress(min(1.0, share), stage, text)

    def collected(self, done: int, total: int) -> None:
        """Reading and measuring is a third of the work."""
        if done % TURN == 0 or done == total:
            self.tell(0.3 * done / total, "collect", f"{done} of {total} instruments")

    def counted(self, bars: BarReader, total: int) -> BarReader:
        """``bars``, telling the progress by the cards that ask for them."""
        done = 0

        async def read(instrument: Instrument) -> Bars:
            nonlocal done
            done += 1
            if done % TURN == 0 or done == total:
                self.tell(0.3 + 0.68 * done / max(1, total), "render", f"card {done} of {total}")
            return await bars(instrument)

        return read

    def meta(
        self,
        report: str,
        slot: Slot,
        findings: Findings,
        parts: Sequence[PartMeta],
        headlines: Mapping[str, str],
        facts: PartMeta,
    ) -> ReportMeta:
        order = ("html", "css", "js")
        languages = list(self._languages)
        return ReportMeta(
            id=report,
            desk=slot.desk,
            slot=slot.id,
            created=findings.made,
            as_of=findings.as_of,
            languages=tuple(languages),
            parts=tuple(sorted(parts, key=lambda p: (languages.index(p.language), order.index(p.part.split("_")[0])))),
            headline=headlines,
            instruments=findings.quoted,
            duration_s=round(self._clock.monotonic() - self._started, 4),
            stages_s=self.stages,
            warnings=tuple(_fitting(findings.warnings)),
            facts=facts,
        )


def _fitting(warnings: Iterable[str]) -> Iterator[str]:
    """The first that fit into `WARNINGS` bytes, and how many more there are."""
    left = WARNINGS
    listed = list(warnings)
    for count, warning in enumerate(listed):
        left -= len(json.dumps(warning, ensure_ascii=False).encode()) + 2
        if left < 0:
            yield f"and {len(listed) - count} more"
            return
        yield warning


def _short(text: str) -> str:
    return text if len(text) <= HEADLINE else text[: HEADLINE - 1].rstrip() + "…"
