"""One line within a day, with the previous close for comparison; a long silence (a lunch break) breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from evertick.reports.blocks import Figure
from evertick.reports.render.figures.lines import CURVES, HEIGHT, WIDTH, nothing, plot_open
from evertick.reports.render.figures.scale import axis, path, thin
from evertick.reports.render.words import Words, esc

SILENCE = 45 * 60
"""Seconds without a price that break the line."""
POINTS = 240
LABELS = 6
HOUR = 3600


def draw(figure: Figure, words: Words) -> Iterator[str]:
    times, values = figure.data["times"], figure.data["values"]
    previous = figure.data["previous"]
    before = previous.value if previous is not None else None
    scale = axis([*values, *([] if before is None else [before])])
    if scale is None or len(times) < 2 or times[-1] <= times[0]:
        yield nothing(words)
        return
    first, span = times[0], times[-1] - times[0]
    wide, tall = WIDTH / span, HEIGHT / (scale.high - scale.low)

    def points() -> Iterator[tuple[float, float] | None]:
        last = first
        for i in thin(len(times), POINTS):
            if times[i] - last > SILENCE:
                yield None
            last = times[i]
            yield (times[i] - first) * wide, (scale.high - values[i]) * tall

    yield plot_open(figure, words, "plot")
    for tick in scale.ticks:
        y = f"{100 * (1 - scale.share(tick)):.1f}%"
        text = words.numbers.fixed(tick, scale.decimals)
        yield f'<line class="rule" x2="100%" y1="{y}" y2="{y}"/><text class="ty" x="100%" y="{y}">{text}</text>'
    step = HOUR * next((n for n in (1, 2, 3, 4, 6) if span / (HOUR * n) <= LABELS), 12)
    for at in range(-(-first // step) * step, times[-1] + 1, step):
        x = 100 * (at - first) / span
        if 2 < x < 98:
            clock = words.numbers.time(datetime.fromtimestamp(at, UTC))
            yield f'<text class="tx" x="{x:.1f}%" y="100%">{esc(clock)}</text>'
    if before is not None:
        y = f"{100 * (1 - scale.share(before)):.1f}%"
        yield f'<line class="before" x2="100%" y1="{y}" y2="{y}"/>'
    way = "down" if before is not None and values[-1] < before else "up"
    yield f'{CURVES}<path class="ln ses {way}" d="{path(points())}"/></svg></svg>'
    if previous is not None and before is not None:
        key = '<svg class="key" aria-hidden="true"><line class="before" x2="100%" y1="50%" y2="50%"/></svg>'
        note = words.say("Previous close")
        yield f'<ul class="legend"><li>{key}{esc(note)} <b>{words.numbers.number(previous)}</b></li></ul>'
