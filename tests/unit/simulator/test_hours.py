from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from evertick.errors import SettingsError
from evertick.model import Session
from evertick.sessions import EXCHANGES, session
from evertick.simulator.hours import EPOCH, hours
from evertick.simulator.paths import STEP


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def utc(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%a %d %H:%M}"


def test_a_day_with_a_lunch_break() -> None:
    assert [(utc(a), utc(b)) for a, b in hours("XSTC").segments(day("2026-11-25"))] == [
        ("Wed 25 02:00", "Wed 25 04:30"),
        ("Wed 25 06:00", "Wed 25 07:45"),
    ]


def test_no_trading_at_the_weekend() -> None:
    assert hours("XNYS").segments(day("2026-11-28")) == ()
    assert not hours("XNYS").is_trading_day(day("2026-11-29"))
    assert hours("XNYS").before(day("2026-11-30")) == day("2026-11-27")


def test_holidays_and_half_days() -> None:
    h = hours("XNYS")
    assert not h.is_trading_day(day("2026-11-26"))
    assert h.segments(day("2026-11-26")) == ()
    assert h.before(day("2026-11-27")) == day("2026-11-25")
    assert day("2026-11-26") not in h.days(day("2026-11-23"), day("2026-11-30"))
    assert [(utc(a), utc(b)) for a, b in h.segments(day("2026-11-27"))] == [("Fri 27 14:30", "Fri 27 18:00")]
    assert h.day_at(at("2026-11-26T16:00+00:00")) == day("2026-11-25")


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
def test_every_trading_day_of_the_calendar_trades(exchange: str) -> None:
    h = hours(exchange)
    for d in h.days(day("2024-01-01"), day("2031-12-31")):
        segments = h.segments(d)
        assert segments
        assert all(a < b for a, b in segments)
        assert all((b - a) % STEP == 0 for a, b in segments[:-1])
        assert h.day_at(segments[0][0]) == h.day_at(segments[-1][1] - 1) == d


def test_what_always_trades_has_whole_days() -> None:
    h = hours("24/7")
    assert h.always
    assert [(utc(a), utc(b)) for a, b in h.segments(day("2026-11-28"))] == [("Sat 28 00:00", "Sun 29 00:00")]
    assert h.days(day("2026-11-27"), day("2026-11-30")) == list(range(day("2026-11-27"), day("2026-11-30") + 1))


def test_sunday_evenings_futures_belong_to_monday() -> None:
    h = hours("CME")
    assert h.long
    assert [(utc(a), utc(b)) for a, b in h.segments(day("2026-11-30"))] == [("Sun 29 23:00", "Mon 30 22:00")]
    assert h.day_at(at("2026-11-29T23:30+00:00")) == day("2026-11-30")
    assert h.day_at(at("2026-11-29T20:00+00:00")) == day("2026-11-27")


def test_fx_is_cut_into_days_at_five_in_new_york() -> None:
    h = hours("FX")
    assert [(utc(a), utc(b)) for a, b in h.segments(day("2026-11-25"))] == [("Tue 24 22:00", "Wed 25 22:00")]
    week = h.days(day("2026-11-23"), day("2026-11-29"))
    assert [date.fromordinal(d).strftime("%a") for d in week] == ["Mon", "Tue", "Wed", "Thu", "Fri"]
    assert h.day_at(at("2026-11-28T12:00+00:00")) == day("2026-11-27")


def test_sunday_to_thursday() -> None:
    week = hours("XSAU").days(day("2026-11-23"), day("2026-11-29"))
    assert [date.fromordinal(d).strftime("%a") for d in week] == ["Mon", "Tue", "Wed", "Thu", "Sun"]


def test_daylight_saving_moves_the_opening() -> None:
    h = hours("XNYS")
    assert utc(h.segments(day("2026-10-30"))[0][0]) == "Fri 30 13:30"
    assert utc(h.segments(day("2026-11-02"))[0][0]) == "Mon 02 14:30"


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
def test_stamps_lie_on_their_local_day(exchange: str) -> None:
    h = hours(exchange)
    days = h.days(day("2025-01-01"), day("2027-03-01"))
    stamps = h.stamps(days)
    assert [datetime.fromtimestamp(s, h.zone).toordinal() for s in stamps] == days
    assert stamps == sorted(set(stamps))
    if not h.long and not h.always:
        assert stamps == [h.segments(d)[0][0] for d in days]


@pytest.mark.parametrize("exchange", sorted(code for code, e in EXCHANGES.items() if not e.daily or e.always))
def test_trading_days_agree_with_the_sessions(exchange: str) -> None:
    h = hours(exchange)
    spans = (("2026-10-23T00:00+00:00", "2026-11-06T00:00+00:00"), ("2026-12-22T00:00+00:00", "2027-01-05T00:00+00:00"))
    for moment in (m for a, b in spans for m in range(int(at(a)), int(at(b)), 3 * 3600 + 900)):
        trading = any(a <= moment < b for d in (h.day_at(moment), h.day_at(moment) + 1) for a, b in h.segments(d))
        is_open = session(exchange, datetime.fromtimestamp(moment, UTC)) in (Session.OPEN, Session.ALWAYS)
        assert trading == is_open, utc(moment)


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
def test_breaks_fall_between_two_points_of_a_path(exchange: str) -> None:
    for d in range(day("2026-11-23"), day("2026-11-30")):
        assert all((b - a) % STEP == 0 for a, b in hours(exchange).segments(d)[:-1])


def test_no_stamps_for_no_days() -> None:
    assert hours("XNYS").stamps([]) == []


def test_the_epoch() -> None:
    assert hours("24/7").stamps([EPOCH]) == [0]


def test_an_unknown_exchange_is_named() -> None:
    with pytest.raises(SettingsError, match="XXXX"):
        hours("XXXX")
