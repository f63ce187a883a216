from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.archive import cursor
from evertick.errors import BadCursor

AT = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789.-T", min_size=1, max_size=64),
)
def test_what_goes_in_comes_out(at: datetime, key: str) -> None:
    aware = at.replace(tzinfo=UTC)
    assert cursor.decode(cursor.encode(aware, key)) == (aware, key)


def test_is_one_word_for_an_address() -> None:
    word = cursor.encode(AT, "20261123T093000-1bdac559")
    assert word.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "🧹", "a b", "AAAA", "!!!!", cursor.encode(AT, "k")[:-2], cursor.encode(AT, "k") + "=", "A" * 300,
     "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5LmE", "MS4", "LmE", "MTIzNA"],
)  # fmt: skip
def test_anything_else_is_refused(wrong: str) -> None:
    with pytest.raises(BadCursor):
        cursor.decode(wrong)


@given(st.text(max_size=80))
def test_no_text_raises_anything_but_bad_cursor(text: str) -> None:
    try:
        at, key = cursor.decode(text)
    except BadCursor:
        return
    assert cursor.encode(at, key) == text


def test_a_bad_cursor_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="without a cursor"):
        cursor.decode("?")


def test_limits_are_bounded() -> None:
    assert [cursor.bounded(n) for n in (-5, 0, 1, 20, 10_000)] == [1, 1, 1, 20, cursor.MAX_LIMIT]


def test_order_of_time_is_not_lost_to_the_microsecond() -> None:
    later = AT + timedelta(microseconds=1)
    assert cursor.decode(cursor.encode(later, "a"))[0] - cursor.decode(cursor.encode(AT, "a"))[0] == timedelta(
        microseconds=1
    )
