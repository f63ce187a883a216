"""A matrix as a table whose cells are coloured: the numbers can be read, spoken and copied."""

from __future__ import annotations

import math
from collections.abc import Iterator

from evertick.reports.blocks import Figure
from evertick.reports.render.numbers import DASH
from evertick.reports.render.words import Words, esc

SHORT = 8
"""Headings of so many letters stand upright, longer ones on their side."""


def step(value: float | None, low: float, high: float) -> str:
    """The class of a value on the diverging scale, neutral in the middle of ``low`` and ``high``."""
    if value is None or not math.isfinite(value):
        return "d0"
    half = (high - low) / 2
    share = (value - low - half) / half if half else 0.0
    if abs(share) < 0.1:
        return "d0"
    strength = 1 + (abs(share) >= 0.4) + (abs(share) >= 0.7)
    return f"{'u' if share > 0 else 'd'}{strength}"


def draw(figure: Figure, words: Words) -> Iterator[str]:
    data = figure.data
    low, high = float(data["low"]), float(data["high"])
    # The figure's own caption stands above it; the table's is for those who do not see that.
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(words.plain(figure.caption))}">'
    short = all(len(words.plain(name)) <= SHORT for name in data["columns"])
    yield f'<table class="heat{" short" if short else ""}"><caption class="vh">{esc(words.plain(figure.label))}</caption><thead><tr><td></td>'
    for name in data["columns"]:
        yield f'<th scope="col"><span>{words.html(name)}</span></th>'
    yield "</tr></thead><tbody>"
    for i, (name, cells) in enumerate(zip(data["rows"], data["cells"], strict=True)):
        yield f'<tr><th scope="row">{words.html(name)}</th>'
        for j, cell in enumerate(cells):
            if cell is None or cell.value is None:
                yield f'<td class="d0">{DASH}</td>'
            elif i == j and cell.value == high:
                yield f'<td class="self">{words.numbers.number(cell)}</td>'
            else:
                yield f'<td class="{step(cell.value, low, high)}">{words.numbers.number(cell)}</td>'
        yield "</tr>"
    yield "</tbody></table></div>"
