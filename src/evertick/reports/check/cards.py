"""Reads instrument cards, each as a whole: most of a report's numbers are theirs.

What a card's statistics and bars must show is written once (`Plain`) and read by every language: a number is then one
comparison of two strings. What does not compare at once (a unit behind it, millions and billions, another percent sign) is read
by the rules of the language, and so is everything that is wrong.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import unescape
from typing import Any

from evertick.reports.blocks import Card, Figure, Number, Table
from evertick.reports.check.account import LOOSE, TAG_SEEN, Account, numbers
from evertick.reports.check.figures import ENDS, Figures
from evertick.reports.check.promises import STATISTICS
from evertick.reports.check.tables import CELL, Tables
from evertick.reports.findings import FIELDS, NAN, Facts
from evertick.reports.shown import bare, form, told

_AXIS = re.compile(r'<text class="t[xy]"[^>]*>[^<]*</text>')
_STATISTIC = re.compile(r"<dt>([^<]*(?:<(?!/dt>)[^<]*)*)</dt><dd[^>]*>([^<]*(?:<(?!/dd>)[^<]*)*)</dd>")


@dataclass(frozen=True, slots=True)
class Plain:
    """Values with their plain forms (`evertick.reports.shown.form`); an empty one is read by the rules of the language."""

    values: Sequence[Any]
    forms: Sequence[str]
    numbers: array[float]

    @staticmethod
    def of(values: Sequence[Any]) -> Plain:
        known = array("d", [v.value if v.value is not None else NAN for v in values if type(v) is Number])
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
    titles: Sequence[str]
    promised: Sequence[tuple[int, int, float | None]]
    """Statistics whose title promises a fact: their place, the fact's place among the facts, and what is shown."""
    bars: Table | None
    cells: Plain
    """All rows of the bars, one after the other."""
    rows: int
    year: Figure | None
    summary: Sequence[float]
    """The numbers that its first line says, sorted; the next two alike."""
    sentences: Sequence[Sequence[float]]
    label: Sequence[float]

    @staticmethod
    def of(card: Card) -> Expected:
        rows = list(card.bars.rows) if card.bars else []
        promised = [
            (i, FIELDS.index(STATISTICS[title.msgid]), value.value)
            for i, (title, value) in enumerate(card.statistics)
            if title.msgid in STATISTICS
        ]
        return Expected(
            replace(card, chart=None, bars=None, year=None, drawn={}),
            Plain.of([value for _, value in card.statistics]),
            [title.msgid for title, _ in card.statistics],
            promised,
            None if card.bars is None else replace(card.bars, rows=()),
            Plain.of([value for row in rows for value in row]),
            len(rows),
            None if card.year is None else replace(card.year, data={"series": ()}, drawn={}),
            sorted(numbers((card.name, card.group, card.price, card.change))),
            [sorted(numbers(sentence)) for sentence in card.sentences],
            [] if card.year is None else sorted(numbers(card.year.label)),
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
            self._summary(expected, summary, facts)
        for sentence, said in zip(card.sentences, expected.sentences, strict=True):
            account.name = f"{name}, rule {sentence.rule}"
            if (text := self._piece('<span class="s', "</span>")) is not None:
                account.sentence(sentence, text, said=said)
        account.name = f"{name}, figure"
        if expected.year is not None and (figure := self._piece("<figure ", "</figure>")) is not None:
            self._year(expected.year, expected.label, figure)
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

    def _summary(self, expected: Expected, html: str, facts: Facts | None) -> None:
        card = expected.card
        _, _, html = html.partition("<summary>")
        shown = (card.name, card.group, card.price, card.change)
        self._account.compare(bare(html.replace("</", " </")), *shown, said=expected.summary)
        if facts is not None:
            self._account.promise(facts, "price", "Price", card.price)
            self._account.promise(facts, "change", "1D", card.change)

    def _year(self, figure: Figure, said: Sequence[float], html: str) -> None:
        account, name = self._account, self._account.name
        shown = _AXIS.sub("", html)
        labels = TAG_SEEN.findall(shown)
        if len(labels) == 1 and not LOOSE.search(shown):  # nothing but its label and its axes has numbers
            account.compare(unescape(labels[0]), figure.label, said=said)
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
        grammar, titles = account.grammar, expected.card.statistics
        texts = grammar.plain("\0".join([text for _, text in shown])).split("\0")
        if len(texts) != len(shown):
            account.fail("a statistic is no text")
            return
        if texts != plain.forms:
            for i, (text, want) in enumerate(zip(texts, plain.forms, strict=True)):
                if (text != want or not want) and not grammar.is_shown(bare(text), value := titles[i][1]):
                    account.fail(f"{titles[i][0].msgid}: shows {bare(shown[i][1])!r}, expected {told(value)}")
        if [label for label, _ in shown] != list(map(grammar.catalogue.text, expected.titles)):
            for (label, _), (title, _) in zip(shown, titles, strict=True):
                if bare(label) != grammar.name(title):
                    account.fail(f"shows {bare(label)!r}, expected {title.msgid!r}")
        if facts is not None:
            known = facts.values
            for i, at, fact in expected.promised:
                if known[at] != fact:
                    account.promise(facts, FIELDS[at], titles[i][0].msgid, titles[i][1])
            account.traced += len(expected.promised)
        account.say(plain.numbers)

    def _bars(self, expected: Expected, table: Table) -> None:
        account, tables = self._account, self._tables
        account.name = f"table {table.id}"
        grammar = account.grammar
        aside = frozenset(shown for text in (table.caption, expected.card.name) for shown in grammar.forms(text))
        if (heads := self._piece(f'<table id="{table.id}">', "</thead>", aside)) is None:
            return
        tables.heads(table, heads)
        if (html := self._piece("<tbody>", "</tbody>")) is None:
            return
        # What stands outside of cells, and the cells: one in turn after the other.
        around = CELL.split(html)
        cells = around[1::2]
        del around[1::2]
        plain = grammar.plain("\0".join(cells)).split("\0") if cells else []
        wanted, width = expected.cells, len(table.columns)
        if not len(plain) == len(cells) == len(wanted.values):
            account.fail(f"{expected.rows} rows have {len(cells)} cells for {len(wanted.values)} values")
            return
        starts = around[:-1:width]
        if html.count("<tr") != expected.rows or not all("<tr" in start for start in set(starts)):
            account.fail(f"the cells are not in {expected.rows} rows of {width}")
        for outside in set(around):
            if outside:
                account.gap(f">{outside}")  # it stands behind the end of a tag
        for at in range(width):
            if table.columns[at].kind == "time" and self._tables.are_days(cells[at::width], wanted.values[at::width]):
                continue
            if plain[at::width] != wanted.forms[at::width]:
                for i in range(at, len(plain), width):
                    if plain[i] != wanted.forms[i] or not plain[i]:
                        self._cell(i // width + 1, table, at, cells[i], plain[i], wanted.values[i])
        account.say(wanted.numbers)

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
