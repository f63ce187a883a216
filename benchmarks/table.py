"""The one table of `make bench`, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from row import Row

HEAD = ("", "ours", "theirs", "", "ratio", "aim", "against")
LEFT = (0, 3, 6)
"""Columns of words; the others are numbers."""


def cells(row: Row) -> tuple[str, ...]:
    aim = (
        ""
        if row.aim is None
        else f"{'≥' if row.more_is_better else '≤'} {row.aim:g}{'' if row.met is not False else ' MISSED'}"
    )
    note = f" ({row.note})" if row.note else ""
    ratio = "" if row.ratio is None else f"{number(row.ratio)}×"
    return row.what, number(row.ours), number(row.theirs), row.unit, ratio, aim, f"{row.against}{note}".strip()


def number(value: float | None) -> str:
    """Three significant digits, whole numbers in full.

    >>> [number(v) for v in (None, 0, 0.01234, 12.345, 1234.5, -0.5)]
    ['–', '0', '0.0123', '12.3', '1,234', '-0.5']
    """
    if value is None:
        return "–"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def as_text(rows: Sequence[Row]) -> str:
    made = [cells(row) for row in rows]
    widths = [max(len(line[n]) for line in (HEAD, *made)) for n in range(len(HEAD))]

    def line(of: Sequence[str]) -> str:
        padded = (
            text.ljust(width) if n in LEFT else text.rjust(width)
            for n, (text, width) in enumerate(zip(of, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    lines = [line(HEAD)]
    for group, members in groupby(rows, lambda row: row.group):
        lines += ["", group, *(line(cells(row)) for row in members)]
    return "\n".join(lines)


def as_markdown(rows: Sequence[Row]) -> str:
    lines = []
    for group, members in groupby(rows, lambda row: row.group):
        lines += [f"### {group}", "", "| | ours | theirs | | ratio | aim | against |", "|---|--:|--:|---|--:|---|---|"]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row)) + " |" for row in members]
        lines.append("")
    return "\n".join(lines).rstrip()
