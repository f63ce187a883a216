"""A small line without axes, for tables and tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evertick.reports.render.figures.scale import path
from evertick.reports.render.numbers import DASH
from evertick.reports.render.words import esc

WIDTH, HEIGHT = 200, 60


def spark(points: Sequence[float], tone: str, label: str = "") -> str:
    """``points`` oldest first; what is not finite is left out. Without a label it is decoration."""
    known = [p for p in points if math.isfinite(p)]
    if len(known) < 2:
        return DASH
    low, high = min(known), max(known)
    span = high - low
    scale = (HEIGHT - 8) / span if span else 0.0
    base = HEIGHT - 4 if span else HEIGHT / 2
    step = WIDTH / (len(known) - 1)
    line = path([(i * step, base - (value - low) * scale) for i, value in enumerate(known)])
    role = f'role="img" aria-label="{esc(label)}"' if label else 'aria-hidden="true"'
    css = tone if tone in ("up", "down") else "flat"
    return f'<svg class="sp {css}" viewBox="0 0 200 60" preserveAspectRatio="none" {role}><path d="{line}"/></svg>'
