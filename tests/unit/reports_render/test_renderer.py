from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from evertick.errors import ReportError
from evertick.reports.blocks import (
    Banner,
    Card,
    Cards,
    Column,
    Figure,
    Head,
    KeyPoints,
    Name,
    Number,
    Paragraph,
    Section,
    Sentence,
    Table,
    Text,
)
from evertick.reports.render import Renderer
from evertick.reports.render.renderer import PIECE, TURN_S
from unit.reports_render.words_for_tests import ZONE, Scripted

AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
SAID = Sentence("market.up", Text("{n} of {total} rose.", {"n": 2, "total": 3}), {"n": 2}, "up")
HEAD = Head("20261123T093000-1bdac559", Text("Markets"), AT, AT, ("vi", "en"), SAID, "c" * 8, "j" * 8)
COLUMNS = [Column(Text("Name"), "name"), Column(Text("Price"))]
VOID = {"meta", "link", "br", "input", "path", "rect", "line", "circle", "col"}


class Balanced(HTMLParser):
    """Fails at the first element that is not closed where it must be; collects ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.styles = 0
        self.inline_scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.styles += "style" in given or tag == "style" or any(name.startswith("on") for name in given)
        self.inline_scripts += tag == "script" and "src" not in given and given.get("type") != "application/json"
        if "id" in given:
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.styles += "style" in dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def renderer(language: str = "en", texts: dict[str, str] | None = None) -> Renderer:
    return Renderer(language, Scripted(language, texts), ZONE)


async def page(*sections: Section, head: Head = HEAD, language: str = "en", texts: dict[str, str] | None = None) -> str:
    return b"".join([piece async for piece in renderer(language, texts).render(sections, head)]).decode()


def table(rows: Any, brief: int | None = None) -> Table:
    return Table("t", Text("All of them"), COLUMNS, rows, brief)


def card(id_: str, **changes: Any) -> Card:
    year = Figure(
        f"year-{id_}", "lines", Text("One year"), Text("Up"), {"dates": [AT.date()], "series": [], "unit": ""}
    )
    bars = {
        "day": [1, 2],
        "open": [1.0, math.nan],
        "high": [1.0, 2.0],
        "low": [1.0, 1.0],
        "close": [1.0, 2.0],
        "decimals": 2,
    }
    values: dict[str, Any] = {
        "id": id_, "name": Name(f"Name of {id_}"), "group": Text("World indices"), "price": Number(5.0, unit="USD"), "change": Number(1.0, "percent", signed=True),
        "as_of": AT, "source": "yahoo", "statistics": [(Text("RSI 14"), Number(54.2, decimals=1))], "sentences": [SAID], "bars": table([]), "year": year, "chart": bars,
    }  # fmt: skip
    return Card(**(values | changes))


async def cards(*given: Card) -> AsyncIterator[Card]:
    for one in given:
        await asyncio.sleep(0)
        yield one


async def test_a_whole_page_is_balanced_and_has_no_inline_script_or_style() -> None:
    text = await page(
        Section(
            "headline",
            1,
            Text("At a glance"),
            [
                Banner("warn", [SAID]),
                KeyPoints([SAID, SAID]),
                Paragraph([SAID]),
                Text("A note."),
                table([[Name("A", "card-A"), Number(1.0)]]),
            ],
        ),
        Section(
            "cards",
            13,
            Text("Instruments"),
            [Cards(cards(card("A"), card("B", bars=None, year=None, chart=None, as_of=None, source=None)))],
            brief=False,
        ),
    )
    found = Balanced()
    found.feed(text)
    assert found.open == []
    assert found.styles == 0
    assert found.inline_scripts == 0
    assert "card-A" in found.ids
    assert "#cards" in found.links
    assert f"/reports/{HEAD.report}/vi" in found.links
    assert '<html lang="en">' in text
    assert f'<link rel="stylesheet" href="/assets/{"c" * 8}.css">' in text
    assert f'<script src="/assets/{"j" * 8}.js" defer></script>' in text
    assert 'class="section full"' in text
    assert text.index("At a glance") < text.index("Name of A") < text.index("</html>")


async def test_speaks_the_language_it_is_made_for() -> None:
    texts = {"Markets": "Thị trường", "{n} of {total} rose.": "{n} trong {total} mã tăng.", "Contents": "Mục lục"}
    text = await page(Section("s", 1, Text("Markets"), [Paragraph([SAID])]), language="vi", texts=texts)
    assert '<html lang="vi">' in text
    assert "<title>Thị trường · 23/11/2026</title>" in text
    assert "2 trong 3 mã tăng." in text
    assert 'aria-label="Mục lục"' in text
    assert 'lang="vi" hreflang="vi" title="Tiếng Việt" aria-current="page"' in text


async def test_one_language_needs_no_switch() -> None:
    head = Head(HEAD.report, HEAD.title, AT, AT, ("en",), SAID)
    text = await page(head=head)
    assert "languages" not in text
    assert "stylesheet" not in text


async def test_escapes_what_the_world_sent() -> None:
    evil = "<script>alert(1)</script>"
    text = await page(
        Section(
            "s",
            1,
            Text("{x}", {"x": evil}),
            [
                table([[Name(evil, evil), Number(1.0, unit=evil)]]),
                Cards(cards(card("A", name=Name(evil), source=evil))),
            ],
        ),
        head=Head(
            "r", Text("{x}", {"x": evil}), AT, AT, ("en",), Sentence(evil, Text("{x}", {"x": evil}), {evil: evil})
        ),
    )
    assert evil not in text
    found = Balanced()
    found.feed(text)
    assert found.inline_scripts == 0


async def test_the_same_blocks_give_the_same_bytes() -> None:
    assert await page(Section("s", 1, Text("S"), [Paragraph([SAID])])) == await page(
        Section("s", 1, Text("S"), [Paragraph([SAID])])
    )


async def test_comes_in_pieces_of_about_one_size_and_never_as_a_whole() -> None:
    made = 0

    def many() -> Iterator[list[object]]:
        nonlocal made
        for i in range(20_000):
            made += 1
            yield [Name(f"Instrument {i}"), Number(float(i))]

    sizes = []
    ahead = []
    async for piece in renderer().render([Section("s", 1, Text("S"), [table(many())])], HEAD):
        sizes.append(len(piece))
        ahead.append(made)
    assert len(sizes) > 10
    assert max(sizes) < PIECE * 1.1
    assert ahead == sorted(ahead)
    assert ahead[0] < 2_000


async def test_the_event_loop_gets_its_turn_within_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is scripted: each look at the clock is a whole turn later, so the loop must run between any two texts."""
    ticks = iter(range(10**9))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) * TURN_S)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    rows = ([Name("A"), Number(1.0)] for _ in range(500))
    async for _ in renderer().render([Section("s", 1, Text("S"), [table(rows)])], HEAD):
        pass
    task.cancel()
    assert turns >= 500


async def test_sections_are_walked_one_after_another() -> None:
    order: list[str] = []

    def blocks(name: str) -> Iterator[Paragraph]:
        order.append(name)
        yield Paragraph([SAID])

    walk = renderer().render([Section(n, i, Text(n), blocks(n)) for i, n in enumerate("abc")], HEAD)
    assert order == []
    assert [piece async for piece in walk]
    assert order == ["a", "b", "c"]


@pytest.mark.parametrize("block", ["text", 5, object(), Number(1.0)])
async def test_what_is_not_a_block_is_an_error(block: object) -> None:
    with pytest.raises(ReportError, match="not a block"):
        await page(Section("s", 1, Text("S"), [block]))


async def test_every_sentence_shows_its_rule_on_demand() -> None:
    text = await page(
        Section(
            "s", 1, Text("S"), [Banner("ok", [SAID]), KeyPoints([SAID]), Paragraph([SAID]), Cards(cards(card("A")))]
        )
    )
    assert len(re.findall(r"""data-rule="market.up" data-inputs='\{"n":2\}'""", text)) == 5
