"""Dates of the lunisolar calendar of Vietnam and China, from the moon and the sun (Meeus, *Astronomical Algorithms*).

Good to a few minutes between 1900 and 2100: enough to tell the day on which a new moon falls.
"""

from __future__ import annotations

from datetime import date, timedelta
from math import floor, pi, sin

VIETNAM, CHINA = 7, 8
"""Hours east of Greenwich of the meridian on which the calendar counts its days; they parted in 2030's new year."""

_MONTH = 29.530588853
_ZERO = 2451545 - date(2000, 1, 1).toordinal()
"""Julian day of an ordinal 0."""


def solar(day: int, month: int, year: int, zone: int) -> date:
    """The date of a day in a common month (1 to 10) of the lunar year that begins in ``year``."""
    k = _eleventh(year - 1, zone)
    leap = _leap(k, zone)
    count = month + 1  # months after the eleventh of the year before
    if leap is not None and count >= leap:
        count += 1
    return date.fromordinal(_new_moon(k + count, zone) - _ZERO) + timedelta(day - 1)


def _eleventh(year: int, zone: int) -> int:
    """The lunation of the month that holds the winter solstice of ``year``."""
    k = floor((date(year, 12, 31).toordinal() + _ZERO - 2415021) / _MONTH)
    return k - 1 if _sector(_new_moon(k, zone), zone) >= 9 else k


def _leap(k: int, zone: int) -> int | None:
    """Which month after the eleventh is the leap month: the first without a principal term in a year of 13 months."""
    next_eleventh = _eleventh(date.fromordinal(_new_moon(k, zone) - _ZERO).year + 1, zone)
    if next_eleventh - k < 13:
        return None
    for count in range(1, 14):
        if _sector(_new_moon(k + count, zone), zone) == _sector(_new_moon(k + count + 1, zone), zone):
            return count
    raise AssertionError("a year of 13 months has a leap month")


def _sector(day: int, zone: int) -> int:
    """The twelfth of the sun's way (0 from the spring equinox on) at the midnight with which a Julian day begins."""
    t = (day - 0.5 - zone / 24 - 2451545) / 36525
    m = (357.52910 + 35999.05030 * t - 0.0001559 * t * t) * pi / 180
    centre = (1.914600 - 0.004817 * t) * sin(m) + (0.019993 - 0.000101 * t) * sin(2 * m) + 0.000290 * sin(3 * m)
    longitude = 280.46645 + 36000.76983 * t + 0.0003032 * t * t + centre
    return floor(longitude % 360 / 30)


def _new_moon(k: int, zone: int) -> int:
    """The Julian day, in local time, of the ``k``-th new moon after the one of 1 January 1900."""
    t = k / 1236.85
    r = pi / 180
    mean = 2415020.75933 + 29.53058868 * k + 0.0001178 * t * t + 0.00033 * sin((166.56 + 132.87 * t) * r)
    sun = (359.2242 + 29.10535608 * k - 0.0000333 * t * t) * r
    moon = (306.0253 + 385.81691806 * k + 0.0107306 * t * t) * r
    node = (21.2964 + 390.67050646 * k - 0.0016528 * t * t) * r
    c = (
        (0.1734 - 0.000393 * t) * sin(sun)
        + 0.0021 * sin(2 * sun)
        - 0.4068 * sin(moon)
        + 0.0161 * sin(2 * moon)
        - 0.0004 * sin(3 * moon)
        + 0.0104 * sin(2 * node)
        - 0.0051 * sin(sun + moon)
        - 0.0074 * sin(sun - moon)
        + 0.0004 * sin(2 * node + sun)
        - 0.0004 * sin(2 * node - sun)
        - 0.0006 * sin(2 * node + moon)
        + 0.0010 * sin(2 * node - moon)
        + 0.0005 * sin(sun + 2 * moon)
    )
    clock = -0.000278 + 0.000265 * t + 0.000262 * t * t
    return floor(mean + c - clock + 0.5 + zone / 24)
