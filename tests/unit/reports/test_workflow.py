"""The way of a report over a scripted store and renderer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Self

import pytest

from evertick.errors import ArchiveFull, Fenced, NotFound, ReportRejected
from evertick.model import Bars, Instrument, PartMeta, ReportMeta, Slot, SlotState, Snapshot, report_id, slot_id
from evertick.reports.blocks import Cards, Head, Section
from evertick.reports.workflow import make_report, title
from unit.reports import samples
from unit.reports.reading import english

DUE = samples.NOW - timedelta(minutes=1)
SLOT = Slot(slot_id("default", "report", DUE), "default", "report", DUE, SlotState.LEASED, token=7)
ID = report_id(SLOT.id)


class Clock:
    """Stands still but for one millisecond each time it is asked."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return samples.NOW

    def monotonic(self) -> float:
        self.passed += 0.001
        return self.passed

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the workflow never sleeps")


class Asset:
    def __init__(self, kind: str, content: bytes) -> None:
        self.kind, self.size, self.hash = kind, len(content), f"{kind}-{content.decode()}"

    def part(self, name: str, language: str) -> PartMeta:
        return PartMeta(name, language, self.size, self.size, self.hash, self.hash)


class Writer:
    def __init__(self, store: Store, part: str, language: str) -> None:
        self.store, self.part, self.language = store, part, language
        self.content = b""
        self._meta: PartMeta | None = None

    @property
    def meta(self) -> PartMeta:
        assert self._meta is not None
        return self._meta

    async def __aenter__(self) -> Self:
        self.store.log.append(f"open {self.part}")
        return self

    async def write(self, content: bytes) -> None:
        self.store.fail(f"write {self.part}")
        self.content += content

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.store.log.append(f"{'close' if kind is None else 'break'} {self.part}")
        if kind is None:
            self._meta = PartMeta(self.part, self.language, len(self.content), len(self.content), "0" * 64)
            self.store.parts[self.part] = self.content


class Store:
    """Remembers what was asked of it, in order; ``failing`` maps a step to the error it raises."""

    def __init__(self, failing: dict[str, BaseException] | None = None) -> None:
        self.log: list[str] = []
        self.parts: dict[str, bytes] = {}
        self.published: ReportMeta | None = None
        self.failing = failing or {}

    def fail(self, step: str) -> None:
        if step in self.failing:
            raise self.failing[step]

    async def get(self, id: str) -> ReportMeta:
        if self.published is None or self.published.id != id:
            raise NotFound(f"There is no report {id}.")
        return self.published

    async def draft(self, slot: Slot, languages: Sequence[str], created: datetime) -> str:
        self.fail("draft")
        self.log.append(f"draft {','.join(languages)}")
        return report_id(slot.id)

    async def asset(self, kind: str, content: bytes) -> Asset:
        self.log.append(f"asset {kind}")
        return Asset(kind, content)

    def writer(self, report: str, token: int, part: str, *, language: str = "") -> Writer:
        assert (report, token) == (ID, SLOT.token)
        return Writer(self, part, language)

    async def publish(self, slot: Slot, meta: ReportMeta) -> None:
        self.fail("publish")
        self.log.append("publish")
        self.published = meta


class Words:
    def plain(self, value: Any) -> str:
        return english(value)


class Renderer:
    """Walks every block as the real one does, and writes a byte for each."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.words = Words()
        self.heads: list[Head] = []
        self.closed = 0

    def css(self) -> bytes:
        return b"css"

    def js(self) -> bytes:
        return self.language.encode()

    async def render(self, sections: Iterable[Section], head: Head) -> AsyncIterator[bytes]:
        self.heads.append(head)
        try:
            for section in sections:
                for block in section.blocks:
                    if isinstance(block, Cards):
                        async for _ in block.cards:
                            yield b"c"
                    else:
                        yield b"b"
        finally:
            self.closed += 1


class Unchecked:
    """Has no page to read: the scripted renderer writes none."""

    def __init__(self, findings: object) -> None: ...

    def page(self, language: str, words: object, timezone: str, head: Head) -> Unchecked:
        return self

    def follow(self, sections: Iterable[Section]) -> Iterable[Section]:
        return sections

    async def read(self, piece: bytes) -> None:
        """Called before the piece is written, while the page is open."""

    def close(self) -> None: ...


class Desk:
    def __init__(self, store: Store | None = None, languages: Sequence[str] = ("vi", "en")) -> None:
        self.store = store or Store()
        self.renderers = {language: Renderer(language) for language in languages}
        self.told: list[tuple[float, str, str]] = []

    async def make(self, **changed: Any) -> ReportMeta:
        given: dict[str, Any] = {
            "snapshot": samples.snapshot(),
            "bars": samples.bars,
            "store": self.store,
            "renderers": self.renderers,
            "universe": samples.instruments(),
            "clock": Clock(),
            "timezone": "Asia/Ho_Chi_Minh",
            "progress": lambda *step: self.told.append(step),
            "check": Unchecked,
        }
        return await make_report(SLOT, **{**given, **changed})


async def test_a_report_goes_from_draft_to_publication() -> None:
    desk = Desk()
    meta = await desk.make()
    assert desk.store.log == [
        "draft vi,en",
        "asset css",
        "open facts",
        "asset js",
        "open html",
        "asset js",
        "open html_en",
        "close html_en",
        "close html",
        "close facts",
        "publish",
    ]
    assert desk.store.published == meta
    assert [p.part for p in meta.parts] == ["html", "css", "js", "html_en", "js_en"]
    assert {p.part: p.language for p in meta.parts}["css"] == "vi"
    cards = samples.findings().quoted
    assert desk.store.parts["html"].count(b"c") == desk.store.parts["html_en"].count(b"c") == cards


async def test_only_small_metadata_comes_back() -> None:
    meta = await Desk().make()
    assert (meta.id, meta.desk, meta.slot, meta.created, meta.as_of) == (
        ID,
        "default",
        SLOT.id,
        samples.NOW,
        samples.AS_OF,
    )
    assert meta.instruments == samples.findings().quoted
    assert set(meta.headline) == {"vi", "en"}
    assert all(0 < len(text) <= 200 for text in meta.headline.values())
    assert list(meta.stages_s) == ["collect", "analyse", "validate", "draft", "render"]
    assert meta.duration_s > 0
    assert len(json.dumps(asdict(meta), default=str, ensure_ascii=False).encode()) <= 4096


async def test_metadata_stays_small_when_much_is_wrong() -> None:
    statuses = tuple(
        replace(samples.SOURCES[2], name=f"source-{n}", error="a very long story about what went wrong " * 10)
        for n in range(20)
    )
    meta = await Desk().make(snapshot=replace(samples.snapshot(), sources=statuses))
    assert meta.warnings[-1].startswith("and ")
    assert len(json.dumps(asdict(meta), default=str, ensure_ascii=False).encode()) <= 4096


async def test_each_page_is_told_its_place() -> None:
    desk = Desk()
    await desk.make()
    vi, en = (desk.renderers[language].heads[0] for language in ("vi", "en"))
    assert (vi.report, vi.languages, vi.as_of, vi.created) == (ID, ("vi", "en"), samples.AS_OF, samples.NOW)
    assert (vi.css, vi.js, en.css, en.js) == ("css-css", "js-vi", "css-css", "js-en")
    assert vi.headline == en.headline
    assert vi.title.msgid == "Afternoon market report"


async def test_one_language_may_be_chosen() -> None:
    desk = Desk()
    meta = await desk.make(languages=("en",))
    assert [p.part for p in meta.parts] == ["html", "css", "js"]
    assert desk.renderers["vi"].heads == []


async def test_instruments_that_are_not_core_are_in_it_too() -> None:
    rows = [replace(i, core=i.id != "SPX") for i in samples.instruments()]
    meta = await Desk().make(universe=rows)
    assert meta.instruments == samples.findings().quoted


async def test_progress_grows_to_one() -> None:
    desk = Desk()
    await desk.make()
    shares = [share for share, _, _ in desk.told]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.1
    assert shares[-1] == 1.0
    assert list(dict.fromkeys(stage for _, stage, _ in desk.told)) == ["collect", "render", "publish"]


async def test_the_same_slot_makes_the_same_bytes() -> None:
    one, other = Desk(), Desk()
    await one.make()
    await other.make()
    assert one.store.parts == other.store.parts


async def test_a_published_report_is_not_made_again() -> None:
    desk = Desk()
    first = await desk.make()
    desk.store.log.clear()
    assert await desk.make() is first
    assert desk.store.log == []


async def test_rejected_findings_write_nothing() -> None:
    desk = Desk()
    with pytest.raises(ReportRejected, match="no instrument has a quote"):
        await desk.make(snapshot=Snapshot(samples.AS_OF, ()))
    assert desk.store.log == []


@pytest.mark.parametrize("error", [ArchiveFull("no space left"), Fenced("the lease is gone")])
async def test_a_store_that_fails_ends_the_run_and_closes_the_page(error: Exception) -> None:
    desk = Desk(Store({"write html": error}))
    with pytest.raises(type(error)):
        await desk.make()
    assert desk.store.log[-3:] == ["break html_en", "break html", "break facts"]
    assert desk.renderers["vi"].closed == 1
    assert desk.store.published is None


async def test_a_lost_lease_does_not_publish() -> None:
    desk = Desk(Store({"publish": Fenced("the lease is gone")}))
    with pytest.raises(Fenced):
        await desk.make()
    assert desk.store.published is None


async def test_cancelling_leaves_nothing_open() -> None:
    desk = Desk()
    reached = asyncio.Event()

    async def slow(instrument: Instrument) -> Bars:
        if desk.renderers["vi"].heads:
            reached.set()
            await asyncio.Event().wait()
        return samples.make_bars(instrument)

    task = asyncio.create_task(desk.make(bars=slow))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.store.log[-3:] == ["break html_en", "break html", "break facts"]
    assert desk.renderers["vi"].closed == 1
    assert desk.store.published is None


@pytest.mark.parametrize(
    ("hour", "expected"),
    [
        (0, "Overnight"),
        (4, "Overnight"),
        (5, "Morning"),
        (11, "Midday"),
        (14, "Afternoon"),
        (18, "Evening"),
        (23, "Evening"),
    ],
)
def test_the_title_follows_the_hour(hour: int, expected: str) -> None:
    assert title(samples.NOW.replace(hour=hour), "UTC").msgid == f"{expected} market report"


def test_the_hour_is_that_of_the_time_zone() -> None:
    assert title(samples.NOW.replace(hour=23), "Asia/Ho_Chi_Minh").msgid == "Morning market report"
