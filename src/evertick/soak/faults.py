"""Which faults a soak injects, and when: a plan that follows from its length, its seed and what can be hurt, and from nothing else.

How each is made stands in `evertick.soak.inflict`; what must hold afterwards in `evertick.soak.checks`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from evertick.simulator.faults import ANSWERED, DISGUISED, SLOW, SPOILED

DAY_S = 86_400.0
ROUND_DAYS = 10.0
"""Each kind comes once in so many days, and at least once."""
WARM_UP_S = 3_600.0
REST_S = 5_400.0
"""Of the end of the soak, in which nothing new is begun: the last fault is to be recovered from."""
ZONE = "Europe/Berlin"
LEASE_S = 3.0
MAX_RUN_S = 12.0
SETTINGS: Mapping[str, Any] = {
    "lease": LEASE_S,
    "job_max_run": MAX_RUN_S,
    "http": {"connect_timeout": 2.0, "read_timeout": 2.0, "total_timeout": 4.0},
}
"""Of a server that is to be hurt: real seconds, which a virtual clock does not shorten, and of which a fault costs some."""
CLOCK_HOURS = 26, 2
"""How far a clock jumps, in turn: past what an hour's memory hides, and past a day's."""
SHARED = 0.05
"""The share of requests that each kind of wrong answer of one fault gets."""
SHARED_SLOW = 0.02
TOGETHER = 12
"""Kinds of wrong answers at once."""


@dataclass(frozen=True)
class Kind:
    says: str
    lasts_s: float = 0.0
    """Of virtual time; 0: it is over as soon as it has come."""
    needs: str = ""
    """What there must be: ``redis``, ``postgresql``, ``disk``; nothing: it is always possible."""


KINDS: Mapping[str, Kind] = {
    "providers wrong": Kind("providers answer wrongly, in a dozen ways at once", 900),
    "providers slow": Kind("providers answer late, byte by byte, never, or for ever", 540),
    "providers down": Kind("every provider answers 503", 1800),
    "network cut": Kind("connections are refused, open ones reset", 720),
    "network stalled": Kind("connections stay open and nothing comes through", 360),
    "network slow": Kind("everything arrives late", 360),
    "redis killed": Kind("Redis is killed with -9 and comes back empty", 720, "redis"),
    "redis stopped": Kind("Redis is stopped and started again", 720, "redis"),
    "postgresql killed": Kind("PostgreSQL is killed with -9 and recovers", 720, "postgresql"),
    "postgresql stopped": Kind("PostgreSQL is stopped and started again", 720, "postgresql"),
    "disk full": Kind("the disk of the database has no room left", 720, "disk"),
    "clock ahead": Kind("the wall clock jumps ahead and is put right again", 900),
    "clock behind": Kind("the wall clock falls behind and is put right again", 900),
    "summer time": Kind("summer time ends or begins", 7200),
    "refresh killed": Kind("the server is killed with -9 in the midst of a refresh"),
    "report killed": Kind("the server is killed with -9 in the midst of a report"),
    "report cancelled": Kind("the server is asked to stop (SIGTERM) in the midst of a report"),
    "run too long": Kind("a report is held up beyond JOB_MAX_RUN and cancelled"),
    "slept": Kind("the server is stopped (SIGSTOP) in the midst of a report, past its lease, and goes on"),
    "server stopped": Kind("the server is stopped (SIGTERM) and started again"),
    "server restarted": Kind("the server restarts in place"),
}


@dataclass(frozen=True)
class Fault:
    at: float
    """Seconds of virtual time since the soak began."""
    kind: str
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lasts_s(self) -> float:
        return KINDS[self.kind].lasts_s


def plan(
    days: float,
    seed: int,
    means: Collection[str],
    *,
    paths: Sequence[str] = ("providers",),
    changes: Sequence[float] = (),
) -> tuple[Fault, ...]:
    """The faults of a soak, soonest first. ``means``: what can be hurt beside the server and its providers (``redis``,
    ``postgresql``, ``disk``). ``paths``: the networks that can be cut. ``changes``: when summer time begins and ends
    (`clock_changes`).

    >>> [fault.kind for fault in plan(1, 7, ())] == [fault.kind for fault in plan(1, 7, ())]
    True
    """
    rounds = max(1, round(days / ROUND_DAYS))
    chosen: list[tuple[str, Mapping[str, Any]]] = []
    for number in range(rounds):
        random = Random(f"faults {seed} {number}")
        wanted = _once(random, means, paths, CLOCK_HOURS[number % len(CLOCK_HOURS)])
        random.shuffle(wanted)
        chosen += wanted
    random = Random(f"times {seed}")
    start, end = _room(days)
    gap = (end - start) / len(chosen)
    planned = [
        Fault(start + (n + random.uniform(0.0, 0.5)) * gap, kind, given) for n, (kind, given) in enumerate(chosen)
    ]
    ahead, behind = KINDS["summer time"].lasts_s / 2, KINDS["summer time"].lasts_s
    for change in changes:
        if 0 < change < days * DAY_S:
            planned = [
                Fault(change + behind, one.kind, one.given) if change - 2 * ahead <= one.at < change + behind else one
                for one in planned
            ]
            planned.append(Fault(max(0.0, change - ahead), "summer time"))
    return tuple(sorted(planned, key=lambda one: one.at))


def _room(days: float) -> tuple[float, float]:
    whole = days * DAY_S
    return min(WARM_UP_S, 0.05 * whole), max(0.5 * whole, whole - REST_S)


def _once(
    random: Random, means: Collection[str], paths: Sequence[str], hours: int
) -> list[tuple[str, Mapping[str, Any]]]:
    """Every kind that is possible, once; the networks once for each that can be cut off, the wrong answers a dozen at a time."""
    wanted: list[tuple[str, Mapping[str, Any]]] = []
    for kind, about in KINDS.items():
        if about.needs and about.needs not in means:
            continue
        if kind == "summer time":
            continue
        if kind == "providers wrong":
            wanted += [(kind, {"rules": rules}) for rules in _wrong(random)]
        elif kind == "providers slow":
            wanted.append((kind, {"rules": [f"all={one}:{SHARED_SLOW}" for one in SLOW]}))
        elif kind.startswith("network"):
            wanted += [(kind, {"path": path}) for path in paths]
        elif kind.startswith("clock"):
            wanted.append((kind, {"hours": hours}))
        else:
            wanted.append((kind, {}))
    return wanted


def _wrong(random: Random) -> list[list[str]]:
    kinds = [*ANSWERED, *SPOILED, *DISGUISED]
    random.shuffle(kinds)
    return [
        [f"all={kind}:{SHARED}" for kind in kinds[start : start + TOGETHER]] for start in range(0, len(kinds), TOGETHER)
    ]


def clock_changes(start: datetime, days: float, zone: str = ZONE) -> list[float]:
    """When, in seconds after ``start``, the clocks of ``zone`` are changed within ``days``, to the minute."""
    place, found = ZoneInfo(zone), []
    hours = [start + timedelta(hours=n) for n in range(int(days * 24) + 1)]
    for one, next_ in pairwise(hours):
        if one.astimezone(place).utcoffset() == next_.astimezone(place).utcoffset():
            continue
        minutes = (one + timedelta(minutes=n) for n in range(1, 61))
        offset = one.astimezone(place).utcoffset()
        found.append(next((m - start).total_seconds() for m in minutes if m.astimezone(place).utcoffset() != offset))
    return found
