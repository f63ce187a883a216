from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from evertick.simulator import paths
from evertick.simulator.paths import STEP, DayBar

BAR = DayBar(
    day=1, open=100.0, high=104.0, low=97.0, close=102.0, volume=1e6, previous_close=99.0, key="1/A/1", seconds=23_400,
    sigma=1.5, decimals=2,
)  # fmt: skip
BARS = [
    BAR,
    replace(BAR, key="always", seconds=86_400),
    replace(BAR, key="hose", seconds=15_300),
    replace(BAR, key="odd", seconds=26_160),
    replace(BAR, key="short", seconds=3 * STEP),
    replace(BAR, key="hour", seconds=3_600),
    replace(BAR, key="up", open=97.0, close=104.0),
    replace(BAR, key="down", open=104.0, close=97.0),
    replace(BAR, key="flat", open=100.0, high=100.0, low=100.0, close=100.0),
]


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.key)
def test_a_path_goes_from_the_open_to_the_close_and_never_leaves_the_bar(bar: DayBar) -> None:
    marked = paths.marks(bar)
    points = paths.path(bar, marked).points
    assert len(points) == -(-bar.seconds // STEP) + 1
    assert points[0] == marked[0] == bar.open
    assert points[-1] == marked[-1] == bar.close
    assert min(points) >= bar.low
    assert max(points) <= bar.high


@pytest.mark.parametrize("key", [str(n) for n in range(50)])
def test_a_path_reaches_high_and_low(key: str) -> None:
    points = paths.path(bar := replace(BAR, key=key), paths.marks(bar)).points
    assert max(points) == bar.high
    assert min(points) == bar.low


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.key)
def test_the_price_at_a_moment_is_the_same_by_either_way(bar: DayBar) -> None:
    marked = paths.marks(bar)
    whole = paths.path(bar, marked)
    for elapsed in range(-60, bar.seconds + 60, 47):
        price = paths.price_at(bar, marked, elapsed)
        assert price == paths.price_on(bar, whole, elapsed)
        assert bar.low <= price <= bar.high


def test_the_price_passes_the_points_of_the_path() -> None:
    marked = paths.marks(BAR)
    points = paths.path(BAR, marked).points
    assert [paths.price_at(BAR, marked, STEP * i) for i in range(len(points))] == list(points)


def test_a_price_stands_for_a_tick_and_then_moves() -> None:
    marked = paths.marks(BAR)
    assert paths.price_at(BAR, marked, 1000) == paths.price_at(BAR, marked, 1001.9)
    assert len({paths.price_at(BAR, marked, s) for s in range(300, 600, paths.TICK)}) > 15


def test_volume_grows_from_nothing_to_all_and_most_at_both_ends() -> None:
    traded = [paths.volume_until(BAR, s) for s in range(0, BAR.seconds + 1, 2340)]
    assert traded[0] == pytest.approx(0)
    assert traded[-1] == pytest.approx(BAR.volume)
    each = [b - a for a, b in pairwise(traded)]
    assert each[0] > each[4] < each[9]
    assert min(each) > 0


def test_before_and_after_the_day() -> None:
    assert paths.volume_until(BAR, -10) == pytest.approx(0)
    assert paths.volume_until(BAR, 1e9) == pytest.approx(BAR.volume)


def test_bars_are_equal_by_their_key() -> None:
    assert replace(BAR, close=1.0) == BAR
    assert replace(BAR, key="other") != BAR
    assert len({BAR, replace(BAR, close=1.0)}) == 1


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.key)
def test_no_tick_leaves_its_step_and_no_step_the_bar(bar: DayBar) -> None:
    whole = paths.path(bar, paths.marks(bar))
    for step in range(len(whole.high)):
        found = paths.ticks(bar, whole, step)
        assert bar.low <= whole.low[step] <= min(found) <= max(found) <= whole.high[step] <= bar.high
        assert found[0] == whole.points[step]


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.key)
@pytest.mark.parametrize("length", [60, 137, 300, 900, 5400])
def test_pieces_of_a_stretch_reach_no_further_than_the_whole(bar: DayBar, length: int) -> None:
    whole = paths.path(bar, paths.marks(bar))
    edges = [*range(0, bar.seconds, length), bar.seconds]
    pieces = [paths.between(bar, whole, a, b) for a, b in pairwise(edges)]
    opened, high, low, close = paths.between(bar, whole, 0, bar.seconds)
    assert (opened, high, low, close) == (bar.open, bar.high, bar.low, bar.close)
    assert max(p[1] for p in pieces) <= high
    assert min(p[2] for p in pieces) >= low
    assert all(a[3] == b[0] for a, b in pairwise(pieces))
    assert all(p[2] <= min(p[0], p[3]) <= max(p[0], p[3]) <= p[1] for p in pieces)


def test_the_range_so_far_only_widens() -> None:
    whole = paths.path(BAR, paths.marks(BAR))
    found = [paths.between(BAR, whole, 0, s) for s in range(0, BAR.seconds + 20, 7)]
    assert all(a[1] <= b[1] and a[2] >= b[2] for a, b in pairwise(found))
