"""A soak in the terminal: what was played, every bound with its verdict, the twins beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from evertick import terminal
from evertick.soak.page import amount, counted, interval, sentence
from evertick.soak.tape import AFTER, BEFORE, EVERTICK, Bound, Soak, Tape
from evertick.web.pages import format

_COLOUR = {True: "green", False: "bold red", None: "yellow"}


def summary(soak: Soak) -> Iterator[Any]:
    """Rich renderables."""
    ours = soak.variants[EVERTICK]
    yield Text(sentence(soak, ours))
    about = soak.settings
    size = about.get("report_bytes")
    yield Text(
        f"{about.get('database')} and {about.get('board')} board, {about.get('instruments')} instruments, seed {soak.seed}, "
        f"{format.size(size) + ' a report, ' if size else ''}{soak.seconds:,.0f} s in all"
    )
    yield terminal.drawn("Bounds", ("", "measured", "limit", ""), [_row(bound) for bound in soak.bounds], right=(1, 2))
    for bound in soak.bounds:
        if bound.passed is not True and bound.why:
            yield Text(f"{bound.name}: {bound.why}", style=_COLOUR[bound.passed])
    if len(soak.variants) > 1:
        tapes = [soak.variants[name] for name in (BEFORE, AFTER, EVERTICK) if name in soak.variants]
        yield terminal.drawn("Side by side", ("", *(t.name for t in tapes)), list(_beside(tapes)), right=(1, 2, 3))
    hurt = [one for one in soak.faults if one.recovered_s is None or any(v is not True for v in one.found.values())]
    if soak.faults:
        yield Text(f"{len(soak.faults)} faults, {len(soak.faults) - len(hurt)} of them survived without a trace")
    for one in hurt[:10]:
        wrong = "; ".join(f"{name}: {found}" for name, found in one.found.items() if found is not True)
        yield Text(f"  {one.kind}, {one.what}: {wrong or 'never recovered'}", style="red")
    for note in [*soak.notes, *ours.notes][:10]:
        yield Text(note)
    yield Text(counted(soak))


def _row(bound: Bound) -> tuple[Any, ...]:
    word = {True: "PASS", False: "FAIL", None: "not settled" if bound.measured is not None else "not measured"}
    figures = amount(bound.measured, bound.unit), amount(bound.limit, bound.unit).removeprefix("+")
    return bound.name, *figures, Text(word[bound.passed], style=_COLOUR[bound.passed])


def _beside(tapes: list[Tape]) -> Iterator[tuple[str, ...]]:
    def row(what: str, *values: str) -> tuple[str, ...]:
        return (what, *values)

    yield row("RSS, steady", *(format.size(t.steady_rss) for t in tapes))
    yield row("RSS, highest", *(format.size(t.peak_rss) for t in tapes))
    yield row(
        "connections leaked",
        *(format.DASH if t.connections_leaked is None else f"{t.connections_leaked:,}" for t in tapes),
    )
    yield row("kept per report", *(format.size(t.kept_per_report) for t in tapes))
    yield row("kept per iteration", *(format.size(t.kept_per_iteration) for t in tapes))
    yield row("heap a day (95 %)", *(interval(t.heap) for t in tapes))
    yield row("RSS a day (95 %)", *(interval(t.rss) for t in tapes))
    yield row("ended", *(t.crashed or "at its time" for t in tapes))
