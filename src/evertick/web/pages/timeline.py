"""The timeline of memory as a drawing, as a table and as numbers for the script: one thinning for all three. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from statistics import median
from typing import Any

from evertick.model import MemorySample
from evertick.web.pages import format

COLUMNS = 240
"""Points of one process at most."""
WIDTH, HEIGHT = 960, 200
"""Of the box the paths are drawn in; it is stretched to the page."""
MB = 1 << 20
TRACKS = 4
"""Colours for processes that run at the same time."""
KINDS = ("restart", "report", "refresh")

_TICKS = (
    (timedelta(hours=1), timedelta(minutes=10)), (timedelta(hours=6), timedelta(hours=1)),
    (timedelta(days=1), timedelta(hours=4)), (timedelta(days=7), timedelta(days=2)),
    (timedelta(days=30), timedelta(days=7)), (timedelta(days=90), timedelta(days=15)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """What one process held in one column: the medians, and the highest RSS. Bytes."""

    column: int
    rss: int | None
    top: int | None
    heap: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """One process. ``track`` is its colour: processes that do not run at the same time share one."""

    process: str
    track: int
    points: Sequence[Point]

    @property
    def name(self) -> str:
        """Host and process number, without the second of its start."""
        return self.process.rpartition("/")[0] or self.process


@dataclass(frozen=True, slots=True)
class Stroke:
    """The paths of one line in the box."""

    track: int
    rss: str
    heap: str
    band: str
    """Between RSS and its highest."""


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    """Percent of the width or of the height."""
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the end of the column's time, and what happened in it."""

    at: datetime
    process: str
    point: Point
    begins: bool
    reports: int
    refreshes: int


@dataclass(frozen=True, slots=True)
class Drawing:
    since: datetime
    until: datetime
    lines: Sequence[Line]
    strokes: Sequence[Stroke]
    times: Sequence[Tick]
    levels: Sequence[Tick]
    limit: int | None
    limit_at: float | None
    """Percent from the top; ``None`` where the limit is far above all that was measured, and not drawn."""
    marks: Mapping[str, str]
    """By kind, the path of its marks in a box of `WIDTH` by 8."""
    counts: Mapping[str, int]
    restarts: Sequence[float]
    """Percent from the left."""
    rows: Sequence[Row]
    """Newest first."""
    data: Mapping[str, Any]
    """For the script; MB."""

    @property
    def fine(self) -> bool:
        """Whether a column is shorter than a minute, so that its time needs seconds."""
        return (self.until - self.since).total_seconds() < 60 * COLUMNS

    @property
    def newest(self) -> tuple[Line, Point] | None:
        """What was seen last; of several processes at the same time the one that holds most."""
        last = [(line.points[-1].column, line.points[-1].rss or 0, n) for n, line in enumerate(self.lines)]
        if not last:
            return None
        line = self.lines[max(last)[2]]
        return line, line.points[-1]

    @property
    def together(self) -> Sequence[Line]:
        """The newest process of each track, where several run at the same time."""
        newest = {line.track: line for line in self.lines}
        return [newest[track] for track in sorted(newest)] if len(newest) > 1 else ()

    @property
    def said(self) -> str:
        """The figure in a sentence, for whoever does not see it."""
        values = [p.rss for line in self.lines for p in line.points if p.rss is not None]
        tops = [p.top for line in self.lines for p in line.points if p.top is not None]
        if not values or not tops:
            return "Timeline of memory: nothing was measured"
        return (
            f"Timeline of memory: RSS between {format.size(min(values))} and {format.size(max(values))}, "
            f"at its highest {format.size(max(tops))}, {self.counts['restart']} starts, {self.counts['report']} reports"
        )


def drawing(course: Any, zone: tzinfo) -> Drawing:
    """``course`` is an `evertick.memory.account.Course`."""
    span = (course.until - course.since).total_seconds()
    width = span / COLUMNS

    def column(at: datetime) -> int:
        return min(COLUMNS - 1, max(0, int((at - course.since).total_seconds() // width)))

    lines = _lines(course.samples, column)
    limit = course.samples[-1].budget if course.samples else None
    tops = [p.top for line in lines for p in line.points if p.top is not None]
    most = max(tops, default=MB)
    drawn_limit = limit is not None and limit <= 4 * most
    scale, step = _scale(max(most, limit or 0) if drawn_limit else most)
    marked = {kind: [column(m.at) for m in course.marks if m.kind == kind] for kind in KINDS}
    return Drawing(
        since=course.since,
        until=course.until,
        lines=lines,
        strokes=[_stroke(line, scale) for line in lines],
        times=_times(course.since, course.until, zone),
        levels=[Tick(100 - 100 * n * step / scale, _level(n * step)) for n in range(round(scale / step) + 1)],
        limit=limit,
        limit_at=round(100 - 100 * limit / scale, 2) if limit is not None and drawn_limit else None,
        marks={kind: "".join(f"M{_x(n)} 0V8" for n in sorted(set(found))) for kind, found in marked.items()},
        counts={kind: len(found) for kind, found in marked.items()},
        restarts=[round(100 * (n + 0.5) / COLUMNS, 2) for n in sorted(set(marked["restart"]))],
        rows=_rows(lines, marked, course.since, width),
        data=_data(course, lines, marked, scale, step, limit if drawn_limit else None),
    )


def _lines(samples: Iterable[MemorySample], column: Any) -> list[Line]:
    columns: dict[str, dict[int, list[MemorySample]]] = {}
    for sample in samples:
        columns.setdefault(sample.process, {}).setdefault(column(sample.at), []).append(sample)
    ends: list[int] = []  # the last column of each track
    lines = []
    for process, found in sorted(columns.items(), key=lambda item: (min(item[1]), max(item[1]))):
        points = [
            Point(n, _middle(s.rss for s in some), _highest(some), _middle(s.heap for s in some))
            for n, some in sorted(found.items())
        ]
        first, last = points[0].column, points[-1].column
        track = next((n for n, end in enumerate(ends) if end <= first), len(ends))
        ends[track : track + 1] = [last]
        lines.append(Line(process, track % TRACKS, points))
    return lines


def _middle(values: Iterable[int | None]) -> int | None:
    known = [v for v in values if v is not None]
    return int(median(known)) if known else None


def _highest(samples: Iterable[MemorySample]) -> int | None:
    return max((s.rss_max for s in samples if s.rss_max is not None), default=None)


def _scale(most: float) -> tuple[int, int]:
    """The top of the scale and the step between its lines, in bytes: at most five of 1, 2, 4 or 5 times a power of ten MB."""
    for power in range(8):
        for digit in (1, 2, 4, 5):
            step = digit * 10**power * MB
            if most * 1.04 <= 5 * step:
                return max(step, int(-(-most * 1.04 // step) * step)), step
    return int(most), int(most)


def _level(count: int) -> str:
    return format.size(count).replace(".0 ", " ") if count else "0"


def _x(column: int) -> int:
    return round((column + 0.5) * WIDTH / COLUMNS)


def _stroke(line: Line, scale: float) -> Stroke:
    def path(name: str) -> list[str]:
        return [
            f"{_x(p.column)} {HEIGHT - value / scale * HEIGHT:.1f}"
            for p in line.points
            if (value := getattr(p, name)) is not None
        ]

    rss, top, heap = path("rss"), path("top"), path("heap")
    # A process seen in one column only is a short dash, not nothing.
    d = ["M" + "L".join(points) + ("h3" if len(points) == 1 else "") if points else "" for points in (rss, heap)]
    band = "M" + "L".join([*top, *reversed(rss)]) + "Z" if len(top) > 1 and rss else ""
    return Stroke(line.track, d[0], d[1], band)


def _times(since: datetime, until: datetime, zone: tzinfo) -> list[Tick]:
    span = until - since
    step = next((step for most, step in _TICKS if span <= most), _TICKS[-1][1])
    at = since.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    ticks = []
    while at < until:
        share = (at - since) / span
        if 0.02 <= share <= 0.98:
            label = f"{at:%H:%M}" if step < timedelta(days=1) else f"{at.day} {at:%b}"
            ticks.append(Tick(round(100 * share, 2), label))
        at += step
    return ticks


def _rows(lines: Sequence[Line], marked: Mapping[str, Sequence[int]], since: datetime, width: float) -> list[Row]:
    """Marks stand in the row of the newest process of their column: which one they are of is not told."""
    of_column = {p.column: line for line in lines for p in line.points}
    rows = []
    for line in lines:
        for place, p in enumerate(line.points):
            here = of_column[p.column] is line
            rows.append(
                Row(
                    at=since + timedelta(seconds=(p.column + 1) * width),
                    process=line.name,
                    point=p,
                    begins=place == 0 and p.column > 0,
                    reports=marked["report"].count(p.column) if here else 0,
                    refreshes=marked["refresh"].count(p.column) if here else 0,
                )
            )
    return sorted(rows, key=lambda r: (r.at, r.process), reverse=True)


def _data(
    course: Any, lines: Sequence[Line], marked: Mapping[str, Sequence[int]], scale: int, step: int, limit: int | None
) -> Mapping[str, Any]:
    def mb(value: int | None) -> float | None:
        return None if value is None else round(value / MB, 2)

    return {
        "since": course.since.timestamp(),
        "until": course.until.timestamp(),
        "columns": COLUMNS,
        "limit": mb(limit),
        "top": mb(scale),
        "step": mb(step),
        "marks": {kind: sorted(set(found)) for kind, found in marked.items()},
        "lines": [
            {
                "name": line.name,
                "track": line.track,
                "columns": [p.column for p in line.points],
                "rss": [mb(p.rss) for p in line.points],
                "top": [mb(p.top) for p in line.points],
                "heap": [mb(p.heap) for p in line.points],
            }
            for line in lines
        ],
    }
