from __future__ import annotations

import random
import re
from typing import Any

import pytest

from evertick.reports.blocks import Name, Number
from evertick.reports.render.figures.treemap import Box, _cell, squarify
from unit.reports_render.words_for_tests import words


@pytest.mark.parametrize("n", [1, 2, 3, 7, 50, 400])
def test_boxes_have_their_areas_and_fill_the_whole_without_overlap(n: int) -> None:
    own = random.Random(n)
    weights = sorted((own.uniform(1, 100) for _ in range(n)), reverse=True)
    box = Box(3, 5, 640, 360)
    boxes = squarify(weights, box)
    total = sum(weights)
    assert sum(b.area for b in boxes) == pytest.approx(box.area)
    for weight, b in zip(weights, boxes, strict=True):
        assert b.area == pytest.approx(box.area * weight / total)
        assert b.x >= box.x - 1e-6
        assert b.y >= box.y - 1e-6
        assert b.x + b.width <= box.x + box.width + 1e-6
        assert b.y + b.height <= box.y + box.height + 1e-6
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            wide = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
            tall = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
            assert wide < 1e-6 or tall < 1e-6


def test_the_example_of_the_paper() -> None:
    """Bruls, Huizing, van Wijk (2000), figure 4: 6 6 4 3 2 2 1 in a box of 6 by 4."""
    boxes = squarify([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert [(round(b.width, 2), round(b.height, 2)) for b in boxes[:4]] == [(3, 2), (3, 2), (1.71, 2.33), (1.29, 2.33)]


@pytest.mark.parametrize(
    ("weights", "box"), [([], Box(0, 0, 1, 1)), ([0.0, 0.0], Box(0, 0, 1, 1)), ([1.0], Box(0, 0, 0, 5))]
)
def test_nothing_to_fill_gives_empty_boxes(weights: list[float], box: Box) -> None:
    assert [b.area for b in squarify(weights, box)] == [0.0] * len(weights)


PAIR = {"name": Name("EUR/USD"), "short": "EURUSD", "change": Number(0.4, "percent", signed=True)}


@pytest.mark.parametrize(
    ("item", "side", "shown"),
    [
        (PAIR, 27, ["EUR", "USD"]),
        (PAIR, 20, []),
        (PAIR, 60, ["EURUSD", "+0.40%"]),
        (PAIR | {"name": Name("CSI 300"), "short": "CSI300"}, 35, []),
        (PAIR | {"name": Name("Silver & Sons"), "short": "SILVER"}, 27, []),
        (PAIR | {"name": Name("Oats"), "short": "OATSUSX"}, 32, ["Oats"]),
    ],
)
def test_a_tile_without_room_for_its_symbol_bears_its_name_in_two_lines(
    item: dict[str, Any], side: float, shown: list[str]
) -> None:
    cell = _cell(item, Box(0, 0, side, side), words())
    assert re.findall(r"<text[^>]*>([^<]*)<", cell) == shown
