"""Table cells. A report has thousands, so they are written by plain functions and not by a template.

A cell without a class is a number: most are, and the style sheet aligns them to the right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

from evertick.reports.blocks import Column, Number, Spark, Table, Text
from evertick.reports.render.figures.spark import spark
from evertick.reports.render.numbers import DASH, NBSP
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


def headings(columns: Sequence[Column], words: Words) -> str:
    return "".join([_heading(column, words) for column in columns])


def _heading(column: Column, words: Words) -> str:
    css = _CLASSES.get(column.kind, "")
    start = f'<th scope="col" class="{css}">' if css else '<th scope="col">'
    return f"{start}{words.html(column.title)}</th>"


def rows(table: Table, words: Words, today: date) -> Iterator[str]:
    """One ``<tr>`` at a time. Rows beyond ``table.brief`` carry the class ``x``, which a printed brief leaves out."""
    kinds = [column.kind for column in table.columns]
    writers: list[Callable[[Any, Words, date], str]] = [_WRITERS.get(kind, _number) for kind in kinds]
    brief = table.brief
    for i, row in enumerate(table.rows):
        first, *rest = row
        cells = [_first(first, kinds[0], words, today)]
        cells += [write(value, words, today) for write, value in zip(writers[1:], rest, strict=True)]
        cells.append("</tr>\n")
        yield ("<tr>" if brief is None or i < brief else '<tr class="x">') + "".join(cells)


def _first(value: Any, kind: str, words: Words, today: date) -> str:
    if kind == "time" and value is not None:
        return f'<th scope="row" class="l q">{_moment(value, words, today)}</th>'
    return f'<th scope="row">{words.html(value)}</th>'


def _number(value: Any, words: Words, today: date) -> str:
    if isinstance(value, Number):
        if value.signed:
            return _change(value, words, today)
        text = words.numbers.number(value)
        if text == DASH:
            return _EMPTY
        if not value.unit or value.style == "percent":
            return f"<td>{text}</td>"
        if value.unit == "%":
            return f"<td>{text}%</td>"
        return f"<td>{text}<small>{NBSP}{esc(words.catalogue.text(value.unit))}</small></td>"
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
