"""Sections in, pieces of a page out. Neither the page nor a table nor the cards are ever held as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evertick.errors import ReportError
from evertick.reports.blocks import (
    Banner,
    Card,
    Cards,
    Column,
    Figure,
    Head,
    KeyPoints,
    Paragraph,
    Section,
    Sentence,
    Table,
    Text,
    once,
)
from evertick.reports.render import cells, figures
from evertick.reports.render.assets import DIST, report_css, report_js
from evertick.reports.render.chart import chart
from evertick.reports.render.numbers import Numbers, language_name
from evertick.reports.render.words import Catalogue, Words, tone

TEMPLATES = Path(__file__).parent.parent / "templates"
PIECE = 64 * 1024
"""Bytes, about, of what `Renderer.render` yields."""
TURN_S = 0.002
"""After so many seconds of work the event loop gets its turn."""

_BLOCKS: dict[type, str] = {
    Banner: "banner",
    KeyPoints: "keypoints",
    Paragraph: "paragraph",
    Text: "text",
    Table: "table",
    Figure: "figure",
}


class Renderer:
    """Renders reports in one language.

    ``language`` is a tag such as ``vi`` or ``pt-BR``, ``timezone`` an IANA name for every time that is shown, ``assets`` the
    folder of the built style sheet and script. Holds no state of any one report, so that
    one serves for many; the first one takes about 0.1 s longer.
    """

    def __init__(self, language: str, catalogue: Catalogue, timezone: str, assets: Path = DIST) -> None:
        self.language = language
        self.words = Words(catalogue, Numbers(language, timezone))
        self._assets = assets
        self._templates = _environment(language, self.words)
        self._language_names: dict[str, str] = {}

    def css(self) -> bytes:
        """The style sheet, the same for every language and report. Raises `AssetsMissing`."""
        return report_css(self._assets)

    def js(self) -> bytes:
        """The script with the words of this language. Raises `AssetsMissing`."""
        return report_js(self.language, self.words.catalogue, self._assets)

    async def render(self, sections: Iterable[Section], head: Head) -> AsyncIterator[bytes]:
        """The page as UTF-8 in pieces of about 64 KB.

        Gives the event loop its turn about every 2 ms, also between the rows of one table. ``sections`` is walked once, each
        section's blocks when its turn comes. Raises `ReportError` for a block that is none.
        """
        if missing := [code for code in head.languages if code not in self._language_names]:
            await asyncio.to_thread(self._prepare, missing)
        buffer: list[str] = []
        size = 0
        turn = time.perf_counter()
        async for text in self._texts(sections, head):
            buffer.append(text)
            size += len(text)
            if size >= PIECE:
                yield "".join(buffer).encode()
                buffer.clear()
                size = 0
            if time.perf_counter() - turn >= TURN_S:
                await asyncio.sleep(0)
                turn = time.perf_counter()
        if buffer:
            yield "".join(buffer).encode()

    def _prepare(self, languages: Iterable[str]) -> None:
        """What takes too long for the event loop and is done once: compiling the templates, reading languages' names."""
        for code in languages:
            self._language_names[code] = language_name(code)
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    async def _texts(self, sections: Iterable[Section], head: Head) -> AsyncIterator[str]:
        today = self.words.numbers.local(head.created)
        listed = tuple(sections)  # their blocks are lazy; the contents need the titles
        for text in self._filled("head", head=head, sections=listed, language_names=self._language_names):
            yield text
        for section in listed:
            for text in self._filled("section", section=section):
                yield text
            blocks = iter(section.blocks)
            while True:
                block = await asyncio.to_thread(next, blocks, None) if section.slow else next(blocks, None)
                if block is None:
                    break
                if isinstance(block, Cards):
                    yield self._whole("blocks/cards_open")
                    async for card in block.cards:
                        yield self._card(card, today)
                    yield self._whole("blocks/cards_close")
                else:
                    for text in self._block(block, today):
                        yield text
            for text in self._filled("section_end"):
                yield text
        for text in self._filled("foot", head=head):
            yield text

    def _block(self, block: Any, today: date) -> Iterator[str]:
        try:
            name = _BLOCKS[type(block)]
        except KeyError:
            raise ReportError(f"a section holds a {type(block).__name__}, which is not a block") from None

        def rows(table: Table) -> Iterator[Markup]:
            return map(Markup, cells.rows(table, self.words, today))

        return self._filled(f"blocks/{name}", block=block, rows=rows)

    def _card(self, card: Card, today: date) -> str:
        """The card as one text: there are as many as instruments, and each is some 8 KB."""
        words = self.words
        bars = ""
        if (table := card.bars) is not None:
            bars = once(card, "bars", lambda: cells.shared_rows(table)).written(words, today)
        statistics = once(card, "statistics", lambda: cells.shared_statistics(card.statistics))
        return self._whole(
            "blocks/card", block=card, bars=Markup(bars), statistics=Markup(statistics.written(words, today))
        )

    def _whole(self, name: str, **values: Any) -> str:
        return self._templates.get_template(f"{name}.html").render(**values)

    def _filled(self, name: str, **values: Any) -> Iterator[str]:
        return self._templates.get_template(f"{name}.html").generate(**values)


def _environment(language: str, words: Words) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        undefined=StrictUndefined,
    )

    def headings(columns: list[Column]) -> Markup:
        return Markup(cells.headings(columns, words))

    def draw(figure: Figure) -> Iterator[Markup]:
        return map(Markup, figures.draw(figure, words))

    def packed(card: Card) -> Markup:
        return Markup(once(card, "chart", lambda: chart(card.chart or {})))

    def said(sentences: Iterable[Sentence]) -> Markup:
        return Markup("".join([f"{words.sentence(sentence)} " for sentence in sentences]))

    environment.globals |= {
        "language": language,
        "numbers": words.numbers,
        "html": words.markup,
        "plain": words.plain,
        "t": words.say,
        "unit": words.unit,
        "tone": tone,
        "headings": headings,
        "draw": draw,
        "chart": packed,
        "said": said,
    }
    return environment
