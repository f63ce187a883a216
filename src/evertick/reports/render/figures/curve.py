"""A curve over terms that are evenly apart (a yield curve), as it stands now and as it stood before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.lines import CURVES, HEIGHT, SERIES, WIDTH, legend, nothing, plot_open
from evertick.reports.render.figures.scale import axis, path
from evertick.reports.render.words import Words, esc

FEW = 6
"""Terms whose labels have room on the narrowest page."""


def draw(figure: Figure, words: Words) -> Iterator[str]:
    terms = figure.data["terms"]
    series = list(figure.data["series"])[:SERIES]
    scale = axis(v for one in series for v in one["values"] if v is not None)
    if scale is None or len(terms) < 2:
        yield nothing(words)
        return
    wide, tall = WIDTH / (len(terms) - 1), HEIGHT / (scale.high - scale.low)

    def points(values: Sequence[float | None]) -> Iterator[tuple[float, float]]:
        """A term without a value is passed over: the curve goes on to the next."""
        return ((i * wide, (scale.high - v) * tall) for i, v in enumerate(values) if v is not None)

    write = words.numbers.percent if figure.data.get("unit", "%") == "%" else words.numbers.fixed
    yield plot_open(figure, words, "plot")
    for tick in scale.ticks:
        y = f"{100 * (1 - scale.share(tick)):.1f}%"
        text = write(tick, scale.decimals)
        css = "zero" if abs(tick) < 1e-12 else "rule"
        yield f'<line class="{css}" x2="100%" y1="{y}" y2="{y}"/><text class="ty" x="100%" y="{y}">{text}</text>'
    for i, term in enumerate(terms):
        # The first begins where the plot does, else it is cut off; of many, every other one stays on a narrow page.
        css = ("tm" if i else "tx") + (" odd" if len(terms) > FEW and (len(terms) - 1 - i) % 2 else "")
        yield f'<text class="{css}" x="{100 * i / (len(terms) - 1):.1f}%" y="100%">{esc(words.plain(term))}</text>'
    yield CURVES
    for i, one in enumerate(series):
        yield f'<path class="ln s{i + 1}" d="{path(points(one["values"]))}"/>'
    yield "</svg>"
    for x, y_ in points(series[0]["values"]):
        yield f'<circle class="pt" cx="{100 * x / WIDTH:.1f}%" cy="{100 * y_ / HEIGHT:.1f}%" r="3"/>'
    yield "</svg>"
    yield legend(series, words, None)
