from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from evertick.errors import SourceMalformed
from evertick.sources.tables import ROWS_AT_MOST, iso_day, local, table, tail, us_day

from .hardening import TEXTS


@pytest.mark.parametrize(
    "body",
    [
        b"a,b\n1.0,2.0\n3.0,4.0\n",
        b"a,b\r\n1.0,2.0\r\n3.0,4.0\r\n",
        b'"a","b"\n1.0, 2.0\n"3.0",4.0',
        b"\n,\na,b\n1.0,2.0\n\n5.0\n3.0,4.0,\n3.0,4.0\n",
    ],
)
def test_names_and_whole_rows(body: bytes):
    assert table("x", "/", body) == (["a", "b"], [["1.0", "2.0"], ["3.0", "4.0"]])


@pytest.mark.parametrize("body", [b"", b"\n\n", b",,\n"])
def test_without_names_there_is_nothing(body: bytes):
    assert table("x", "/", body) == ([], [])


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b"a,b\n1.00,2.00\n3.00", "a table that breaks off"),
        (b"a,b\n1.00,2.00\n3.00,4.0", "a table that breaks off"),
        (b"a,b\n1.00,2.00\n3.00,4", "a table that breaks off"),
        (b"a,b\n" + b"1,2\n" * (ROWS_AT_MOST + 1), "a table without end"),
        (b"a,b\n" + b'"' + b"7" * 140_000 + b'",2\n', "broken CSV (field larger than field limit (131072))"),
    ],
)
def test_what_is_no_whole_table_is_an_error(body: bytes, came: str):
    with pytest.raises(SourceMalformed) as caught:
        table("x", "/", body)
    assert caught.value.came == came


@pytest.mark.parametrize("end", [b"3.00,4.00", b"3.00,", b"3.00,.", b"3.00,N/A"])
def test_a_last_row_without_a_line_end_may_be_whole(end: bytes):
    assert len(table("x", "/", b"a,b\n1.00,2.00\n" + end)[1]) == 2


def test_the_last_lines_are_found_from_the_end():
    body = b"a\nb\nc\nd\n"
    assert tail(body, 2) == b"c\nd\n"
    assert tail(body[:-1], 2) == b"b\nc\nd"  # one more: the last is no line yet
    assert tail(body, 4) is body
    assert tail(b"", 3) == b""


def test_days():
    assert us_day("11/23/2026") == us_day("11/23/2026".lstrip("0")) == iso_day("2026-11-23") == 739943
    for text in [*TEXTS, "2026-11-23T00:00", "23.11.2026", "13/45/2026", "2300-01-01", "1/1/0001", "٢٠٢٦-١١-٢٣"]:
        assert iso_day(text) is None
        assert us_day(text) is None


def test_a_time_of_day_is_that_of_the_zone_in_summer_and_in_winter():
    berlin = ZoneInfo("Europe/Berlin")
    assert local(date(2026, 7, 1), time(16), berlin) == datetime(2026, 7, 1, 14, tzinfo=UTC)
    assert local(date(2026, 12, 1), time(16), berlin) == datetime(2026, 12, 1, 15, tzinfo=UTC)
