"""Reads instrument cards, each as a whole: most of a report's numbers are theirs.

What a card's statistics and bars must show is written once (`Plain`) and read by every language: a number is then one
comparison of two strings. What does not compare at once (a unit behind it, millions and billions, another percent sign) is read
by the rules of the language, and so is everything that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import unescape
from typing import Any

from evertick.reports.blocks import Card, Figure, Number, Table
from evertick.reports.check.account import LOOSE, TAG_SEEN, Account
from evertick.reports.check.figures import ENDS, Figures
from evertick.reports.check.promises import STATISTICS
from evertick.reports.check.tables import CELL, Tables
from evertick.reports.findings import NAN, Facts
from evertick.reports.shown import bare, form, told

_AXIS = re.compile(r'<text class="t[xy]"[^>]*>[^<]*</text>')
_STATISTIC = re.compile(r"<dt>(.*?)</dt><dd[^>]*>(.*?)</dd>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Plain:
    """Values with their plain forms (`evertick.reports.shown.form`); an empty one is read by the rules of the language."""

    values: Sequence[Any]
    forms: Sequence[str]
    numbers: Sequence[float]

    @staticmethod
    def of(values: Sequence[Any]) -> Plain:
        known = [v.value if v.value is not None else NAN for v in values if type(v) is Number]
        return Plain(values, [_form(v) for v in values], known)


def _form(value: Any) -> str:
    if type(value) is not Number or value.value is None or value.style == "compact" or value.value - value.value != 0:
        return ""
    text = form(value, value.value)
    return f"{text}%" if value.style == "percent" else text


@dataclass(frozen=True, slots=True)
class Expected:
    """What one card must show, without what only the renderer needs; shared by the pages of all languages."""

    card: Card
    statistics: Plain
    bars: Table | None
    rows: Sequence[Plain]
    year: Figure | None

    @staticmethod
    def of(card: Card) -> Expected:
        rows = [Plain.of(row) for row in card.bars.rows] if card.bars else []
        return Expected(
            replace(card, chart=None, bars=None, year=None, drawn={}),
            Plain.of([value for _, value in card.statistics]),
            None if card.bars is None else replace(card.bars, rows=()),
            rows,
            None if card.year is None else replace(card.year, data={"series": ()}, drawn={}),
        )


class Cards:
    START, END = '<details class="card"', "</details>"

    def __init__(self, account: Account, tables: Tables, figures: Figures) -> None:
        self._account = account
        self._tables = tables
        self._figures = figures
        self._html = ""
        self._at = 0
        self._passed = 0

    def card(self, expected: Expected, html: str) -> None:
        """``html`` is the card from `START` up to `END`."""
        account, card = self._account, expected.card
        name = account.name
        self._html, self._at = html, 0
        self._passed = 0
        facts = account.findings.get(card.id)
        if facts is None:
            account.fail(f"there are no facts of {card.id}")
        if (summary := self._piece(self.START, "</summary>")) is not None:
            self._summary(card, summary, facts)
        for sentence in card.sentences:
            account.name = f"{name}, rule {sentence.rule}"
            if (text := self._piece('<span class="s', "</span>")) is not None:
                account.sentence(sentence, text)
        account.name = f"{name}, figure"
        if expected.year is not None and (figure := self._piece("<figure ", "</figure>")) is not None:
            self._year(expected.year, figure)
        account.name = name
        if card.statistics and (listed := self._piece('<dl class="stats">', "</dl>")) is not None:
            self._statistics(expected, listed, facts)
        if expected.bars is not None:
            self._bars(expected, expected.bars)
            account.name = name
        if (foot := self._piece('<p class="card-foot">', "</p>")) is not None:
            account.compare(bare(foot), *(value for value in (card.as_of, card.source) if value is not None))
        account.gap(self._html[self._passed :])

    def _piece(self, start: str, end: str, aside: frozenset[str] = frozenset()) -> str | None:
        """The next block of the card; what stands before it has no numbers but ``aside``."""
        begin = self._html.find(start, self._at)
        stop = self._html.find(end, begin + len(start)) if begin >= 0 else -1
        if stop < 0:
            self._account.fail("is not on the page")
            return None
        if begin - self._passed > 2:
            self._account.gap(self._html[self._passed : begin], aside)
        self._at = self._passed = stop + len(end)
        return self._html[begin:stop]

    def _summary(self, card: Card, html: str, facts: Facts | None) -> None:
        _, _, html = html.partition("<summary>")
        self._account.compare(bare(html.replace("</", " </")), card.name, card.group, card.price, card.change)
        if facts is not None:
            self._account.promise(facts, "price", "Price", card.price)
            self._account.promise(facts, "change", "1D", card.change)

    def _year(self, figure: Figure, html: str) -> None:
        account, name = self._account, self._account.name
        shown = _AXIS.sub("", html)
        labels = TAG_SEEN.findall(shown)
        if len(labels) == 1 and not LOOSE.search(shown):  # nothing but its label and its axes has numbers
            account.compare(unescape(labels[0]), figure.label)
            return
        drawn = self._figures.drawn(figure, name)
        at = html.find(">") + 1
        for end in ENDS.finditer(html, at):
            self._figures.part(drawn, html[at : end.start()], end[1])
            at = end.end()
        self._figures.part(drawn, html[at:], "figure")

    def _statistics(self, expected: Expected, html: str, facts: Facts | None) -> None:
        account, plain = self._account, expected.statistics
        shown = _STATISTIC.findall(html)
        if len(shown) != len(plain.values):
            account.fail(f"{len(shown)} statistics are shown, expected {len(plain.values)}")
            return
        texts = account.grammar.plain("\0".join([text for _, text in shown])).split("\0")
        titles = expected.card.statistics
        for (label, cell), text, want, (title, value) in zip(shown, texts, plain.forms, titles, strict=True):
            if (text != want or not want) and not account.grammar.is_shown(bare(text), value):
                account.fail(f"{title.msgid}: shows {bare(cell)!r}, expected {told(value)}")
            if label != account.grammar.catalogue.text(title.msgid) and bare(label) != account.grammar.name(title):
                account.fail(f"shows {bare(label)!r}, expected {title.msgid!r}")
            if facts is not None and (promised := STATISTICS.get(title.msgid)) is not None:
                account.promise(facts, promised, title.msgid, value)
        account.say(plain.numbers)

    def _bars(self, expected: Expected, table: Table) -> None:
        account, tables = self._account, self._tables
        account.name = f"table {table.id}"
        grammar = account.grammar
        aside = frozenset(shown for text in (table.caption, expected.card.name) for shown in grammar.forms(text))
        if (heads := self._piece(f'<table id="{table.id}">', "</thead>", aside)) is None:
            return
        tables.heads(table, heads)
        for count, row in enumerate(expected.rows, 1):
            if (html := self._piece("<tr", "</tr>")) is None:
                return
            cells = CELL.findall(html)
            plain = grammar.plain("\0".join(cells)).split("\0")
            if not len(plain) == len(cells) == len(row.values):
                account.fail(f"row {count} has {len(cells)} cells for {len(row.values)} values")
                return
            for i, (text, want) in enumerate(zip(plain, row.forms, strict=True)):
                if text != want or not want:
                    self._cell(count, table, i, cells[i], text, row.values[i])
            account.say(row.numbers)

    def _cell(self, row: int, table: Table, i: int, cell: str, text: str, value: Any) -> None:
        """A cell that did not compare at once."""
        if type(value) is not Number:
            wrong = self._tables.other(cell, value, table.columns[i].kind)
        elif self._account.grammar.is_shown(bare(text), value):
            wrong = None
        else:
            wrong = f"shows {bare(cell)!r}, expected {told(value)}"
        if wrong is not None:
            self._account.fail(f"row {row}, {table.columns[i].title.msgid}: {wrong}")
