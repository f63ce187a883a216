from __future__ import annotations

from datetime import date, timedelta

from evertick.doctor import CALENDAR_DAYS, calendars
from evertick.sessions import EXCHANGES, horizon
from evertick.universe import load


def test_the_holidays_of_the_built_in_universe_are_known_far_ahead():
    check = calendars({i.exchange for i in load()}, date(2026, 11, 23))
    assert check.ok
    assert "to 2029-12-31 at least" in check.found  # Saudi Arabia's; the others reach 2031


def test_a_calendar_that_ends_soon_is_told():
    end = horizon("XSAU")
    assert end is not None
    assert calendars({"XSAU", "XNYS"}, end - CALENDAR_DAYS).ok
    late = calendars({"XSAU", "XNYS"}, end - CALENDAR_DAYS + timedelta(days=1))
    assert not late.ok
    assert late.found == "known only to: XSAU 2029-12-31"
    assert "Update" in late.hint


def test_of_many_calendars_five_are_named():
    check = calendars(EXCHANGES, date(2031, 12, 1))
    assert not check.ok
    assert check.found.endswith(" …")
    assert check.found.count("2031-12-31") == 5


def test_what_never_closes_needs_no_calendar():
    assert calendars({"24/7", "DAILY", "XCAI"}, date(2031, 12, 1)).ok
