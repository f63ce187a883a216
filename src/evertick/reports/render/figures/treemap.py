"""A map of the market: areas by weight, grouped, coloured by change. Laid out twice, for a wide page and for a phone.

The layout is the squarified treemap of Bruls, Huizing and van Wijk (2000).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evertick.reports.blocks import Figure, Name
from evertick.reports.render.figures.heatmap import step
from evertick.reports.render.figures.lines import nothing
from evertick.reports.render.words import Words, esc

HEAD = 18.0
"""Height of a group's heading, in the units of the view box (pixels on a page of that width)."""
LIMIT = 3.0
"""A change of this many percent has the strongest colour."""
_SIZES = ((" big", 10.8, 9.6, 92), ("", 7.9, 6.9, 0), (" tiny", 6.4, 5.6, 0))
WIDE, TALL = (1120.0, 520.0), (358.0, 900.0)


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


def squarify(weights: Sequence[float], box: Box) -> list[Box]:
    """Boxes that fill ``box``, of areas in proportion to ``weights`` (positive, largest first), as square as may be.

    In the order of ``weights``; O(n).
    """
    total = sum(weights)
    if not weights or total <= 0 or box.width <= 0 or box.height <= 0:
        return [Box(box.x, box.y, 0.0, 0.0)] * len(weights)
    scale = box.area / total
    areas = [w * scale for w in weights]
    out: list[Box] = []
    x, y, width, height = box.x, box.y, box.width, box.height
    start = 0
    while start < len(areas):
        side = min(width, height)
        end, total_row = start + 1, areas[start]
        worst = _worst(areas[start], areas[start], total_row, side)
        while end < len(areas):
            wider = total_row + areas[end]
            next_worst = _worst(areas[start], areas[end], wider, side)
            if next_worst > worst:
                break
            total_row, worst, end = wider, next_worst, end + 1
        thick = total_row / side if side else 0.0
        along = 0.0
        for area in areas[start:end]:
            length = area / thick if thick else 0.0
            out.append(Box(x, y + along, thick, length) if width >= height else Box(x + along, y, length, thick))
            along += length
        if width >= height:
            x, width = x + thick, max(width - thick, 0.0)
        else:
            y, height = y + thick, max(height - thick, 0.0)
        start = end
    return out


def _worst(largest: float, smallest: float, total: float, side: float) -> float:
    """The worst ratio of sides in a row of boxes with these extremes, along ``side``."""
    if not (smallest and total and side):
        return float("inf")
    return max(side * side * largest / (total * total), total * total / (side * side * smallest))


def draw(figure: Figure, words: Words) -> Iterator[str]:
    groups = [(g["name"], _sorted(g["items"])) for g in figure.data["groups"]]
    groups = [(name, items) for name, items in groups if items]
    if not groups:
        yield nothing(words)
        return
    groups.sort(key=lambda g: -sum(i["weight"] for i in g[1]))
    label = esc(words.plain(figure.label))
    for css, (width, height) in (("wide", WIDE), ("tall", TALL)):
        yield f'<svg class="map {css}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}">'
        boxes = squarify([sum(i["weight"] for i in items) for _, items in groups], Box(0, 0, width, height))
        for (name, items), box in zip(groups, boxes, strict=True):
            yield from _group(name, items, box, words)
        yield "</svg>"
    yield _key(words)


def _sorted(items: Sequence[Any]) -> list[Any]:
    return sorted((i for i in items if i["weight"] and i["weight"] > 0), key=lambda i: -i["weight"])


def _group(name: Name, items: Sequence[Any], box: Box, words: Words) -> Iterator[str]:
    titled = box.width > 46 and box.height > HEAD * 2.2
    head = HEAD if titled else 0.0
    if titled:
        room = max(int((box.width - 8) / 7.2), 1)
        yield f'<text class="map-group" x="{box.x + 2:.0f}" y="{box.y + 13:.0f}">{esc(_cut(words.plain(name), room))}</text>'
    inner = Box(box.x, box.y + head, box.width - 3, box.height - head - 3)
    for item, cell in zip(items, squarify([i["weight"] for i in items], inner), strict=True):
        yield _cell(item, cell, words)


def _cell(item: Any, box: Box, words: Words) -> str:
    change = item["change"]
    css = step(change.value, -LIMIT, LIMIT)
    x, y, width, height = box.x, box.y, max(box.width - 1, 0.5), max(box.height - 1, 0.5)
    short, moved = item["short"], words.numbers.number(change)
    title = esc(f"{words.plain(item['name'])} {moved}")
    text = ""
    # Widths of a bold letter and of a plain one, for three sizes; the largest that fits is taken.
    for size, letter, second, needs in _SIZES:
        if width >= max(len(short) * letter + 4, needs) and height >= max(15, needs * 0.6):
            middle = x + width / 2
            both = height >= (44 if size == " big" else 29) and width >= len(moved) * second + 4
            first = y + height / 2 + (-2 if both else 4)
            text = f'<text class="on-{css}{size}" x="{middle:.0f}" y="{first:.0f}">{esc(short)}</text>'
            if both:
                below = first + (17 if size == " big" else 13)
                text += f'<text class="on-{css} pc{size}" x="{middle:.0f}" y="{below:.0f}">{moved}</text>'
            break
    else:
        text = _halves(words.plain(item["name"]), css, Box(x, y, width, height))
    rect = f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    link = item["name"].link if isinstance(item["name"], Name) else None
    inside = f"<title>{title}</title>{rect}{text}"
    return f'<g data-card="{esc(link)}">{inside}</g>' if link else f"<g>{inside}</g>"


def _halves(name: str, css: str, box: Box) -> str:
    """The name in one line or in two, where the symbol has no room: a pair of currencies, a word. None with a number in it."""
    lines = re.split(r"[ /-]", name)
    if len(lines) > 2 or box.height < 3 + 9 * len(lines) or not all(line.isalpha() for line in lines):
        return ""
    if box.width < 4 + 6.4 * max(map(len, lines)):
        return ""
    middle, first = box.x + box.width / 2, box.y + box.height / 2 + (4 if len(lines) == 1 else -1)
    return "".join(
        f'<text class="on-{css} tiny" x="{middle:.0f}" y="{first + 9 * i:.0f}">{esc(line)}</text>'
        for i, line in enumerate(lines)
    )


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: max(room - 1, 1)].rstrip() + "…"


def _key(words: Words) -> str:
    """What the colours mean, from the strongest fall to the strongest rise."""
    steps = "".join(f'<rect class="{css}" x="{i * 100 / 7:.2f}%" width="14.3%" height="100%"/>' for i, css in enumerate(("d3", "d2", "d1", "d0", "u1", "u2", "u3")))  # fmt: skip
    low, high = words.numbers.percent(-LIMIT, 0), "+" + words.numbers.percent(LIMIT, 0)
    return f'<p class="map-key" aria-hidden="true"><span>≤ {low}</span><svg>{steps}</svg><span>≥ {high}</span></p>'
