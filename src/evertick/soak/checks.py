"""What must hold after every fault and at the end: pure functions over what was found.

Each returns ``True``, or a sentence that says what is wrong. The names under which they are reported are those of `BOUNDS`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from evertick.jobs.schedule import parse
from evertick.model import report_id
from evertick.soak.evidence import Evidence, ReportRow, ScheduleRow, SlotRow

Finding = Literal[True] | str

WALK = 5_000
"""Due times that are looked ahead for where a schedule goes on after a gap."""
LATE = timedelta(minutes=2)
"""A slot may wait so long for the runner, which on a virtual clock looks every minute."""
DRAFTS_KEPT = timedelta(hours=2, minutes=5)
"""What nobody finishes is swept by the hourly housekeeping when it is an hour old, or its lease is gone."""
SAMPLE = 3
"""How many examples a sentence names."""

REPORT = "report"
PASSING = frozenset({"memory diagnosis"})
"""Tasks that end by themselves after some runs."""


class Schedule(Protocol):
    def next(self, after: datetime, seed: str = "") -> datetime: ...


class Held(Protocol):
    """What a process holds at rest, as `evertick.soak.stage.Status` has it."""

    @property
    def heap(self) -> int | None: ...
    @property
    def fds(self) -> int | None: ...
    @property
    def tasks(self) -> int: ...
    @property
    def doing(self) -> Sequence[str]: ...
    @property
    def threads(self) -> int: ...
    @property
    def connections(self) -> int | None: ...


@dataclass(frozen=True)
class Allowed:
    """How much more a process may hold at rest than after its warm-up.

    Pools open their connections when they are first needed at once, and keep them: each of the database's is a few
    descriptors in SQLite. What is kept for every fault goes beyond these within a few of them.
    """

    fds: int = 16
    tasks: int = 0
    threads: int = 4
    connections: int = 8
    heap: int = 4 << 20


BOUNDS: Mapping[str, str] = {
    "slots lost": "count",
    "slots stuck": "count",
    "slots run twice": "count",
    "half reports visible": "count",
    "reports damaged": "count",
    "reports gone": "count",
    "reports served wrong": "count",
    "drafts left behind": "count",
    "descriptors kept": "count",
    "tasks kept": "count",
    "connections kept": "count",
    "memory kept": "count",
    "databases damaged": "count",
    "not well again": "count",
}
"""The invariants, each a bound of the verdict: how many faults broke it; 0 is allowed."""


def examined(
    evidence: Evidence,
    now: datetime,
    *,
    put_back: int = 0,
    known: Collection[str] = (),
) -> dict[str, Finding]:
    """All checks of the archive, for a server at rest whose wall clock says ``now``.

    ``put_back``: how often the clock was set backwards. ``known``: the ids of reports that were published before.
    """
    return {
        "slots lost": slots_lost(evidence.slots, evidence.schedules, now, put_back=put_back),
        "slots stuck": slots_stuck(evidence.slots, now),
        "slots run twice": run_twice(evidence.reports, evidence.slots),
        "half reports visible": half_visible(evidence.reports),
        "reports damaged": reports_damaged(evidence.reports),
        "reports gone": reports_gone(evidence.reports, evidence.slots, known),
        "drafts left behind": drafts_left(evidence, now),
        "databases damaged": _said("the database reports damage", evidence.damage),
    }


# --- slots -----------------------------------------------------------------------------------------------------------


def slots_lost(rows: Sequence[SlotRow], planned: Sequence[ScheduleRow], now: datetime, *, put_back: int = 0) -> Finding:
    """Every due time of every schedule has its slot, or is counted by a later one; each that failed has a reason.

    From each slot on, the schedule itself says which is next. A clock that was put back begins a new row of due times,
    and so ends one of every schedule without a successor.
    """
    wrong = [f"{row.id} failed without a reason" for row in rows if row.state == "failed" and not row.error]
    of_job: dict[tuple[str, str], list[SlotRow]] = defaultdict(list)
    for row in rows:
        if row.trigger == "schedule":
            of_job[row.desk, row.job].append(row)
    standing = {(row.desk, row.job): row for row in planned}
    wrong += [f"{job[1]} has slots and no schedule" for job in of_job if job not in standing]
    for job, stand in standing.items():
        if stand.next_due < now - LATE:
            wrong.append(f"{job[1]} was due at {_time(stand.next_due)} and nobody has planned it")
        gaps = [*_gaps(of_job[job], schedule_of(stand.spec), f"{job[0]}.{job[1]}", now)]
        if len(gaps) > put_back:
            wrong += [f"{job[1]} has no slot for {_time(gap)}" for gap in gaps]
    return _said("lost", wrong)


def schedule_of(spec: str) -> Schedule:
    """A schedule as the ledger stores it: its text, with its time zone behind it where that matters."""
    text, _, zone = spec.rpartition(" ")
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return parse(spec, "UTC")
    return parse(text, zone)


def _gaps(rows: Sequence[SlotRow], schedule: Schedule, seed: str, now: datetime) -> Iterable[datetime]:
    """The due times at which a row of due times ends without a reason."""
    found = {row.due: row for row in rows}
    for row in rows:
        following = first = schedule.next(row.due, seed)
        skipped = 0
        while following not in found and following <= now - LATE and skipped < WALK:
            following = schedule.next(following, seed)
            skipped += 1
        if skipped and (following not in found or _counted(found, following, schedule, seed) < skipped):
            yield first


def _counted(found: Mapping[datetime, SlotRow], at: datetime, schedule: Schedule, seed: str) -> int:
    """How many due times without a row of their own the first slot from ``at`` on that was not missed stands for."""
    missed = 0
    while at in found:
        if found[at].state != "missed":
            return found[at].coalesced - missed
        missed += 1
        at = schedule.next(at, seed)
    return 0


def slots_stuck(rows: Sequence[SlotRow], now: datetime) -> Finding:
    """At rest nothing is leased, and nothing that may run has waited for long."""
    wrong = []
    for row in rows:
        if row.state == "leased":
            wrong.append(f"{row.id} is still leased, until {_time(row.lease_until)}")
        elif row.state == "due" and max(row.due, row.not_before or row.due) < now - LATE:
            wrong.append(f"{row.id} is still due since {_time(max(row.due, row.not_before or row.due))}")
    return _said("stuck", wrong)


def run_twice(published: Sequence[ReportRow], rows: Sequence[SlotRow]) -> Finding:
    """One published report of one slot, under the id that the slot gives it, by a lease that the slot has given."""
    wrong = [f"{slot} has {n} reports" for slot, n in Counter(row.slot for row in published).items() if n > 1]
    tokens = {row.id: row.token for row in rows}
    for report in published:
        if report.id != report_id(report.slot):
            wrong.append(f"report {report.id} is not the one of its slot {report.slot}")
        elif report.slot in tokens and report.token > tokens[report.slot]:
            wrong.append(f"report {report.id} was published under token {report.token}, which its slot never gave")
    return _said("run twice", wrong)


def run_to_end_again(evidence: Evidence) -> int:
    """Slots whose work was done a second time, since its worker died before it could say so. Allowed: at least once."""
    return sum(1 for times in evidence.ran_to_end.values() if times > 1)


# --- reports ---------------------------------------------------------------------------------------------------------


def half_visible(published: Sequence[ReportRow]) -> Finding:
    """Every part that a published report promises is there, piece by piece."""
    wrong = [f"report {row.id} has no metadata ({row.unreadable})" for row in published if row.unreadable]
    for report in published:
        wrong += [
            f"report {report.id}: {p.part} has {p.found:,} of {p.stored:,} bytes"
            + ("" if p.unbroken else ", with a gap")
            for p in report.parts or ()
            if p.found != p.stored or not p.unbroken
        ]
    return _said("half visible", wrong)


def reports_damaged(published: Sequence[ReportRow]) -> Finding:
    """The bytes that are stored are those that were written."""
    wrong = [
        f"report {report.id}: {p.part} is not what was stored (sha256 {p.found_sha256[:12]}…, not {p.sha256[:12]}…)"
        for report in published
        for p in report.parts or ()
        if p.found == p.stored and p.found_sha256 != p.sha256
    ]
    return _said("damaged", wrong)


def reports_gone(published: Sequence[ReportRow], rows: Sequence[SlotRow], known: Collection[str]) -> Finding:
    """What was published is still there, and so is the report of every slot that is done; only the oldest are pruned."""
    there = {row.id for row in published}
    oldest = min((row.id for row in published if not row.pinned), default="")
    done = {report_id(row.id) for row in rows if row.job == REPORT and row.state == "done"}
    return _said("gone", [f"report {id}" for id in sorted({*known, *done} - there) if id > oldest])


def drafts_left(evidence: Evidence, now: datetime) -> Finding:
    """What no worker will finish is swept, rows and pieces."""
    wrong = [f"draft {id} of {_time(at)}" for id, at in evidence.drafts.items() if at < now - DRAFTS_KEPT]
    return _said("left behind", [*wrong, *(f"pieces of {id}, which is no report" for id in evidence.stray)])


# --- the process -----------------------------------------------------------------------------------------------------


def kept(before: Held, now: Held, allowed: Allowed = Allowed()) -> dict[str, Finding]:
    """What the process holds at rest beyond what it held after its warm-up. What cannot be measured here is no finding."""

    def more(what: str, value: Callable[[Held], int | None], bound: int) -> Finding:
        a, b = value(before), value(now)
        if a is None or b is None or b - a <= bound:
            return True
        return f"{b - a:,} more {what} than after the warm-up ({a:,}, now {b:,})"

    tasks = more("tasks", lambda held: held.tasks - sum(one in PASSING for one in held.doing), allowed.tasks)
    if tasks is not True:
        tasks += f": {', '.join((Counter(now.doing) - Counter(before.doing)).elements())}"
    return {
        "descriptors kept": more("descriptors", lambda held: held.fds, allowed.fds),
        "tasks kept": tasks if tasks is not True else more("threads", lambda held: held.threads, allowed.threads),
        "connections kept": more("connections", lambda held: held.connections, allowed.connections),
        "memory kept": more("bytes of heap", lambda held: held.heap, allowed.heap),
    }


# --- words -----------------------------------------------------------------------------------------------------------


def _said(what: str, wrong: Sequence[str]) -> Finding:
    if not wrong:
        return True
    more = f" and {len(wrong) - SAMPLE:,} more" if len(wrong) > SAMPLE else ""
    return f"{what}: {'; '.join(wrong[:SAMPLE])}{more}"


def _time(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def tally(found: Iterable[Mapping[str, object]]) -> dict[str, int]:
    """How many times each invariant was broken; 0 for those that never were."""
    counts: dict[str, int] = defaultdict(int, dict.fromkeys(BOUNDS, 0))
    for one in found:
        for name, finding in one.items():
            counts[name] += finding is not True
    return dict(counts)
