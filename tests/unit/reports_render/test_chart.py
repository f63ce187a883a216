from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from evertick.reports.render.chart import ALPHABET, LAST, chart, signed, written


def read(text: str) -> list[int]:
    numbers, before = [], 0
    for character in text:
        digit = ALPHABET.index(character)
        if digit < LAST:
            numbers.append(before * LAST + digit)
            before = 0
        else:
            before = before * LAST + digit - LAST + 1
    return numbers


def unsigned(text: str) -> list[int]:
    return [-(n + 1) // 2 if n % 2 else n // 2 for n in read(text)]


def unpacked(text: str) -> list[tuple[float, ...]]:
    """What frontend/src/report/candles.js does with it."""
    packed = json.loads(text)
    scale = 10 ** packed["p"]
    out, day, close = [], 0, 0
    days, opens, highs, lows = unsigned(packed["d"]), unsigned(packed["o"]), read(packed["h"]), read(packed["l"])
    for i, difference in enumerate(unsigned(packed["c"])):
        before = close
        close += difference
        day += days[i]
        opened = (before if i else close) + opens[i]
        high = max(opened, close) + highs[i]
        low = min(opened, close) - lows[i]
        out.append((day, opened / scale, high / scale, low / scale, close / scale))
    return out


def bars(count: int, level: float, decimals: int) -> dict[str, Any]:
    own = random.Random(count)
    close = [round(level * (1 + own.gauss(0, 0.02)), decimals) for _ in range(count)]
    opened = [round(c * (1 + own.gauss(0, 0.01)), decimals) for c in close]
    high = [max(o, c) + abs(own.gauss(0, level / 100)) for o, c in zip(opened, close, strict=True)]
    low = [min(o, c) - abs(own.gauss(0, level / 100)) for o, c in zip(opened, close, strict=True)]
    return {"day": [20000 + i * (1 + i % 3) for i in range(count)], "open": opened, "high": high, "low": low, "close": close, "decimals": decimals}  # fmt: skip


@pytest.mark.parametrize(
    ("level", "decimals"), [(6890.0, 2), (1.15, 4), (0.00001234, 8), (86500.0, 2), (26350.0, 0), (-0.4, 3)]
)
def test_reads_back_to_what_was_packed(level: float, decimals: int) -> None:
    data = bars(120, level, decimals)
    places = json.loads(chart(data))["p"]
    for i, (day, opened, high, low, close) in enumerate(unpacked(chart(data))):
        assert day == data["day"][i]
        for got, name in ((opened, "open"), (high, "high"), (low, "low"), (close, "close")):
            assert got == pytest.approx(data[name][i], abs=0.6 * 10**-places)
    assert places <= decimals


def test_unknown_prices_are_the_close_and_days_without_one_are_left_out() -> None:
    nan = math.nan
    data = {
        "day": [1, 2, 3],
        "open": [nan, 1.0, nan],
        "high": [nan] * 3,
        "low": [nan] * 3,
        "close": [5.0, nan, 6.0],
        "decimals": 1,
    }
    assert unpacked(chart(data)) == [(1, 5.0, 5.0, 5.0, 5.0), (3, 6.0, 6.0, 6.0, 6.0)]


def test_a_year_is_small() -> None:
    assert len(chart(bars(260, 6890.0, 2))) < 3600


def test_every_number_is_read_back_and_needs_no_escape() -> None:
    numbers = [*range(5000), 10**6, 10**12]
    text = written(numbers)
    assert read(text) == numbers
    assert not set(text) & set('"\\<>&')
    assert json.loads(f'"{text}"') == text
    with pytest.raises(ValueError, match="below 0"):
        written([-1])
    both = [n * sign for n in numbers for sign in (1, -1)]
    assert unsigned(signed(both)) == both


@pytest.mark.parametrize("close", [[], [math.nan]])
def test_nothing_known_is_an_empty_object(close: list[float]) -> None:
    empty = [1] * len(close)
    assert chart({"day": empty, "open": close, "high": close, "low": close, "close": close, "decimals": 2}) == "{}"
