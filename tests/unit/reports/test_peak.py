"""What a report holds at once does not grow with its instruments, but for a few bytes each."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from evertick.model import Bars, Instrument, Snapshot
from evertick.reports.analyse import analyse
from evertick.reports.blocks import Table
from evertick.reports.check import Check
from evertick.reports.collect import collect
from evertick.reports.shelf import HELD, Shelf
from evertick.reports.validate import validate
from evertick.reports.write import write
from unit.reports import samples

EACH = 100
"""Bytes that may be held of one more instrument: where it is, its group, the seal of its facts, its move among those of its class.
About 60 are; its facts would be 900."""


def market(count: int) -> tuple[tuple[Instrument, ...], Snapshot]:
    """The sample market, lengthened by copies under other ids."""
    quotes = []
    rows = []
    known = {row.id: row for row in samples.instruments()}
    quoted = samples.snapshot().quotes
    for n in range(count):
        lap, place = divmod(n, len(quoted))
        one = quoted[place]
        quotes.append(replace(one, id=f"{one.id}.{lap}") if lap else one)
        rows.append(replace(known[one.id], id=quotes[-1].id))
    return tuple(rows), Snapshot(samples.AS_OF, tuple(quotes), samples.SOURCES)


async def nothing(instrument: Instrument) -> Bars:
    return Bars.empty(instrument.id)


async def no_session(id_: str, start: datetime, end: datetime) -> tuple[Sequence[int], Sequence[float]]:
    return (), ()


async def peak(count: int, folder: Path) -> int:
    """Bytes at the highest, from the first quote to the last row of all sections; what was there before is not counted."""
    rows, snapshot = market(count)
    gc.collect()
    tracemalloc.start(1)
    try:
        with Shelf(rows, folder) as shelf:
            collected = await collect(snapshot, nothing, rows, samples.NOW, None, no_session, shelf)
            findings = analyse(
                collected.facts,
                collected.kept,
                snapshot_as_of=collected.as_of,
                made=samples.NOW,
                day=samples.NOW.date(),
                sources=collected.sources,
            )
            validate(findings)
            check = Check(findings)
            for section in write(findings, samples.no_cards()):
                for block in section.blocks:
                    if isinstance(block, Table):
                        for _ in block.rows:
                            pass
            check.close()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_three_times_as_many_instruments_need_hardly_more(tmp_path: Path) -> None:
    few, many = HELD + 200, 3 * (HELD + 200)
    await peak(few, tmp_path)  # what is made once: caches, imports
    less, more = await peak(few, tmp_path), await peak(many, tmp_path)
    assert more - less < EACH * (many - few), f"{less:,} bytes at {few}, {more:,} at {many}"
