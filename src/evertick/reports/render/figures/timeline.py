"""Spans of time in rows, on hours of the report's time zone: the sessions ahead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.lines import nothing
from evertick.reports.render.words import Words, esc


def draw(figure: Figure, words: Words) -> Iterator[str]:
    start: datetime = figure.data["start"]
    end: datetime = figure.data["end"]
    span = (end - start).total_seconds()
    rows = list(figure.data["rows"])
    if span <= 0 or not rows:
        yield nothing(words)
        return

    def x(at: datetime) -> float:
        return 100 * min(max((at - start).total_seconds() / span, 0.0), 1.0)

    ticks = [(x(at), words.numbers.time(at)) for at in hours(start.astimezone(words.numbers.zone), end)]
    yield f'<p class="vh">{esc(words.plain(figure.label))}</p><ul class="times"><li class="times-head" aria-hidden="true"><span></span><svg>'
    odd = ' class="odd"'
    yield "".join(
        f'<text{odd if i % 2 else ""} x="{at:.2f}%" y="70%">{text}</text>' for i, (at, text) in enumerate(ticks)
    )
    yield "</svg></li>"
    rules = "".join(f'<line x1="{at:.2f}%" x2="{at:.2f}%" y2="100%"/>' for at, _ in ticks)
    for row in rows:
        spans = list(row["spans"])
        bars = "".join(
            f'<rect x="{x(a):.2f}%" y="25%" width="{max(x(b) - x(a), 0.4):.2f}%" height="50%" rx="2"/>'
            for a, b in spans
        )
        said = "; ".join(f"{words.numbers.time(a)}–{words.numbers.time(b)}" for a, b in spans)
        yield (
            f'<li><span class="bar-name">{words.html(row["name"])}</span><svg role="img" '
            f'aria-label="{esc(said or words.say("No data."))}">{rules}{bars}</svg></li>'
        )
    yield "</ul>"


def hours(start: datetime, end: datetime) -> Iterator[datetime]:
    """Round hours between, so far apart that about six fit; the ends are left to the edge."""
    total = (end - start).total_seconds() / 3600
    step = next((s for s in (1, 2, 3, 4, 6, 12, 24) if total / s <= 8), 48)
    at = start.replace(minute=0, second=0, microsecond=0)
    while at.hour % step or at <= start:
        at += timedelta(hours=1)
    margin = (end - start) * 0.03
    while at < end - margin:
        if at > start + margin:
            yield at
        at += timedelta(hours=step)
