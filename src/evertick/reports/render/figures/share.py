"""Parts of a whole as one bar with its key."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.lines import nothing, plot_open
from evertick.reports.render.words import Words


def draw(figure: Figure, words: Words) -> Iterator[str]:
    items = [item for item in figure.data["items"] if (item["value"].value or 0) > 0]
    total = sum(item["value"].value for item in items)
    if not total:
        yield nothing(words)
        return
    yield plot_open(figure, words, "share")
    left = 0.0
    for i, item in enumerate(items):
        width = 100 * item["value"].value / total
        yield f'<rect class="f{i % 6 + 1}" x="{left:.2f}%" width="{width:.2f}%" height="100%"/>'
        left += width
    yield '</svg><ul class="legend">'
    for i, item in enumerate(items):
        key = f'<svg class="key" aria-hidden="true"><rect class="f{i % 6 + 1}" width="100%" height="100%"/></svg>'
        yield f"<li>{key}{words.html(item['name'])} <b>{words.numbers.number(item['value'])}</b></li>"
    yield "</ul>"
