"""The account of a server's memory: its timeline, what each component keeps, and the verdict. Reads, and never measures.

Two weeks are ten thousand runs and two thousand samples. They pass through one by one, and what is kept of them are arrays of
numbers: an account of memory that itself took seven megabytes would raise what it tells of, for as long as the process lives.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from statistics import median
from typing import Any, Literal, NamedTuple, Protocol

from evertick.memory.budget import Budget
from evertick.memory.growth import (
    COMPONENT_BOUND,
    EARLY_S,
    HEAP_BOUND,
    RSS_BOUND,
    WARM_UP_S,
    Point,
    Trend,
    Verdict,
    kept,
    trend,
    verdict,
)
from evertick.memory.watch import Watch, merged
from evertick.model import Clock, MemorySample, RunFigures

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LONGEST = timedelta(days=90)
DRAWN = 720
"""Points of one process in an answer at most; more are thinned to medians with their highest RSS."""
_ALIKE, _ALIKE_SHARE = 24, 0.2
"""Pairs of runs of one job in a row, and their share of all its runs, from which only these are compared."""
_FEW = 6
"""Samples of which a median is taken at either end."""
_TWO_WEEKS = timedelta(days=14)
KB, MB = 1 << 10, 1 << 20

COMPONENTS: Mapping[str, str] = {
    "indices": "Market-indices scheduler",
    "save": "Report generation and save",
    "auto_report": "Auto-report scheduler",
    "web": "Web",
    "other": "Everything else",
}


class Timeline(Protocol):
    def samples(
        self, since: datetime, until: datetime, step_s: int, process: str | None = None
    ) -> AsyncIterator[MemorySample]: ...

    async def counts(self, since: datetime, until: datetime, step_s: int) -> Mapping[str, int]: ...


class Runs(Protocol):
    def figures(self, since: datetime, jobs: Collection[str] = ()) -> AsyncIterator[RunFigures]: ...


class Mark(NamedTuple):
    at: datetime
    kind: str
    """``restart``, ``report`` or ``refresh``; each run's end is a release."""


@dataclass(frozen=True, slots=True)
class Course:
    """The timeline over a span. ``samples`` of all processes, oldest first."""

    since: datetime
    until: datetime
    step_s: int
    samples: Sequence[MemorySample]
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class Component:
    """What the runs of one component did in the span. Bytes; ``None``: nothing was measured."""

    name: str
    title: str
    runs: int
    measured: int
    """Those beside which nothing else ran: only they count below."""
    kept: int | None
    """By one run, the median."""
    per_day: Trend | None
    peak: int | None
    """Above what was there before, the median."""
    connections: int
    """Left open by all measured runs together, as are the descriptors."""
    descriptors: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of the flow diagrams: what services do, what the diagrams promise, what this server did."""

    what: str
    before: str
    after: str
    aim: str
    measured: float | None
    """In the unit of the row; ``None``: too early."""
    unit: Literal["bytes", "bytes a day", "count"]
    high: float | None = None
    """The upper end of the 95 % interval, where there is one."""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What to tell of a server's memory, and what it rests on."""

    at: datetime
    verdict: Verdict
    heap: Verdict
    rss: Verdict
    components: Sequence[Component]
    rows: Sequence[Row]


class Account:
    def __init__(self, timeline: Timeline, runs: Runs, watch: Watch, clock: Clock, zone: tzinfo | None = None) -> None:
        self._timeline, self._runs, self._watch, self._clock, self._zone = timeline, runs, watch, clock, zone

    @property
    def budget(self) -> Budget:
        return self._watch.budget

    async def course(self, span: timedelta = DAY) -> Course:
        """The timeline of the last hour to 90 days, at the step that suits it; the newest looks, not stored yet, are in it."""
        span = min(max(span, timedelta(minutes=1)), LONGEST)
        step = 10 if span <= HOUR else 60 if span <= DAY else 600
        until = self._clock.now()
        since = until - span
        within = since, until + timedelta(seconds=1), step
        newest = {(s.at, s.process): s for s in self._unstored(step, since)}
        drawn = _Drawn(await self._timeline.counts(*within))
        async for sample in self._timeline.samples(*within):
            if (sample.at, sample.process) not in newest:
                drawn.add(sample)
        for sample in newest.values():
            drawn.add(sample)
        kinds = {"report": "report"} | ({"refresh_indices": "refresh"} if span <= DAY else {})
        marks = _starts(since, drawn.processes())
        async for run in self._runs.figures(since, kinds):
            marks.append(Mark(run.started, kinds[run.job]))
        return Course(since, until, step, drawn.samples(), sorted(marks))

    async def statement(self) -> Statement:
        """The verdict, over two weeks where there are as many, else over the last day."""
        now = self._clock.now()
        levels = await self._levels(now - _TWO_WEEKS, now, 600)
        if not levels or now.timestamp() - levels[0].at < 2 * DAY.total_seconds():
            levels = await self._levels(now - DAY, now, 60)
        seen = sum(_spans(levels).values())
        drift, tallies = Drifts(), {name: _Tally() for name in COMPONENTS}
        async for run in self._runs.figures(now - _TWO_WEEKS):
            drift.add(run)
            if run.component in tallies and run.started >= now - DAY:
                tallies[run.component].add(run)
        components = []
        for name in COMPONENTS:
            components.append(tallies[name].component(name, drift.of(name)))
            await asyncio.sleep(0)  # some milliseconds of work each: others get their turn
        budget = self._watch.budget
        most = _most(components)

        def judged(name: str, bound: float) -> Verdict:
            points = (
                Point(level.at, value, level.process) for level in levels if (value := getattr(level, name)) is not None
            )
            return verdict(
                trend(points), bound=bound, now=now, seen_s=seen, used=budget.rss, limit=budget.limit, component=most,
                zone=self._zone,
            )  # fmt: skip

        heap = judged("heap", HEAP_BOUND)
        await asyncio.sleep(0)
        rss = judged("rss", RSS_BOUND)
        return Statement(now, _both(heap, rss), heap, rss, components, _rows(components, heap, levels))

    async def _levels(self, since: datetime, until: datetime, step_s: int) -> list[_Level]:
        names: dict[str, str] = {}  # each process's name once
        return [
            _Level(names.setdefault(s.process, s.process), s.at.timestamp(), s.rss, s.heap, s.connections)
            async for s in self._timeline.samples(since, until, step_s)
        ]

    def _unstored(self, step_s: int, since: datetime) -> list[MemorySample]:
        recent = [s for s in self._watch.recent if s.at >= since]
        if step_s == 10:
            return recent
        return [merged(recent[-6:], step_s)] if recent else []


def _both(heap: Verdict, rss: Verdict) -> Verdict:
    """One verdict of two: growth wins, then what is not settled; RSS decides what is felt, the heap what is kept."""
    for state in ("growing", "early", "unclear"):
        for one in (rss, heap):
            if one.state == state:
                return one
    return rss


def _most(components: Iterable[Component]) -> str | None:
    """The component that surely grows, and most of all."""
    grow = [c for c in components if c.per_day is not None and c.per_day.low > 0]
    return max(grow, key=lambda c: c.per_day.per_day if c.per_day else 0.0).name if grow else None


def drifts(figures: Iterable[RunFigures], warm_up_s: float = WARM_UP_S) -> dict[str, list[tuple[float, float]]]:
    """`Drifts` of runs that are all at hand."""
    found = Drifts(warm_up_s)
    for run in figures:
        found.add(run)
    return {name: [*found.of(name)] for name in COMPONENTS}


class Drifts:
    """By component (when, bytes): how much higher the heap was when the next run of the process began. Runs in their order.

    So what is given back after a run counts. Where the same job often runs twice in a row, only such pairs are taken, scaled to
    all of its runs: two moments of the same kind are compared, with the same readers' connections open and the same copies made
    for them, which between two jobs would be told as given back by the one and taken by the other. Where it does not (a report
    among refreshes), what happens between two runs is told of the first of them. Runs that overlapped are left out, and so is
    the warm-up of a process. The save of a report is a part of its run: it is told what it kept itself.
    """

    def __init__(self, warm_up_s: float = WARM_UP_S) -> None:
        self._warm_up_s = warm_up_s
        self._first: dict[int, datetime] = {}
        self._last: dict[int, RunFigures] = {}
        self._all: dict[str, _Pairs] = defaultdict(_Pairs)
        self._alike: dict[str, _Pairs] = defaultdict(_Pairs)

    def add(self, run: RunFigures) -> None:
        if run.component == "save":
            if not run.overlapped and run.retained is not None:
                self._all["save"].add(run.started, run.retained)
            return
        before = self._last.get(run.pid)
        self._last[run.pid] = run
        began = self._first.setdefault(run.pid, run.started)
        if before is None or before.overlapped or run.overlapped or before.component not in COMPONENTS:
            return
        if run.heap_before is None or before.heap_before is None:
            return
        if (before.started - began).total_seconds() >= self._warm_up_s:
            rise = run.heap_before - before.heap_before
            self._all[before.component].add(before.started, rise)
            if run.job == before.job:
                self._alike[before.component].add(before.started, rise)

    def of(self, component: str) -> Iterator[tuple[float, float]]:
        found, alike = self._all[component], self._alike[component]
        if len(alike.at) < max(_ALIKE, len(found.at) * _ALIKE_SHARE):
            return zip(found.at, found.by, strict=True)
        share = len(found.at) / len(alike.at)
        return ((at, by * share) for at, by in zip(alike.at, alike.by, strict=True))


class _Pairs:
    __slots__ = ("at", "by")

    def __init__(self) -> None:
        self.at, self.by = array("d"), array("d")

    def add(self, at: datetime, by: float) -> None:
        self.at.append(at.timestamp())
        self.by.append(by)


@dataclass(slots=True)
class _Tally:
    """The runs of one component within the last day."""

    runs: int = 0
    alone: int = 0
    retained: array[int] = field(default_factory=lambda: array("q"))
    peaks: array[int] = field(default_factory=lambda: array("q"))
    connections: int = 0
    fds: int = 0

    def add(self, run: RunFigures) -> None:
        self.runs += 1
        if run.overlapped or run.retained is None:
            return
        self.alone += 1
        self.retained.append(run.retained)
        if run.over_steady is not None:
            self.peaks.append(run.over_steady)
        self.connections += run.connections or 0
        self.fds += run.fds or 0

    def component(self, name: str, drift: Iterable[tuple[float, float]]) -> Component:
        return Component(
            name=name,
            title=COMPONENTS[name],
            runs=self.runs,
            measured=self.alone,
            kept=_middle(self.retained),
            per_day=kept(drift),
            peak=_middle(self.peaks),
            connections=self.connections,
            descriptors=self.fds,
        )


class _Level(NamedTuple):
    """What a verdict wants of a sample."""

    process: str
    at: float
    """Seconds since 1970."""
    rss: int | None
    heap: int | None
    connections: int | None


def _rows(
    components: Sequence[Component],
    heap: Verdict,
    levels: Sequence[_Level],
) -> list[Row]:
    """The table of the flow diagrams. What was promised is theirs, the aims are those of docs/explanation/memory.md."""
    by_name = {c.name: c for c in components}
    indices, save, auto = by_name["indices"], by_name["save"], by_name["auto_report"]
    known = [level.rss for level in levels if level.rss is not None]
    steady = _middle(known) if levels and sum(_spans(levels).values()) > 0 else None
    seen = heap.trend is not None and heap.trend.span_s >= EARLY_S

    def row(what: str, before: str, after: str, aim: str, found: float | None, unit: Any, bound: float) -> Row:
        return Row(what, before, after, aim, found, unit, met=None if found is None else found <= bound)

    def daily(what: str, before: str, after: str, aim: str, found: Trend | None, bound: float) -> Row:
        if found is None:
            return Row(what, before, after, aim, None, "bytes a day")
        return Row(what, before, after, aim, found.per_day, "bytes a day", found.high, found.high <= bound)

    return [
        row(
            "Connections leaked in 24 h", "about 480", "0", "0",
            _more_open(levels), "count", 0,
        ),
        row("Kept per report", "about 7 MB", "about 100 KB", "1 KB at most", save.kept, "bytes", KB),
        daily(
            "Indices, growth a day", "about 50 MB", "about 5 MB", "32 KB at most", indices.per_day, COMPONENT_BOUND
        ),
        row("Auto report, per iteration", "about 10 MB", "about 1 MB", "1 KB at most", auto.kept, "bytes", KB),
        daily(
            "All, growth a day", "about 200 MB", "about 20 MB", "64 KB of heap at most",
            heap.trend if seen else None, HEAP_BOUND,
        ),
        row("Steady RSS", "crash at about 650 MB", "150–180 MB", "85–105 MB", steady, "bytes", 105 * MB),
        row("Peak above steady, per report", "–", "7 MB or more", "5 MB at most", save.peak, "bytes", 5 * MB),
    ]  # fmt: skip


def _more_open(levels: Sequence[_Level]) -> int | None:
    """How many pool connections the newest process holds more than when it had warmed up; ``None``: too early.

    Receipts would count it wrongly: a run may find one under way that belongs to its neighbour, and leave without it.
    """
    newest = levels[-1].process if levels else ""
    mine = [level for level in levels if level.process == newest and level.connections is not None]
    warm = [level.connections or 0 for level in mine if level.at - mine[0].at >= WARM_UP_S]
    if len(warm) < 2 * _FEW:
        return None
    return max(0, int(median(warm[-_FEW:]) - median(warm[:_FEW])))


def _starts(since: datetime, processes: Iterable[str]) -> list[Mark]:
    """Where a process begins whose beginning lies in the span: its name tells when it started."""
    marks = []
    for process in processes:
        stamp = process.rpartition("/")[2]
        if stamp.isdigit() and int(stamp) >= since.timestamp():
            marks.append(Mark(datetime.fromtimestamp(int(stamp), since.tzinfo), "restart"))
    return marks


class _Drawn:
    """At most about `DRAWN` samples of each process: neighbours are merged as they come. ``counts``: how many will."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._share = {process: max(1, -(-count // DRAWN)) for process, count in counts.items()}
        self._open: dict[str, list[MemorySample]] = defaultdict(list)
        self._done: list[MemorySample] = []

    def add(self, sample: MemorySample) -> None:
        waiting = self._open[sample.process]
        waiting.append(sample)
        if len(waiting) >= self._share.get(sample.process, 1):
            self._close(waiting)

    def _close(self, waiting: list[MemorySample]) -> None:
        self._done.append(waiting[0] if len(waiting) == 1 else merged(waiting, waiting[0].step_s))
        waiting.clear()

    def processes(self) -> Collection[str]:
        return self._open.keys()

    def samples(self) -> list[MemorySample]:
        for waiting in self._open.values():
            if waiting:
                self._close(waiting)
        return sorted(self._done, key=lambda s: (s.at, s.process))


def _spans(levels: Sequence[_Level]) -> dict[str, float]:
    """Seconds measured of each process, its warm-up left out."""
    ends: dict[str, tuple[float, float]] = {}
    for level in levels:
        first, _ = ends.get(level.process, (level.at, level.at))
        ends[level.process] = (first, level.at)
    return {name: max(0.0, b - a - WARM_UP_S) for name, (a, b) in ends.items()}


def _middle(values: Sequence[int]) -> int | None:
    return int(median(values)) if values else None
