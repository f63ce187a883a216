"""Lines over dates, and the area of a drawdown, with their numbers for the interactive figure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from evertick.reports.blocks import Figure, once
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
    scale = once(
        figure, "scale", lambda: axis([v for s in series for v in s["values"] if v is not None and math.isfinite(v)])
    )
    if scale is None or len(dates) < 2:
        yield nothing(words)
        return
    many = len(series) > 1

    def curves() -> str:
        canvas = Canvas.of(dates, scale)
        paths = [f'<path class="ln s{i + many}" d="{canvas.curve(one["values"])}"/>' for i, one in enumerate(series)]
        return f"{canvas.opened()}{''.join(paths)}</svg>"

    yield plot_open(figure, words, "plot")
    yield once(figure, "curves", curves)
    places = once(figure, "places", lambda: _places(scale, dates))
    yield from _labels(scale, places, words.numbers, data.get("unit", ""))
    yield "</svg>"
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
    canvas = Canvas.of(dates, scale)
    line = canvas.curve(values)
    zero = round(canvas.height * (1 - scale.share(0.0)))
    yield plot_open(figure, words, "plot")
    yield canvas.opened()
    yield f'<path class="ar" d="{line}V{zero}H0Z"/><path class="ln area" d="{line}"/></svg>'
    yield from _labels(scale, _places(scale, dates), words.numbers, data.get("unit", ""))
    yield "</svg>"
    yield explorer(dates, [(words.plain(figure.caption), values)], scale.decimals + 2)


CURVES = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" height="100%" preserveAspectRatio="none">'
FEW = 100
"""Points of a line that need no finer canvas than one of half the size: fewer digits."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """The stretched part of a plot: curves over ``dates`` in its own units, and the rules under them."""

    dates: Sequence[date]
    scale: Axis
    width: int
    height: int

    @staticmethod
    def of(dates: Sequence[date], scale: Axis) -> Canvas:
        half = 2 if len(dates) <= FEW else 1
        return Canvas(dates, scale, WIDTH // half, HEIGHT // half)

    def opened(self) -> str:
        """The element's start tag with the rules in one path; the one at zero is another."""
        places = [(tick, round(self.height * (1 - self.scale.share(tick)))) for tick in self.scale.ticks]
        rules = "".join([f"M0 {y}h{self.width}" for tick, y in places if abs(tick) >= 1e-12])
        zero = "".join([f"M0 {y}h{self.width}" for tick, y in places if abs(tick) < 1e-12])
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" width="100%" height="100%" preserveAspectRatio="none">'
            + (f'<path class="rule" d="{rules}"/>' if rules else "")
            + (f'<path class="zero" d="{zero}"/>' if zero else "")
        )

    def curve(self, values: Sequence[float | None]) -> str:
        dates = self.dates
        first = dates[0].toordinal()
        wide = self.width / max(dates[-1].toordinal() - first, 1)
        tall = self.height / (self.scale.high - self.scale.low)
        top = self.scale.high

        def points() -> Iterator[tuple[float, float] | None]:
            for i in thin(min(len(dates), len(values)), POINTS):
                value = values[i]
                if value is None or value != value:
                    yield None
                else:
                    yield (dates[i].toordinal() - first) * wide, (top - value) * tall

        return path(points())


def plot_open(figure: Figure, words: Words, css: str) -> str:
    return f'<svg class="{css}" role="img" aria-label="{esc(words.plain(figure.label))}">'


def nothing(words: Words) -> str:
    return f'<p class="none">{esc(words.say("No data."))}</p>'


def _labels(scale: Axis, places: Places, numbers: Numbers, unit: str) -> Iterator[str]:
    """The values of the rules in the gutter at the right, where the lines end; months under the plot."""
    ticks, firsts = places
    for tick, y in ticks:
        text = numbers.percent(tick, scale.decimals) if unit == "%" else numbers.fixed(tick, scale.decimals)
        yield f'<text class="ty" x="100%" y="{y}%">{text}</text>'
    for month, x in firsts:
        yield f'<text class="tx" x="{x}%" y="100%">{esc(numbers.month(month))}</text>'


Places = tuple[list[tuple[float, str]], list[tuple[date, str]]]
"""Where the labels of the rules and of the months stand, in percent: the same in every language."""


def _places(scale: Axis, dates: Sequence[date]) -> Places:
    ticks = [(tick, _short(100 * (1 - scale.share(tick)))) for tick in scale.ticks]
    first = dates[0].toordinal()
    span = max(dates[-1].toordinal() - first, 1)
    at = [(month, 100 * (month.toordinal() - first) / span) for month in months(dates)]
    return ticks, [(month, _short(x)) for month, x in at if 2 < x < 98]


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


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
