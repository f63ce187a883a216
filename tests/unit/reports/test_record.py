"""What is saved of a report comes back as it was, and a page made from it is the same page."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from array import array
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import fields, is_dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from evertick.errors import ReportError
from evertick.model import Bars, Group, Instrument
from evertick.reports import record
from evertick.reports.blocks import Text
from evertick.reports.findings import FIELDS, Facts, Findings, facts
from evertick.reports.roll import Roll
from evertick.reports.shelf import HELD, Shelf
from unit.reports import samples

HEADING = record.Heading("20261123T093000-1bdac559", Text("Evening market report"), ("vi", "en"), "Asia/Ho_Chi_Minh")


class Writer:
    def __init__(self) -> None:
        self.content = b""
        self.longest = 0

    async def write(self, content: bytes) -> None:
        self.content += content
        self.longest = max(self.longest, len(content))

    async def pieces(self, size: int = 7_001) -> AsyncIterator[bytes]:
        packed = gzip.compress(self.content, 1)
        for start in range(0, len(packed), size):
            yield packed[start : start + size]


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, NaN equal to NaN, arrays of one type."""
    if isinstance(one, array):
        return isinstance(other, array) and one.typecode == other.typecode and one.tobytes() == other.tobytes()
    if isinstance(one, float) and one != one:
        return isinstance(other, float) and other != other
    if is_dataclass(one):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


async def written(findings: Findings) -> Writer:
    writer = Writer()
    await record.Recorder(writer).begin(HEADING, findings)
    return writer


async def test_the_findings_come_back_as_they_were() -> None:
    findings = samples.findings()
    writer = await written(findings)
    heading, found = await record.heading_and_findings(writer.pieces())
    assert heading == HEADING
    for field in (f for f in fields(Findings) if f.init):
        assert same(getattr(found, field.name), getattr(findings, field.name)), field.name
    assert writer.longest < 256 << 10
    assert all(json.loads(line) for line in writer.content.splitlines())


async def test_those_of_many_come_back_on_a_shelf(tmp_path: Path) -> None:
    known = samples.findings()
    many = [replace(f, instrument=replace(f.instrument, id=f"{f.id}.{n}")) for n in range(8) for f in known.facts]
    assert len(many) > HELD
    writer = await written(replace(known, facts=tuple(many)))
    with Roll(tmp_path) as rows, Shelf(rows, tmp_path) as shelf:
        _, found = await record.heading_and_findings(writer.pieces(), rows, shelf)
        assert found.facts is shelf
        assert (len(rows), shelf._held, rows._held) == (len(many), [], [])
        assert all(same(one, other) for one, other in zip(found.facts, many, strict=True))
        assert found.quoted == known.quoted * 8


async def test_unknown_infinite_and_odd_values_come_back() -> None:
    one = samples.findings().facts[0]
    odd = array("d", [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 0.1] + [1 / 3] * (len(FIELDS) - 6))
    findings = replace(samples.findings(), facts=(replace(one, values=odd, as_of=None, source='"\n\u2028<'),))
    _, found = await record.heading_and_findings((await written(findings)).pieces(11))
    assert same(found.facts[0], findings.facts[0])


async def test_facts_of_a_version_with_other_fields_are_read_by_name() -> None:
    made = facts(samples.instruments()[0], {"price": 12.5, "rsi14": 61.0})
    line = {"fact": record.plain(made)}
    names = [name for name in FIELDS if name != "change"]
    line["fact"]["values"]["values"].pop(FIELDS.index("change"))
    found = record.facts_of(json.loads(json.dumps(line)), names)
    assert isinstance(found, Facts)
    assert (found.price, found.rsi14, found.change) == (12.5, 61.0, None)


@pytest.mark.parametrize("damage", [b"[1]\n", b"{\n", b'{"format":99}\n', b"", b'{"format":1,"fields":[]}\n'])
async def test_what_is_damaged_is_said_to_be(damage: bytes) -> None:
    writer = Writer()
    writer.content = damage
    with pytest.raises(ReportError):
        await record.heading_and_findings(writer.pieces())


def some_bars(instrument: Instrument, days: int, close: float = 0.1) -> Bars:
    column = array("d", [close + n for n in range(days)])
    return Bars(
        instrument.id, array("i", range(739_000, 739_000 + days)), array("d", [float("nan")] * days), column[:], column[:],
        column, array("d", [1.5] * days),
    )  # fmt: skip


async def test_cards_get_the_bars_that_they_were_given() -> None:
    asked = samples.instruments()[:5]
    given = {i.id: some_bars(i, 300 if n else 0) for n, i in enumerate(asked)}

    async def bars(instrument: Instrument) -> Bars:
        return given[instrument.id]

    writer = Writer()
    recorder = record.Recorder(writer)
    await recorder.begin(HEADING, samples.findings())
    reader = recorder.reader(bars)
    seen = [await reader(i) for i in asked]
    assert [len(b) for b in seen] == [0, 261, 261, 261, 261]
    async with record.Replay(writer.pieces()) as replay:
        assert all([same(await replay(i), one) for i, one in zip(asked, seen, strict=True)])
    async with record.Replay(writer.pieces()) as replay:
        with pytest.raises(ReportError, match="no bars"):
            await replay(asked[1])


async def test_the_event_loop_gets_its_turns() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    findings = samples.findings()
    writer = await written(findings)
    while_writing, turns = turns, 0
    await record.heading_and_findings(writer.pieces())
    counting.cancel()
    assert min(while_writing, turns) >= len(findings.facts) // record.TURN


async def test_a_reader_that_stops_early_closes_the_stream() -> None:
    closed = False

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            yield gzip.compress(b'{"a":1}\n{"b":2}\n')
        finally:
            closed = True

    async with aclosing(record.lines(pieces())) as read:  # type: ignore[type-var]
        assert await anext(read) == {"a": 1}
    assert closed


def test_what_cannot_be_saved_is_refused() -> None:
    with pytest.raises(TypeError, match="complex"):
        record.plain({"group": Group.FX, "what": 1j})


@pytest.mark.parametrize(
    "column",
    [
        [], [0.0], [-0.0, 1.0], [1e300, 2.0], [float("nan")] * 3, [float("nan"), 1.25, 3.0], [float("inf"), 1.0],
        [4980.12, 4979.05, 12.5], [1 / 3, 2 / 3], [4980.1201171875, 0.5], [1e18, 3.0], [2.0**63, 1.0], [-7.5, 7.5],
        [0.000001, 123456.654321], [1.0] * 30 + [1 / 3] + [float("nan")],
    ],
)  # fmt: skip
def test_every_column_comes_back_to_the_last_bit(column: list[float]) -> None:
    values = array("d", column)
    bars = Bars("X", array("i", range(739_000, 739_000 + len(column))), values, values, values, values, values)
    line = {"bars": "X", "count": len(column), "columns": b64encode(record.pack(bars)).decode()}
    assert same(record._bars(line), bars)


def test_prices_with_a_few_decimals_take_little() -> None:
    walk = list(accumulate((random.Random(5).randrange(-900, 900) for _ in range(261)), initial=498_012))[1:]
    close = array("d", [n / 100 for n in walk])
    bars = Bars("X", array("i", range(739_000, 739_261)), close, close, close, close, close)
    assert len(gzip.compress(record.pack(bars))) < 261 * 5 * 2
