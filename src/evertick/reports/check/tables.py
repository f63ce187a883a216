"""Reads the rows of tables: each cell against the value that went to the renderer, and against the fact its title promises."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from html import unescape
from math import isfinite
from typing import Any

from evertick.reports.blocks import Column, Name, Number, Spark, Table, Text
from evertick.reports.check.account import TAG_SEEN, Account, numbers
from evertick.reports.check.promises import COLUMNS
from evertick.reports.findings import NAN
from evertick.reports.shown import DASH, NBSP, bare, told

DAYS = 100
"""Dates that are kept as they are written: the tables of all cards show the same ones."""
CELL = re.compile(r"<t[dh][^>]*>([^<]*(?:<(?!/t[dh]>)[^<]*)*)</t[dh]>")


class Rows:
    """One table while its rows are read."""

    __slots__ = ("done", "kinds", "promises", "titles")

    def __init__(self, table: Table) -> None:
        self.kinds = [column.kind for column in table.columns]
        self.titles = [column.title.msgid for column in table.columns]
        self.promises = [
            (i, COLUMNS[key]) for i, key in enumerate(zip(self.titles, self.kinds, strict=True)) if key in COLUMNS
        ]
        """Columns whose title promises a fact, and which."""
        self.done = 0


class Tables:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._days: dict[date, str] = {}
        self._last: tuple[str, Text] | None = None
        self._columns: Sequence[Column] = ()
        self._said: Sequence[float] = ()

    def heads(self, table: Table, html: str) -> None:
        _, _, shown = html.partition(">")
        if self._last == (shown, table.caption) and self._columns is table.columns:
            self._account.say(self._said)  # as on the card before, letter by letter
            return
        titles = [column.title for column in table.columns]
        faults = len(self._account.reasons)
        self._account.compare(bare(shown.replace("</th>", " ")), table.caption, *titles)
        if len(self._account.reasons) == faults:
            self._last, self._columns = (shown, table.caption), table.columns
            self._said = sorted(numbers((table.caption, *titles)))

    def row(self, context: Rows, row: Sequence[Any], html: str) -> None:
        account = self._account
        context.done += 1
        cells = CELL.findall(html)
        plain = account.grammar.plain("\0".join(cells)).split("\0")
        if not len(plain) == len(cells) == len(row):
            account.fail(f"row {context.done} has {len(cells)} cells for {len(row)} values")
            return
        shows, values = account.grammar.is_shown, []
        for kind, title, cell, text, value in zip(context.kinds, context.titles, cells, plain, row, strict=True):
            if type(value) is not Number or kind == "range":
                wrong = self.other(cell, value, kind)
            else:
                if "<" in text:
                    text = bare(text)
                wrong = None if shows(text, value) else f"shows {bare(cell)!r}, expected {told(value)}"
                values.append(NAN if value.value is None else value.value)
            if wrong is not None:
                account.fail(f"row {context.done}, {title}: {wrong}")
        account.say(values)
        if context.promises:
            self._promised(context, row)

    def other(self, cell: str, value: Any, kind: str) -> str | None:
        """A cell that is no plain number: a name, a text, a time, a position within a range, a line."""
        if value is None:
            return None if bare(cell) == DASH else f"shows {bare(cell)!r}, expected a dash"
        if kind == "range":
            return self._position(cell, value)
        if isinstance(value, Spark):
            return None
        if isinstance(value, date):
            wanted = self.when(value)
            shown = bare(cell).replace(NBSP, " ")
            return None if shown == wanted.replace(NBSP, " ") else f"shows {shown!r}, expected {wanted!r}"
        shown = bare(cell)
        if type(value) is Name:
            name = self._account.grammar.catalogue.text(value.text)
            return None if shown == name else f"shows {shown!r}, expected {name!r}"
        return self._account.grammar.agrees(shown, self._account.grammar.expected(value))

    def are_days(self, cells: Sequence[str], values: Sequence[Any]) -> bool:
        """Whether a column of plain days shows its ``values``; else each cell tells what is wrong with it."""
        if not all(type(value) is date for value in values):
            return False
        shown, wanted = "\0".join(cells), "\0".join([self.when(value) for value in values])
        return shown.replace(NBSP, " ") == wanted.replace(NBSP, " ")

    def when(self, value: date) -> str:
        """As it is written in a cell, but for spaces that do not break."""
        if isinstance(value, datetime):
            return self._account.grammar.short(value, self._account.today)
        if value not in self._days:
            if len(self._days) >= DAYS:
                self._days.clear()
            self._days[value] = self._account.grammar.day("date", value)
        return self._days[value]

    def _position(self, cell: str, value: Any) -> str | None:
        position = value.value if isinstance(value, Number) else value
        if position is None or not isfinite(position):
            return None if bare(cell) == DASH else f"shows {bare(cell)!r}, expected a dash"
        share = Number(min(max(position, 0.0), 1.0) * 100, "percent", 0)
        self._account.say([position])
        label = TAG_SEEN.search(cell)
        said = self._account.grammar.expected(Text("{percent} of the 52-week range", {"percent": share}))
        return self._account.grammar.agrees(unescape(label[1]) if label else "", said)

    def _promised(self, context: Rows, row: Sequence[Any]) -> None:
        """Each number under a title that promises a fact is that fact of the instrument the row is about."""
        facts = self._account.linked(next((v.link for v in row if type(v) is Name and v.link), None))
        if facts is None:
            return
        for i, name in context.promises:
            if type(value := row[i]) is Number:
                self._account.promise(facts, name, context.titles[i], value)
