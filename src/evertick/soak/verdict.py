"""PASS or FAIL, bound by bound. Pure: a tape in, lines of the verdict out.

The bounds are those of docs/explanation/memory.md. A growth is judged by its 95 % interval: it holds when the upper end is
within the bound, it fails when the lower end is beyond it, and in between the run was too short to tell, which is said and is
no failure. Whoever wants it settled plays more days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from evertick.memory.growth import COMPONENT_BOUND, HEAP_BOUND, RSS_BOUND
from evertick.soak.tape import Bound, Growth, Injury, Tape

KB, MB = 1 << 10, 1 << 20
KEPT_PER_REPORT = KEPT_PER_ITERATION = KB
STEADY_EMBEDDED, STEADY_SERVERS = 85 * MB, 105 * MB
ABOVE_STEADY = 5 * MB


def bounds(tape: Tape, settings: Mapping[str, Any], faults: Sequence[Injury] = ()) -> tuple[Bound, ...]:
    """``settings`` are those of `evertick.soak.tape.Soak`."""
    servers = settings.get("database") == "postgresql" or settings.get("board") == "redis"
    steady = STEADY_SERVERS if servers else STEADY_EMBEDDED
    hurt = bool(settings.get("faults"))
    return (
        Bound("ended before its time", float(tape.crashed is not None), 0, "count", tape.crashed is None, tape.crashed or ""),
        _refreshes(tape, settings, hurt),
        _at_most("failed runs", _failed(tape), 0, "count", "faults make runs fail; what comes of them is checked after each fault" if hurt else ""),
        _at_most("failed requests", tape.requests.get("failed", 0), 0, "count"),
        _at_most("connections leaked", tape.connections_leaked, 0, "count", missing="it takes more than an hour to tell"),
        _kept("kept per report", tape.kept_per_report, tape.kept_per_report_95, KEPT_PER_REPORT),
        _kept(
            "kept per iteration, auto report",
            tape.kept_per_iteration,
            tape.kept_per_iteration_95,
            KEPT_PER_ITERATION,
        ),
        _growth("growth, market indices", tape.indices, COMPONENT_BOUND, tape),
        _growth("growth of the heap", tape.heap, HEAP_BOUND, tape),
        _growth("growth of RSS", tape.rss, RSS_BOUND, tape),
        _at_most("steady RSS", tape.steady_rss, steady, "bytes"),
        _at_most("peak of a report above steady", tape.peak_above_steady, ABOVE_STEADY, "bytes",
                 missing="no report ran alone"),
        *_injuries(faults),
    )  # fmt: skip


def _at_most(
    name: str, measured: float | None, limit: float, unit: str, excuse: str = "", missing: str = "not measurable here"
) -> Bound:
    """``excuse``: why more than the limit is no failure."""
    if measured is None:
        return Bound(name, None, limit, unit, None, missing)
    if measured > limit and excuse:
        return Bound(name, measured, limit, unit, None, excuse)
    return Bound(name, measured, limit, unit, measured <= limit)


def _kept(name: str, middle: int | None, reach: Sequence[float] | None, limit: float) -> Bound:
    """By the median over the runs; one above the limit whose interval reaches below it is not settled."""
    if middle is None:
        return Bound(name, None, limit, "bytes", None, "no report ran alone after the warm-up")
    if middle <= limit:
        return Bound(name, middle, limit, "bytes", True, "the median of the runs")
    if reach is None:
        return Bound(name, middle, limit, "bytes", None, "of so few reports the median says little")
    if reach[0] > limit:
        return Bound(name, middle, limit, "bytes", False, f"the median; its 95 % interval begins at {_kb(reach[0])}")
    why = f"not settled: the 95 % interval of the median is {_kb(reach[0])} to {_kb(reach[1])}"
    return Bound(name, middle, limit, "bytes", None, why)


def _growth(name: str, found: Growth | None, limit: float, tape: Tape) -> Bound:
    if found is None:
        return Bound(name, None, limit, "bytes/day", None, f"too few runs in {span(tape)}")
    if found.high <= limit:
        return Bound(name, found.high, limit, "bytes/day", True, "the upper end of the 95 % interval")
    if found.low > limit:
        return Bound(name, found.low, limit, "bytes/day", False, "the lower end of the 95 % interval")
    why = f"not settled in {span(tape)}: between {_kb(found.low)} and {_kb(found.high)} a day"
    return Bound(name, found.per_day, limit, "bytes/day", None, why)


def _failed(tape: Tape) -> int:
    return sum(n for outcomes in tape.runs.values() for outcome, n in outcomes.items() if outcome != "ok")


def _refreshes(tape: Tape, settings: Mapping[str, Any], hurt: bool) -> Bound:
    """Every slot of the market-indices scheduler has its run."""
    of_a_day = settings.get("refreshes", 0)
    due = of_a_day if settings.get("real_s") is not None else round(of_a_day * (settings.get("days") or 0))
    ran = sum(tape.runs.get("refresh_indices", {}).values())
    if hurt:
        return Bound(
            "refreshes that did not run",
            None,
            0,
            "count",
            None,
            "the checks after each fault look at every slot",
        )
    if settings.get("real_s") is not None:  # one more or less at either end
        due -= 1
    return _at_most("refreshes that did not run", max(0, due - ran), 0, "count")


def _injuries(faults: Sequence[Injury]) -> list[Bound]:
    """Each invariant by how many faults broke it."""
    if not faults:
        return []
    broken: dict[str, list[str]] = {}
    for fault in faults:
        for name, found in fault.found.items():
            broken.setdefault(name, [])
            if found is not True:
                broken[name].append(f"after {fault.kind}: {found}")
    never = [fault.kind for fault in faults if fault.recovered_s is None]
    rows = {"faults from which it did not recover": never, **broken}
    return [Bound(name, len(those), 0, "count", not those, "; ".join(those[:3])[:400]) for name, those in rows.items()]


def span(tape: Tape) -> str:
    """How long a tape is, for people."""
    seconds = tape.days * 86_400
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if tape.days < 2 else f"{tape.days:.0f} days"


def _kb(value: float) -> str:
    """With its sign; megabytes where it is many."""
    if not isfinite(value):
        return "−∞" if value < 0 else "+∞"
    unit, name = (MB, "MB") if abs(value) >= MB else (KB, "KB")
    return f"{'−' if value < 0 else '+'}{abs(value) / unit:,.1f} {name}"
