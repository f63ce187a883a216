"""Table cells. A report has thousands, so they are written by plain functions and not by a template.

A cell without a class is a number: most are, and the style sheet aligns them to the right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain, islice
from typing import Any

from evertick.errors import ReportError
from evertick.reports.blocks import Column, Number, Spark, Table, Text
from evertick.reports.render.figures.spark import spark
from evertick.reports.render.numbers import DASH, MINUS, NBSP, PERCENT, digits
from evertick.reports.render.words import Words, esc, tone

_NOT_WORD = re.compile(r"[^a-z]+")
_CLASSES = {
    "name": "l",
    "text": "l",
    "time": "l q",
    "state": "l",
    "range": "g",
    "spark": "g",
    "change": "",
    "number": "",
}


PEEK = 64
"""Rows that are looked at ahead, to see which columns of numbers have units."""


def headings(columns: Sequence[Column], words: Words) -> str:
    head = header(columns)
    return "".join([_heading(column, i == head, i < head, words) for i, column in enumerate(columns)])


def header(columns: Sequence[Column]) -> int:
    """Which column names its row: the first of kind ``name`` (a rank may stand before it), else the first."""
    return next((i for i, column in enumerate(columns) if column.kind == "name"), 0)


def _heading(column: Column, heads: bool, rank: bool, words: Words) -> str:
    css = "rh" if heads else "rank" if rank else _CLASSES.get(column.kind, "")
    start = f'<th scope="col" class="{css}">' if css else '<th scope="col">'
    return f"{start}{words.html(column.title)}</th>"


def rows(table: Table, words: Words, today: date) -> Iterator[str]:
    """One ``<tr>`` at a time. Rows beyond ``table.brief`` carry the class ``x``, which a printed brief leaves out."""
    brief = table.brief
    source = iter(table.rows)
    first = list(islice(source, PEEK))
    writers = _writers(table, first)
    for i, row in enumerate(chain(first, source)):
        _fits(table, i, row)
        cells = ["<tr>" if brief is None or i < brief else '<tr class="x">']
        cells += [write(value, words, today) for write, value in zip(writers, row, strict=True)]
        cells.append("</tr>\n")
        yield "".join(cells)


Write = Callable[[Any, Words, date], str]


@dataclass(frozen=True, slots=True)
class Shared:
    """Markup that is the same in every language but for its separators (`Numbers.translated`), with `GAP` where each of
    ``own`` is to be written in the language."""

    text: str
    own: Sequence[tuple[Write, Any]]

    @staticmethod
    def of(pieces: Sequence[str | tuple[Write, Any]]) -> Shared:
        text = "".join([piece if isinstance(piece, str) else GAP for piece in pieces])
        return Shared(text, [piece for piece in pieces if not isinstance(piece, str)])

    def written(self, words: Words, today: date) -> str:
        first, *rest = words.numbers.translated(self.text).split(GAP)
        out = [first]
        for (write, value), text in zip(self.own, rest, strict=True):
            out += (write(value, words, today), text)
        return "".join(out)


GAP = "\2"


def shared_rows(table: Table) -> Shared:
    """The rows of a small table, such as the bars of a card, for all languages."""
    listed = list(table.rows)
    writers = _writers(table, listed[:PEEK])
    pieces: list[str | tuple[Write, Any]] = []
    for i, row in enumerate(listed):
        _fits(table, i, row)
        pieces.append("<tr>")
        for write, value in zip(writers, row, strict=True):
            if write not in _PLAIN or not isinstance(value, Number) or not _is_shared(value) or value.unit:
                pieces.append((write, value))
            elif value.value is None:
                pieces.append(_EMPTY)
            elif value.signed:
                text = _digits(value)
                pieces.append(f'<td class="{_TONES.get(text[0], "flat")}">{text}</td>')
            else:
                pieces.append(f"<td>{_digits(value)}</td>")
        pieces.append("</tr>\n")
    return Shared.of(pieces)


def shared_statistics(found: Sequence[tuple[Text, Number]]) -> Shared:
    """The rows of a card's list, for all languages."""
    pieces: list[str | tuple[Write, Any]] = []
    for label, value in found:
        pieces += ("<div><dt>", (_title, label))
        if not _is_shared(value) or value.value is None:
            css = f' class="{tone(value)}"' if value.signed else ""
            pieces += (f"</dt><dd{css}>", (_written, value))
        elif value.signed:
            text = _digits(value)
            pieces.append(f'</dt><dd class="{_TONES.get(text[0], "flat")}">{text}')
        else:
            pieces.append(f"</dt><dd>{_digits(value)}")
        if value.unit and not value.signed:
            pieces.append((_unit, value))
        pieces.append("</dd></div>\n")
    return Shared.of(pieces)


_TONES = {"+": "up", MINUS: "down"}


def _is_shared(n: Number) -> bool:
    """Whether all languages write the same digits of it; a dash is the same, too."""
    return n.style != "compact" and (n.value is None or n.value - n.value == 0)


def _digits(n: Number) -> str:
    text = digits(n, n.value or 0.0)
    return text + PERCENT if n.style == "percent" else text


def _written(value: Any, words: Words, today: date) -> str:
    return words.numbers.number(value)


def _unit(value: Any, words: Words, today: date) -> str:
    return esc(words.unit(value))


def _title(value: Any, words: Words, today: date) -> str:
    return words.title(value)


def _writers(table: Table, first: Sequence[Sequence[Any]]) -> list[Write]:
    kinds = [column.kind for column in table.columns]
    head = header(table.columns)
    writers: list[Write] = [_WRITERS.get(kind, _number) for kind in kinds]
    for i, kind in enumerate(kinds):
        if i < head:
            writers[i] = _rank
        elif i == head:
            writers[i] = _moment_header if kind == "time" else _header
        elif kind == "number" and any(_has_unit(row[i]) for row in first if i < len(row)):
            writers[i] = _priced
    return writers


def _fits(table: Table, i: int, row: Sequence[Any]) -> None:
    if len(row) != len(table.columns):
        raise ReportError(f"table {table.id}: row {i + 1} has {len(row)} cells for {len(table.columns)} columns")


def _has_unit(value: Any) -> bool:
    return isinstance(value, Number) and bool(value.unit) and value.style != "percent" and not value.signed


def _header(value: Any, words: Words, today: date) -> str:
    return f'<th scope="row">{words.html(value)}</th>'


def _moment_header(value: Any, words: Words, today: date) -> str:
    return f'<th scope="row" class="q">{DASH if value is None else _moment(value, words, today)}</th>'


def _rank(value: Any, words: Words, today: date) -> str:
    return f'<td class="rank">{_any(value, words, today)}</td>'


def _priced(value: Any, words: Words, today: date) -> str:
    """A number in a column where some have units: all leave room for one, so that their digits stand in line."""
    if not isinstance(value, Number) or value.signed:
        return _number(value, words, today)
    text = words.numbers.number(value)
    if text == DASH:
        return _EMPTY
    unit = "" if value.style == "percent" else value.unit
    written = "%" if unit == "%" else f"{NBSP}{esc(words.catalogue.text(unit))}" if unit else ""
    return f"<td>{text}<small>{written}</small></td>"


def _number(value: Any, words: Words, today: date) -> str:
    if isinstance(value, Number):
        if value.signed:
            return _change(value, words, today)
        text = words.numbers.number(value)
        return _EMPTY if text == DASH else f"<td>{text}{words.unit(value)}</td>"
    return _EMPTY if value is None else f"<td>{_any(value, words, today)}</td>"


def _change(value: Any, words: Words, today: date) -> str:
    if not isinstance(value, Number):
        return _number(value, words, today)
    text = words.numbers.number(value)
    return _EMPTY if text == DASH else f'<td class="{tone(value)}">{text}{words.unit(value)}</td>'


def _left(value: Any, words: Words, today: date) -> str:
    return f'<td class="l">{_any(value, words, today)}</td>'


def _time(value: Any, words: Words, today: date) -> str:
    return f'<td class="l q">{DASH if value is None else _moment(value, words, today)}</td>'


def _state(value: Any, words: Words, today: date) -> str:
    if value is None:
        return _left(value, words, today)
    key = value.msgid if isinstance(value, Text) else str(value)
    return f'<td class="l"><i class="dot {_NOT_WORD.sub("-", key.lower())}"></i>{words.html(value)}</td>'


def _range(value: Any, words: Words, today: date) -> str:
    """The position within a range, 0 to 1, as a marker on a track."""
    position = value.value if isinstance(value, Number) else value
    if position is None or position != position:
        return f'<td class="g">{DASH}</td>'
    share = min(max(position, 0.0), 1.0) * 100
    label = esc(words.say("{percent} of the 52-week range", percent=Number(share, "percent", 0)))
    return (
        f'<td class="g"><svg class="rg" role="img" aria-label="{label}"><rect y="6" width="100%" height="2"/>'
        f'<circle cx="{4 + share * 0.92:.0f}%" cy="7" r="3.5"/></svg></td>'
    )


def _spark(value: Any, words: Words, today: date) -> str:
    if not isinstance(value, Spark):
        return f'<td class="g">{DASH if value is None else _any(value, words, today)}</td>'
    return f'<td class="g">{spark(value.points, value.tone, words.plain(value.label))}</td>'


def _any(value: Any, words: Words, today: date) -> str:
    if isinstance(value, date):
        return _moment(value, words, today)
    if isinstance(value, Spark):
        return spark(value.points, value.tone, words.plain(value.label))
    return words.html(value)


def _moment(value: Any, words: Words, today: date) -> str:
    """A time of today as ``16:30``, of another day with its date; a date as it is."""
    if isinstance(value, datetime):
        numbers = words.numbers
        day = numbers.local(value)
        short = numbers.time(value) if day == today else f"{numbers.day(day)}{NBSP}{numbers.time(value)}"
        return f'<time datetime="{value.isoformat(timespec="minutes")}">{short.replace(" ", NBSP)}</time>'
    if isinstance(value, date):
        return words.numbers.date(value).replace(" ", NBSP)
    return words.html(value)


_EMPTY = f'<td class="flat">{DASH}</td>'
_PLAIN = (_number, _change)
_WRITERS: dict[str, Callable[[Any, Words, date], str]] = {
    "name": _left,
    "text": _left,
    "number": _number,
    "change": _change,
    "range": _range,
    "spark": _spark,
    "time": _time,
    "state": _state,
}
