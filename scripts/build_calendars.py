"""Writes src/evertick/calendars/generated.txt from the package exchange_calendars; run by ``make calendars``.

The package and what it needs (pandas) live in an environment of their own and are never needed at run time. Where the
package knows a calendar only up to a year, the table ends there; `evertick doctor` warns before it does.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import exchange_calendars
from exchange_calendars.calendar_utils import global_calendar_dispatcher

from evertick.sessions import EXCHANGES, is_trading_day

TARGET = Path(__file__).parents[1] / "src/evertick/calendars/generated.txt"
FIRST = 2023
YEARS_AHEAD = 5
ALIASES = {"CME": "CMES", "XNSE": "XBOM", "XSHE": "XSHG"}
"""Exchanges that keep another one's calendar in the package."""
FROM = {"XTAE": 2026}
"""Tel Aviv moved from Sunday-Thursday to Monday-Friday in January 2026; its weekly hours are those since then."""
HAND_MADE = frozenset(
    {"CBOT", "CMEL", "IFUS", "XCBO", "UST", "SIFMA", "FED", "TARGET", "FX", "XSTC", "XHNX", "VNBANK", "XCAI"}
)
"""Not in the package under rules of their own: derived below or kept by hand in the files beside."""


def main() -> None:
    warnings.simplefilter("ignore")  # about holidays without a vectorised rule
    last = date.today().year + YEARS_AHEAD
    tables: dict[str, dict[int, str]] = {}
    for code, exchange in EXCHANGES.items():
        if exchange.week and code not in HAND_MADE:
            tables[code] = _table(code, FROM.get(code, FIRST), last)
    new_york = tables["XNYS"]
    tables["XCBO"] = {year: line.replace("@13:00", "@12:15") for year, line in new_york.items()}
    tables["IFUS"] = new_york
    tables["CBOT"] = tables["CMEL"] = {
        year: _less(year, line).replace("@13:00", "@12:05") for year, line in new_york.items()
    }
    tables["CME"] = {year: _less(year, line) for year, line in tables["CME"].items()}
    tables["UST"] = tables["SIFMA"] = tables["FED"] = {year: _bonds(year, line) for year, line in new_york.items()}
    tables["TARGET"] = {year: " ".join(_target(year)) for year in range(FIRST, last + 1)}
    tables["FX"] = {year: _weekdays(date(year, 1, 1), date(year, 12, 25)) for year in range(FIRST, last + 1)}
    TARGET.write_text(_HEAD.format(version=exchange_calendars.__version__) + "".join(_lines(tables)), "utf-8")
    ends = {code: max(years) for code, years in tables.items() if max(years) < last}
    sys.stdout.write(f"{len(tables)} calendars, {FIRST} to {last}; shorter: {ends or 'none'}\n")


_HEAD = """\
# Holidays and half days by exchange and year, made by: make calendars (exchange_calendars {version}). Do not edit.
# exchanges year days: MM-DD closed, MM-DD..MM-DD closed from the one to the other, MM-DD@HH:MM closes early (local time).
# Days that the weekly hours leave closed anyway are not listed. XCBO, IFUS, CBOT, CMEL keep New York's days, UST,
# SIFMA and FED also those of the bond market; TARGET: 1 January, Good Friday, Easter Monday, 1 May, 25 and 26 December.
"""


def _table(code: str, first: int, last: int) -> dict[int, str]:
    """Year to its exceptions, as far as the package knows."""
    name = ALIASES.get(code, code)
    factory = global_calendar_dispatcher._calendar_factories.get(name)  # its bounds are not otherwise to be had
    bound = factory.bound_max() if factory is not None else None
    if bound is not None:
        last = min(last, bound.year)
    calendar = exchange_calendars.get_calendar(name, start=f"{first}-01-01", end=f"{last}-12-31")
    return {year: " ".join(_exceptions(code, calendar, year)) for year in range(first, last + 1)}


def _exceptions(code: str, calendar: Any, year: int) -> Iterable[str]:
    days = [d for d in _days(year) if _usual(code, d)]
    sessions = {stamp.date() for stamp in calendar.sessions if stamp.year == year}
    yield from _spans([d for d in days if d not in sessions], days)
    usual = _usual_closes(code)
    for stamp in calendar.early_closes:
        day = stamp.date()
        if day.year == year and day in days:
            closes = calendar.session_close(stamp).tz_convert(EXCHANGES[code].tz)
            if closes.hour * 60 + closes.minute < usual[day.weekday()]:
                yield f"{day:%m-%d}@{closes:%H:%M}"


def _usual(code: str, day: date) -> bool:
    """Whether the weekly hours alone make it a trading day."""
    return is_trading_day(code, _FREE + timedelta((day - _FREE).days % 7))


_FREE = date(1990, 1, 1)
"""A Monday long before any calendar, when the weekly hours are all there is."""


def _usual_closes(code: str) -> list[int]:
    """Monday first: minutes after midnight of the trading day at which its trading ends."""
    closes = [0] * 7
    for weekday, periods in enumerate(EXCHANGES[code].week):
        for _, end in periods:
            later, minute = divmod(end, 1440)
            day = (weekday + later) % 7
            closes[day] = max(closes[day], minute)
    return closes


def _days(year: int) -> list[date]:
    return [date(year, 1, 1) + timedelta(n) for n in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)]


def _spans(closed: list[date], days: list[date]) -> Iterable[str]:
    """``closed``, runs of neighbours among ``days`` written as one."""
    place = {day: n for n, day in enumerate(days)}
    run: list[date] = []
    for day in closed:
        if run and place[day] != place[run[-1]] + 1:
            yield _span(run)
            run = []
        run.append(day)
    if run:
        yield _span(run)


def _span(run: list[date]) -> str:
    return f"{run[0]:%m-%d}" if len(run) == 1 else f"{run[0]:%m-%d}..{run[-1]:%m-%d}"


def _bonds(year: int, line: str) -> str:
    """New York's days with Columbus Day and Veterans Day, on which bonds rest and shares trade; no half days."""
    columbus = date(year, 10, 1) + timedelta((0 - date(year, 10, 1).weekday()) % 7 + 7)
    veterans = date(year, 11, 11) + timedelta(1 if date(year, 11, 11).weekday() == 6 else 0)
    more = [f"{day:%m-%d}" for day in (columbus, veterans) if day.weekday() < 5]
    return " ".join(sorted([word for word in _less(year, line).split() if "@" not in word] + more))


def _less(year: int, line: str) -> str:
    """Without the day of mourning on which shares rested and metals, grains and bonds traded."""
    return " ".join(word for word in line.split() if (year, word) != (2025, "01-09"))


def _target(year: int) -> Iterable[str]:
    """The closing days of TARGET since 2002 (ECB)."""
    easter = _easter(year)
    for day in (
        date(year, 1, 1),
        easter - timedelta(2),
        easter + timedelta(1),
        date(year, 5, 1),
        date(year, 12, 25),
        date(year, 12, 26),
    ):
        if day.weekday() < 5:
            yield f"{day:%m-%d}"


def _easter(year: int) -> date:
    from dateutil.easter import easter

    return easter(year)


def _weekdays(*days: date) -> str:
    return " ".join(f"{day:%m-%d}" for day in days if day.weekday() < 5)


def _lines(tables: dict[str, dict[int, str]]) -> Iterable[str]:
    """One block for all exchanges with the same exceptions."""
    shared: dict[tuple[tuple[int, str], ...], list[str]] = {}
    for code, years in tables.items():
        shared.setdefault(tuple(years.items()), []).append(code)
    for block, codes in shared.items():
        yield "\n"
        for year, days in block:
            yield f"{','.join(codes)} {year} {days}".rstrip() + "\n"


if __name__ == "__main__":
    main()
