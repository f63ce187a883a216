"""Schedules: every kind, both changes of the clock, downtimes, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.errors import SettingsError
from evertick.jobs.schedule import MISSED_SHOWN, Schedule, due, parse

HCM = "Asia/Ho_Chi_Minh"
NY = "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(schedule: Schedule, after: str, count: int = 3, seed: str = "") -> list[str]:
    found, when = [], at(after)
    for _ in range(count):
        when = schedule.next(when, seed)
        found.append(f"{when:%Y-%m-%dT%H:%M}")
    return found


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [("every 3m", 180), ("3m", 180), ("1h30m", 5400), ("90s", 90), ("0.5h", 1800), ("1d", 86400), ("EVERY  3 m", 180)],
)
def test_a_fixed_interval_counts_from_the_anchor(spec: str, seconds: int) -> None:
    anchor = at("2026-11-23T09:30:12.345678")
    assert parse(spec, HCM).next(anchor) == anchor + timedelta(seconds=seconds)


def test_a_random_interval_is_within_its_bounds_spread_and_the_same_everywhere() -> None:
    schedule, again = parse("every 3h..6h", HCM), parse("3h..6h", HCM)
    when, drawn = at("2026-11-23T00:00"), []
    for _ in range(400):
        following = schedule.next(when, "default.report")
        assert following == again.next(when, "default.report")
        drawn.append((following - when).total_seconds() / 3600)
        when = following
    assert min(drawn) >= 3
    assert max(drawn) <= 6
    assert 4.3 < sum(drawn) / len(drawn) < 4.7
    quarters = [sum(low <= d < low + 0.75 for d in drawn) for low in (3, 3.75, 4.5, 5.25)]
    assert min(quarters) > 60
    assert schedule.next(when, "default.report") != schedule.next(when, "other.report")


def test_times_of_day_are_read_in_their_zone() -> None:
    schedule = parse("15:30, 07:00", HCM)  # UTC+7 all year
    assert first(schedule, "2026-11-23T00:00") == ["2026-11-23T08:30", "2026-11-24T00:00", "2026-11-24T08:30"]


def test_a_time_that_the_clock_jumps_over_runs_at_the_jump_and_one_that_comes_twice_runs_once() -> None:
    schedule = parse("02:30", NY)
    assert first(schedule, "2026-03-07T12:00") == ["2026-03-08T07:00", "2026-03-09T06:30", "2026-03-10T06:30"]
    schedule = parse("01:30", NY)
    assert first(schedule, "2026-10-31T12:00") == ["2026-11-01T05:30", "2026-11-02T06:30", "2026-11-03T06:30"]
    twice = parse("02:15,02:45", NY)  # both inside the gap: one run, not two at one instant
    assert first(twice, "2026-03-08T00:00", 2) == ["2026-03-08T07:00", "2026-03-09T06:15"]


@pytest.mark.parametrize("spec", ["cron: 0 7 * * mon-fri", "0 7 * * 1-5"])
def test_cron_skips_the_weekend_in_its_zone(spec: str) -> None:
    assert first(parse(spec, HCM), "2026-11-26T12:00") == ["2026-11-27T00:00", "2026-11-30T00:00", "2026-12-01T00:00"]


def test_cron_at_the_changes_of_the_clock() -> None:
    assert first(parse("30 2 * * *", NY), "2026-03-07T12:00", 2) == ["2026-03-08T07:00", "2026-03-09T06:30"]
    assert first(parse("30 1 * * *", NY), "2026-10-31T12:00", 2) == ["2026-11-01T05:30", "2026-11-02T06:30"]


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
@pytest.mark.parametrize("zone", [NY, "Australia/Lord_Howe", HCM])
def test_an_hourly_cron_follows_real_time_through_a_change(day: str, zone: str) -> None:
    schedule = parse("*/15 * * * *", zone)
    when, found = at(f"{day}T00:00") - timedelta(days=1), []
    while when < at(f"{day}T00:00") + timedelta(days=2):
        when = schedule.next(when)
        found.append(when)
    assert {b - a for a, b in pairwise(found)} == {timedelta(minutes=15)}


def test_the_half_hour_of_lord_howe() -> None:
    # 2026-04-05 02:00+11 becomes 01:30+10:30: 01:45 comes twice, 30 minutes apart.
    found = first(parse("45 * * * *", "Australia/Lord_Howe"), "2026-04-04T14:00", 4)
    assert found == ["2026-04-04T14:45", "2026-04-04T15:15", "2026-04-04T16:15", "2026-04-04T17:15"]
    assert first(parse("01:45", "Australia/Lord_Howe"), "2026-04-04T14:00", 1) == ["2026-04-04T14:45"]


@given(
    st.sampled_from(["3m", "3h..6h", "07:00,15:30", "*/7 * * * *", "30 1,2 * * *", "0 */5 * * 1-5", "02:15,02:45"]),
    st.sampled_from([HCM, NY, "Europe/London", "Australia/Lord_Howe", "UTC"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
def test_the_next_is_always_later_and_nothing_lies_between(spec: str, zone: str, naive: datetime) -> None:
    schedule, now = parse(spec, zone), naive.replace(tzinfo=UTC)
    following = schedule.next(now, "x")
    assert following > now
    assert following.tzinfo is UTC
    if schedule.timing.wall:  # asked from any moment before it, it is the same one
        assert schedule.next(now + (following - now) / 2, "x") == following
        assert schedule.next(following - timedelta(microseconds=1), "x") == following


# --- sessions --------------------------------------------------------------------------------------------------------


def test_an_interval_outside_the_session_waits_for_the_opening() -> None:
    schedule = parse("every 1h @XNYS", HCM)  # Friday 20:30 UTC; New York closes at 21:00 in winter
    assert first(schedule, "2026-11-20T19:30", 3) == ["2026-11-20T20:30", "2026-11-23T14:30", "2026-11-23T15:30"]


def test_a_time_outside_the_session_is_left_out() -> None:
    schedule = parse("09:00,12:00 @xnys", NY)
    assert first(schedule, "2026-11-20T12:00", 3) == ["2026-11-20T17:00", "2026-11-23T17:00", "2026-11-24T17:00"]


def test_any_of_several_exchanges_will_do() -> None:
    schedule = parse("every 1h @XNYS,24/7", HCM)
    assert first(schedule, "2026-11-21T00:00", 2) == ["2026-11-21T01:00", "2026-11-21T02:00"]


def test_what_is_never_in_session_is_refused() -> None:
    with pytest.raises(SettingsError, match="never due"):
        parse("03:00 @XNYS", NY)


def test_a_minute_cron_over_a_weekend_is_found_quickly() -> None:
    assert first(parse("* * * * * @XNYS", NY), "2026-11-20T20:59", 1) == ["2026-11-23T14:30"]


# --- what is owed ----------------------------------------------------------------------------------------------------


def test_nothing_is_owed_before_its_time() -> None:
    found = due(parse("3m", HCM), at("2026-11-23T09:03"), at("2026-11-23T09:02:59"))
    assert (found.newest, found.missed, found.coalesced, found.next) == (None, (), 0, at("2026-11-23T09:03"))


def test_a_downtime_owes_one_slot_and_names_the_missed() -> None:
    found = due(parse("3m", HCM), at("2026-11-23T09:03"), at("2026-11-23T09:13"))
    assert found.newest == at("2026-11-23T09:12")
    assert found.missed == (at("2026-11-23T09:03"), at("2026-11-23T09:06"), at("2026-11-23T09:09"))
    assert found.coalesced == 3
    assert found.next == at("2026-11-23T09:15")


def test_a_year_of_downtime_is_counted_exactly_and_shown_in_part() -> None:
    start = at("2025-01-01T00:00")
    found = due(parse("3m", HCM), start, start + timedelta(days=365, seconds=1))
    assert found.coalesced == 365 * 480
    assert len(found.missed) == MISSED_SHOWN
    assert found.missed[-1] == start + timedelta(days=365) - timedelta(minutes=3)
    assert found.newest == start + timedelta(days=365)


@pytest.mark.parametrize("spec", ["* * * * *", "1s..2s", "1m @XNYS"])
def test_years_of_downtime_end_at_a_due_time_close_to_now(spec: str) -> None:
    now = at("2026-11-23T15:00:30")  # a Monday, New York is open
    found = due(parse(spec, HCM), at("2024-01-01T15:00"), now)
    assert found.newest is not None
    assert found.newest <= now < found.next
    assert now - found.newest <= timedelta(minutes=1)
    assert found.coalesced >= 2_000
    assert len(found.missed) == MISSED_SHOWN
    assert sorted(found.missed) == list(found.missed)


# --- plans -----------------------------------------------------------------------------------------------------------

NOW = at("2026-11-23T09:00")


def test_a_first_start_fires_nothing_unless_told() -> None:
    schedule = parse("3m", HCM)
    waiting = schedule.plan(None, NOW)
    assert waiting is not None
    assert (waiting.newest, waiting.anchor, waiting.next_due) == (None, NOW, NOW + timedelta(minutes=3))
    at_once = schedule.plan(None, NOW, first_now=True)
    assert at_once is not None
    assert (at_once.newest, at_once.next_due) == (NOW, NOW + timedelta(minutes=3))


def test_a_plan_does_not_drift() -> None:
    schedule = parse("3m", HCM)
    due_at = at("2026-11-23T08:59:59")
    plan = schedule.plan((str(schedule), due_at - timedelta(minutes=3), due_at), NOW)
    assert plan is not None
    assert (plan.newest, plan.coalesced, plan.anchor) == (due_at, 0, due_at)
    assert plan.next_due == due_at + timedelta(minutes=3)
    assert schedule.plan((str(schedule), plan.anchor, plan.next_due), NOW) is None


def test_a_changed_spec_counts_from_the_anchor_or_from_now() -> None:
    new = parse("5m", HCM)
    soon = new.plan(("3m", NOW - timedelta(minutes=2), NOW + timedelta(minutes=1)), NOW)
    assert soon is not None
    assert (soon.newest, soon.next_due) == (None, NOW + timedelta(minutes=3))
    late = new.plan(("1d", NOW - timedelta(hours=2), NOW + timedelta(hours=22)), NOW)
    assert late is not None
    assert (late.newest, late.next_due) == (None, NOW + timedelta(minutes=5))


def test_another_time_zone_is_another_schedule() -> None:
    assert str(parse("07:00", HCM)) != str(parse("07:00", NY))
    assert str(parse("3m", HCM)) == str(parse("3m", NY))


def test_a_clock_that_was_put_back_starts_afresh() -> None:
    schedule = parse("3m", HCM)
    future = NOW + timedelta(days=400)
    plan = schedule.plan((str(schedule), future, future + timedelta(minutes=3)), NOW)
    assert plan is not None
    assert (plan.newest, plan.next_due) == (None, NOW + timedelta(minutes=3))
    skewed = NOW + timedelta(seconds=30)  # another machine's clock is ahead a little
    assert schedule.plan((str(schedule), skewed, skewed + timedelta(minutes=3)), NOW) is None


@pytest.mark.parametrize("spec", ["1h", "30m..90m", "1h @XNYS", "30m @24/7"])
def test_many_jobs_of_one_schedule_do_not_begin_together(spec: str) -> None:
    spread = parse(spec, NY, spread=True)
    opening = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)  # of New York, on a Tuesday
    start = opening - timedelta(hours=3) if "XNYS" in spec else opening
    plans = [spread.plan(None, start, seed=f"desk-{n}.report") for n in range(1000)]
    minutes = [(plan.next_due - start) / timedelta(minutes=1) for plan in plans if plan is not None]
    assert len(minutes) == 1000
    last = max(minutes)
    per_tenth = [sum(n * last / 10 < m <= (n + 1) * last / 10 for m in minutes) for n in range(10)]
    first = 7 if "XNYS" in spec else 0  # nothing before the opening
    assert max(per_tenth) < 1000 / 2, per_tenth
    assert min(per_tenth[first:8]) > 30, per_tenth
    assert len(set(minutes)) > 900
    again = spread.plan(None, start, seed="desk-7.report")
    assert again is not None and again.next_due == plans[7].next_due  # type: ignore[union-attr]
    after = spread.plan((str(spread), start, again.next_due), again.next_due, seed="desk-7.report")
    assert after is not None and after.newest == again.next_due and after.next_due > again.next_due


def test_the_spread_outlives_a_changed_interval() -> None:
    new = parse("20m", HCM, spread=True)
    plans = [new.plan(("1h", NOW, NOW + timedelta(minutes=n)), NOW, seed=f"desk-{n}.report") for n in range(40)]
    assert len({plan.next_due for plan in plans if plan is not None}) == 40


def test_times_of_day_are_what_they_say_for_every_job() -> None:
    schedule = parse("07:00", HCM, spread=True)
    assert (
        schedule.plan(None, NOW, seed="a") == schedule.plan(None, NOW, seed="b") == parse("07:00", HCM).plan(None, NOW)
    )


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "empty"),
        ("0", "unit"),
        ("0m", "too short"),
        ("-3m", "not a duration"),
        ("500ms", "not a duration"),
        ("0.5s", "too short"),
        ("400d", "too long"),
        ("6h..3h", "3h..6h"),
        ("3h..", "not a duration"),
        ("soon", "not a duration"),
        ("180", "needs a unit"),
        ("25:00", "time of day"),
        ("07:60", "time of day"),
        ("07:00,", "time of day"),
        ("cron: 0 7 * *", "five fields"),
        ("cron: 61 7 * * *", "cannot be read|can be read"),
        ("cron: r * * * *", "can be read"),
        ("h h * * *", "can be read"),
        ("0 0 30 2 *", "never comes"),
        ("3m @", "no exchange"),
        ("3m @MOON", "MOON"),
        ("x" * 200, "longer than"),
    ],
)
def test_an_impossible_spec_is_refused_with_the_reason(spec: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse(spec, HCM)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(SettingsError, match="Mars/Olympus"):
        parse("07:00", "Mars/Olympus")
