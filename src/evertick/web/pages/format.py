"""Numbers and times as the English pages write them. ``frontend/src/site.js`` writes the same when it patches a cell."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

DASH = "–"
MINUS = "\N{MINUS SIGN}"

_SCALES = ((1e12, "T"), (1e9, "B"))
_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


def price(value: float | None, decimals: int) -> str:
    """``4,980.12``; from a billion on ``2.41T``.

    >>> price(4980.1234, 2), price(2.41e12, 0), price(-0.5, 1), price(None, 2)
    ('4,980.12', '2.41T', '−0.5', '–')
    """
    if value is None or not math.isfinite(value):
        return DASH
    for size, letter in _SCALES:
        if abs(value) >= size:
            return f"{value / size:,.2f}{letter}".replace("-", MINUS)
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def change(percent: float | None) -> str:
    """``+1.25%``; what rounds to nothing has no sign.

    >>> change(1.254), change(-0.3), change(-0.001), change(None)
    ('+1.25%', '−0.30%', '0.00%', '–')
    """
    if percent is None or not math.isfinite(percent):
        return DASH
    sign = {"up": "+", "down": MINUS}.get(tone(percent), "")
    return f"{sign}{abs(percent):,.2f}%"


def tone(percent: float | None) -> str:
    """``up``, ``down`` or ``flat``, as it shows after rounding."""
    if percent is None or not math.isfinite(percent) or abs(percent) < 0.005:
        return "flat"
    return "up" if percent > 0 else "down"


def age(seconds: float | None) -> str:
    """How long ago, in one unit: ``now``, ``4m``, ``3h``, ``2d``.

    >>> age(20), age(250), age(11_000), age(200_000)
    ('now', '4m', '3h', '2d')
    """
    if seconds is None:
        return DASH
    if seconds < 60:
        return "now"
    if seconds < 3600:
        return f"{int(seconds // 60)}m"
    if seconds < 86_400:
        return f"{int(seconds // 3600)}h"
    return f"{int(seconds // 86_400)}d"


def until(seconds: float) -> str:
    """How long till then, in at most two units: ``in 2m 05s``, ``in 3h 20m``, ``due``.

    >>> until(125), until(12_000), until(200_000), until(0)
    ('in 2m 05s', 'in 3h 20m', 'in 2d 07h', 'due')
    """
    left = int(seconds)
    if left <= 0:
        return "due"
    if left < 60:
        return f"in {left}s"
    if left < 3600:
        return f"in {left // 60}m {left % 60:02d}s"
    if left < 86_400:
        return f"in {left // 3600}h {left % 3600 // 60:02d}m"
    return f"in {left // 86_400}d {left % 86_400 // 3600:02d}h"


def size(count: float | None) -> str:
    """Bytes in one unit: ``71.2 MB``.

    >>> size(74_658_611), size(320), size(-5000), size(None)
    ('71.2 MB', '320 B', '−4.9 KB', '–')
    """
    if count is None:
        return DASH
    for unit, letter in _UNITS:
        if abs(count) >= unit:
            return f"{count / unit:,.1f} {letter}".replace("-", MINUS)
    return f"{count:.0f} B".replace("-", MINUS)


def seconds(value: float | None) -> str:
    """A duration: ``0.8 ms``, ``35 ms``, ``4.2 s``, ``2m 05s``.

    >>> seconds(0.0008), seconds(0.0352), seconds(4.2), seconds(125)
    ('0.8 ms', '35 ms', '4.2 s', '2m 05s')
    """
    if value is None:
        return DASH
    if value < 0.01:
        return f"{value * 1000:.1f} ms"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)}m {int(value % 60):02d}s"


def signed(value: float | None) -> str:
    """A count with its sign, 0 without one: ``+2``, ``−1``, ``0``."""
    if value is None:
        return DASH
    return f"{value:+,.0f}".replace("-", MINUS) if value else "0"


class When:
    """Times in the zone of the settings. ``now`` decides whether the day is worth telling."""

    def __init__(self, zone: str, now: datetime) -> None:
        self.zone = ZoneInfo(zone)
        self.today = now.astimezone(self.zone).date()

    def short(self, at: datetime | None) -> str:
        """``09:31`` today, ``23 Nov 09:31`` on another day of the year, else with the year."""
        if at is None:
            return DASH
        local = at.astimezone(self.zone)
        clock = f"{local:%H:%M}"
        if local.date() == self.today:
            return clock
        year = "" if local.year == self.today.year else f" {local.year}"
        return f"{local.day} {local:%b}{year} {clock}"

    def full(self, at: datetime) -> str:
        """``Monday 23 November 2026, 09:31``"""
        local = at.astimezone(self.zone)
        return f"{local:%A} {local.day} {local:%B %Y, %H:%M}"

    def clock(self, at: datetime | None) -> str:
        return DASH if at is None else f"{at.astimezone(self.zone):%H:%M:%S}"


def iso(at: datetime | None) -> str:
    """For the ``datetime`` attribute of a ``<time>``."""
    return "" if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
