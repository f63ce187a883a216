"""The curves of benchmarks/scale.py as SVG: both axes logarithmic, one line for each figure, the points marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 34, 40
LINE = 13
"""Between two labels."""
COLOURS = ("#0b5394", "#b45f06", "#38761d", "#741b47", "#666666")
Points = Sequence[tuple[float, float]]


def drawn(title: str, across: str, up: str, lines: Mapping[str, Points]) -> str:
    """Points that are not above zero have no place on such axes and are left out."""
    kept = {name: [(x, y) for x, y in points if x > 0 and y > 0 and math.isfinite(y)] for name, points in lines.items()}
    kept = {name: points for name, points in kept.items() if points}
    xs = [x for points in kept.values() for x, _ in points]
    ys = [y for points in kept.values() for _, y in points]
    x0, x1 = math.floor(math.log10(min(xs))), max(xs)
    y0, y1 = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys) * 1.0001))
    span_x, span_y = (math.log10(x1) - x0) or 1.0, (y1 - y0) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (math.log10(x) - x0) / span_x * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (math.log10(y) - y0) / span_y * (HEIGHT - TOP - BOTTOM),
        )

    parts = []
    for power in range(y0, y1 + 1):
        _, y = place(x1, 10.0**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:,.10g}</text>')
    for x_value in sorted(set(xs)):
        x, _ = place(x_value, 10.0**y0)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>')
    for power in range(x0, math.floor(math.log10(x1)) + 1):
        x, _ = place(10.0**power, 10.0**y0)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{10**power:,}</text>')
    labels = _apart({name: place(*points[-1])[1] + 4 for name, points in kept.items()})
    for (name, points), colour in zip(kept.items(), COLOURS, strict=False):
        at = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in at]
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{labels[name]:.1f}" fill="{colour}">{_escaped(name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11" role="img">'
        f'<title>{_escaped(title)}</title><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{_escaped(title)}</text>{"".join(parts)}'
        f'<text x="{LEFT + (WIDTH - LEFT - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{_escaped(across)}</text>'
        f'<text transform="rotate(-90 14 {HEIGHT / 2:.0f})" x="14" y="{HEIGHT / 2:.0f}" text-anchor="middle">{_escaped(up)}</text></svg>\n'
    )  # fmt: skip


def _apart(wanted: Mapping[str, float]) -> dict[str, float]:
    """The labels as near to their lines as they can be without touching, above the axis."""
    placed: dict[str, float] = {}
    floor = HEIGHT - BOTTOM - LINE * (len(wanted) - 1)
    last = float("-inf")
    for name, y in sorted(wanted.items(), key=lambda one: one[1]):
        last = placed[name] = max(last + LINE, min(y, floor))
        floor += LINE
    return placed


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def slope(points: Points) -> list[tuple[float, float, float]]:
    """From each point to the next: ``(x, next x, power)``, where y grows as x to that power: 0 level, 1 in proportion."""
    found = []
    for (x, y), (x2, y2) in pairwise(points):
        if min(x, y, y2) > 0 and x2 > x:
            found.append((x, x2, round(math.log(y2 / y) / math.log(x2 / x), 2)))
    return found
