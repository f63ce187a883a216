from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.errors import SourceMalformed
from evertick.model import Session
from evertick.sessions import last_close, session
from evertick.sources.vietnam import (
    ZONE,
    board_time,
    calendar,
    closing,
    day_of,
    from_day,
    is_share,
    limit,
    made,
    off_scale,
    opening,
    quote_of_days,
    read_bars,
)

from .vietnamese import DAYS, FPT, NOW, SHARE, SHS, UPCOM, VNINDEX, VOLUME, instrument, local


@pytest.mark.parametrize(
    ("now", "shown", "expected"),
    [
        # trading, with a clock that runs a little behind or ahead of ours
        ("2026-11-24 10:20:00", "10:19:40", "2026-11-24 10:19:40"),
        ("2026-11-24 10:20:00", "9:01", "2026-11-24 09:01:00"),
        ("2026-11-24 10:20:00", "10:21:30", "2026-11-24 10:20:00"),
        # in the morning it still shows yesterday, on a Monday Friday
        ("2026-11-24 08:40:00", "14:45:03", "2026-11-23 14:45:00"),
        ("2026-11-24 09:10:00", "14:31:00", "2026-11-23 14:31:00"),
        ("2026-11-23 08:40:00", "14:45:03", "2026-11-20 14:45:00"),
        ("2026-11-23 08:40:00", "10:30:00", "2026-11-20 10:30:00"),
        # reset before the opening: the price is the last close's
        ("2026-11-24 08:50:00", "08:45:00", "2026-11-23 14:45:00"),
        ("2026-11-23 08:50:00", "08:45:00", "2026-11-20 14:45:00"),
        ("2026-11-24 10:20:00", "00:00:00", "2026-11-23 14:45:00"),
        # lunch and after the close
        ("2026-11-24 12:30:00", "11:30:04", "2026-11-24 11:30:00"),
        ("2026-11-24 12:30:00", "12:15:00", "2026-11-24 11:30:00"),
        ("2026-11-24 13:05:00", "11:29:58", "2026-11-24 11:29:58"),
        ("2026-11-24 15:30:00", "15:00:12", "2026-11-24 14:45:00"),
        ("2026-11-24 15:30:00", "14:44:58", "2026-11-24 14:44:58"),
        # around midnight
        ("2026-11-24 23:59:50", "14:45:03", "2026-11-24 14:45:00"),
        ("2026-11-25 00:00:10", "14:45:03", "2026-11-24 14:45:00"),
        ("2026-11-24 23:59:50", "00:00:05", "2026-11-24 14:45:00"),
        ("2026-11-25 00:00:10", "23:59:58", "2026-11-24 14:45:00"),
        ("2026-11-27 23:59:50", "00:00:05", "2026-11-27 14:45:00"),
        # at the weekend
        ("2026-11-28 10:00:00", "14:45:03", "2026-11-27 14:45:00"),
        ("2026-11-28 16:00:00", "14:45:03", "2026-11-27 14:45:00"),
        ("2026-11-28 16:00:00", "10:30:00", "2026-11-27 10:30:00"),
        ("2026-11-29 10:00:00", "00:05:00", "2026-11-27 14:45:00"),
    ],
)
def test_a_time_of_day_is_of_the_newest_session_it_can_be_of(now: str, shown: str, expected: str):
    assert board_time(shown, "XSTC", local(now)) == local(expected)


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC))


@given(MOMENTS, st.times(), st.sampled_from(["XSTC", "XHNX"]))
def test_whatever_the_board_shows_the_price_is_of_a_session_that_has_been(now: datetime, clock: time, exchange: str):
    at = board_time(f"{clock:%H:%M:%S}", exchange, now)
    assert at is not None
    assert at <= now
    assert session(exchange, at) is Session.OPEN or last_close(exchange, at) == at
    assert now - at < timedelta(days=16)


@given(MOMENTS)
def test_while_there_is_trading_a_board_that_is_right_is_believed(now: datetime):
    now = now.replace(microsecond=0)
    if session("XSTC", now) is Session.OPEN:
        assert board_time(f"{now.astimezone(ZONE):%H:%M:%S}", "XSTC", now) == now


@pytest.mark.parametrize(
    "shown", [None, "", "now", "24:00:00", "10:60:00", "10:10:61", "10:10:10:10", 1019, "１0:10", "x" * 99]
)
def test_what_is_no_time_of_day_is_none(shown: object):
    assert board_time(shown, "XSTC", NOW) is None


@pytest.mark.parametrize(
    ("seconds", "day"),
    [
        (1795456800, date(2026, 11, 24)),  # 18:00 UTC of the day before is 01:00 in Vietnam
        ("1795456800", date(2026, 11, 24)),
        (253_402_300_799, None),
        (-1, None),
        ("soon", None),
        (None, None),
    ],
)
def test_the_day_of_a_time_is_vietnam_s(seconds: object, day: date | None):
    assert day_of(seconds) == day


def test_a_day_has_an_opening_and_a_close_where_there_is_trading():
    assert (opening("XSTC", DAYS[-1]), closing("XSTC", DAYS[-1])) == (
        local("2026-11-24 09:00:00"),
        local("2026-11-24 14:45:00"),
    )
    assert opening("XSTC", date(2026, 11, 22)) is closing("XSTC", date(2026, 11, 22)) is None


def test_shares_and_indices_are_told_apart_by_currency_and_code():
    assert is_share(FPT, "FPT")
    assert not is_share(VNINDEX, "VNINDEX")
    assert not is_share(instrument("VNINDEX", currency="VND"), "VNINDEX")
    assert not is_share(instrument("VN100", currency="pts"), "VN100")
    assert [calendar(i) for i in (FPT, SHS, instrument("X", "24/7"), instrument("Y", "VNBANK"))] == [
        "XSTC",
        "XHNX",
        "XSTC",
        "XSTC",
    ]
    assert [limit(i, i.id) for i in (FPT, SHS, UPCOM, instrument("X", "24/7"))] == [0.07, 0.10, 0.15, 0.15]


@pytest.mark.parametrize(
    ("price", "share", "reason"),
    [
        (1760.0, False, None),
        (1_760_000.0, False, "an index of 1760000 points"),
        (0.118, False, "an index of 0.118 points"),
        (99_200.0, True, None),
        (99.2, True, "a share of 99.2 VND"),
        (99_200_000.0, True, "a share of 99200000 VND"),
    ],
)
def test_a_price_in_another_unit_is_noticed(price: float, share: bool, reason: str | None):
    assert off_scale(price, share) == reason


def rows(**changed: object):
    """Rows of FPT in VND; ``changed``: c5=0 puts 0 in place of the close of the fifth day."""
    table = [[day, c, c * 1.01, c * 0.99, c, v] for day, c, v in zip(DAYS, SHARE, VOLUME, strict=True)]
    for place, value in changed.items():
        table[int(place[1])]["tohlcv".index(place[0])] = value
    return [tuple(row) for row in table]


def read(table: object, unit: float = 1000.0, now=NOW):
    return read_bars(table, FPT, "test", "/bars", now, share=True, unit=unit)  # type: ignore[arg-type]


def test_bars_are_sorted_and_in_dong():
    bars = read(rows()[::-1])
    assert bars.dates() == DAYS
    assert list(bars.close) == [round(c * 1000, 4) for c in SHARE]
    assert list(bars.volume) == VOLUME


def test_of_two_rows_of_a_day_the_one_with_more_volume_counts():
    early = (DAYS[-1], 98.5, 98.9, 98.4, 98.6, 900_000)
    unknown = (DAYS[-1], 98.5, 98.9, 98.4, 98.7, None)
    for table in ([*rows(), early], [early, *rows()], [unknown, *rows()], [*rows(), unknown]):
        assert read(table).close[-1] == 99200.0


@pytest.mark.parametrize(("place", "value"), [("c3", 0), ("c3", None), ("c3", "-"), ("c3", -98.0), ("t3", None), ("t3", date(2026, 11, 25)), ("t3", date(1, 1, 1)), ("c3", 98000), ("c6", 99200), ("c0", 0.0971)])  # fmt: skip
def test_a_row_that_cannot_be_right_is_left_out(place: str, value: object):
    bars = read(rows(**{place: value}))
    assert bars.dates() == [day for n, day in enumerate(DAYS) if n != int(place[1])]


@pytest.mark.parametrize(("place", "value"), [("h3", 0), ("l3", None), ("o3", 0.098), ("h3", "x")])
def test_an_open_high_or_low_that_cannot_be_right_is_unknown(place: str, value: object):
    bars = read(rows(**{place: value}))
    column = {"o": bars.open, "h": bars.high, "l": bars.low}[place[0]]
    assert [str(v) == "nan" for v in column] == [n == 3 for n in range(7)]


@pytest.mark.parametrize(
    ("table", "came"),
    [
        ([(date(2026, 11, 21), *row[1:]) if n == 4 else row for n, row in enumerate(rows())], "a bar of 2026-11-21, a Saturday"),
        (rows(**{f"c{n}": 0 for n in range(7)}), "no usable bar among those sent"),
        (rows(**{f"c{n}": SHARE[n] * 1000 for n in range(7)}), "a share of 99200000 VND"),
        (rows(**{f"c{n}": SHARE[n] / 1000 for n in range(7)}), "a share of 99.2 VND"),
        (rows(**{f"c{n}": SHARE[n] * 1000 for n in range(4)}), "prices on two scales"),
    ],
)  # fmt: skip
def test_bars_in_another_unit_or_on_other_days_are_an_error(table: object, came: str):
    with pytest.raises(SourceMalformed) as caught:
        read(table)
    assert (caught.value.came, caught.value.endpoint) == (came, "/bars")


def test_no_rows_are_no_bars():
    assert len(read([])) == 0


def test_bars_from_a_day_on():
    bars = read(rows())
    assert from_day(bars, date(2026, 11, 20)).dates() == DAYS[4:]
    assert len(from_day(bars, date(2026, 12, 1))) == 0


@pytest.mark.parametrize(
    ("now", "price", "as_of"),
    [
        ("2026-11-24 10:20:00", 99200.0, "2026-11-24 09:00:00"),
        ("2026-11-24 15:00:00", 99200.0, "2026-11-24 14:45:00"),
        ("2026-11-26 03:00:00", 99200.0, "2026-11-24 14:45:00"),
        ("2026-11-24 08:59:00", 98100.0, "2026-11-23 14:45:00"),
    ],
)
def test_a_quote_from_daily_bars_is_no_newer_than_it_is_known_to_be(now: str, price: float, as_of: str):
    quote = quote_of_days(read(rows(), now=local(now)), FPT, "test", local(now))
    assert not isinstance(quote, str)
    assert (quote.price, quote.as_of, quote.source) == (price, local(as_of), "test")
    assert quote.previous_close == (98100.0 if price == 99200.0 else 98500.0)
    assert quote.spark[-1] == price


def test_no_quote_without_bars_or_from_a_day_without_trading():
    assert quote_of_days(read([]), FPT, "test", NOW) == "no bars"
    assert (
        quote_of_days(read(rows()[-1:], now=local("2026-11-24 08:00:00")), FPT, "test", local("2026-11-24 08:00:00"))
        == "no bars"
    )


def test_a_leap_that_no_limit_allows_is_a_split_and_has_no_change():
    quote = made(FPT, "test", 49600.0, NOW, NOW, previous=99200.0, high=50000.0, low=49000.0, volume=1.0, line=[])
    assert not isinstance(quote, str)
    assert (quote.change_pct, quote.previous_close) == (None, None)
    assert "times the one before" in str(
        made(FPT, "test", 99.2, NOW, NOW, previous=99200.0, high=1, low=1, volume=1, line=[])
    )
