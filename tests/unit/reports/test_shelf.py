"""The facts of more instruments than memory is for come back from the disk as they were."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evertick.errors import ReportError
from evertick.model import Group, Instrument
from evertick.reports import shelf as shelves
from evertick.reports.analyse import analyse, ends, movers
from evertick.reports.findings import Facts, Findings, Some, extremes, facts
from evertick.reports.roll import Roll
from evertick.reports.sections import market_map
from evertick.reports.sections.technical import MOST, Strongest
from evertick.reports.shelf import Shelf
from unit.reports import samples
from unit.reports.test_record import same


def many(count: int) -> list[Facts]:
    """Copies of the sample market under other ids, with moves of their own."""
    own, known = random.Random(count), samples.findings().facts
    made = []
    for n in range(count):
        f = known[n % len(known)]
        values = f.values[:]
        values[1] = round(own.gauss(0, 2), 2)
        made.append(replace(f, instrument=replace(f.instrument, id=f"{f.id}.{n}"), values=values))
    return made


def filled(found: Sequence[Facts], folder: Path) -> Shelf:
    shelf = Shelf([f.instrument for f in found], folder)
    for f in found:
        shelf.put(f)
    return shelf


@pytest.mark.parametrize("count", [0, 1, 130, shelves.HELD, shelves.HELD + 1, 1_500])
def test_what_was_put_comes_back(count: int, tmp_path: Path) -> None:
    found = many(count)
    with filled(found, tmp_path) as shelf:
        assert len(shelf) == count
        assert all(same(a, b) for a, b in zip(shelf, found, strict=True))
        for place in {0, count // 2, count - 1} if count else ():
            assert same(shelf[place], found[place])
            assert same(shelf[place - count], found[place])
        with pytest.raises(IndexError):
            shelf[count]
    assert os.listdir(tmp_path) == [], "the file has no name"


def test_many_are_not_held(tmp_path: Path) -> None:
    with filled(many(1_500), tmp_path) as shelf:
        assert shelf[7] is not shelf[7]
        assert shelf._held == []
        assert len(shelf._waiting) < 64 * shelves.WIDTH


def test_a_folder_without_room_is_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="have no room in"):
        filled(many(1_500), tmp_path / "not there")


def test_odd_facts_come_back(tmp_path: Path) -> None:
    rows = tuple(Instrument(f"X{n}", "X", Group.FX, "world", "USD", "FX", 2, {}) for n in range(shelves.HELD + 1))
    with filled([facts(row, {}) for row in rows], tmp_path) as shelf:
        one = shelf[3]
        assert (one.as_of, one.source, one.price, list(one.spark)) == (None, None, None, [])


def analysed(found: Sequence[Facts]) -> Findings:
    return analyse(found, {}, snapshot_as_of=samples.AS_OF, made=samples.NOW, day=samples.NOW.date())


def test_findings_are_the_same_from_the_disk(tmp_path: Path) -> None:
    found = many(1_500)
    with filled(found, tmp_path) as shelf:
        one, other = analysed(shelf), analysed(found)
        assert one.many
        assert (one.breadth, one.movers, one.warnings, one.quoted) == (
            other.breadth,
            other.movers,
            other.warnings,
            1_500,
        )
        for f in found[::97]:
            assert same(one.get(f.id), f)
        assert one.get("NO_SUCH") is None
        assert [f.id for f in one.of(Group.VIETNAM)] == [f.id for f in found if f.group is Group.VIETNAM]


def test_movers_are_those_of_a_sorted_list() -> None:
    found = [f for f in many(900) if f.group is not Group.RATES]
    ranked = sorted(found, key=lambda f: (-(f.change or 0), f.id))
    told = movers(found)
    assert list(told.top) == [f.id for f in ranked[:15]]
    assert list(told.bottom) == [f.id for f in reversed(ranked[-15:])]


def test_yields_are_ranked_by_basis_points() -> None:
    """Half a per cent of a high yield is more than one per cent of a low one."""
    known = next(f for f in samples.findings().facts if f.group is Group.RATES)

    def moved(id_: str, price: float, before: float) -> Facts:
        change = 100 * (price / before - 1)
        return facts(
            replace(known.instrument, id=id_), {"price": price, "previous_close": before, "change": change}, fresh=True
        )

    found = [moved("LOW", 1.01, 1.00), moved("HIGH", 6.03, 6.00), moved("FALL", 5.98, 6.00), moved("TINY", 0.49, 0.50)]
    told = movers(found)
    assert (told.top, told.bottom) == (("HIGH", "LOW"), ("FALL", "TINY"))
    assert [round(f.bp_1d or 0, 6) for f in found] == [1.0, 3.0, -2.0, -1.0]


@pytest.mark.parametrize("count", [0, 999, shelves.HELD, shelves.HELD + 1, 1_500])
def test_rows_may_come_with_their_facts(count: int, tmp_path: Path) -> None:
    """As those of a saved report do, of which nobody knows how many there are."""
    found = many(count)
    with Roll(tmp_path) as rows, Shelf(rows, tmp_path) as shelf:
        for f in found:
            rows.put(f.instrument)
            shelf.put(f)
        assert len(rows) == len(shelf) == count
        assert all(same(a, b) for a, b in zip(shelf, found, strict=True))
        assert rows[-count:][-1:] == [f.instrument for f in found[-1:]]
        assert (rows._held == []) == (shelf._held == []) == (not count or count > shelves.HELD)
        for odd in (count, -count - 1):
            with pytest.raises(IndexError):
                rows[odd]
    assert os.listdir(tmp_path) == []


def test_instruments_without_room_are_said(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="have no room in"), Roll(tmp_path / "not there") as rows:
        for f in many(shelves.HELD + 1):
            rows.put(f.instrument)


@pytest.mark.parametrize("count", [0, 1, 5, 60, 61, 500])
def test_ends_of_anything(count: int) -> None:
    numbers = [random.Random(count).randrange(10**6) for _ in range(count)]
    least, most = ends(iter(numbers), 15)
    assert least == sorted(numbers)[:15]
    assert most == sorted(numbers, reverse=True)[:15]


def test_some_and_extremes() -> None:
    found = many(300)
    some = Some.of(iter(found), 5, lambda f: abs(f.change or 0))
    ranked = sorted(found, key=lambda f: (-abs(f.change or 0), f.id))
    assert (some.count, list(some.first)) == (300, ranked[:5])
    assert Some.of(iter(found), 2) == Some(300, found[:2])
    both = extremes(found, lambda f: f.change)
    assert both is not None
    order = sorted(found, key=lambda f: (f.change or 0, f.id))
    assert (both.least, both.most, both.count) == (order[0], order[-1], 300)
    assert extremes(found, lambda f: None) is None


def test_the_strongest_of_many() -> None:
    kind, found = Strongest(lambda f: f.change if f.change and f.change > 0 else None), many(900)
    looked = [kind.look(f) for f in found]
    rising = sorted((f for f in found if (f.change or 0) > 0), key=lambda f: (-(f.change or 0), f.id))
    some = kind.some()
    assert (some.count, list(some.first)) == (sum(looked), rising[:MOST])
    assert some.count == len(rising)


def test_a_map_of_many_markets_has_a_share_of_each_class() -> None:
    total, classes = market_map.tiles(analysed(many(3_000)))
    shown = sum(len(members) for _, members in classes)
    assert total > 2_500
    assert market_map.MOST - 20 <= shown <= market_map.MOST + 20
    assert all(members for _, members in classes)
    few_total, few = market_map.tiles(samples.findings())
    assert few_total == sum(len(members) for _, members in few)
