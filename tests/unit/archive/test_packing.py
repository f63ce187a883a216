from __future__ import annotations

import math
import struct
from array import array
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.archive import packing
from evertick.model import Bars

COLUMNS = ("open", "high", "low", "close", "volume")
NEW_YEAR = date(2026, 1, 1).toordinal()


def bars(days: list[int], columns: list[list[float]] | None = None) -> Bars:
    columns = columns or [[float(d + i) for d in days] for i in range(5)]
    return Bars("SPX", array("i", days), *(array("d", c) for c in columns))


def same(left: Bars, right: Bars) -> bool:
    return left.day == right.day and all(getattr(left, c).tobytes() == getattr(right, c).tobytes() for c in COLUMNS)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.data())
def test_every_bit_comes_back(data: st.DataObject) -> None:
    offsets = data.draw(st.lists(st.integers(0, 364), min_size=1, max_size=40, unique=True))
    days = [NEW_YEAR + offset for offset in sorted(offsets)]
    columns = [data.draw(st.lists(numbers, min_size=len(days), max_size=len(days))) for _ in range(5)]
    given_ = bars(days, columns)
    assert same(packing.unpack("SPX", packing.pack(given_)), given_)


def test_nan_stays_nan() -> None:
    nan = math.nan
    back = packing.unpack("X", packing.pack(bars([NEW_YEAR], [[nan], [nan], [nan], [1.1], [nan]])))
    assert math.isnan(back.open[0])
    assert math.isnan(back.volume[0])
    assert back.close[0] == 1.1


def test_prices_of_32_bits_take_half_the_room() -> None:
    days = list(range(NEW_YEAR, NEW_YEAR + 250))
    exact = [math.sin(d) * 100 + 300 for d in days]
    short = list(array("f", exact))
    assert len(packing.pack(bars(days, [short] * 5))) < 0.6 * len(packing.pack(bars(days, [exact] * 5)))


def test_a_value_beyond_32_bits_is_kept_whole() -> None:
    given_ = bars([NEW_YEAR], [[1e300], [1e39], [-1e39], [1.0], [4e38]])
    assert same(packing.unpack("SPX", packing.pack(given_)), given_)


def test_the_newest_day_is_read_from_the_head_alone() -> None:
    blob = packing.pack(bars([NEW_YEAR + 3, NEW_YEAR + 9]))
    assert packing.last_day(blob[: packing.HEAD_BYTES]) == date(2026, 1, 10)


@pytest.mark.parametrize("harm", [lambda b: b[:-1], lambda b: b[:5], lambda b: b"", lambda b: b"B9" + b[2:],
                                  lambda b: b[:2] + struct.pack("<H", 900) + b[4:],
                                  lambda b: b[:2] + struct.pack("<H", 1) + b[4:],
                                  lambda b: b[:20] + bytes([b[20] ^ 255]) + b[21:]])  # fmt: skip
def test_a_damaged_blob_is_unreadable(harm: object) -> None:
    blob = packing.pack(bars([NEW_YEAR + i for i in range(30)]))
    with pytest.raises(packing.Unreadable):
        packing.unpack("SPX", harm(blob))  # type: ignore[operator]


def test_years_are_cut_at_new_year() -> None:
    days = [NEW_YEAR - 2, NEW_YEAR - 1, NEW_YEAR, NEW_YEAR + 1]
    years = dict(packing.by_year(bars(days)))
    assert {year: list(part.day) for year, part in years.items()} == {2025: days[:2], 2026: days[2:]}


def test_unsorted_and_double_days_are_put_in_order_and_the_later_counts() -> None:
    ((_, part),) = packing.by_year(bars([NEW_YEAR + 2, NEW_YEAR, NEW_YEAR + 2], [[1.0, 2.0, 3.0]] * 5))
    assert list(part.day) == [NEW_YEAR, NEW_YEAR + 2]
    assert list(part.close) == [2.0, 3.0]


def test_merging_keeps_old_days_and_takes_new_ones() -> None:
    old = bars([NEW_YEAR, NEW_YEAR + 1], [[1.0, 1.0]] * 5)
    new = bars([NEW_YEAR + 1, NEW_YEAR + 2], [[2.0, 2.0]] * 5)
    both = packing.merged(old, new)
    assert list(both.day) == [NEW_YEAR, NEW_YEAR + 1, NEW_YEAR + 2]
    assert list(both.close) == [1.0, 2.0, 2.0]


def test_merging_never_changes_its_arguments() -> None:
    old, new = bars([NEW_YEAR]), bars([NEW_YEAR + 1])
    packing.merged(old, new)
    assert (len(old), len(new)) == (1, 1)
