from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from evertick.board import open_embedded
from evertick.board.poll import merge, poll
from evertick.errors import BoardUnavailable
from evertick.model import Quote, Snapshot, SourceStatus
from evertick.universe import Universe

from .quotes import FULL, NOW, UNIVERSE, instrument, quote

OK = (SourceStatus("yahoo", "ok", 1, NOW),)
FAILING = (SourceStatus("yahoo", "failing", 0, None, "no connection", "unavailable"),)


def ids(snapshot: Snapshot) -> list[str]:
    return [q.id for q in snapshot.quotes]


def test_quotes_stand_in_the_order_of_the_universe():
    snapshot = merge(None, [quote("BTC"), quote("SPX"), quote("DJI")], OK, UNIVERSE, NOW)
    assert ids(snapshot) == ["SPX", "DJI", "BTC"]
    assert (snapshot.as_of, snapshot.sources) == (NOW, OK)


def test_the_newer_price_wins_whichever_came_first():
    old, new = quote("SPX", 1.0, age_s=200), quote("SPX", 2.0, age_s=100)
    assert merge(Snapshot(NOW, (old,)), [new], OK, UNIVERSE, NOW).quotes == (new,)
    assert merge(Snapshot(NOW, (new,)), [old], OK, UNIVERSE, NOW).quotes == (new,)
    assert merge(None, [new, old], OK, UNIVERSE, NOW).quotes == (new,)


def test_of_two_prices_of_one_time_the_one_that_came_now_wins():
    before, now = quote("SPX", 1.0), quote("SPX", 2.0)
    assert merge(Snapshot(NOW, (before,)), [now], OK, UNIVERSE, NOW).quotes == (now,)


def test_a_failing_source_leaves_the_last_good_values_with_their_own_age():
    later = NOW + timedelta(hours=5)
    snapshot = merge(FULL, [], FAILING, UNIVERSE, later)
    assert snapshot.quotes == FULL.quotes
    assert snapshot.as_of == later
    assert snapshot.sources == (replace(FAILING[0], last_success=NOW),)


def test_what_the_universe_no_longer_has_is_dropped():
    assert merge(FULL, [quote("NEW")], OK, Universe.of([instrument("SPX")]), NOW).quotes == FULL.quotes[:1]


def test_a_price_kept_from_a_wrong_clock_does_not_outlive_the_right_ones():
    wrong = quote("SPX", 1.0, age_s=-86_400)
    right = quote("SPX", 2.0)
    assert merge(Snapshot(NOW, (wrong,)), [right], OK, UNIVERSE, NOW).quotes == (right,)
    assert merge(Snapshot(NOW, (wrong,)), [], OK, UNIVERSE, NOW).quotes == ()


def test_merging_changes_nothing_that_it_was_given():
    before = replace(FULL)
    merge(FULL, [quote("SPX", 1.0, age_s=0)], OK, UNIVERSE, NOW)
    assert before == FULL


@dataclass
class Fetched:
    quotes: list[Quote]
    statuses: tuple[SourceStatus, ...]


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None: ...


class Source:
    def __init__(self, *answers: Fetched) -> None:
        self.answers = list(answers)
        self.asked: list[Snapshot | None] = []

    async def fetch(self, previous: Snapshot | None) -> Fetched:
        self.asked.append(previous)
        return self.answers.pop(0)


async def test_a_poll_saves_what_it_answers():
    source = Source(Fetched([quote("SPX", 5.0)], OK), Fetched([], FAILING))
    async with open_embedded(None) as board:
        first = await poll(source.fetch, board, UNIVERSE, FixedClock())
        assert await board.load() == first
        second = await poll(source.fetch, board, UNIVERSE, FixedClock())
        assert await board.load() == second
    assert source.asked == [None, first]
    assert (first.sources[0].state, second.sources[0].state) == ("ok", "failing")
    assert second.quotes == first.quotes == (quote("SPX", 5.0),)


async def test_a_poll_where_all_failed_and_nothing_is_known_saves_why():
    async with open_embedded(None) as board:
        await poll(Source(Fetched([], FAILING)).fetch, board, UNIVERSE, FixedClock())
        kept = await board.load()
    assert kept == Snapshot(NOW, (), FAILING)


class LostBoard:
    async def load(self) -> Snapshot | None:
        raise BoardUnavailable("gone")

    async def save(self, snapshot: Snapshot) -> None:
        raise AssertionError("nothing is saved to a lost board")


async def test_with_the_board_away_no_provider_is_asked():
    source = Source()
    with pytest.raises(BoardUnavailable):
        await poll(source.fetch, LostBoard(), UNIVERSE, FixedClock())
    assert source.asked == []
