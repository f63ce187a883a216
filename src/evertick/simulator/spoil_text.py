"""CSV and XML made wrong in the ways of `evertick.simulator.spoil`: they parse, and what they say is not so. Pure.

Of CSV the first column holds the date and the others prices; of XML every number is a price, but for what stands in a
date. Rows of XML are its ``<entry>``, the days of the ECB's file, or its elements without content.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import inf, nan
from typing import Any

from evertick.simulator.spoil import Change, changed, decimal_comma, other_script

Rows = list[list[str]]
_NAME = "_v2"
_DATES = (
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "%Y-%m-%d"),
    (re.compile(r"\b\d{1,2}/\d{1,2}/\d{4}\b"), "%m/%d/%Y"),
)
_ENTRY = re.compile(r"<entry>.*?</entry>|<Cube time=.*?</Cube>\s*(?=</?Cube)", re.DOTALL)
_LEAF = re.compile(r"<\w[^<>]*/>")
_NUMBER = re.compile(r"""(?<=["'>])-?[\d,]*\d(?:\.\d+)?(?=["'<])""")
_TIME = re.compile(r"""(time=["']|<DateTime>|NEW_DATE[^>]*>)([^"'<]*)""")

_CHANGES: Mapping[str, Change] = {
    "null": lambda _: "",
    "nan": lambda _: nan,
    "infinity": lambda _: inf,
    "huge": lambda _: 1e300,
    "retyped": lambda v: f"{v} %",
    "digits": other_script,
    "comma": decimal_comma,
    "zero": lambda _: 0,
    "snapshot": lambda _: 0,
    "negative": lambda v: -v,
    "scale": lambda v: v * 1000,
    "shrunk": lambda v: v / 1000,
}
_DAYS: Mapping[str, int] = {"stale": -5, "future": 1}


def spoil_csv(kind: str, text: str) -> str:
    """A table spoiled in the way ``kind`` says; the newest row alone for ``scale`` and ``shrunk``."""
    ending = "\r\n" if "\r\n" in text else "\n"
    header, *rows = list(csv.reader(io.StringIO(text))) or [[]]
    if kind == "wrapped":
        return f"Report,version 2{ending}{ending}{text}"
    header, rows = _table(kind, header, rows)
    out = io.StringIO()
    csv.writer(out, lineterminator=ending).writerows([header, *rows] if header else rows)
    return out.getvalue()


def _table(kind: str, header: list[str], rows: Rows) -> tuple[list[str], Rows]:
    if kind in _CHANGES:
        newest = max(rows, key=lambda row: _day(row[0]), default=None) if kind in ("scale", "shrunk") else None
        return header, [_prices(row, _CHANGES[kind]) if newest is None or row is newest else row for row in rows]
    if kind in _DAYS:
        return header, [[_shifted(row[0], _DAYS[kind]), *row[1:]] for row in rows]
    match kind:
        case "nothing":
            return header, []
        case "shell":
            return [], []
        case "misaligned":
            return header, [row[: -1 - n % 2] if n % 2 == 0 else [*row, *row[1:]] for n, row in enumerate(rows)]
        case "renamed":
            return [header[0], *(f"{name}{_NAME}" for name in header[1:])], rows
        case "reordered":
            return [header[0], *header[:0:-1]], [[row[0], *row[:0:-1]] for row in rows]
        case "swapped":
            return header, [_swapped(header, row) for row in rows]
        case "millis":
            return header, [[_milliseconds(row[0]), *row[1:]] for row in rows]
        case "notime":
            return header, [["", *row[1:]] for row in rows]
    return header, _some(kind, rows)


def _prices(row: list[str], change: Change) -> list[str]:
    return [row[0], *(str(changed(cell, change)) for cell in row[1:])]


def _swapped(header: list[str], row: list[str]) -> list[str]:
    """High and low exchanged, where there are such columns."""
    names = [name.upper() for name in header]
    if "HIGH" not in names or "LOW" not in names or len(row) < len(names):
        return row
    high, low = names.index("HIGH"), names.index("LOW")
    found = list(row)
    found[high], found[low] = row[low], row[high]
    return found


def _some(kind: str, rows: list[Any]) -> list[Any]:
    """The rows themselves as they are, in another order, in another number."""
    middle = len(rows) // 2
    match kind:
        case "partial":
            return rows[:middle]
        case "unsorted":
            return [*rows[middle:], *rows[:middle]]
        case "duplicate":
            return [*rows[:1], *rows, *rows[-1:]]
    raise AssertionError(f"no way to spoil rows for {kind}")


# --- dates -----------------------------------------------------------------------------------------------------------


def _day(text: str) -> datetime:
    for pattern, form in _DATES:
        if match := pattern.search(text):
            return datetime.strptime(match[0], form)
    return datetime.min


def _shifted(text: str, days: int) -> str:
    for pattern, form in _DATES:
        if match := pattern.search(text):
            moved = (datetime.strptime(match[0], form) + timedelta(days=days)).strftime(form)
            return text[: match.start()] + moved + text[match.end() :]
    return text


def _milliseconds(text: str) -> str:
    return str((_day(text) - datetime(1970, 1, 1)) // timedelta(milliseconds=1))


# --- XML -------------------------------------------------------------------------------------------------------------


def spoil_xml(kind: str, text: str) -> str:
    """A document spoiled in the way ``kind`` says; of several days the first for ``scale`` and ``shrunk``."""
    if kind in ("scale", "shrunk") and len(_ENTRY.findall(text)) > 1:
        return _ENTRY.sub(lambda m: _numbers(m[0], _CHANGES[kind]), text, count=1)
    if kind in _CHANGES:
        return _numbers(text, _CHANGES[kind])
    if kind in _DAYS:
        return _TIME.sub(lambda m: m[1] + _shifted(m[2], _DAYS[kind]), text)
    match kind:
        case "nothing" | "shell":
            return _with_rows(text, lambda _: [])
        case "misaligned":
            return re.sub(r"""\s(?:rate|Transfer|Sell)=(?:'[^']*'|"[^"]*")|<d:BC_\w+[^>]*>[^<]*</d:BC_\w+>""", "", text)
        case "renamed":
            return re.sub(r"\b(rate|Transfer|Sell|BC_\w+)(?=[=>\s])", rf"\1{_NAME}", text)
        case "reordered":
            return _LEAF.sub(_attributes_reversed, text)
        case "swapped":
            return re.sub(r"\b(Buy|Sell)(?==)", lambda m: "Sell" if m[1] == "Buy" else "Buy", text)
        case "wrapped":
            start = re.search(r"<[\w:]+[\s>]", text)
            at = start.start() if start else 0
            return f"{text[:at]}<Response>{text[at:]}</Response>"
        case "millis":
            return _TIME.sub(lambda m: m[1] + _milliseconds(m[2]), text)
        case "notime":
            return _TIME.sub(lambda m: m[1], text)
    return _with_rows(text, lambda rows: _some(kind, rows))


def _numbers(text: str, change: Change) -> str:
    """``change`` applied to every number that is no date's."""
    parts = re.split(r"(<\?xml.*?\?>|<!--.*?-->|<id>.*?</id>)", text, flags=re.DOTALL)
    return "".join(
        part if n % 2 else _NUMBER.sub(lambda m: str(changed(m[0], change)), part) for n, part in enumerate(parts)
    )


def _with_rows(text: str, change: Callable[[list[str]], list[str]]) -> str:
    pattern = _ENTRY if len(_ENTRY.findall(text)) > 1 else _LEAF
    rows = [m[0] for m in pattern.finditer(text)]
    if not rows:
        return text
    start = text.index(rows[0])
    end = text.rindex(rows[-1]) + len(rows[-1])
    return text[:start] + "\n".join(change(rows)) + text[end:]


def _attributes_reversed(match: re.Match[str]) -> str:
    name, *rest = re.findall(r"""<[\w:]+|[\w:]+=(?:'[^']*'|"[^"]*")""", match[0])
    return " ".join([name, *reversed(rest)]) + "/>"
