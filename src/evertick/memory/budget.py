"""The budget of a process: ``ok``, ``tight``, ``over``, and when a restart in place is due. Pure.

One look at the RSS every ten seconds moves it along. A single high look is a peak, not a state: it takes two in a row
to rise and more to fall, and to fall the level must be well below the one that raised it, so that it does not flap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

TIGHT, OVER, AT_ONCE = 0.70, 0.90, 0.97
"""Shares of the limit. Above the last one there is no time for a second look."""
BACK = 0.05
"""A state is left this much of the limit below where it began."""
LOOKS_UP, LOOKS_DOWN = 2, 3
RESTARTS_AN_HOUR = 3
"""At most, unless told otherwise. More would mean that a start alone fills the budget: then a restart helps nobody."""


class State(StrEnum):
    OK = "ok"
    TIGHT = "tight"
    """Releases at once and holds back new report jobs."""
    OVER = "over"
    """Finishes what runs, takes no new jobs, then restarts in place."""


_ORDER = (State.OK, State.TIGHT, State.OVER)
_FROM = {State.OK: 0.0, State.TIGHT: TIGHT, State.OVER: OVER}


@dataclass(frozen=True, slots=True)
class Budget:
    limit: int
    """Bytes."""
    since: datetime
    """When the present state began."""
    state: State = State.OK
    rss: int | None = None
    """At the last look; ``None`` where it cannot be measured: then the state stays ``ok``."""
    restarts: tuple[datetime, ...] = ()
    """Those of the last hour, earlier processes of this server included."""
    restarts_an_hour: int = RESTARTS_AN_HOUR
    _towards: State = State.OK
    _looks: int = 0

    def look(self, rss: int | None, now: datetime) -> Budget:
        """The budget after one look. ``state`` may have changed."""
        recent = tuple(at for at in self.restarts if now - at < timedelta(hours=1))
        if rss is None:
            return replace(self, rss=None, restarts=recent)
        wanted = _wanted(self.state, rss / self.limit)
        looks = self._looks + 1 if wanted is self._towards else 1
        after = replace(self, rss=rss, restarts=recent, _towards=wanted, _looks=looks)
        rises = _ORDER.index(wanted) > _ORDER.index(self.state)
        enough = LOOKS_UP if rises else LOOKS_DOWN
        if wanted is self.state or (looks < enough and not (rises and rss >= AT_ONCE * self.limit)):
            return after
        return replace(after, state=wanted, since=now, _looks=0)

    @property
    def restart_due(self) -> bool:
        """``over``, and not restarted too often already."""
        return self.state is State.OVER and len(self.restarts) < self.restarts_an_hour

    @property
    def takes_reports(self) -> bool:
        return self.state is State.OK

    @property
    def takes_jobs(self) -> bool:
        """False while a restart is on its way; a server that may not restart any more goes on as if ``tight``."""
        return not self.restart_due

    @property
    def reason(self) -> str:
        """Why, in words."""
        if self.rss is None:
            return "memory cannot be measured on this system"
        share = f"{self.rss / (1 << 20):.0f} MB of {self.limit / (1 << 20):.0f} MB are in use"
        if self.state is State.OK:
            return share
        if self.state is State.TIGHT:
            return f"{share}: above {TIGHT:.0%}, reports wait until it is below {TIGHT - BACK:.0%}"
        if self.restart_due:
            return f"{share}: above {OVER:.0%}, the server restarts in place as soon as what runs has ended"
        if not self.restarts_an_hour:
            return f"{share}: above {OVER:.0%}; raise MEMORY_LIMIT, or restart the server"
        return (
            f"{share}: above {OVER:.0%}, and {len(self.restarts)} restarts within an hour did not help; "
            "raise MEMORY_LIMIT, or look at evertick memory diagnose"
        )


def _wanted(state: State, share: float) -> State:
    """Where a share of the limit leads from a state."""
    if share >= OVER - (BACK if state is State.OVER else 0):
        return State.OVER
    if share >= TIGHT - (BACK if state is not State.OK else 0):
        return State.TIGHT
    return State.OK
