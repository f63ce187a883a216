"""A year of daily changes: a column for each week, a row for each day of the week, colour for the change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.heatmap import step
from evertick.reports.render.figures.lines import nothing, plot_open
from evertick.reports.render.words import Words, esc

CELL = 10
"""Units between two cells; each is two smaller."""
STEPS = ("d3", "d2", "d1", "d0", "u1", "u2", "u3")


def draw(figure: Figure, words: Words) -> Iterator[str]:
    days: Sequence[date] = figure.data["days"]
    values: Sequence[float | None] = figure.data["values"]
    limit = float(figure.data["limit"])
    if not days:
        yield nothing(words)
        return
    monday = days[0].toordinal() - days[0].weekday()
    weeks = (days[-1].toordinal() - monday) // 7 + 1
    rows = 7 if any(day.weekday() > 4 for day in days) else 5
    cells: dict[str, list[str]] = {}
    for day, value in zip(days, values, strict=True):
        if value is not None:
            x, y = (day.toordinal() - monday) // 7 * CELL, day.weekday() * CELL
            cells.setdefault(step(value, -limit, limit), []).append(f"M{x} {y}h8v8h-8z")
    yield plot_open(figure, words, f"cal r{rows}")
    yield f'<svg viewBox="0 0 {weeks * CELL} {rows * CELL}" width="100%" height="100%" preserveAspectRatio="none">'
    for css in STEPS:
        if css in cells:
            yield f'<path class="{css}" d="{"".join(cells[css])}"/>'
    yield "</svg>"
    for month in _months(days):
        left = 100 * ((month.toordinal() - monday) // 7) / weeks
        if left < 96:
            yield f'<text class="tm{" odd" if month.month % 2 == 0 else ""}" x="{left:.1f}%" y="100%">{esc(words.numbers.month(month))}</text>'
    yield "</svg>"
    low, high = words.numbers.percent(-limit, 0), "+" + words.numbers.percent(limit, 0)
    steps = "".join(
        f'<rect class="{css}" x="{i * 100 / 7:.2f}%" width="14.3%" height="100%"/>' for i, css in enumerate(STEPS)
    )
    yield f'<p class="map-key" aria-hidden="true"><span>≤ {low}</span><svg>{steps}</svg><span>≥ {high}</span></p>'


def _months(days: Sequence[date]) -> Iterator[date]:
    """The firsts of the months that begin within ``days``."""
    first, last = days[0], days[-1]
    for n in range(first.year * 12 + first.month, last.year * 12 + last.month):
        yield date(n // 12, n % 12 + 1, 1)
