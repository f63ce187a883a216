"""The account of a server's memory: its timeline, what each component keeps, and the verdict. Reads, and never measures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    async def samples(
        self, since: datetime, until: datetime, step_s: int, process: str | None = None
    ) -> Sequence[MemorySample]: ...


class Runs(Protocol):
    async def figures(self, since: datetime) -> Sequence[RunFigures]: ...


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
        stored = await self._timeline.samples(since, until + timedelta(seconds=1), step)
        samples = sorted({(s.at, s.process): s for s in (*stored, *self._unstored(step, since))}.items())
        figures = await self._runs.figures(since)
        marks = [*_starts(since, [s for _, s in samples]), *_runs(figures, span)]
        return Course(since, until, step, _drawn([s for _, s in samples]), sorted(marks))

    async def statement(self) -> Statement:
        """The verdict, over two weeks where there are as many, else over the last day."""
        now = self._clock.now()
        samples = await self._timeline.samples(now - _TWO_WEEKS, now, 600)
        if not samples or now - samples[0].at < 2 * DAY:
            samples = await self._timeline.samples(now - DAY, now, 60)
        seen = sum(_spans(samples).values())
        figures = await self._runs.figures(now - _TWO_WEEKS)
        drift = drifts(figures)
        components = []
        for name in COMPONENTS:
            components.append(_component(name, figures, drift[name], now - DAY))
            await asyncio.sleep(0)  # two weeks of runs are some milliseconds of work each: others get their turn
        budget = self._watch.budget
        most = _most(components)

        def judged(name: str, bound: float) -> Verdict:
            points = [
                Point(s.at.timestamp(), value, s.process) for s in samples if (value := getattr(s, name)) is not None
            ]
            return verdict(
                trend(points), bound=bound, now=now, seen_s=seen, used=budget.rss, limit=budget.limit, component=most,
                zone=self._zone,
            )  # fmt: skip

        heap = judged("heap", HEAP_BOUND)
        await asyncio.sleep(0)
        rss = judged("rss", RSS_BOUND)
        return Statement(now, _both(heap, rss), heap, rss, components, _rows(components, figures, heap, samples, now))

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
    """By component (when, bytes): how much higher the heap was when the next run of the process began.

    So what is given back after a run counts. Where the same job often runs twice in a row, only such pairs are taken, scaled to
    all of its runs: two moments of the same kind are compared, with the same readers' connections open and the same copies made
    for them, which between two jobs would be told as given back by the one and taken by the other. Where it does not (a report
    among refreshes), what happens between two runs is told of the first of them. Runs that overlapped are left out, and so is
    the warm-up of a process. The save of a report is a part of its run: it is told what it kept itself.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in COMPONENTS}
    alike: dict[str, list[tuple[float, float]]] = {name: [] for name in COMPONENTS}
    first: dict[int, datetime] = {}
    last: dict[int, RunFigures] = {}
    for run in figures:
        if run.component == "save":
            if not run.overlapped and run.retained is not None:
                found["save"].append((run.started.timestamp(), float(run.retained)))
            continue
        before, last[run.pid] = last.get(run.pid), run
        began = first.setdefault(run.pid, run.started)
        if before is None or before.overlapped or run.overlapped or before.component not in found:
            continue
        if run.heap_before is None or before.heap_before is None:
            continue
        if (before.started - began).total_seconds() >= warm_up_s:
            one = (before.started.timestamp(), float(run.heap_before - before.heap_before))
            found[before.component].append(one)
            if run.job == before.job:
                alike[before.component].append(one)
    for name, pairs in alike.items():
        if len(pairs) >= max(_ALIKE, len(found[name]) * _ALIKE_SHARE):
            share = len(found[name]) / len(pairs)
            found[name] = [(at, value * share) for at, value in pairs]
    return found


def _component(
    name: str, figures: Sequence[RunFigures], drift: Sequence[tuple[float, float]], since: datetime
) -> Component:
    mine = [f for f in figures if f.component == name]
    alone = [f for f in mine if not f.overlapped and f.retained is not None]
    lately = [f for f in alone if f.started >= since]
    peaks = [f.over_steady for f in lately if f.over_steady is not None]
    return Component(
        name=name,
        title=COMPONENTS[name],
        runs=sum(f.started >= since for f in mine),
        measured=len(lately),
        kept=_middle([f.retained for f in lately if f.retained is not None]),
        per_day=kept(drift),
        peak=_middle(peaks),
        connections=sum(f.connections or 0 for f in lately),
        descriptors=sum(f.fds or 0 for f in lately),
    )


def _rows(
    components: Sequence[Component],
    figures: Sequence[RunFigures],
    heap: Verdict,
    samples: Sequence[MemorySample],
    now: datetime,
) -> list[Row]:
    """The table of the flow diagrams. What was promised is theirs, the aims are those of docs/explanation/memory.md."""
    by_name = {c.name: c for c in components}
    indices, save, auto = by_name["indices"], by_name["save"], by_name["auto_report"]
    levels = [s.rss for s in samples if s.rss is not None]
    steady = _middle(levels) if samples and sum(_spans(samples).values()) > 0 else None
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
            _more_open(samples), "count", 0,
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


def _more_open(samples: Sequence[MemorySample]) -> int | None:
    """How many pool connections the newest process holds more than when it had warmed up; ``None``: too early.

    Receipts would count it wrongly: a run may find one under way that belongs to its neighbour, and leave without it.
    """
    newest = samples[-1].process if samples else ""
    mine = [s for s in samples if s.process == newest and s.connections is not None]
    warm = [s.connections or 0 for s in mine if (s.at - mine[0].at).total_seconds() >= WARM_UP_S]
    if len(warm) < 2 * _FEW:
        return None
    return max(0, int(median(warm[-_FEW:]) - median(warm[:_FEW])))


def _starts(since: datetime, samples: Iterable[MemorySample]) -> list[Mark]:
    """Where a process begins whose beginning lies in the span: its name tells when it started."""
    marks = []
    for process in {s.process for s in samples}:
        stamp = process.rpartition("/")[2]
        if stamp.isdigit() and int(stamp) >= since.timestamp():
            marks.append(Mark(datetime.fromtimestamp(int(stamp), since.tzinfo), "restart"))
    return marks


def _runs(figures: Iterable[RunFigures], span: timedelta) -> list[Mark]:
    kinds = {"report": "report"} | ({"refresh_indices": "refresh"} if span <= DAY else {})
    return [Mark(f.started, kinds[f.job]) for f in figures if f.job in kinds]


def _drawn(samples: Sequence[MemorySample]) -> list[MemorySample]:
    processes: dict[str, list[MemorySample]] = {}
    for sample in samples:
        processes.setdefault(sample.process, []).append(sample)
    drawn = []
    for mine in processes.values():
        share = max(1, -(-len(mine) // DRAWN))
        drawn += mine if share == 1 else [
            merged(mine[n : n + share], mine[n].step_s) for n in range(0, len(mine), share)
        ]  # fmt: skip
    return sorted(drawn, key=lambda s: (s.at, s.process))


def _spans(samples: Sequence[MemorySample]) -> dict[str, float]:
    """Seconds measured of each process, its warm-up left out."""
    ends: dict[str, tuple[datetime, datetime]] = {}
    for s in samples:
        first, _ = ends.get(s.process, (s.at, s.at))
        ends[s.process] = (first, s.at)
    return {name: max(0.0, (b - a).total_seconds() - WARM_UP_S) for name, (a, b) in ends.items()}


def _middle(values: Sequence[int]) -> int | None:
    return int(median(values)) if values else None
