"""Follows one page: what went to the renderer, against what came out of it.

Each noted block is looked for behind the one before. What waits is never more than about one piece of the page and its blocks.
A number between two blocks is nobody's fact and is refused as well.
"""

from __future__ import annotations

import asyncio
import time
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import unescape
from typing import Any

from evertick.reports import blocks
from evertick.reports.blocks import Banner, Card, Figure, Head, KeyPoints, Paragraph, Section, Sentence, Table, Text
from evertick.reports.check.account import NOTHING, Account, refuse
from evertick.reports.check.cards import Cards, Expected
from evertick.reports.check.figures import ENDS, Drawn, Figures
from evertick.reports.check.tables import Rows, Tables
from evertick.reports.findings import Findings
from evertick.reports.shown import Grammar, bare

BITE = 16 * 1024
"""Bytes of a piece that are read at once: as text they take up to four times as much."""
TURN_S = 0.002
"""After so many seconds of work the event loop gets its turn."""
LONGEST = 4_000_000
"""Characters of a page in which a block must be found."""


@dataclass(frozen=True, slots=True)
class _Note:
    """A block that went to the renderer: how it begins and ends on the page, who reads it, what a reason calls it."""

    start: str
    end: str
    read: Callable[[str], None]
    name: str
    aside: frozenset[str] = NOTHING
    """Numbers, in plain form, that may stand before it: in the label of the box it is in."""


class Page:
    def __init__(self, findings: Findings, language: str, grammar: Grammar, head: Head) -> None:
        self.language = language
        self.account = Account(findings, language, grammar, grammar.local(head.created))
        self._grammar = grammar
        self._tables = Tables(self.account)
        self._figures = Figures(self.account)
        self._cards = Cards(self.account, self._tables, self._figures)
        self._head = head
        self._alike = not findings.written
        """Headline and points say the same in every language: a model words them for each, and may choose other facts."""
        self._notes: deque[_Note] = deque()
        self._decoder = getincrementaldecoder("utf-8")()
        self._text, self._at = "", 0
        self._titles: list[Section] = []
        self._figure: Drawn | None = None
        self._note_head()

    # --- what goes to the renderer

    def follow(self, sections: Iterable[Section]) -> Iterator[Section]:
        """The same sections, noting each block when the renderer asks for it."""
        for section in sections:
            self._titles.append(replace(section, blocks=()))
            yield replace(section, blocks=self._blocks(section))

    def _blocks(self, section: Section) -> Iterator[Any]:
        self._note(f'<section id="{section.id}"', "</h2>", partial(self._opened, section.id, section.number, section.title), "heading")  # fmt: skip
        for block in section.blocks:
            yield self._followed(block)

    def _followed(self, block: Any) -> Any:
        match block:
            case Banner():
                self._note_sentences(block.text)
            case KeyPoints():
                self._note_sentences(block.points, alike=self._alike)
            case Paragraph():
                self._note_sentences(block.sentences)
            case Text():
                self._note('<p class="prose">', "</p>", partial(self.account.same, block), "text")
            case Figure():
                self._note_figure(block)
            case Table():
                return self._tabled(block)
            case blocks.Cards():
                return blocks.Cards(self._carded(block.cards))
        return block

    async def _carded(self, cards: AsyncIterable[Card]) -> AsyncIterator[Card]:
        async for card in cards:
            expected = blocks.once(card, "expected", partial(Expected.of, card))
            self._note(Cards.START, Cards.END, partial(self._cards.card, expected), f"card {card.id}")
            yield card

    def _tabled(self, table: Table) -> Table:
        name = f"table {table.id}"
        aside = frozenset(self._grammar.forms(table.caption))
        empty = replace(table, rows=())
        self._note(f'<table id="{table.id}">', "</thead>", partial(self._tables.heads, empty), name, aside)
        return replace(table, rows=self._rows(table, Rows(table), name))

    def _rows(self, table: Table, context: Rows, name: str) -> Iterator[Sequence[Any]]:
        for row in table.rows:
            self._note("<tr", "</tr>", partial(self._tables.row, context, row), name)
            yield row

    def _note(
        self, start: str, end: str, read: Callable[[str], None], name: str, aside: frozenset[str] = NOTHING
    ) -> None:
        self._notes.append(_Note(start, end, read, name, aside))

    def _note_sentences(self, sentences: Iterable[Sentence], *, alike: bool = True) -> None:
        for sentence in sentences:
            read = partial(self.account.sentence, sentence, alike=alike)
            self._note('<span class="s', "</span>", read, f"rule {sentence.rule}")

    def _note_figure(self, figure: Figure) -> None:
        name = f"figure {figure.id}"
        aside = frozenset(self._grammar.forms(figure.caption))
        self._note("<figure ", ">", partial(self._enter, figure, name), name, aside)

    def _note_head(self) -> None:
        head, grammar, same = self._head, self._grammar, self.account.same
        long = grammar.day("long", head.as_of)
        times = " ".join((grammar.moment(head.as_of), grammar.moment(head.created), grammar.offset(head.as_of)))
        self._note('<meta name="description"', ">", self._description, "description")
        self._note("<title>", "</title>", partial(same, head.title, grammar.day("date", head.as_of)), "title")
        self._note('<p class="kicker">', "</p>", partial(same, long), "date")
        self._note("<h1>", "</h1>", partial(same, head.title), "title")
        self._note_sentences([head.headline], alike=self._alike)
        self._note('<dl class="times-of">', "</dl>", partial(same, times), "times")
        self._note('<nav class="contents"', "</nav>", self._contents, "contents")

    # --- what comes out of it

    async def read(self, piece: bytes) -> None:
        """The next piece of the page. Raises `ReportRejected` when much is wrong already."""
        turn = time.perf_counter()
        for start in range(0, len(piece), BITE):
            self._text = self._text[self._at :]
            self._text += self._decoder.decode(piece[start : start + BITE])
            self._at = 0
            for _ in self._advance():
                if time.perf_counter() - turn >= TURN_S:
                    await asyncio.sleep(0)
                    turn = time.perf_counter()
        if len(self._text) - self._at > LONGEST:
            self.account.fail(f"{self._notes[0].name if self._notes else 'the foot'} is not on the page")
            refuse(self.account.reasons)

    def close(self) -> None:
        """The page has ended. Raises `ReportRejected` with what is wrong on it."""
        report = Text("Report {id}", {"id": self._head.report})
        self._note('<p class="foot-id">', "</p>", partial(self.account.same, report), "foot")
        for _ in self._advance():
            pass
        if self._figure is not None:
            self.account.fail(f"{self._figure.name} has no end")
        for note in self._notes:
            self.account.name = note.name
            self.account.fail("is not on the page")
        self.account.gap(self._text[self._at :])
        self.account.seal("")
        refuse(self.account.reasons)

    def _advance(self) -> Iterator[None]:
        """Reads every noted block that is on the page as far as it is known; a step is a row, a card or as much."""
        notes = self._notes
        while self._figure is not None or notes:
            if self._figure is not None:
                end = ENDS.search(self._text, self._at)
                if end is None:
                    return
                figure, html, self._at = self._figure, self._text[self._at : end.start()], end.end()
                if end[1] == "figure":
                    self._figure = None
                self._figures.part(figure, html, end[1])
            else:
                note = notes[0]
                start = self._text.find(note.start, self._at)
                stop = self._text.find(note.end, start + len(note.start)) if start >= 0 else -1
                if stop < 0:
                    return
                notes.popleft()
                self.account.name = note.name
                if start - self._at > 2:
                    self.account.gap(self._text[self._at : start], note.aside)
                html, self._at = self._text[start:stop], stop + len(note.end)
                note.read(html)
            yield

    def _description(self, html: str) -> None:
        self.account.compare(unescape(html.partition('content="')[2]), self._head.headline, alike=self._alike)

    def _opened(self, id: str, number: int, title: Text, html: str) -> None:
        self.account.seal(id)
        self.account.compare(bare(html.replace("</span>", " ")), number, title)

    def _contents(self, html: str) -> None:
        listed = [value for section in self._titles for value in (section.number, section.title)]
        self.account.compare(bare(html.replace("</span>", " ")), *listed)

    def _enter(self, figure: Figure, name: str, html: str) -> None:
        self._figure = self._figures.drawn(figure, name)
