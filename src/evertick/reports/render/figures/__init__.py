"""Figures drawn on the server: SVG and a little HTML, without ``style=``, so that a strict Content Security Policy holds.

Plots use percentages for what stands in pixels (text, marks) and one nested, stretched ``<svg>`` for curves: the same
figure fits a phone and a page of paper, with text of one size. Each kind is one module with
``draw(figure, words) -> Iterator[str]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evertick.errors import ReportError
from evertick.reports.blocks import Figure
from evertick.reports.render.figures import (
    advances,
    bars,
    calendar,
    curve,
    gauge,
    heatmap,
    lines,
    session,
    share,
    sparks,
    timeline,
    treemap,
)
from evertick.reports.render.words import Words

KINDS: dict[str, Callable[[Figure, Words], Iterator[str]]] = {
    "sparks": sparks.draw,
    "treemap": treemap.draw,
    "lines": lines.draw,
    "area": lines.draw_area,
    "heatmap": heatmap.draw,
    "bars": bars.draw,
    "gauge": gauge.draw,
    "share": share.draw,
    "timeline": timeline.draw,
    "curve": curve.draw,
    "session": session.draw,
    "advances": advances.draw,
    "calendar": calendar.draw,
}


def draw(figure: Figure, words: Words) -> Iterator[str]:
    """The pieces of one figure's body. Raises `ReportError` for a kind that is none."""
    try:
        kind = KINDS[figure.kind]
    except KeyError:
        raise ReportError(f"figure {figure.id}: '{figure.kind}' is not one of {', '.join(KINDS)}") from None
    return kind(figure, words)
