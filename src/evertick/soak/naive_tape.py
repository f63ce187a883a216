"""Writes down what a naive twin does, from outside its code: looks, what each run kept, and the tape at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from statistics import median
from typing import Any

from evertick.memory.gauge import Gauge, peak_rss, reset_peak
from evertick.memory.growth import Point, kept, trend
from evertick.soak.tape import AFTER, BEFORE, Growth, Look, Moment, Tape, thinned

MB = 1 << 20
NOTES = {
    BEFORE: (
        "It keeps references to its clients, its data, its states and its results, as long-running services do. Merely "
        "forgetting close() would leak nothing today: redis-py closes a client that nobody refers to any more.",
        "A result refers to the state of its report, so both are counted once: kept per iteration is not a second copy.",
    ),
    AFTER: (
        "Kept per report is measured when the save returns, while its state (without the five fields) is still in use.",
    ),
}
COMMON = (
    "A page is one string. Python keeps a character in two bytes as soon as one of them needs it, as Vietnamese letters "
    "and arrows do, and the database driver adds a copy in UTF-8 that stays with the string: a report that is kept takes "
    "about three times its size.",
    "Kept per iteration is what an iteration of the auto-report scheduler leaves behind, its report included, as the "
    "diagrams count it. Of Evertick it is the scheduler's own loop; what its report keeps stands beside it.",
    "The data of a run are the quotes of every instrument of the soak with their sparklines. The diagrams do not say how "
    "many instruments theirs had.",
    "It serves no readers and imports no web server, so it starts lower than such a service would.",
)
STORE = "Without a Redis in this soak, the client of each run is a connection to a SQLite file."


class OutOfMemory(Exception):
    """What a container does at its limit, told instead of a kill."""


class Recorder:
    """``connections`` counts those that are open; ``limit`` is the RSS at which the process counts as killed."""

    def __init__(self, manner: str, connections: Callable[[], int], limit: int | None) -> None:
        self._manner = manner
        self._gauge = Gauge(connections)
        self._limit = limit
        self._began = time.monotonic()
        self._start_rss = self._gauge.sample().rss
        self._looks: list[Look] = []
        self._moments: list[Moment] = []
        self._refreshes: list[tuple[float, float]] = []
        self._kept: dict[str, list[int]] = {"refresh_indices": [], "save_report": [], "report": []}
        self._seconds: dict[str, list[float]] = {name: [] for name in self._kept}
        self._peaks: list[int] = []
        self._highest = 0

    def counts(self) -> dict[str, int]:
        return {"refreshes": len(self._kept["refresh_indices"]), "reports": len(self._kept["report"])}

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def look(self, at: float, *, peak: int | None = None) -> Look:
        """Raises `OutOfMemory` where the limit was exceeded, also for a moment."""
        sample = self._gauge.sample()
        look = Look(at, peak or sample.rss, sample.heap, sample.fds, sample.connections)
        self._looks.append(look)
        self._highest = max(self._highest, look.rss or 0)
        if self._limit is not None and self._highest > self._limit:
            raise OutOfMemory(f"out of memory: {self._highest / MB:.0f} MB, the limit is {self._limit / MB:.0f} MB")
        return look

    @contextmanager
    def run(self, job: str) -> Iterator[None]:
        """Around one run of a job: how much more heap there is after it."""
        before, began = self._gauge.allocator.heap(), time.monotonic()
        yield
        after = self._gauge.allocator.heap()
        self._seconds[job].append(time.monotonic() - began)
        if before is not None and after is not None:
            self._kept[job].append(after - before)

    @contextmanager
    def refresh(self, at: float) -> Iterator[None]:
        with self.run("refresh_indices"):
            yield
        if self._kept["refresh_indices"]:
            self._refreshes.append((at, float(self._kept["refresh_indices"][-1])))

    @contextmanager
    def report(self, at: float) -> Iterator[None]:
        """Also what it needed on its way."""
        before, counted = self._gauge.sample().rss, reset_peak()
        with self.run("report"):
            yield
        self._moments.append(Moment(at, "report"))
        peak = peak_rss() if counted else None
        if peak is not None:
            if before is not None:
                self._peaks.append(peak - before)
            self.look(at, peak=peak)

    def crash(self, at: float, why: str) -> None:
        self._moments.append(Moment(at, "crash", why))

    def tape(self, at: float, leaked: int | None, crashed: str | None, *, redis: bool) -> Tape:
        """``at``: until when it came."""
        seen = [look.rss for look in self._looks if look.rss is not None]
        return Tape(
            name=self._manner,
            days=at / 86_400,
            seconds=self.seconds(),
            looks=thinned(self._looks),
            moments=tuple(self._moments),
            runs={job: {"ok": len(took)} for job, took in self._seconds.items()},
            start_rss=self._start_rss,
            steady_rss=_middle(seen[len(seen) // 2 :]),
            peak_rss=max(seen, default=None),
            peak_above_steady=_warm(self._peaks),
            connections_leaked=leaked,
            kept_per_report=_warm(self._kept["save_report"]),
            kept_per_iteration=_warm(self._kept["report"]),
            indices=_growth(kept(self._refreshes)),
            heap=_growth(trend(Point(look.at, look.heap) for look in self._looks if look.heap is not None)),
            rss=_growth(trend(Point(look.at, look.rss) for look in self._looks if look.rss is not None)),
            receipts={
                job: {
                    "runs": len(took),
                    "failed": 0,
                    "overlapped": 0,
                    "median_s": round(median(took), 4) if took else None,
                    "retained": _middle(self._kept[job]),
                }
                for job, took in self._seconds.items()
            },
            crashed=crashed,
            notes=(*NOTES[self._manner], *COMMON, *(() if redis else (STORE,))),
        )


def _middle(values: Sequence[int]) -> int | None:
    return int(median(values)) if values else None


def _warm(values: Sequence[int]) -> int | None:
    """The median without the first run, if there are more: it fetches two years of bars and fills the caches of libraries."""
    return _middle(values[1:] or values)


def _growth(found: Any) -> Growth | None:
    """``None`` too where so little was seen that the interval has no end."""
    if found is None or not (isfinite(found.low) and isfinite(found.high)):
        return None
    return Growth(found.per_day, found.low, found.high)
