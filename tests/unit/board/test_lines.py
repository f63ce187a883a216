"""Quotes without a sparkline get one from the daily bars that are stored."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from evertick.board.lines import AT_ONCE, line, lined
from evertick.errors import ArchiveUnavailable
from evertick.model import SPARK_POINTS, Bars, Snapshot
from evertick.universe import Universe

from .quotes import NOW, instrument, quote

TODAY = NOW.date().toordinal()


def bars(id_: str, *closes: float, last: int = TODAY - 1) -> Bars:
    days = array("i", range(last - len(closes) + 1, last + 1))
    column = array("d", closes)
    return Bars(id_, days, column, column, column, column, column)


def test_the_closes_before_the_day_and_then_the_price() -> None:
    shown = line(quote("SPX", 13.004), instrument("SPX"), bars("SPX", 10.0, 11.123456, 12.0))
    assert shown == (10.0, 11.12, 12.0, 13.004)
    through_today = bars("SPX", 10.0, 11.0, 12.5, last=TODAY)
    assert line(quote("SPX", 13.0), instrument("SPX"), through_today) == (10.0, 11.0, 13.0)


def test_no_more_than_a_line_has_room_for_and_nothing_of_another_scale() -> None:
    many = bars("SPX", *(100.0 + n for n in range(90)))
    shown = line(quote("SPX", 200.0), instrument("SPX"), many)
    assert len(shown) == SPARK_POINTS
    assert shown[-3:] == (188.0, 189.0, 200.0)
    assert line(quote("SPX", 13.0), instrument("SPX"), bars("SPX", 13_000.0, 12.0)) == (12.0, 13.0)
    assert line(quote("SPX", 0.1), instrument("SPX"), bars("SPX", -0.2, 0.0, 0.05)) == (-0.2, 0.0, 0.05, 0.1)


def test_without_bars_there_is_none() -> None:
    assert line(quote("SPX"), instrument("SPX"), Bars.empty("SPX")) == ()
    assert line(quote("SPX"), instrument("SPX"), bars("SPX", 99.0, last=TODAY + 3)) == ()


class Stored:
    def __init__(self, away: bool = False) -> None:
        self.asked: list[Sequence[str]] = []
        self.since: date | None = None
        self.away = away

    async def __call__(self, ids: Sequence[str], since: date) -> Mapping[str, Bars]:
        if self.away:
            raise ArchiveUnavailable("gone")
        self.asked.append(ids)
        self.since = since
        return {id: bars(id, 1.0, 2.0) if id != "I3" else Bars.empty(id) for id in ids}


async def test_only_those_without_a_line_are_asked_for_and_a_few_at_once() -> None:
    universe = Universe.of([instrument(f"I{n}") for n in range(20)])
    quotes = [quote(f"I{n}", 3.0) for n in range(20)]
    quotes[5] = replace(quotes[5], spark=(7.0, 8.0))
    before = Snapshot(NOW, tuple(quotes))
    stored = Stored()
    after = await lined(before, stored, universe)
    assert [q.id for q in after.quotes] == [q.id for q in before.quotes]
    assert {q.id: q.spark for q in after.quotes if q.spark != (1.0, 2.0, 3.0)} == {"I5": (7.0, 8.0), "I3": ()}
    assert all(len(ids) <= AT_ONCE for ids in stored.asked)
    assert "I5" not in [id for ids in stored.asked for id in ids]
    assert stored.since is not None
    assert (NOW.date() - stored.since).days == 60


async def test_a_database_that_is_away_leaves_the_prices() -> None:
    before = Snapshot(NOW, (quote("SPX"),))
    assert await lined(before, Stored(away=True), Universe.of([instrument("SPX")])) is before
