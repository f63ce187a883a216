from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from evertick.errors import SettingsError
from evertick.simulator.clock import MarketClock

START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


class Ticker:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_it_runs_from_its_start_at_its_speed() -> None:
    ticker = Ticker()
    clock = MarketClock(START, 60, ticker)
    ticker.seconds += 10
    assert clock.now() == START + timedelta(minutes=10)


def test_a_speed_of_zero_stands_still() -> None:
    ticker = Ticker()
    clock = MarketClock(START, 0, ticker)
    ticker.seconds += 1e6
    assert clock.now() == START


def test_a_new_speed_goes_on_from_now() -> None:
    ticker = Ticker()
    clock = MarketClock(START, 1, ticker)
    ticker.seconds += 30
    clock.set(speed=100)
    ticker.seconds += 1
    assert clock.now() == START + timedelta(seconds=130)


def test_a_jump_keeps_the_speed_and_takes_any_zone() -> None:
    ticker = Ticker()
    clock = MarketClock(START, 5, ticker)
    clock.set(datetime(2030, 1, 1, 7, tzinfo=timezone(timedelta(hours=7))))
    ticker.seconds += 2
    assert clock.now() == datetime(2030, 1, 1, 0, 0, 10, tzinfo=UTC)


def test_it_starts_now_unless_told() -> None:
    assert abs(MarketClock().now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_at_the_end_of_its_time_it_stands_still() -> None:
    ticker = Ticker()
    clock = MarketClock(START, 1e6, ticker)
    ticker.seconds += 1e9
    assert clock.now().year == 2199


@pytest.mark.parametrize(
    ("now", "speed", "message"),
    [
        (datetime(2026, 1, 1), None, "time zone"),
        (datetime(1850, 1, 1, tzinfo=UTC), None, "between"),
        (datetime(2400, 1, 1, tzinfo=UTC), None, "between"),
        (None, -1, "speed"),
        (None, 1e9, "speed"),
        (None, float("nan"), "speed"),
    ],
)
def test_what_it_cannot_do_is_said_and_changes_nothing(now: datetime | None, speed: float | None, message: str) -> None:
    clock = MarketClock(START, 0)
    with pytest.raises(SettingsError, match=message):
        clock.set(now, speed)
    assert clock.now() == START
