"""The memory of all variants over the same time, drawn on the same axes: the fourth of the flow diagrams. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import median

from evertick.soak.tape import Look, Tape
from evertick.web.pages import format

COLUMNS = 240
WIDTH, HEIGHT = 960, 260
"""Of the box the paths are drawn in; it is stretched to the page."""
MB = 1 << 20
LOG_FROM = 12
"""How many times as high as the lowest line the highest may be on a linear scale; above it a flat line would lie on the axis."""
ROWS = 32
"""Of the table at most."""
_DAY = 86_400.0
_TIMES = ((3600, 600), (6 * 3600, 3600), (2 * _DAY, 3 * 3600), (8 * _DAY, _DAY), (40 * _DAY, 5 * _DAY))
"""Up to such a length of time a tick every so many seconds; the diagrams have one every three hours."""
KINDS = {"report": "Reports", "restart": "Restarts", "fault": "Faults"}


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    """Percent of the width or of the height."""
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """The paths of one variant in the box."""

    name: str
    title: str
    rss: str
    band: str
    """Between RSS and its highest."""
    heap: str
    end: tuple[float, float] | None
    """Percent from the left and the top, where it ended before its time."""
    said: str


@dataclass(frozen=True, slots=True)
class Row:
    until: str
    values: Sequence[tuple[str, str, str]]
    """Of each variant RSS, its highest and heap."""


@dataclass(frozen=True, slots=True)
class Figure:
    log: bool
    lines: Sequence[Line]
    levels: Sequence[Tick]
    times: Sequence[Tick]
    marks: Mapping[str, str]
    """By kind, the path of its marks in a box of `WIDTH` by 8; of the first variant."""
    rows: Sequence[Row]
    said: str
    """The figure in a sentence, for whoever does not see it."""


@dataclass(frozen=True, slots=True)
class _Point:
    column: int
    rss: int | None
    top: int | None
    heap: int | None


def figure(tapes: Sequence[Tape], titles: Mapping[str, str], *, heap: bool = False) -> Figure | None:
    """``None`` where nothing was seen. ``heap`` draws it too."""
    points = {tape.name: _points(tape.looks, _span(tapes)) for tape in tapes}
    drawn = [v for each in points.values() for p in each for v in (p.top, p.heap if heap else None) if v]
    if not drawn:
        return None
    levels = [median(p.rss for p in each if p.rss) for each in points.values() if any(p.rss for p in each)]
    log = bool(levels) and max(drawn) > LOG_FROM * min(levels)
    scale = _Log(min(drawn), max(drawn)) if log else _Linear(max(drawn))
    lines = [_line(tape, titles[tape.name], points[tape.name], scale, _span(tapes), heap) for tape in tapes]
    return Figure(
        log=log,
        lines=lines,
        levels=scale.ticks(),
        times=_times(_span(tapes)),
        marks={kind: _marks(tapes[0], kind, _span(tapes)) for kind in KINDS},
        rows=_rows(tapes, _span(tapes)),
        said="; ".join(line.said for line in lines),
    )


def _span(tapes: Sequence[Tape]) -> float:
    """Seconds: of the longest, so that one that ended early ends early in the figure."""
    return max([tape.days * _DAY for tape in tapes] + [look.at for tape in tapes for look in tape.looks[-1:]]) or 1.0


def _points(looks: Iterable[Look], span: float) -> list[_Point]:
    columns: dict[int, list[Look]] = {}
    for look in looks:
        columns.setdefault(_column(look.at, span), []).append(look)
    return [
        _Point(
            n,
            _middle(look.rss for look in some),
            max((look.rss for look in some if look.rss is not None), default=None),
            _middle(look.heap for look in some),
        )
        for n, some in sorted(columns.items())
    ]


def _column(at: float, span: float) -> int:
    return min(COLUMNS - 1, max(0, int(at / span * COLUMNS)))


def _middle(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return int(median(known)) if known else None


class _Linear:
    """From 0, with at most seven lines."""

    def __init__(self, high: float) -> None:
        steps = (digit * 10**power * MB for power in range(8) for digit in (1, 2, 5))
        self.step = next((step for step in steps if high <= 7 * step), high)
        self.high = ceil(high * 1.02 / self.step) * self.step

    def share(self, value: float) -> float:
        """From the top, 0 to 1."""
        return 1 - value / self.high

    def ticks(self) -> list[Tick]:
        return [_tick(self, n * self.step) for n in range(round(self.high / self.step) + 1)]


class _Log:
    """A tick wherever memory doubles."""

    def __init__(self, low: float, high: float) -> None:
        self.low = floor(log10(max(low, MB)) / log10(2))
        self.high = ceil(log10(high * 1.02) / log10(2))

    def share(self, value: float) -> float:
        return 1 - (log10(max(value, 1)) / log10(2) - self.low) / (self.high - self.low)

    def ticks(self) -> list[Tick]:
        return [_tick(self, 2.0**n) for n in range(self.low, self.high + 1)]


def _tick(scale: _Linear | _Log, value: float) -> Tick:
    label = format.size(value).replace(".0 ", " ") if value else "0"
    return Tick(round(100 * scale.share(value), 2), label)


def _line(tape: Tape, title: str, points: Sequence[_Point], scale: _Linear | _Log, span: float, heap: bool) -> Line:
    def path(name: str) -> list[str]:
        return [
            f"{_x(p.column)} {HEIGHT * scale.share(value):.1f}"
            for p in points
            if (value := getattr(p, name)) is not None
        ]

    rss, top, under = path("rss"), path("top"), path("heap") if heap else []
    last = next((p for p in reversed(points) if p.top is not None), None)
    ended = tape.crashed is not None and last is not None and last.top is not None
    return Line(
        name=tape.name,
        title=title,
        rss=_joined(rss),
        band="M" + "L".join([*top, *reversed(rss)]) + "Z" if len(top) > 1 and rss else "",
        heap=_joined(under),
        end=(round(100 * (last.column + 0.5) / COLUMNS, 2), round(100 * scale.share(last.top), 2))
        if ended and last is not None and last.top is not None
        else None,
        said=_said(tape, title, span),
    )


def _joined(points: Sequence[str]) -> str:
    """What was seen in one column only is a short dash, not nothing."""
    return "M" + "L".join(points) + ("h3" if len(points) == 1 else "") if points else ""


def _said(tape: Tape, title: str, span: float) -> str:
    seen = [look.rss for look in tape.looks if look.rss is not None]
    if not seen:
        return f"{title}: not measured"
    text = f"{title}: from {format.size(seen[0])} to {format.size(seen[-1])}, at most {format.size(max(seen))}"
    return f"{text}, ended after {clock(tape.days * _DAY, span)}" if tape.crashed else text


def _marks(tape: Tape, kind: str, span: float) -> str:
    places = sorted({_column(moment.at, span) for moment in tape.moments if moment.kind == kind})
    return "".join(f"M{_x(n)} 0V8" for n in places)


def _x(column: int) -> int:
    return round((column + 0.5) * WIDTH / COLUMNS)


def _times(span: float) -> list[Tick]:
    step = next((step for most, step in _TIMES if span <= most), 10 * _DAY)
    count = int(span / step + 0.01)
    return [Tick(round(100 * n * step / span, 2), clock(n * step, span)) for n in range(count + 1)]


def clock(at: float, span: float) -> str:
    """A time since the start, in the unit that suits the whole.

    >>> clock(5400, 3600), clock(5400, 86_400), clock(10 * 86_400, 30 * 86_400)
    ('90 min', '1.5 h', 'day 10')
    """
    if span <= 2 * 3600:
        return f"{at / 60:.0f} min"
    if span <= 2 * _DAY:
        return f"{at / 3600:.1f} h".replace(".0 h", " h")
    return f"day {at / _DAY:.1f}".removesuffix(".0")


def _rows(tapes: Sequence[Tape], span: float) -> list[Row]:
    """Every hour, day or whatever gives no more than `ROWS` lines."""
    step = next((s for s in (60, 300, 600, 3600, 6 * 3600, _DAY, 5 * _DAY, 30 * _DAY) if span / s <= ROWS), span)
    rows = []
    for n in range(ceil(span / step)):
        values = []
        for tape in tapes:
            some = [look for look in tape.looks if n * step <= look.at < (n + 1) * step]
            highest = max((look.rss for look in some if look.rss is not None), default=None)
            rss, heap = _middle(look.rss for look in some), _middle(look.heap for look in some)
            values.append((format.size(rss), format.size(highest), format.size(heap)))
        rows.append(Row(clock(min((n + 1) * step, span), span), values))
    return rows
