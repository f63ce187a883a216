"""Tiles: name, price, change and a small line."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.spark import spark
from evertick.reports.render.words import Words, tone


def draw(figure: Figure, words: Words) -> Iterator[str]:
    yield '<ul class="tiles">'
    for item in figure.data["items"]:
        change = item["change"]
        css = tone(change)
        price = words.numbers.number(item["price"])
        yield (
            f'<li><span class="tile-name">{words.html(item["name"])}</span><span class="tile-price">{price}</span>'
            f'<span class="tile-change {css}">{words.numbers.number(change)}</span>{spark(item["spark"], css)}</li>'
        )
    yield "</ul>"
