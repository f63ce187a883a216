from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.model import Group, Instrument, Quote, Session
from evertick.sessions import EXCHANGES, NEVER, fresh, last_close, next_change, session


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
        ("XTKS", f"{MONDAY} 03:00", Session.BREAK),
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
        assert change - when < timedelta(days=6)


def test_every_zone_exists_and_every_period_ends_after_it_begins():
    for exchange in EXCHANGES.values():
        ZoneInfo(exchange.tz)
        assert exchange.code in EXCHANGES
        assert all(start < end for day in exchange.week for start, end in day)
        assert len(exchange.week) in (0, 7)


def test_an_unknown_exchange_is_a_key_error():
    with pytest.raises(KeyError):
        session("NYSE", at(MONDAY))


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
    ],
)
def test_fresh(exchange: str, as_of: str, now: str, expected: bool):
    quote = Quote("X", 1.0, at(as_of), "yahoo")
    assert fresh(quote, instrument(exchange), at(now)) is expected


def test_how_old_a_price_may_be_is_the_callers_choice():
    quote = Quote("X", 1.0, at(f"{MONDAY} 16:00"), "yahoo")
    assert fresh(quote, instrument("XNYS"), at(f"{MONDAY} 17:00"), within_s=3600)
    assert not fresh(quote, instrument("XNYS"), at(f"{MONDAY} 16:02"), within_s=60)
