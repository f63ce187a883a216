from __future__ import annotations

import doctest
from datetime import UTC, datetime

import pytest

from evertick.web import replies
from evertick.web.pages import format, views


@pytest.mark.parametrize("module", [format, views, replies])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.00001234, 8, "0.00001234"),
        (999_999_999.4, 1, "999,999,999.4"),
        (1e9, 2, "1.00B"),
        (float("nan"), 2, "–"),
        (0, 0, "0"),
    ],
)
def test_prices(value, decimals, text):
    assert format.price(value, decimals) == text


@pytest.mark.parametrize(
    ("percent", "text", "tone"),
    [(0.0049, "0.00%", "flat"), (0.005, "+0.01%", "up"), (1234.5, "+1,234.50%", "up"), (-0.0051, "−0.01%", "down")],
)
def test_changes(percent, text, tone):
    assert (format.change(percent), format.tone(percent)) == (text, tone)


def test_a_day_is_told_only_where_it_is_another():
    when = format.When("Asia/Ho_Chi_Minh", datetime(2026, 11, 24, 20, 0, tzinfo=UTC))  # there it is the 25th
    assert when.short(datetime(2026, 11, 24, 18, 5, tzinfo=UTC)) == "01:05"
    assert when.short(datetime(2026, 11, 24, 12, 5, tzinfo=UTC)) == "24 Nov 19:05"
    assert when.short(datetime(2025, 11, 24, 12, 5, tzinfo=UTC)) == "24 Nov 2025 19:05"
    assert when.full(datetime(2026, 11, 24, 12, 5, tzinfo=UTC)) == "Tuesday 24 November 2026, 19:05"
    assert when.short(None) == when.clock(None) == "–"
    assert format.iso(datetime(2026, 11, 24, 12, 5, 1, 5000, tzinfo=UTC)) == "2026-11-24T12:05:01Z"


@pytest.mark.parametrize("function", [format.age, format.size, format.seconds, format.signed])
def test_what_is_not_known_is_a_dash(function):
    assert function(None) == "–"
