"""A half circle of bands with a needle, and how it got there."""

from __future__ import annotations

import math
from collections.abc import Iterator

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.lines import nothing, plot_open
from evertick.reports.render.figures.scale import path
from evertick.reports.render.words import Words, esc

BANDS = 5
_STEPS = ("d3", "d2", "d0", "u2", "u3")


def _point(share: float, radius: float) -> str:
    angle = math.pi * (1 - share)
    return f"{100 + radius * math.cos(angle):.1f} {100 - radius * math.sin(angle):.1f}"


def _band(start: float, end: float) -> str:
    return f"M{_point(start, 92)}A92 92 0 0 1 {_point(end, 92)}L{_point(end, 74)}A74 74 0 0 0 {_point(start, 74)}Z"


def _dial(figure: Figure, words: Words) -> str:
    return plot_open(figure, words, "dial").replace("<svg", '<svg viewBox="0 0 200 118"', 1)


def draw(figure: Figure, words: Words) -> Iterator[str]:
    data = figure.data
    value, low, high = data["value"], float(data["low"]), float(data["high"])
    if value.value is None:
        yield nothing(words)
        return
    share = min(max((value.value - low) / (high - low), 0.0), 1.0)
    yield f'<div class="gauge">{_dial(figure, words)}'
    for i, css in enumerate(_STEPS):
        yield f'<path class="{css}" d="{_band(i / BANDS + 0.004, (i + 1) / BANDS - 0.004)}"/>'
    yield f'<path class="needle" d="M{_point(share, 88)}L{_point(share, 62)}"/>'
    yield f'<text x="100" y="86" class="dial-value">{words.numbers.number(value)}</text>'
    yield f'<text x="100" y="106" class="dial-band">{esc(words.plain(data["band"]))}</text>'
    yield (
        f'<text x="17" y="114" class="dial-end">{words.numbers.fixed(low, 0)}</text>'
        f'<text x="183" y="114" class="dial-end">{words.numbers.fixed(high, 0)}</text></svg>'
    )
    history = [v for v in data.get("history", ()) if v is not None and math.isfinite(v)]
    if len(history) > 1:
        wide, tall = 1000 / (len(history) - 1), 300 / (high - low)
        line = path([(i * wide, 300 - (min(max(v, low), high) - low) * tall) for i, v in enumerate(history)])
        yield '<svg class="plot low" aria-hidden="true">'
        for tick in (0.25, 0.5, 0.75):
            at = low + tick * (high - low)
            y = f"{100 * (1 - tick):.0f}%"
            yield f'<line class="rule" x2="100%" y1="{y}" y2="{y}"/><text class="ty" x="100%" y="{y}">{words.numbers.fixed(at, 0)}</text>'
        yield (
            f'<svg viewBox="0 0 1000 300" width="100%" height="100%" preserveAspectRatio="none">'
            f'<path class="ln s0" d="{line}"/></svg></svg>'
        )
    yield "</div>"
