"""Diverging bars round zero, one row each: name, bar, value."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.lines import nothing
from evertick.reports.render.words import Words, esc, tone


def draw(figure: Figure, words: Words) -> Iterator[str]:
    items = [item for item in figure.data["items"] if item["value"].value is not None]
    if not items:
        yield nothing(words)
        return
    values = [float(item["value"].value) for item in items]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    zero = 100 * -low / span
    yield f'<p class="vh">{esc(words.plain(figure.label))}</p><ul class="bars">'
    for item, value in zip(items, values, strict=True):
        width = 100 * abs(value) / span
        left = zero if value >= 0 else zero - width
        css = tone(item["value"])
        yield (
            f'<li><span class="bar-name">{words.html(item["name"])}</span><svg aria-hidden="true" class="bar {css}">'
            f'<rect x="{left:.1f}%" width="{max(width, 0.3):.1f}%" height="100%"/><line x1="{zero:.1f}%" x2="{zero:.1f}%" y2="100%"/>'
            f'</svg><span class="bar-value {css}">{words.numbers.number(item["value"])}</span></li>'
        )
    yield "</ul>"
