"""Checks a rendered report: every number on the page is a fact, under the right name, and every language says the same.

The blocks go through `Page.follow` on their way to the renderer, which only notes them in a queue; the page comes back to
`Page.read` in the pieces that go to the archive. Each noted block is looked for behind the one before, and its numbers are
read by the rules of the language (`evertick.reports.shown`), so that what waits is never more than about one piece of the page
and its blocks. A number between two blocks is nobody's fact and is refused as well.

What is looked at: sentences and their rules, headings, captions, every cell, the heads, statistics and bars of cards, labels,
legends, tiles and bars of figures. Axes are scales and no facts; the JSON for the page script is not text.
"""

from __future__ import annotations

import asyncio
import re
import time
from array import array
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from hashlib import blake2s
from html import unescape
from math import isfinite
from typing import Any, Protocol
from zlib import crc32

from evertick.errors import ReportRejected
from evertick.reports.blocks import (
    Banner,
    Card,
    Cards,
    Figure,
    Head,
    KeyPoints,
    Name,
    Number,
    Paragraph,
    Section,
    Sentence,
    Spark,
    Table,
    Text,
)
from evertick.reports.findings import NAN, Facts, Findings
from evertick.reports.shown import DASH, NBSP, Catalogue, Grammar, bare, told

REASONS = 12
"""No more are told."""
BITE = 16 * 1024
"""Bytes of a piece that are read at once: as text they take up to four times as much."""
TURN_S = 0.002
"""After so many seconds of work the event loop gets its turn."""
DAYS = 100
"""Dates that are kept as they are written: the tables of all cards show the same ones."""
LONGEST = 4_000_000
"""Characters of a page in which a block must be found."""

_COLUMNS = {
    ("1D", "change"): "change",
    ("24 h", "change"): "change",
    ("1W", "change"): "ret_1w",
    ("1M", "change"): "ret_1m",
    ("3M", "change"): "ret_3m",
    ("YTD", "change"): "ret_ytd",
    ("1Y", "change"): "ret_1y",
    ("Price", "number"): "price",
    ("RSI 14", "number"): "rsi14",
    ("52-week range", "range"): "position_52w",
    ("Volatility 20 D", "number"): "vol20",
    ("Volatility 60 D", "number"): "vol60",
    ("Drawdown", "number"): "drawdown",
    ("Deepest in a year", "number"): "max_drawdown",
    ("Beta 60 D", "number"): "beta60",
    ("z 60 D", "number"): "z60",
    ("Capitalisation", "number"): "market_cap",
}
"""Which fact a column's title promises for the instrument of the row."""
_STATISTICS = {
    "Day low": "day_low",
    "Day high": "day_high",
    "52-week low": "low_52w",
    "52-week high": "high_52w",
    "One week": "ret_1w",
    "One month": "ret_1m",
    "Three months": "ret_3m",
    "Year to date": "ret_ytd",
    "One year": "ret_1y",
    "SMA 20": "sma20",
    "SMA 50": "sma50",
    "SMA 200": "sma200",
    "EMA 12": "ema12",
    "EMA 26": "ema26",
    "MACD": "macd",
    "MACD signal": "macd_signal",
    "MACD histogram": "macd_histogram",
    "RSI 14": "rsi14",
    "Bollinger, lower": "band_lower",
    "Bollinger, upper": "band_upper",
    "ATR 14": "atr14",
    "Volatility 20 D": "vol20",
    "Volatility 60 D": "vol60",
    "Drawdown": "drawdown",
    "Deepest in a year": "max_drawdown",
    "z 60 D": "z60",
    "Beta 60 D": "beta60",
    "Correlation 60 D": "correlation60",
    "Volume": "volume",
    "Capitalisation": "market_cap",
}
"""Which fact the name of a card's statistic promises."""

_TAG_SEEN = re.compile(r'\s(?:aria-label|title|alt|placeholder)="([^"]*\d[^"]*)"')
_UNSEEN = re.compile(r'class="vh">([^<]*)<')
_LOOSE = re.compile(r">[^<]*\d")
_SCRIPT = re.compile(r"<script\b[^>]*>[^<]*</script>")
_CELL = re.compile(r"<t[dh][^>]*>(.*?)</t[dh]>", re.DOTALL)
_STATISTIC = re.compile(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", re.DOTALL)
_SCALES = re.compile(
    r'<script\b[^>]*>[^<]*</script>|<text class="(?:ty|tx|tm|tm odd|dial-end)"[^>]*>[^<]*</text>'
    r'|<(li|p|g) class="(?:times-head|map-key)" aria-hidden="true">.*?</\1>',
    re.DOTALL,
)
"""What a figure shows that is no fact: its axes, the key of its colours and the numbers for the page script."""
_ENDS = re.compile(r"</(li|g|tr|figure)>")


class Words(Protocol):
    @property
    def catalogue(self) -> Catalogue: ...


class Check:
    """The check of one report in all its languages. ``findings`` are the facts its pages are held against."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.pages: list[Page] = []
        self._seals = self._sealed()

    def page(self, language: str, words: Words, timezone: str, head: Head) -> Page:
        """A reader for the page in ``language``, whose times are those of ``timezone``. Of ``words`` only the catalogue is used."""
        page = Page(self.findings, language, Grammar(language, words.catalogue, timezone), head)
        self.pages.append(page)
        return page

    def close(self) -> None:
        """All pages are read. Raises `ReportRejected` when they differ, or when a fact changed while they were made."""
        reasons = [
            f"the facts of {f.id} changed while the report was made"
            for f, before, now in zip(self.findings.facts, self._seals, self._sealed(), strict=True)
            if before != now
        ]
        for page in self.pages[1:]:
            first = self.pages[0]
            reasons += [
                f"section {section}: {page.language} says other numbers than {first.language}"
                for section in dict.fromkeys([*first.said, *page.said])
                if first.said.get(section) != page.said.get(section)
            ]
        _refuse(reasons)

    def _sealed(self) -> array[int]:
        return array("L", (crc32(f.values) for f in self.findings.facts))


def _refuse(reasons: Sequence[str]) -> None:
    if len(reasons) > REASONS:
        reasons = [*reasons[:REASONS], f"and {len(reasons) - REASONS} more"]
    if reasons:
        raise ReportRejected(reasons)


@dataclass(frozen=True, slots=True)
class _Note:
    """A block that went to the renderer: how it begins and ends on the page, who reads it, what a reason calls it."""

    start: str
    end: str
    read: Callable[[str], None]
    name: str
    aside: frozenset[str] = frozenset()
    """Numbers, in plain form, that may stand before it: in the label of the box it is in."""


@dataclass(slots=True)
class _Rows:
    """The table whose rows are read."""

    kinds: Sequence[str]
    titles: Sequence[str]
    promises: Sequence[tuple[int, str]]
    """Columns whose title promises a fact, and which."""
    done: int = 0


@dataclass(slots=True)
class _Drawn:
    """The figure that is read: what its items and the rest of it may show."""

    name: str
    label: Text
    caption: Text
    items: dict[str, list[tuple[Any, tuple[Any, ...]]]] = field(default_factory=dict)
    """By the name an item bears on the page: its name and the values it must show, in order; any one of several."""
    known: set[str] = field(default_factory=set)
    """Plain forms of the numbers that may stand elsewhere in it."""


class Page:
    """Follows one page: what went to the renderer, against what came out of it."""

    def __init__(self, findings: Findings, language: str, grammar: Grammar, head: Head) -> None:
        self.language = language
        self.numbers = 0
        """Facts that were found on the page and are right."""
        self.traced = 0
        """Those of them whose name on the page promises one fact of one instrument, and which are it."""
        self.said: dict[str, bytes] = {}
        """A digest of the numbers of each section, whatever their order in a sentence of the language."""
        self._findings = findings
        self._grammar = grammar
        self._head = head
        self._today = grammar.local(head.created)
        self._days: dict[date, str] = {}
        self._notes: deque[_Note] = deque()
        self._decoder = getincrementaldecoder("utf-8")()
        self._text, self._at = "", 0
        self._reasons: list[str] = []
        self._section, self._name = "head", ""
        self._values = array("d")
        self._titles: list[Section] = []
        self._figure: _Drawn | None = None
        self._note_head()

    # --- what goes to the renderer

    def follow(self, sections: Iterable[Section]) -> Iterator[Section]:
        """The same sections, noting each block when the renderer asks for it."""
        for section in sections:
            self._titles.append(section)
            yield replace(section, blocks=self._blocks(section))

    def _blocks(self, section: Section) -> Iterator[Any]:
        self._note(f'<section id="{section.id}"', "</h2>", partial(self._opened, section), "heading")
        for block in section.blocks:
            yield self._followed(block)

    def _followed(self, block: Any) -> Any:
        match block:
            case Banner():
                self._note_sentences(block.text)
            case KeyPoints():
                self._note_sentences(block.points)
            case Paragraph():
                self._note_sentences(block.sentences)
            case Text():
                self._note('<p class="prose">', "</p>", partial(self._same, block), "text")
            case Figure():
                self._note_figure(block, f"figure {block.id}")
            case Table():
                return self._tabled(block)
            case Cards():
                return Cards(self._cards(block.cards))
        return block

    async def _cards(self, cards: AsyncIterable[Card]) -> AsyncIterator[Card]:
        async for card in cards:
            yield self._carded(card)

    def _carded(self, card: Card) -> Card:
        whole, card = card, replace(card, chart=None, bars=None, year=None)  # what is noted waits, so it is kept small
        name = f"card {card.id}"
        self._note('<details class="card"', "</summary>", partial(self._summary, card), name)
        self._note_sentences(card.sentences, f"{name}, ")
        if whole.year:
            self._note_figure(replace(whole.year, data={"series": ()}), f"{name}, figure")
        if card.statistics:
            self._note('<dl class="stats">', "</dl>", partial(self._statistics, card), name)
        foot = _Note('<p class="card-foot">', "</p>", partial(self._foot, card), name)
        if whole.bars:
            return replace(whole, bars=self._tabled(whole.bars, card.name, foot))
        self._notes.append(foot)
        return whole

    def _tabled(self, table: Table, owner: Name | None = None, behind: _Note | None = None) -> Table:
        name = f"table {table.id}"
        aside = frozenset(form for text in (table.caption, owner) if text for form in self._grammar.forms(text))
        self._note(f'<table id="{table.id}">', "</thead>", partial(self._heads, table), name, aside)
        return replace(table, rows=self._rows(table, name, behind))

    def _rows(self, table: Table, name: str, behind: _Note | None) -> Iterator[Sequence[Any]]:
        columns = table.columns
        promises = [(i, fact) for i, c in enumerate(columns) if (fact := _COLUMNS.get((c.title.msgid, c.kind)))]
        context = _Rows([column.kind for column in columns], [column.title.msgid for column in columns], promises)
        for row in table.rows:
            self._note("<tr", "</tr>", partial(self._row, context, row), name)
            yield row
        if behind is not None:
            self._notes.append(behind)

    def _note(
        self, start: str, end: str, read: Callable[[str], None], name: str, aside: frozenset[str] = frozenset()
    ) -> None:
        self._notes.append(_Note(start, end, read, name, aside))

    def _note_sentences(self, sentences: Iterable[Sentence], within: str = "") -> None:
        for sentence in sentences:
            self._note('<span class="s', "</span>", partial(self._sentence, sentence), f"{within}rule {sentence.rule}")

    def _note_figure(self, figure: Figure, name: str) -> None:
        aside = frozenset(self._grammar.forms(figure.caption))
        self._note("<figure ", ">", partial(self._enter, figure, name), name, aside)

    def _note_head(self) -> None:
        head, grammar = self._head, self._grammar
        long = grammar.day("long", head.as_of)
        times = " ".join((grammar.moment(head.as_of), grammar.moment(head.created), grammar.offset(head.as_of)))
        self._note('<meta name="description"', ">", self._description, "description")
        self._note("<title>", "</title>", partial(self._same, head.title, grammar.day("date", head.as_of)), "title")
        self._note('<p class="kicker">', "</p>", partial(self._same, long), "date")
        self._note("<h1>", "</h1>", partial(self._same, head.title), "title")
        self._note_sentences([head.headline])
        self._note('<dl class="times-of">', "</dl>", partial(self._same, times), "times")
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
            self._fail(f"{self._notes[0].name if self._notes else 'the foot'} is not on the page")
            _refuse(self._reasons)

    def close(self) -> None:
        """The page has ended. Raises `ReportRejected` with what is wrong on it."""
        report = Text("Report {id}", {"id": self._head.report})
        self._note('<p class="foot-id">', "</p>", partial(self._same, report), "foot")
        for _ in self._advance():
            pass
        if self._figure is not None:
            self._fail(f"{self._figure.name} has no end")
        for note in self._notes:
            self._name = note.name
            self._fail("is not on the page")
        self._gap(self._text[self._at :], frozenset())
        self._seal()
        _refuse(self._reasons)

    def _advance(self) -> Iterator[None]:
        """Reads every noted block that is on the page as far as it is known; a step is a row, a sentence or as much."""
        notes = self._notes
        while self._figure is not None or notes:
            if self._figure is not None:
                end = _ENDS.search(self._text, self._at)
                if end is None:
                    return
                html, self._at = self._text[self._at : end.start()], end.end()
                self._part(self._figure, html, end[1])
            else:
                note = notes[0]
                start = self._text.find(note.start, self._at)
                stop = self._text.find(note.end, start + len(note.start)) if start >= 0 else -1
                if stop < 0:
                    return
                notes.popleft()
                self._name = note.name
                if start - self._at > 2:
                    self._gap(self._text[self._at : start], note.aside)
                html, self._at = self._text[start:stop], stop + len(note.end)
                note.read(html)
            yield

    def _fail(self, reason: str) -> None:
        where = f"{self.language}, section {self._section}" if self._section != "head" else f"{self.language}, head"
        self._reasons.append(f"{where}, {self._name}: {reason}" if self._name else f"{where}: {reason}")
        if len(self._reasons) > REASONS:
            _refuse(self._reasons)

    def _gap(self, html: str, aside: frozenset[str]) -> None:
        """What stands between two blocks has no numbers, but those of the label of the box it opens."""
        if "<script" in html:
            html = _SCRIPT.sub("", html)
        texts = [unescape(text) for text in _TAG_SEEN.findall(html)]
        if _LOOSE.search(html):
            texts.append(bare(html))
        for text in texts:
            if (stray := self._grammar.strays(text, aside)) is not None:
                self._fail(f"before it stands {stray!r}, which is no fact")

    def _seal(self) -> None:
        self.said[self._section] = blake2s(self._values.tobytes(), digest_size=16).digest()
        del self._values[:]

    # --- sentences and texts

    def _compare(self, text: str, *values: Any) -> None:
        """Holds the numbers of a plain text against those of ``values``, and remembers these as said."""
        wrong = self._grammar.agrees(text, (item for value in values for item in self._grammar.expected(value)))
        if wrong is not None:
            self._fail(wrong)
        found = sorted(_numbers(values))
        self.numbers += len(found)
        self._values.extend(found)

    def _same(self, *args: Any) -> None:
        *values, html = args
        self._compare(bare(html), *values)

    def _sentence(self, sentence: Sentence, html: str) -> None:
        if f'data-rule="{sentence.rule}"' not in html:
            self._fail("the sentence does not name its rule")
        self._compare(bare(html), sentence)

    def _description(self, html: str) -> None:
        self._compare(unescape(html.partition('content="')[2]), self._head.headline)

    def _opened(self, section: Section, html: str) -> None:
        self._seal()
        self._section = section.id
        self._compare(bare(html.replace("</span>", " ")), section.number, section.title)

    def _contents(self, html: str) -> None:
        listed = [value for section in self._titles for value in (section.number, section.title)]
        self._compare(bare(html.replace("</span>", " ")), *listed)

    # --- tables and cards

    def _heads(self, table: Table, html: str) -> None:
        self._compare(bare(html.replace("</th>", " ")), table.caption, *(column.title for column in table.columns))

    def _row(self, context: _Rows, row: Sequence[Any], html: str) -> None:
        context.done += 1
        cells = _CELL.findall(html)
        plain = self._grammar.plain("\0".join(cells)).split("\0")
        if not len(plain) == len(cells) == len(row):
            self._fail(f"row {context.done} has {len(cells)} cells for {len(row)} values")
            return
        shows, values = self._grammar.is_shown, self._values
        for kind, title, cell, text, value in zip(context.kinds, context.titles, cells, plain, row, strict=True):
            if type(value) is not Number or kind == "range":
                wrong = self._other(cell, value, kind)
            else:
                if "<" in text:
                    text = bare(text)
                wrong = None if shows(text, value) else f"shows {bare(cell)!r}, expected {told(value)}"
                values.append(NAN if value.value is None else value.value)
                self.numbers += 1
            if wrong is not None:
                self._fail(f"row {context.done}, {title}: {wrong}")
        if context.promises:
            self._promised(context, row)

    def _other(self, cell: str, value: Any, kind: str) -> str | None:
        """A cell that is no plain number: a name, a text, a time, a position within a range, a line."""
        if value is None:
            return None if bare(cell) == DASH else f"shows {bare(cell)!r}, expected a dash"
        if kind == "range":
            return self._position(cell, value)
        if isinstance(value, Spark):
            return None
        if isinstance(value, date):
            wanted = self._when(value)
            shown = bare(cell).replace(NBSP, " ")
            return None if shown == wanted.replace(NBSP, " ") else f"shows {shown!r}, expected {wanted!r}"
        shown = bare(cell)
        if type(value) is Name:
            name = self._grammar.catalogue.text(value.text)
            return None if shown == name else f"shows {shown!r}, expected {name!r}"
        return self._grammar.agrees(shown, self._grammar.expected(value))

    def _when(self, value: date) -> str:
        if isinstance(value, datetime):
            return self._grammar.short(value, self._today)
        if value not in self._days:
            if len(self._days) >= DAYS:
                self._days.clear()
            self._days[value] = self._grammar.day("date", value)
        return self._days[value]

    def _position(self, cell: str, value: Any) -> str | None:
        position = value.value if isinstance(value, Number) else value
        if position is None or not isfinite(position):
            return None if bare(cell) == DASH else f"shows {bare(cell)!r}, expected a dash"
        share = Number(min(max(position, 0.0), 1.0) * 100, "percent", 0)
        self._values.append(position)
        self.numbers += 1
        label = _TAG_SEEN.search(cell)
        said = self._grammar.expected(Text("{percent} of the 52-week range", {"percent": share}))
        return self._grammar.agrees(unescape(label[1]) if label else "", said)

    def _promised(self, context: _Rows, row: Sequence[Any]) -> None:
        """Each number under a title that promises a fact is that fact of the instrument the row is about."""
        card = next((value.link for value in row if type(value) is Name and value.link), None)
        facts = self._findings.get(card.removeprefix("card-")) if card else None
        if facts is None:
            return
        for i, name in context.promises:
            if type(value := row[i]) is Number:
                self._promise(facts, name, context.titles[i], value)

    def _promise(self, facts: Facts, name: str, title: str, value: Number) -> None:
        fact = getattr(facts, name)
        if fact != value.value:
            self._fail(f"{title} of {facts.id} is {value.value!r}, but its {name} is {fact!r}")
        self.traced += 1

    def _summary(self, card: Card, html: str) -> None:
        _, _, html = html.partition("<summary>")
        self._compare(bare(html.replace("</", " </")), card.name, card.group, card.price, card.change)
        facts = self._findings.get(card.id)
        if facts is None:
            self._fail(f"there are no facts of {card.id}")
            return
        self._promise(facts, "price", "Price", card.price)
        self._promise(facts, "change", "1D", card.change)

    def _statistics(self, card: Card, html: str) -> None:
        shown = _STATISTIC.findall(html)
        if len(shown) != len(card.statistics):
            self._fail(f"{len(shown)} statistics are shown, expected {len(card.statistics)}")
            return
        facts = self._findings.get(card.id)
        for (label, text), (title, value) in zip(shown, card.statistics, strict=True):
            text = bare(text)
            if bare(label) != self._grammar.catalogue.text(title.msgid):
                self._fail(f"shows {bare(label)!r}, expected {title.msgid!r}")
            if not self._grammar.is_shown(self._grammar.plain(text), value):
                self._fail(f"{title.msgid}: shows {text!r}, expected {told(value)}")
            self._values.append(NAN if value.value is None else value.value)
            self.numbers += 1
            if facts is not None and title.msgid in _STATISTICS:
                self._promise(facts, _STATISTICS[title.msgid], title.msgid, value)

    def _foot(self, card: Card, html: str) -> None:
        self._compare(bare(html), *(value for value in (card.as_of, card.source) if value is not None))

    # --- figures

    def _enter(self, figure: Figure, name: str, html: str) -> None:
        drawn = _Drawn(name, figure.label, figure.caption)
        drawn.known.update(self._grammar.forms(figure.caption))
        for shown, values in _items(figure, self._grammar):
            drawn.items.setdefault(self._grammar.name(shown), []).append((shown, values))
        drawn.known.update(form for value in _loose(figure) for form in self._grammar.forms(value))
        found = sorted(_numbers((figure.label, figure.caption, _data(figure))))
        self._values.extend(found)
        self.numbers += len(found)
        self._figure = drawn
        if figure.kind in ("sparks", "treemap"):
            for item in _data(figure):
                facts = self._findings.get(link.removeprefix("card-")) if (link := item["name"].link) else None
                for fact in ("price", "change"):
                    if facts is not None and isinstance(item.get(fact), Number):
                        self._promise(facts, fact, fact, item[fact])

    def _part(self, figure: _Drawn, html: str, tag: str) -> None:
        """A piece of a figure that ends with an item (``li``, ``g``, ``tr``) or with the figure."""
        html = _SCALES.sub("", f"{html}</{tag}>")
        if tag == "figure":
            self._figure = None
            self._around(figure, html)
            return
        start = max(html.rfind(f"<{tag}>"), html.rfind(f"<{tag} "))
        if start < 0 or 'scope="col"' in html:
            self._around(figure, html)
            return
        self._around(figure, html[:start])
        html = html[start:]
        texts = [unescape(text).strip() for text in _TEXTS.findall(html)]
        texts = [text for text in texts if text]
        if not texts:
            return
        lists = figure.items.get(texts[0]) or figure.items.get(texts[0].rpartition(" ")[0])
        if lists is None:
            self._around(figure, html)
            return
        shown = " ".join((*texts, *map(unescape, _TAG_SEEN.findall(html))))
        wrong = [self._grammar.agrees(shown, self._grammar.expected(wanted)) for wanted in lists]
        if None not in wrong:
            self._fail(f"{texts[0]}: {wrong[0]}")

    def _around(self, figure: _Drawn, html: str) -> None:
        """What is no item: labels say what the figure's label or caption says, other numbers are known to its data."""
        grammar = self._grammar
        for text in (*_TAG_SEEN.findall(html), *_UNSEEN.findall(html)):
            text = unescape(text)
            wrong = grammar.agrees(text, grammar.expected(figure.label))
            if wrong and grammar.agrees(text, grammar.expected(figure.caption)) and grammar.strays(text, figure.known):
                self._fail(wrong)
        if _LOOSE.search(html):
            text = bare(_UNSEEN.sub("><", html).replace("</", " </"))
            if (stray := grammar.strays(text, figure.known)) is not None:
                self._fail(f"shows {stray!r}, which is no fact of it")


_TEXTS = re.compile(r">([^<]+)")
_LAST = range(7)
"""Decimals that the last value of a line may be shown with: as many as its axis needs."""


def _items(figure: Figure, grammar: Grammar) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """What each item of a figure bears as its name, and the values it must show; several times where the room decides."""
    data = figure.data
    match figure.kind:
        case "sparks":
            for item in data["items"]:
                yield item["name"], (replace(item["price"], unit=""), item["change"])
        case "bars" | "share":
            for item in data["items"]:
                yield item["name"], (replace(item["value"], unit=""),)
        case "treemap":
            for item in _data(figure):
                change, short = item["change"], item["short"]
                yield from ((item["name"], shown) for shown in ((change,), (change, short), (change, short, change)))
        case "heatmap":
            for name, cells in zip(data["rows"], data["cells"], strict=True):
                yield name, tuple(cell for cell in cells if cell is not None)
        case "advances":
            for row in data["rows"]:
                yield row["name"], (row["up"], row["down"], row["flat"])
        case "session":
            if data["previous"] is not None:
                yield Text("Previous close"), (data["previous"],)
        case "lines" if len(data["series"]) > 1:
            for one in data["series"]:
                last = next((v for v in reversed(one["values"]) if v is not None and isfinite(v)), None)
                yield one["name"], ()
                yield from ((one["name"], (Number(last, decimals=decimals),)) for decimals in _LAST)
        case "timeline":
            for row in data["rows"]:
                yield row["name"], tuple(grammar.clock(at) for span in row["spans"] for at in span)


def _data(figure: Figure) -> list[Any]:
    """The items of a figure, of all its groups."""
    data = figure.data
    if "groups" in data:
        return [item for group in data["groups"] for item in group["items"]]
    return list(data.get("items", ()))


_KNOWN = frozenset({"sparks", "bars", "share", "treemap", "heatmap", "lines", "area", "timeline"}) | {
    "advances",
    "session",
    "curve",
    "calendar",
}


def _loose(figure: Figure) -> Iterator[Any]:
    """What may stand in a figure outside its items: names of groups and columns, the value of a gauge."""
    data = figure.data
    match figure.kind:
        case "treemap":
            yield from (group["name"] for group in data["groups"])
        case "heatmap":
            yield from data["columns"]
        case kind if kind not in _KNOWN:
            yield from _leaves(data)


def _leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for key, inner in value.items():
                if key != "history":
                    yield from _leaves(inner)
        case list() | tuple():
            for inner in value:
                yield from _leaves(inner)
        case None:
            return
        case _:
            yield value


def _numbers(value: Any) -> Iterator[float]:
    """The numbers of values of the vocabulary, whatever the language makes of them."""
    match value:
        case Number():
            if value.value is not None and isfinite(value.value):
                yield value.value
        case Text():
            yield from _numbers(tuple(value.values.values()))
        case Sentence():
            yield from _numbers(value.text)
        case dict():
            yield from _numbers(tuple(value.values()))
        case tuple() | list():
            for item in value:
                yield from _numbers(item)
        case int():
            yield float(value)
