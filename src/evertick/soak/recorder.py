"""Writes down how the measured server is, and makes its tape of it at the end."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from math import comb, isfinite
from statistics import median
from typing import Any, NamedTuple, Protocol

from evertick.memory.account import drifts
from evertick.memory.growth import Point, Trend, kept, trend
from evertick.model import Outcome, Page, Receipt, RunFigures
from evertick.soak.plan import DAY_S
from evertick.soak.stage import Status
from evertick.soak.tape import EVERTICK, Growth, Look, Moment, Tape, thinned

REFRESH, SAVE, REPORT = "refresh_indices", "save_report", "report"
WARM_REPORTS = 3
"""The warm-up is over when so many reports were made: by then every page, template and statement was used, and read."""
_EIGHTHS = 8
WARM_SHARE = 1 / 3
"""Of a tape that the warm-up takes at most."""
OVERLAP = timedelta(hours=30)
"""So far back a collection looks beyond the last one: for runs that had begun before it, and for those that name a time of a
clock that was set behind."""


class Receipts(Protocol):
    async def recent(self, limit: int = 50, cursor: str | None = None, job: str | None = None) -> Page[Receipt]: ...


class Seen(NamedTuple):
    look: Look
    process: int
    """Counts the starts."""


@dataclass
class Recorder:
    """``began``: the instant of second 0, on the server's clock."""

    began: datetime
    seen: list[Seen] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    peak: int = 0
    start_rss: int | None = None
    _collected: float = 0.0
    """When that was last done. Not the newest receipt: a clock that ran ahead has dated it, and all after it would be missed."""
    _known: dict[tuple[datetime, str, str | None], None] = field(default_factory=dict)

    def look(self, status: Status, process: int) -> None:
        if self.start_rss is None:
            self.start_rss = status.rss
        self.peak = max(self.peak, status.rss or 0, status.peak or 0)
        look = Look(status.at, status.rss, status.heap, status.fds, status.connections)
        self.seen.append(Seen(look, process))

    def moment(self, at: float, kind: str, text: str = "") -> None:
        self.moments.append(Moment(at, kind, text))

    async def collect(self, store: Receipts) -> None:
        """The receipts that are new since the last time; the server prunes its own after a while."""
        cursor, found = None, []
        edge = self.began + timedelta(seconds=self._collected) - OVERLAP
        while True:
            page = await store.recent(200, cursor)
            found += [r for r in page.items if _key(r) not in self._known]
            cursor = page.next
            if cursor is None or page.items[-1].started < edge:
                break
        self._known = dict.fromkeys((*self._known, *map(_key, found)))
        while len(self._known) > 20_000:
            del self._known[next(iter(self._known))]
        self._collected = self.seen[-1].look.at if self.seen else 0.0
        self.receipts += sorted(found, key=lambda r: r.started)
        self.peak = max(self.peak, *(r.peak_rss or 0 for r in found), 0)

    def tape(
        self, *, days: float, seconds: float, requests: Mapping[str, int], crashed: str | None, notes: Sequence[str]
    ) -> Tape:
        looks = [s.look for s in self.seen]
        moments = [Moment(self._at(r), "report") for r in self.receipts if r.job == SAVE and r.outcome is Outcome.OK]
        warm_up_s = self._warm_up(moments)
        warm = [r for r in self._settled() if self._at(r) > warm_up_s]
        reports, iterations = [r.retained for r in _alone(warm, SAVE)], own_keep(warm)
        return Tape(
            name=EVERTICK,
            days=days,
            seconds=seconds,
            looks=thinned(looks),
            moments=tuple(sorted((*moments, *self.moments))),
            runs=_runs(self.receipts),
            requests=dict(requests),
            start_rss=self.start_rss,
            steady_rss=_middle(look.rss for look in looks[len(looks) // 2 :]),
            peak_rss=self.peak or None,
            peak_above_steady=_middle(_above(r) for r in _alone(self.receipts, REPORT)),
            connections_leaked=leaked(looks, warm_up_s),
            kept_per_report=_middle(reports),
            kept_per_iteration=_middle(iterations),
            kept_per_report_95=reach(reports),
            kept_per_iteration_95=reach(iterations),
            warm_up_s=round(warm_up_s, 1),
            indices=_growth(kept(drifts(map(_figures, self.receipts), warm_up_s)["indices"])),
            heap=self._trend("heap", warm_up_s),
            rss=self._trend("rss", warm_up_s),
            receipts=by_job(self.receipts),
            crashed=crashed,
            notes=tuple(notes),
        )

    def _warm_up(self, reports: Sequence[Moment]) -> float:
        length = self.seen[-1].look.at if self.seen else 0.0
        made = sorted(moment.at for moment in reports)
        third = made[WARM_REPORTS - 1] if len(made) >= WARM_REPORTS else length
        return min(third, length * WARM_SHARE)

    def _settled(self) -> Iterable[Receipt]:
        """Without what each process did until it had made a few reports: one that was killed warms up anew."""
        begins = [look.at for n, (look, process) in enumerate(self.seen) if n and process != self.seen[n - 1].process]
        made = Counter[int]()
        for receipt in self.receipts:
            process = bisect_right(begins, self._at(receipt))
            if made[process] >= WARM_REPORTS:
                yield receipt
            made[process] += receipt.job == REPORT

    def _at(self, receipt: Receipt) -> float:
        return (receipt.started - self.began).total_seconds()

    def _trend(self, what: str, warm_up_s: float) -> Growth | None:
        points = list(self._points(what))
        return _growth(trend(points, warm_up_s=warm_up_s)) or by_eighths(points, warm_up_s)

    def _points(self, what: str) -> Iterable[Point]:
        for look, process in self.seen:
            if (value := getattr(look, what)) is not None:
                yield Point(look.at, value, str(process))


def leaked(looks: Sequence[Look], warm_up_s: float) -> int | None:
    """How many more connections are open at the end than ever while the pools filled."""
    known = [(look.at, look.connections) for look in looks if look.connections is not None]
    warm = [n for at, n in known if at <= warm_up_s]
    rest = [n for at, n in known if at > warm_up_s]
    if not warm or not rest:
        return None
    return max(0, int(median(rest[-20:])) - max(warm))


def reach(values: Sequence[int | None]) -> tuple[float, float] | None:
    """The 95 % interval of the median, from the order of the values alone; ``None`` for fewer than six.

    >>> reach([5, 1, 4, 2, 6, 3]), reach([1, 2, 3])
    ((1, 6), None)
    """
    ordered = sorted(value for value in values if value is not None)
    n = len(ordered)
    below, tail = 0, 0.5**n
    while tail <= 0.025:  # the median lies below the lowest of n values with so much chance, and so on
        below += 1
        tail += comb(n, below) * 0.5**n
    return (ordered[below - 1], ordered[n - below]) if below else None


def by_eighths(points: Sequence[Point], warm_up_s: float) -> Growth | None:
    """The growth where Sen's interval has no ends, as with a leak whose line bends a little: its residuals resemble each other
    so much that nothing is left of them to reckon with.

    The slopes between the medians of neighbouring eighths of the time after the warm-up: their median, the lowest and the
    highest. The true slope lies outside with 1.6 % at most, if these differ by chance. Only where one process lived so long.
    """
    last = points[-1].process if points else ""
    rest = [p for p in points if p.process == last and p.at - points[0].at > warm_up_s]
    if len(rest) < 4 * _EIGHTHS or any(p.process != last for p in points):
        return None
    size = len(rest) / _EIGHTHS
    parts = [rest[int(n * size) : int((n + 1) * size)] for n in range(_EIGHTHS)]
    middles = [(median(p.at for p in part), median(p.value for p in part)) for part in parts]
    slopes = [DAY_S * (b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(middles) if b[0] > a[0]]
    return Growth(median(slopes), min(slopes), max(slopes))


def own_keep(receipts: Sequence[Receipt]) -> list[int]:
    """By iteration of the auto-report scheduler: heap kept by the run, less what saving the report kept within it."""
    saved = {r.slot: r.retained for r in _alone(receipts, SAVE)}
    return [
        r.retained - inner
        for r in _alone(receipts, REPORT)
        if r.retained is not None and (inner := saved.get(r.slot)) is not None
    ]


def by_job(receipts: Sequence[Receipt]) -> dict[str, dict[str, Any]]:
    jobs: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        jobs[receipt.job].append(receipt)
    return {
        job: {
            "runs": len(those),
            "failed": sum(r.outcome is not Outcome.OK for r in those),
            "overlapped": sum(r.overlapped for r in those),
            "median_s": round(median(r.duration_s for r in those), 4),
            "retained": _middle(r.retained for r in those if not r.overlapped),
            "freed": _middle(r.freed for r in those),
            "release_s": round(median(r.release_s for r in those), 6),
        }
        for job, those in sorted(jobs.items())
    }


def _alone(receipts: Sequence[Receipt], job: str) -> list[Receipt]:
    return [r for r in receipts if r.job == job and not r.overlapped and r.outcome is Outcome.OK]


def _above(receipt: Receipt) -> int | None:
    if receipt.peak_rss is None or receipt.rss_before is None:
        return None
    return receipt.peak_rss - receipt.rss_before


def _runs(receipts: Sequence[Receipt]) -> dict[str, dict[str, int]]:
    counts = Counter((r.job, str(r.outcome)) for r in receipts)
    return {job: {o: n for (j, o), n in sorted(counts.items()) if j == job} for job in sorted({j for j, _ in counts})}


def _figures(r: Receipt) -> RunFigures:
    return RunFigures(
        r.started, r.job, r.component, r.retained, _above(r), r.fds_delta, r.connections_delta, r.overlapped,
        r.outcome is Outcome.OK, r.heap_before, r.pid,
    )  # fmt: skip


def _key(receipt: Receipt) -> tuple[datetime, str, str | None]:
    return receipt.started, receipt.job, receipt.slot


def _growth(found: Trend | None) -> Growth | None:
    """``None`` also where an end of the interval is infinite: then nothing was learnt."""
    if found is None or not (isfinite(found.low) and isfinite(found.high)):
        return None
    return Growth(found.per_day, found.low, found.high)


def _middle(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return int(median(known)) if known else None
