from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.model import Group, Instrument, Quote, Session
from evertick.sessions import (
    EXCHANGES,
    NEVER,
    _calendars,
    fresh,
    horizon,
    is_trading_day,
    last_close,
    next_change,
    next_close,
    next_open,
    session,
    trading_days,
)
from unit.lunar import CHINA, VIETNAM, solar


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MONDAY = "2026-11-23"  # New York is on winter time, Vietnam is UTC+7 all year


@pytest.mark.parametrize(
    ("exchange", "when", "state"),
    [
        ("XNYS", f"{MONDAY} 14:29:59", Session.CLOSED),
        ("XNYS", f"{MONDAY} 14:30", Session.OPEN),
        ("XNYS", f"{MONDAY} 20:59:59", Session.OPEN),
        ("XNYS", f"{MONDAY} 21:00", Session.CLOSED),
        ("XNYS", "2026-11-22 16:00", Session.CLOSED),
        ("XNYS", "2026-07-01 13:30", Session.OPEN),  # summer time
        ("XSTC", f"{MONDAY} 02:00", Session.OPEN),
        ("XSTC", f"{MONDAY} 04:30", Session.BREAK),
        ("XSTC", f"{MONDAY} 05:59", Session.BREAK),
        ("XSTC", f"{MONDAY} 06:00", Session.OPEN),
        ("XSTC", f"{MONDAY} 07:45", Session.CLOSED),
        ("XTKS", "2026-11-24 03:00", Session.BREAK),
        ("XTKS", f"{MONDAY} 03:00", Session.CLOSED),  # Labour Thanksgiving Day
        ("XNYS", "2026-11-26 16:00", Session.CLOSED),  # Thanksgiving
        ("XNYS", "2026-11-27 17:59", Session.OPEN),
        ("XNYS", "2026-11-27 18:00", Session.CLOSED),  # half a day
        ("XCBO", "2026-11-27 18:00", Session.OPEN),
        ("XCBO", "2026-11-27 18:15", Session.CLOSED),  # a quarter of an hour after the shares
        ("XHKG", "2026-12-24 03:59", Session.OPEN),
        ("XHKG", "2026-12-24 05:30", Session.CLOSED),  # no afternoon on Christmas Eve
        ("XSTC", "2027-02-04 03:00", Session.CLOSED),  # Tết
        ("XHNX", "2027-02-10 03:00", Session.CLOSED),
        ("XSTC", "2027-02-11 03:00", Session.OPEN),
        ("CME", "2026-11-26 17:59", Session.OPEN),
        ("CME", "2026-11-26 18:00", Session.CLOSED),  # from noon in Chicago to the evening
        ("CME", "2026-11-26 23:00", Session.OPEN),
        ("CME", "2026-12-24 23:30", Session.CLOSED),  # Christmas begins on its eve
        ("FX", "2025-12-24 21:59", Session.OPEN),
        ("FX", "2025-12-25 12:00", Session.CLOSED),
        ("FX", "2025-12-25 22:00", Session.OPEN),
        ("XSTC", "2032-01-01 03:00", Session.OPEN),  # behind the end of the calendar the weekly hours apply
        ("24/7", "2026-11-22 03:00", Session.ALWAYS),
        ("DAILY", "2026-11-22 03:00", Session.ALWAYS),
        ("FX", "2026-11-22 21:59", Session.CLOSED),  # opens on Sunday at 17:00 in New York
        ("FX", "2026-11-22 22:00", Session.OPEN),
        ("FX", "2026-11-25 03:00", Session.OPEN),
        ("FX", "2026-11-27 21:59", Session.OPEN),
        ("FX", "2026-11-27 22:00", Session.CLOSED),
        ("CME", f"{MONDAY} 21:59", Session.OPEN),
        ("CME", f"{MONDAY} 22:30", Session.BREAK),  # an hour of maintenance
        ("CME", f"{MONDAY} 23:00", Session.OPEN),
        ("CME", "2026-11-27 22:30", Session.CLOSED),
        ("XSAU", "2026-11-22 09:00", Session.OPEN),  # a Sunday
        ("XSAU", "2026-11-20 09:00", Session.CLOSED),  # a Friday
        ("XIDX", "2026-11-20 06:45", Session.BREAK),  # longer prayers on Fridays
        ("XIDX", f"{MONDAY} 06:45", Session.OPEN),
    ],
)
def test_session(exchange: str, when: str, state: Session):
    assert session(exchange, at(when)) is state


def test_next_change_walks_over_lunch_evening_and_weekend():
    when, seen = at("2026-11-20 00:00"), []
    for _ in range(6):
        when = next_change("XSTC", when)
        seen.append(f"{when:%a %H:%M}")
    assert seen == ["Fri 02:00", "Fri 04:30", "Fri 06:00", "Fri 07:45", "Mon 02:00", "Mon 04:30"]
    assert next_change("24/7", when) is NEVER


def test_daylight_saving_moves_the_hours_of_new_york_not_of_vietnam():
    # clocks went back on Sunday 2026-11-01
    assert next_change("XNYS", at("2026-10-30 00:00")) == at("2026-10-30 13:30")
    assert next_change("XNYS", at("2026-11-02 00:00")) == at("2026-11-02 14:30")
    assert next_change("XSTC", at("2026-11-02 00:00")) == at("2026-11-02 02:00")
    # foreign exchange is open over that change: 17:00 to 17:00 on New York's clock
    assert (last_close("FX", at("2026-11-01 10:00")), next_change("FX", at("2026-11-01 10:00"))) == (
        at("2026-10-30 21:00"),
        at("2026-11-01 22:00"),
    )
    # and CME's night over the change in March is an hour shorter
    assert next_change("CME", at("2027-03-14 22:00")) == at("2027-03-15 21:00")


def test_last_close_is_the_end_of_the_last_period_that_ended():
    assert last_close("XNYS", at(f"{MONDAY} 16:00")) == at("2026-11-20 21:00")
    assert last_close("XNYS", at(f"{MONDAY} 21:00")) == at(f"{MONDAY} 21:00")
    assert last_close("XSTC", at(f"{MONDAY} 05:00")) == at(f"{MONDAY} 04:30")
    assert last_close("24/7", at(f"{MONDAY} 05:00")) == at(f"{MONDAY} 05:00")


@given(
    st.sampled_from(sorted(EXCHANGES)),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
)
def test_changes_and_sessions_agree_at_any_time(exchange: str, when: datetime):
    change = next_change(exchange, when)
    assert change > when
    assert last_close(exchange, when) <= when
    if change is not NEVER:
        just_before = change - timedelta(microseconds=1)
        assert session(exchange, just_before) is session(exchange, when)
        assert (session(exchange, change) is Session.OPEN) != (session(exchange, just_before) is Session.OPEN)
        assert change - when < timedelta(days=15)
        assert next_open(exchange, when) > when
        assert next_close(exchange, when) > when
        assert change == min(next_open(exchange, when), next_close(exchange, when))


def test_every_zone_exists_and_every_period_ends_after_it_begins():
    for exchange in EXCHANGES.values():
        ZoneInfo(exchange.tz)
        assert exchange.code in EXCHANGES
        assert all(start < end for day in exchange.week for start, end in day)
        assert len(exchange.week) in (0, 7)


def test_an_unknown_exchange_is_a_key_error():
    with pytest.raises(KeyError):
        session("NYSE", at(MONDAY))


def test_the_next_opening_and_close_skip_holidays():
    eve = at("2026-11-25 22:00")
    assert (next_open("XNYS", eve), next_close("XNYS", eve)) == (at("2026-11-27 14:30"), at("2026-11-27 18:00"))
    tet = at("2027-02-03 08:00")
    assert (next_open("XSTC", tet), next_close("XSTC", tet)) == (at("2027-02-11 02:00"), at("2027-02-11 04:30"))
    assert next_close("XNYS", at("2026-11-27 15:00")) == at("2026-11-27 18:00")
    assert last_close("XNYS", at("2026-11-28 15:00")) == at("2026-11-27 18:00")
    assert (next_open("24/7", eve), next_close("SIFMA", eve)) == (NEVER, NEVER)


def test_foreign_exchange_pauses_for_a_day_within_its_week():
    when, seen = at("2025-12-21 00:00"), []
    for _ in range(4):
        when = next_change("FX", when)
        seen.append(f"{when:%m-%d %H}")
    assert seen == ["12-21 22", "12-24 22", "12-25 22", "12-26 22"]


def days(exchange: str, since: str, until: str) -> str:
    found = trading_days(exchange, date.fromisoformat(since), date.fromisoformat(until))
    return " ".join(f"{day:%d}" for day in found)


def test_trading_days():
    assert days("XNYS", "2026-11-20", "2026-12-01") == "20 23 24 25 27 30 01"
    assert days("XSTC", "2027-02-01", "2027-02-15") == "01 02 03 11 12 15"
    assert (
        days("XSAU", "2026-09-20", "2026-09-27") == "20 21 22 24 27"
    )  # a week from Sunday on, National Day on the 23rd
    assert days("CME", "2026-12-18", "2026-12-28") == "18 21 22 23 24 28"  # Sunday evening is Monday's
    assert days("CBOT", "2026-12-18", "2026-12-28") == "18 21 22 23 24 28"
    assert days("FX", "2025-12-19", "2025-12-29") == "19 22 23 24 26 29"
    assert days("TARGET", "2026-04-01", "2026-04-08") == "01 02 07 08"
    assert days("SIFMA", "2026-10-08", "2026-10-13") == "08 09 13"  # bonds rest on Columbus Day
    assert days("XNYS", "2026-10-08", "2026-10-13") == "08 09 12 13"
    assert days("24/7", "2026-12-24", "2026-12-27") == "24 25 26 27"
    assert not is_trading_day("XSTC", date(2026, 4, 27))


@given(st.sampled_from(sorted(EXCHANGES)), st.dates(date(2023, 1, 1), date(2032, 12, 31)))
def test_a_day_trades_just_when_a_period_ends_in_it(exchange: str, day: date):
    e = EXCHANGES[exchange]
    if e.always or e.daily:
        return
    noon = datetime.combine(day, time(3), ZoneInfo(e.tz)).astimezone(UTC)
    ends = [closes for n in range(8) if (closes := next_close(exchange, noon + timedelta(hours=3 * n)))]
    today = [closes for closes in ends if closes.astimezone(ZoneInfo(e.tz)).date() == day]
    if exchange != "FX":  # its one period runs through the days of the week
        assert is_trading_day(exchange, day) == bool(today)


def test_tet_and_spring_festival_agree_with_the_moon():
    for year in range(2023, 2032):
        first = solar(1, 1, year, VIETNAM)
        assert not any(trading_days("XSTC", first, first + timedelta(2))), year
        china = solar(1, 1, year, CHINA)
        assert not any(trading_days("XSHG", china, china + timedelta(4))), year
        kings = solar(10, 3, year, VIETNAM)
        assert not is_trading_day("XSTC", kings), year
        for month, day in ((1, 1), (4, 30), (5, 1), (9, 2)):
            assert not is_trading_day("XHNX", date(year, month, day)), year
        assert 235 <= len(list(trading_days("XSTC", date(year, 1, 1), date(year, 12, 31)))) <= 252
    assert solar(1, 1, 2030, VIETNAM) == date(2030, 2, 2)
    assert solar(1, 1, 2030, CHINA) == date(2030, 2, 3)


def test_calendars_reach_five_years_ahead_where_anybody_knows():
    short = {code for code in EXCHANGES if (end := horizon(code)) and end < date(2031, 12, 31)}
    assert short == {"XSAU"}
    assert {code for code in EXCHANGES if horizon(code) is None} == {"24/7", "DAILY", "XCAI"}
    for code in EXCHANGES:
        closed = 365 - len(list(trading_days(code, date(2025, 1, 1), date(2025, 12, 31))))
        assert closed == 0 or 104 <= closed <= 145, code


def test_the_calendars_are_small():
    sizes = [sys.getsizeof(part) for c in _calendars().values() for part in (c, c.closed, c.early, c.closes)]
    assert len(_calendars()) > 50
    assert sum(sizes) < 100_000


def instrument(exchange: str) -> Instrument:
    return Instrument("X", "X", Group.INDICES, "asia", "pts", exchange, 2, {"yahoo": "X"})


@pytest.mark.parametrize(
    ("exchange", "as_of", "now", "expected"),
    [
        ("XNYS", f"{MONDAY} 16:00", f"{MONDAY} 16:15", True),
        ("XNYS", f"{MONDAY} 16:00", f"{MONDAY} 16:15:01", False),
        ("XNYS", "2026-11-20 21:00", f"{MONDAY} 14:40", True),  # just opened, a delayed feed has nothing newer
        ("XNYS", "2026-11-20 21:00", f"{MONDAY} 14:46", False),
        ("XNYS", "2026-11-20 20:30", "2026-11-22 12:00", True),  # over the weekend the last half hour counts
        ("XNYS", "2026-11-20 20:29", "2026-11-22 12:00", False),
        ("XSTC", f"{MONDAY} 04:29", f"{MONDAY} 05:50", True),  # lunch
        ("XSTC", "2026-11-20 07:45", f"{MONDAY} 05:50", False),
        ("24/7", f"{MONDAY} 05:50", f"{MONDAY} 06:00", True),
        ("24/7", f"{MONDAY} 05:00", f"{MONDAY} 06:00", False),
        ("DAILY", f"{MONDAY} 00:00", "2026-11-24 11:59", True),
        ("DAILY", f"{MONDAY} 00:00", "2026-11-24 12:01", False),
        ("XNYS", "2026-11-25 21:00", "2026-11-27 14:00", True),  # over Thanksgiving
        ("XNYS", "2026-11-27 17:40", "2026-11-29 12:00", True),  # half a day's close
        ("SIFMA", "2026-11-20 00:00", f"{MONDAY} 22:00", True),  # Friday's yields until Monday's are out, and late
        ("SIFMA", "2026-11-20 00:00", "2026-11-24 02:01", False),
        ("SIFMA", "2026-11-25 20:30", "2026-11-27 20:00", True),  # none on Thanksgiving
        ("TARGET", "2026-12-24 15:00", "2026-12-28 15:00", True),
        ("TARGET", "2026-12-24 15:00", "2026-12-28 18:01", False),
    ],
)
def test_fresh(exchange: str, as_of: str, now: str, expected: bool):
    quote = Quote("X", 1.0, at(as_of), "yahoo")
    assert fresh(quote, instrument(exchange), at(now)) is expected


def test_how_old_a_price_may_be_is_the_callers_choice():
    quote = Quote("X", 1.0, at(f"{MONDAY} 16:00"), "yahoo")
    assert fresh(quote, instrument("XNYS"), at(f"{MONDAY} 17:00"), within_s=3600)
    assert not fresh(quote, instrument("XNYS"), at(f"{MONDAY} 16:02"), within_s=60)
