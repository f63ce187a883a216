"""What changed between two reports, told from crafted facts."""

from __future__ import annotations

import gzip
from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from evertick.errors import NotFound
from evertick.model import Group, Instrument, PartMeta, ReportMeta, SourceStatus
from evertick.reports import record
from evertick.reports.blocks import Text
from evertick.reports.compare import BIGGEST, Comparison, compare, notable
from evertick.reports.findings import Breadth, Facts, Findings, Series, facts
from unit.reports import samples


class Store:
    def __init__(self) -> None:
        self.metas: dict[str, ReportMeta] = {}
        self.bodies: dict[str, bytes] = {}
        self.read: list[str] = []

    async def add(self, id: str, created: datetime, found: Findings, headline: str = "Calm") -> None:
        lines: list[bytes] = []

        class Writer:
            async def write(self, content: bytes) -> None:
                lines.append(content)

        recorder = record.Recorder(Writer())
        await recorder.begin(record.Heading(id, Text("Report"), ("en",), "UTC"), found)
        lines.append(b'{"bars":"SPX","count":0,"columns":"damaged"}\n')
        self.bodies[id] = gzip.compress(b"".join(lines))
        part = PartMeta("facts", "", 1, 1, "f" * 64)
        self.metas[id] = ReportMeta(
            id, "default", id, created, found.as_of, ("en",), (), {"en": headline}, found.quoted, 1.0, {}, facts=part
        )

    async def get(self, id: str) -> ReportMeta:
        if id not in self.metas:
            raise NotFound(f"There is no report {id}.")
        return self.metas[id]

    async def part(self, report: str, part: str) -> AsyncIterator[bytes]:
        self.read.append(f"{report} {part}")
        yield self.bodies[report]


def one(id: str, price: float | None, group: Group = Group.INDICES, currency: str = "pts", **more: Any) -> Facts:
    instrument = Instrument(id, f"The {id}", group, "world", currency, "24/7", 2, {"yahoo": id})
    source = more.pop("source", "yahoo")
    return facts(instrument, {"price": price, **more}, as_of=samples.AS_OF, source=source)


def findings(rows: Sequence[Facts], **more: Any) -> Findings:
    given = {"sources": (), "breadth": {}, "movers": {}} | more
    return Findings(samples.AS_OF, samples.NOW, samples.NOW.date(), tuple(rows), **given)


async def changed(before: Findings, after: Findings, headline: str = "Calm") -> Comparison:
    store = Store()
    await store.add("a", samples.NOW, before)
    await store.add("b", samples.NOW + timedelta(hours=3, minutes=20), after, headline)
    return await compare(store, "a", "b")


async def test_prices_between_the_reports() -> None:
    found = await changed(
        findings([one("UP", 100.0), one("DOWN", 50.0), one("SAME", 7.0), one("LESS", -2.0), one("OLD", 1.0), one("NIL", None)]),
        findings([one("NEW", 3.0), one("LESS", -1.0), one("SAME", 7.0), one("DOWN", 49.0), one("UP", 110.0), one("OLD", None)]),
    )  # fmt: skip
    moves = {m.id: m for m in found.instruments}
    assert list(moves) == ["LESS", "SAME", "DOWN", "UP"]
    assert (moves["UP"].before, moves["UP"].after, moves["UP"].difference) == (100.0, 110.0, 10.0)
    assert moves["UP"].change_pct == pytest.approx(10.0)
    assert moves["LESS"].change_pct is None, "no share of a negative price"
    assert (found.up, found.down, found.level) == (2, 1, 1)
    assert [m.id for m in found.rises] == ["UP"]
    assert [m.id for m in found.falls] == ["DOWN"]
    assert [x.id for x in found.new] == ["NEW"]
    assert [x.id for x in found.gone] == ["OLD"]
    assert found.apart_s == 12_000
    assert found.words == (
        "The second report was made 3 h 20 min after the first.",
        "The headline is the same.",
        "Of 4 instruments in both, 2 rose, 1 fell and 1 did not move in between.",
        "3 of them moved by more than half of a usual day.",
        "The biggest rise is The UP, +10.00 % to 110.00.",
        "The biggest fall is The DOWN, -2.00 % to 49.00.",
        "New: The NEW.",
        "Gone: The OLD.",
    )


async def test_the_biggest_are_a_few_and_in_order() -> None:
    before = [one(f"I{n}", 100.0) for n in range(30)]
    after = [one(f"I{n}", 100.0 + (n * 7) % 30) for n in range(30)]
    found = await changed(findings(before), findings(after))
    moves = [m.change_pct for m in found.rises]
    assert len(moves) == BIGGEST
    assert moves == sorted(moves, reverse=True)  # type: ignore[type-var]
    assert moves[0] == pytest.approx(29)


async def test_yields_move_by_points() -> None:
    rows = [findings([one("US10Y", v, Group.RATES, "%")]) for v in (4.0, 4.25)]
    found = await changed(*rows)
    assert (found.instruments[0].difference, found.instruments[0].change_pct) == (0.25, None)
    assert found.rises == ()
    (figure,) = (f for f in found.figures if f.name == "US, ten years")
    assert (figure.before, figure.after, figure.difference, figure.unit) == (4.0, 4.25, 0.25, "%")


async def test_what_moved_by_more_than_noise_the_most_unusual_first() -> None:
    def side(**prices: float) -> Findings:
        usual = {"CALM": 16.0, "WILD": 160.0, "NOISE": 160.0}  # annualised: a usual day is 1 % or 10 %
        rows = [one(id, price, vol20=usual.get(id)) for id, price in prices.items()]
        return findings([*rows, one("YIELD", prices["CALM"] / 25, Group.RATES, "%")])

    before = side(CALM=100.0, WILD=100.0, NOISE=100.0, NEW=100.0, STILL=100.0)
    after = side(CALM=102.0, WILD=106.0, NOISE=103.0, NEW=100.3, STILL=100.1)
    found = await changed(before, after)
    assert [m.id for m in notable(found.instruments)] == ["CALM", "YIELD", "WILD", "NEW"]
    assert {m.id for m in found.instruments if not m.notable} == {"NOISE", "STILL"}
    assert "4 of them moved by more than half of a usual day." in found.words
    assert found.instruments[0].usual_pct == pytest.approx(16 / 365**0.5)


async def test_key_figures_sources_and_headline() -> None:
    def side(advancing: int, over: int, fng: float, state: str, spread: float) -> Findings:
        return findings(
            [one("FNG", fng, Group.SENTIMENT), one("SPX", 10.0, drawdown=-fng)],
            breadth={Group.INDICES: Breadth(advancing, 10 - advancing, 0, 5, 10, over, 10, 0, 0)},
            sources=(SourceStatus("yahoo", state, 9, title="Yahoo"), SourceStatus("ecb", "idle")),
            spread=Series("SPREAD", array("i", [1, 2]), array("d", [9.0, spread])),
        )

    found = await changed(side(2, 5, 20.0, "ok", 0.5), side(8, 6, 55.0, "failing", 0.4), "Up")
    figures = {(f.section, f.name): (f.before, f.after) for f in found.figures}
    assert figures["World indices", "rose on the day"] == (20.0, 80.0)
    assert figures["World indices", "above the 200-day average"] == (50.0, 60.0)
    assert figures["Crypto", "Fear & Greed"] == (20.0, 55.0)
    assert figures["Risk", "S&P 500, drawdown"] == (-20.0, -55.0)
    assert figures["Interest rates", "US, ten years less two"] == (0.5, 0.4)
    assert ("Risk", "VIX") not in figures
    assert [(s.name, s.state_before, s.state_after) for s in found.sources] == [("yahoo", "ok", "failing")]
    assert found.headlines_changed == ("en",)
    assert "The headline is another one (en)." in found.words
    assert "World indices: 80 % rose on the day, 20 % in the first report." in found.words
    assert "Yahoo: ok before, failing now." in found.words


async def test_the_bars_are_not_read_and_reports_without_facts_are_refused() -> None:
    store = Store()
    await store.add("a", samples.NOW, samples.findings())
    found = await compare(store, "a", "a")
    assert found.words == ("Both are the same report.",)
    assert len(found.instruments) == samples.findings().quoted
    store.metas["old"] = replace(store.metas["a"], id="old", facts=None)
    with pytest.raises(NotFound, match="before facts were saved"):
        await compare(store, "a", "old")
    with pytest.raises(NotFound, match="no report b"):
        await compare(store, "a", "b")
