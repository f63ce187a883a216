"""The simulated market's own time: any date, any speed, or standing still."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime

from evertick.errors import SettingsError
from evertick.simulator.noise import FIRST_DAY, LAST_DAY

# a margin, since charts look back and sessions lie in other time zones
_FIRST = datetime.combine(date.fromordinal(FIRST_DAY + 800), datetime.min.time(), UTC)
_LAST = datetime.combine(date.fromordinal(LAST_DAY - 30), datetime.min.time(), UTC)


class MarketClock:
    """Starts at ``start`` (default: now) and runs ``speed`` times as fast as the wall clock; 0 stands still."""

    def __init__(
        self, start: datetime | None = None, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self.speed = speed
        self.set(start or datetime.now(UTC), speed)

    def set(self, now: datetime | None = None, speed: float | None = None) -> None:
        """Jump, change the speed, or both. Raises `SettingsError` for a time the market does not reach."""
        now = self.now() if now is None else now
        speed = self.speed if speed is None else speed
        if now.tzinfo is None:
            raise SettingsError(f"the simulated time {now.isoformat()} has no time zone; write 2026-11-23T09:30:00Z")
        if not _FIRST <= now <= _LAST:
            raise SettingsError(f"the simulated time must lie between {_FIRST:%Y-%m-%d} and {_LAST:%Y-%m-%d}")
        if not 0 <= speed <= 1e6:
            raise SettingsError(f"the speed {speed:g} is not between 0 (time stands still) and 1,000,000")
        self._start, self.speed = now.astimezone(UTC), float(speed)
        self._began = self._monotonic()

    def at(self) -> float:
        """Now, in seconds since 1970; at the end of the market's time it stands still."""
        return min(self._start.timestamp() + (self._monotonic() - self._began) * self.speed, _LAST.timestamp())

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at(), UTC)
