"""Reads figures: what each item bears as its name and values, labels and legends; axes are scales and no facts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import unescape
from math import isfinite
from typing import Any

from evertick.reports.blocks import Figure, Number, Text
from evertick.reports.check.account import LOOSE, TAG_SEEN, Account, numbers
from evertick.reports.shown import Grammar, bare

ENDS = re.compile(r"</(li|g|tr|figure)>")
"""A piece of a figure ends with an item or with the figure."""
_UNSEEN = re.compile(r'class="vh">([^<]*)<')
_SCALES = re.compile(
    r'<script\b[^>]*>[^<]*</script>|<text class="(?:t[xym](?: odd)?|dial-end)"[^>]*>[^<]*</text>'
    r'|<(li|p|g) class="(?:times-head|map-key)" aria-hidden="true">.*?</\1>',
    re.DOTALL,
)
"""What a figure shows that is no fact: its axes, the key of its colours and the numbers for the page script."""


@dataclass(slots=True)
class Drawn:
    """The figure that is read: what its items and the rest of it may show."""

    name: str
    label: Text
    caption: Text
    items: dict[str, list[tuple[Any, tuple[Any, ...]]]] = field(default_factory=dict)
    """By the name an item bears on the page: its name and the values it must show, in order; any one of several."""
    known: set[str] = field(default_factory=set)
    """Plain forms of the numbers that may stand elsewhere in it."""


class Figures:
    def __init__(self, account: Account) -> None:
        self._account = account

    def drawn(self, figure: Figure, name: str) -> Drawn:
        """What is expected of ``figure``, which is begun."""
        account, grammar = self._account, self._account.grammar
        drawn = Drawn(name, figure.label, figure.caption)
        drawn.known.update(grammar.forms(figure.caption))
        for shown, values in _items(figure, grammar):
            drawn.items.setdefault(grammar.name(shown), []).append((shown, values))
        drawn.known.update(form for value in _loose(figure) for form in grammar.forms(value))
        account.say(sorted(numbers((figure.label, figure.caption, _data(figure)))))
        if figure.kind in ("sparks", "treemap"):
            for item in _data(figure):
                facts = account.linked(item["name"].link)
                for fact in ("price", "change"):
                    if facts is not None and isinstance(item.get(fact), Number):
                        account.promise(facts, fact, fact, item[fact])
        return drawn

    def part(self, figure: Drawn, html: str, tag: str) -> None:
        """A piece of a figure that ends with an item (``li``, ``g``, ``tr``) or with the figure."""
        html = _SCALES.sub("", f"{html}</{tag}>")
        if tag == "figure":
            self._around(figure, html)
            return
        start = max(html.rfind(f"<{tag}>"), html.rfind(f"<{tag} "))
        if start < 0 or 'scope="col"' in html:
            self._around(figure, html)
            return
        self._around(figure, html[:start])
        html = html[start:]
        texts = [unescape(text).strip() for text in _TEXTS.findall(html)]
        texts = [text for text in texts if text]
        if not texts:
            return
        lists = figure.items.get(texts[0]) or figure.items.get(texts[0].rpartition(" ")[0])
        if lists is None:
            self._around(figure, html)
            return
        shown = " ".join((*texts, *map(unescape, TAG_SEEN.findall(html))))
        wrong = [self._account.grammar.agrees(shown, self._account.grammar.expected(wanted)) for wanted in lists]
        if None not in wrong:
            self._account.fail(f"{texts[0]}: {wrong[0]}")

    def _around(self, figure: Drawn, html: str) -> None:
        """What is no item: labels say what the figure's label or caption says, other numbers are known to its data."""
        grammar = self._account.grammar
        for text in (*TAG_SEEN.findall(html), *_UNSEEN.findall(html)):
            text = unescape(text)
            wrong = grammar.agrees(text, grammar.expected(figure.label))
            if wrong and grammar.agrees(text, grammar.expected(figure.caption)) and grammar.strays(text, figure.known):
                self._account.fail(wrong)
        if LOOSE.search(html):
            text = bare(_UNSEEN.sub("><", html).replace("</", " </"))
            if (stray := grammar.strays(text, figure.known)) is not None:
                self._account.fail(f"shows {stray!r}, which is no fact of it")


_TEXTS = re.compile(r">([^<]+)")
_LAST = range(7)
"""Decimals that the last value of a line may be shown with: as many as its axis needs."""


def _items(figure: Figure, grammar: Grammar) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """What each item of a figure bears as its name, and the values it must show; several times where the room decides."""
    data = figure.data
    match figure.kind:
        case "sparks":
            for item in data["items"]:
                yield item["name"], (replace(item["price"], unit=""), item["change"])
        case "bars" | "share":
            for item in data["items"]:
                yield item["name"], (replace(item["value"], unit=""),)
        case "treemap":
            for item in _data(figure):
                change, short = item["change"], item["short"]
                yield from ((item["name"], shown) for shown in ((change,), (change, short), (change, short, change)))
        case "heatmap":
            for name, cells in zip(data["rows"], data["cells"], strict=True):
                yield name, tuple(cell for cell in cells if cell is not None)
        case "advances":
            for row in data["rows"]:
                yield row["name"], (row["up"], row["down"], row["flat"])
        case "session":
            if data["previous"] is not None:
                yield Text("Previous close"), (data["previous"],)
        case "lines" if len(data["series"]) > 1:
            for one in data["series"]:
                last = next((v for v in reversed(one["values"]) if v is not None and isfinite(v)), None)
                yield one["name"], ()
                yield from ((one["name"], (Number(last, decimals=decimals),)) for decimals in _LAST)
        case "timeline":
            for row in data["rows"]:
                yield row["name"], tuple(grammar.clock(at) for span in row["spans"] for at in span)


def _data(figure: Figure) -> list[Any]:
    """The items of a figure, of all its groups."""
    data = figure.data
    if "groups" in data:
        return [item for group in data["groups"] for item in group["items"]]
    return list(data.get("items", ()))


_KNOWN = frozenset({"sparks", "bars", "share", "treemap", "heatmap", "lines", "area", "timeline"}) | {
    "advances",
    "session",
    "curve",
    "calendar",
}


def _loose(figure: Figure) -> Iterator[Any]:
    """What may stand in a figure outside its items: names of groups and columns, the value of a gauge."""
    data = figure.data
    match figure.kind:
        case "treemap":
            yield from (group["name"] for group in data["groups"])
        case "heatmap":
            yield from data["columns"]
        case kind if kind not in _KNOWN:
            yield from _leaves(data)


def _leaves(value: Any) -> Iterator[Any]:
    match value:
        case dict():
            for key, inner in value.items():
                if key != "history":
                    yield from _leaves(inner)
        case list() | tuple():
            for inner in value:
                yield from _leaves(inner)
        case None:
            return
        case _:
            yield value
