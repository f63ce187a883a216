"""The US Treasury as the simulator speaks it: the market's yield curve, a CSV file for each year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request

from evertick.simulator.answers import CSV, HTML, Answer, Failure, RouteOf
from evertick.simulator.hours import hours
from evertick.simulator.market import Market

BASE = "/treasury"
NEW_YORK = ZoneInfo("America/New_York")
PUBLISHED_HOUR = 18
FIRST_YEAR = 1990
COLUMNS: Mapping[str, tuple[float, date]] = {
    "1 Mo": (1, date(2001, 7, 31)), "1.5 Month": (1.5, date(2025, 2, 18)), "2 Mo": (2, date(2018, 10, 16)),
    "3 Mo": (3, date(1990, 1, 2)), "4 Mo": (4, date(2022, 10, 19)), "6 Mo": (6, date(1990, 1, 2)),
    "1 Yr": (12, date(1990, 1, 2)), "2 Yr": (24, date(1990, 1, 2)), "3 Yr": (36, date(1990, 1, 2)),
    "5 Yr": (60, date(1990, 1, 2)), "7 Yr": (84, date(1990, 1, 2)), "10 Yr": (120, date(1990, 1, 2)),
    "20 Yr": (240, date(1993, 10, 1)), "30 Yr": (360, date(1990, 1, 2)),
}  # fmt: skip
"""Months to maturity, and the first day it was published for: the columns of a file are those of its year."""
_TYPE = "daily_treasury_yield_curve"


def days(first: date, last: date) -> list[date]:
    """The days from ``first`` to ``last``, both included, on which Treasuries trade."""
    return [date.fromordinal(day) for day in hours("SIFMA").days(first.toordinal(), last.toordinal())]


def newest(at: float, hour: int = PUBLISHED_HOUR) -> date:
    """The newest day that is published at ``at`` (seconds since 1970), which it is at ``hour`` in New York."""
    now = datetime.fromtimestamp(at, NEW_YORK)
    day = now.date() if now.hour >= hour else now.date() - timedelta(days=1)
    return day if days(day, day) else before(day)


def before(day: date) -> date:
    """The trading day before ``day``."""
    return date.fromordinal(hours("SIFMA").before(day.toordinal()))


def yields(market: Market, day: date) -> Mapping[float, float]:
    """Months to maturity to percent."""
    return market.curve(day.toordinal())


async def year(market: Market, request: Request) -> Answer:
    """``daily-treasury-rates.csv/2026/all?type=daily_treasury_yield_curve&…``: newest first, ``N/A`` where there is none."""
    asked = request.path_params["year"]
    last = newest(market.clock.at())
    if request.query_params.get("type") != _TYPE or not asked.isdecimal() or not FIRST_YEAR <= int(asked) <= 2200:
        return NOT_FOUND
    of_year = days(date(int(asked), 1, 1), min(date(int(asked), 12, 31), last))
    columns = {name: c for name, c in COLUMNS.items() if c[1].year <= int(asked)}
    lines = [",".join(["Date", *columns])]
    for day in reversed(of_year):
        curve = yields(market, day)
        cells = (f"{curve[months]:.2f}" if day >= since else "N/A" for months, since in columns.values())
        lines.append(",".join([f"{day:%m/%d/%Y}", *cells]))
    return Answer("\n".join(lines) + "\n", media=CSV)


NOT_FOUND = Answer(
    "<!DOCTYPE html><html><head><title>Page not found | U.S. Department of the Treasury</title></head></html>",
    404,
    media=HTML,
)
ROUTES: Sequence[RouteOf] = (
    ("GET", "/resource-center/data-chart-center/interest-rates/daily-treasury-rates.csv/{year}/all", year),
)
FAILURES: Mapping[str, Failure] = {
    "404": NOT_FOUND,
    "200ratelimit": Answer("<!DOCTYPE html><html><head><title>Access Denied</title></head></html>", 200, media=HTML),
}
