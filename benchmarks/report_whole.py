"""The same blocks by the same templates, in pieces and whole: the process that benchmarks/reports.py measures.

Prints ``[[seconds, peak], [seconds, peak], bytes]`` as JSON: CPU seconds (the least of all runs) and the peak above the start
of one run, of `Renderer.render` and of one Jinja2 template that includes the others; both pages are the same bytes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from market import ZONE, status
from markupsafe import Markup

from evertick import universe
from evertick.memory.gauge import Allocator
from evertick.memory.release import settle
from evertick.reports.analyse import analyse
from evertick.reports.blocks import Card, Cards, Head, Section
from evertick.reports.catalogue import Catalogue
from evertick.reports.collect import collect
from evertick.reports.findings import Findings
from evertick.reports.render import Renderer, cells
from evertick.reports.render.renderer import _BLOCKS
from evertick.reports.sections.cards import cards
from evertick.reports.workflow import title
from evertick.reports.write import first_sentence, write
from unit.reports import samples

WHOLE = (
    '{% include "head.html" %}{% for section, blocks in filled %}{% include "section.html" %}'
    "{% for name, block, bars, statistics in blocks %}{% include name %}{% endfor %}"
    '{% include "section_end.html" %}{% endfor %}{% include "foot.html" %}'
)


async def findings() -> Findings:
    rows = tuple(universe.load())
    shot = samples.snapshot(rows)
    found = await collect(shot, samples.bars, rows, samples.NOW)
    return analyse(
        found.facts,
        found.kept,
        snapshot_as_of=found.as_of,
        made=samples.NOW,
        day=samples.NOW.date(),
        sources=found.sources,
    )


class Made:
    """Cards that are there already."""

    def __init__(self, made: list[Card]) -> None:
        self.made = made

    async def __aiter__(self) -> AsyncIterator[Card]:
        for card in self.made:
            yield card


async def streamed(renderer: Renderer, sections: Callable[[], Any], head: Head) -> int:
    size = 0
    async for piece in renderer.render(sections(), head):
        size += len(piece)
    return size


def whole(renderer: Renderer, sections: Callable[[], Any], head: Head, made: list[Card]) -> int:
    words = renderer.words
    today = words.numbers.local(head.created)
    environment = renderer._templates
    listed: list[Section] = list(sections())

    def blocks(section: Section) -> list[tuple[str, Any, Any, Any]]:
        found: list[tuple[str, Any, Any, Any]] = []
        for block in section.blocks:
            if isinstance(block, Cards):
                found.append(("blocks/cards_open.html", None, None, None))
                for card in made:
                    bars = Markup(cells.shared_rows(card.bars).written(words, today) if card.bars else "")
                    statistics = Markup(cells.shared_statistics(card.statistics).written(words, today))
                    found.append(("blocks/card.html", card, bars, statistics))
                found.append(("blocks/cards_close.html", None, None, None))
            else:
                found.append((f"blocks/{_BLOCKS[type(block)]}.html", block, None, None))
        return found

    page = environment.from_string(WHOLE).render(
        head=head,
        sections=listed,
        language_names=renderer._language_names,
        filled=[(section, blocks(section)) for section in listed],
        rows=lambda table: map(Markup, cells.rows(table, words, today)),
    )
    return len(page.encode())


async def main() -> None:
    found = await findings()
    renderer = Renderer("vi", Catalogue.load("vi"), ZONE)
    made = [card async for card in cards(found, samples.bars)]
    head = Head(
        "20261123T093119-eaa8e372",
        title(samples.NOW, ZONE),
        found.as_of,
        found.made,
        ("vi", "en"),
        first_sentence(found),
    )

    def sections() -> Any:
        for card in made:
            card.drawn.clear()
        return write(found, Made(made))

    settle(Allocator())
    size = await streamed(renderer, sections, head)
    if size != whole(renderer, sections, head, made):
        raise RuntimeError("no comparison: the pages differ")
    least = [float("inf")] * 2
    for _ in range(int(sys.argv[1])):
        began = time.process_time()
        await streamed(renderer, sections, head)
        middle = time.process_time()
        whole(renderer, sections, head, made)
        least = [min(least[0], middle - began), min(least[1], time.process_time() - middle)]
    peaks = []
    for way in range(2):
        Allocator().trim()
        start = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        if way:
            whole(renderer, sections, head, made)
        else:
            await streamed(renderer, sections, head)
        peaks.append(status("VmHWM") - start)
    sys.stdout.write(json.dumps([[least[0], peaks[0]], [least[1], peaks[1]], size]))


if __name__ == "__main__":
    asyncio.run(main())
