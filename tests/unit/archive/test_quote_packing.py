from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evertick.archive import quote_packing as packing
from evertick.archive.packing import Unreadable

NOON = 1_795_435_200

prices = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**9), 10**12).map(lambda n: n / 100),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
seconds = st.integers(0, packing.LAST_SECOND)


def to_the_bit(left: array, right: array) -> bool:
    return left.typecode == right.typecode and left.tobytes() == right.tobytes()


@given(st.lists(st.tuples(seconds, prices), min_size=1, max_size=60, unique_by=lambda pair: pair[0]))
@example([(1, -0.0), (2, 0.0)])
@example([(1, 1e300), (2, 5e-324)])
@example([(0, 0.1 + 0.2), (packing.LAST_SECOND, 1 / 3)])
@example([(1, -37.63), (2, 18.27)])
def test_a_day_comes_back_to_the_bit(pairs: list[tuple[int, float]]) -> None:
    pairs.sort()
    times, column = array("q", [at for at, _ in pairs]), array("d", [price for _, price in pairs])
    back = packing.unpack_day(packing.pack_day(times, column))
    assert to_the_bit(back[0], times) and to_the_bit(back[1], column)


@given(st.lists(st.tuples(st.text("ABC_Đ", min_size=1), seconds, prices), min_size=1, max_size=40))
def test_a_refresh_comes_back_to_the_bit(rows: list[tuple[str, int, float]]) -> None:
    ids, times, column = map(list, zip(*rows, strict=True))
    back = packing.unpack_run(packing.pack_run(ids, times, column))
    assert back[0] == ids and list(back[1]) == times and to_the_bit(back[2], array("d", column))


@given(
    st.binary(max_size=80) | st.builds(lambda magic, rest: magic + rest, st.sampled_from([b"Q1", b"R1"]), st.binary())
)
def test_rubbish_is_unreadable_and_nothing_else(blob: bytes) -> None:
    for unpack in (packing.unpack_day, packing.unpack_run):
        with pytest.raises(Unreadable):
            unpack(blob)


@pytest.mark.parametrize("cut", [0, 1, 4, 8, 30, -1])
def test_half_a_blob_is_unreadable(cut: int) -> None:
    day = packing.pack_day([NOON + 180 * n for n in range(50)], array("d", [100 + n / 4 for n in range(50)]))
    run = packing.pack_run(["SPX", "BTC"], [NOON, NOON], [1.0, 2.0])
    for blob, unpack in ((day, packing.unpack_day), (run, packing.unpack_run)):
        with pytest.raises(Unreadable):
            unpack(blob[:cut])


def test_a_price_of_few_places_takes_few_bytes() -> None:
    times = [NOON - 43_200 + 180 * n for n in range(480)]
    column = array("d", [round(6_400 + 20 * math.sin(n / 9) + n % 7 / 4, 2) for n in range(480)])
    assert len(packing.pack_day(times, column)) / 480 < 4


def test_merging_orders_by_time_and_the_new_price_counts() -> None:
    old = array("q", [10, 20, 30]), array("d", [1, 2, 3])
    assert packing.merged(old, (array("q", [40, 50]), array("d", [4, 5])))[1].tolist() == [1, 2, 3, 4, 5]
    times, column = packing.merged(old, (array("q", [25, 20, 5]), array("d", [2.5, 9, 0])))
    assert (times.tolist(), column.tolist()) == ([5, 10, 20, 25, 30], [0, 1, 9, 2.5, 3])
    assert packing.between((times, column), 10, 25)[0].tolist() == [10, 20, 25]
