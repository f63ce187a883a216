"""Lines over dates, and the area of a drawdown, with their numbers for the interactive figure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.scale import Axis, axis, months, path, thin
from evertick.reports.render.numbers import Numbers
from evertick.reports.render.words import Words, esc

WIDTH, HEIGHT = 1000, 400
POINTS = 265
"""A year of sessions; longer lines are thinned."""
SERIES = 6


def draw(figure: Figure, words: Words) -> Iterator[str]:
    data = figure.data
    dates: Sequence[date] = data["dates"]
    series = list(data["series"])[:SERIES]
    scale = axis(v for s in series for v in s["values"] if v is not None and math.isfinite(v))
    if scale is None or len(dates) < 2:
        yield nothing(words)
        return
    many = len(series) > 1
    yield plot_open(figure, words, "plot")
    yield from _grid(scale, dates, words.numbers, data.get("unit", ""))
    yield CURVES
    for i, one in enumerate(series):
        yield f'<path class="ln s{i + 1 if many else 0}" d="{_curve(dates, one["values"], scale)}"/>'
    yield "</svg></svg>"
    if many:
        yield legend(series, words, scale)
        yield explorer(dates, [(words.plain(s["name"]), s["values"]) for s in series], scale.decimals + 2)


def draw_area(figure: Figure, words: Words) -> Iterator[str]:
    data = figure.data
    dates: Sequence[date] = data["dates"]
    values = data["values"]
    scale = axis((v for v in values if v is not None and math.isfinite(v)), zero=True)
    if scale is None or len(dates) < 2:
        yield nothing(words)
        return
    line = _curve(dates, values, scale)
    zero = round(HEIGHT * (1 - scale.share(0.0)))
    yield plot_open(figure, words, "plot")
    yield from _grid(scale, dates, words.numbers, data.get("unit", ""))
    yield f'{CURVES}<path class="ar" d="{line}V{zero}H0Z"/><path class="ln area" d="{line}"/></svg></svg>'
    yield explorer(dates, [(words.plain(figure.caption), values)], scale.decimals + 2)


CURVES = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" height="100%" preserveAspectRatio="none">'


def plot_open(figure: Figure, words: Words, css: str) -> str:
    return f'<svg class="{css}" role="img" aria-label="{esc(words.plain(figure.label))}">'


def nothing(words: Words) -> str:
    return f'<p class="none">{esc(words.say("No data."))}</p>'


def _curve(dates: Sequence[date], values: Sequence[float | None], scale: Axis) -> str:
    first = dates[0].toordinal()
    wide = WIDTH / max(dates[-1].toordinal() - first, 1)
    tall = HEIGHT / (scale.high - scale.low)

    def points() -> Iterator[tuple[float, float] | None]:
        for i in thin(min(len(dates), len(values)), POINTS):
            value = values[i]
            if value is None or value != value:
                yield None
            else:
                yield (dates[i].toordinal() - first) * wide, (scale.high - value) * tall

    return path(points())


def _grid(scale: Axis, dates: Sequence[date], numbers: Numbers, unit: str) -> Iterator[str]:
    """Rules with their values in the gutter at the right, where the lines end; months under the plot."""
    for tick in scale.ticks:
        y = f"{100 * (1 - scale.share(tick)):.1f}%"
        text = numbers.percent(tick, scale.decimals) if unit == "%" else numbers.fixed(tick, scale.decimals)
        css = "zero" if abs(tick) < 1e-12 else "rule"
        yield f'<line class="{css}" x2="100%" y1="{y}" y2="{y}"/><text class="ty" x="100%" dx="8" y="{y}" dy="4">{text}</text>'
    first = dates[0].toordinal()
    span = max(dates[-1].toordinal() - first, 1)
    for month in months(dates):
        x = 100 * (month.toordinal() - first) / span
        if 2 < x < 98:
            yield f'<text class="tx" x="{x:.1f}%" y="100%" dy="18">{esc(numbers.month(month))}</text>'


def legend(series: Iterable[Any], words: Words, scale: Axis | None) -> str:
    """The key of the lines, with the last value of each where there is a ``scale`` to write it by."""
    items = []
    for i, one in enumerate(series):
        last = next((v for v in reversed(one["values"]) if v is not None and v == v), None)
        value = "" if last is None or scale is None else f" <b>{words.numbers.fixed(last, max(1, scale.decimals))}</b>"
        name = one["name"]
        text = words.html(name)
        items.append(f'<li><svg class="key" aria-hidden="true"><line class="ln s{i + 1}" x2="100%" y1="50%" y2="50%"/></svg>{text}{value}</li>')  # fmt: skip
    return f'<ul class="legend">{"".join(items)}</ul>'


def explorer(dates: Sequence[date], series: Sequence[tuple[str, Sequence[float | None]]], decimals: int) -> str:
    """The numbers of a figure, for the page script: days since 1970 and whole numbers, both as differences."""
    decimals = min(decimals, 6)
    body = {
        "decimals": decimals,
        "days": deltas([d.toordinal() - EPOCH for d in dates]),
        "series": [
            {"name": name, "values": deltas([None if v is None or v != v else round(v * 10**decimals) for v in values])}
            for name, values in series
        ],
    }
    return f'<script type="application/json" class="data-lines">{safe_json(body)}</script>'


EPOCH = date(1970, 1, 1).toordinal()


def deltas(values: Iterable[int | None]) -> list[int | None]:
    """Each number as its difference from the last known one; gaps stay ``None``."""
    last = 0
    out: list[int | None] = []
    for value in values:
        if value is None:
            out.append(None)
        else:
            out.append(value - last)
            last = value
    return out


def safe_json(value: Any) -> str:
    """JSON that may stand inside ``<script>``: nothing in it can end the element or open a comment."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
