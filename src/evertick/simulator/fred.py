"""FRED as the simulator speaks it: the Treasury's curve and its spreads, and whatever of the market has a series' id."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import date, timedelta

from starlette.requests import Request

from evertick.simulator import treasury
from evertick.simulator.answers import CSV, HTML, Answer, Failure, RouteOf
from evertick.simulator.market import Market

BASE = "/fred"
FIRST_DAY = date(1990, 1, 2)
PUBLISHED_HOUR = 16
"""In New York, on the trading day after the one that is published."""
Curve = Mapping[float, float]
DERIVED: Mapping[str, Callable[[Curve], float]] = {
    "T10Y2Y": lambda c: c[120] - c[24],
    "T10Y3M": lambda c: c[120] - c[3],
    "T10YIE": lambda c: _inflation(c),
    "DFII10": lambda c: c[120] - _inflation(c),
}
"""Series in percent, made from the yields of a day by months to maturity."""
POLICY = {"DFF": 0.0, "SOFR": 0.03}
"""Percentage points above the federal funds rate."""
_SERIES = re.compile(r"DGS(\d{1,2})(MO)?")

Series = Callable[[date], float]


def series(market: Market, name: str) -> Series | None:
    """What says the value of a day; ``None`` for a series that is not there."""
    if match := _SERIES.fullmatch(name):
        months = int(match[1]) * (1 if match[2] else 12)
        known = {months for months, _ in treasury.COLUMNS.values()}
        return (lambda day: treasury.yields(market, day)[months]) if months in known else None
    if name in DERIVED:
        return lambda day: DERIVED[name](treasury.yields(market, day))
    if name in POLICY:
        return lambda day: _policy(treasury.yields(market, day.replace(day=1))) + POLICY[name]
    instrument = market.find("fred", name)
    return None if instrument is None else lambda day: market.close(instrument, day.toordinal())


def _inflation(curve: Curve) -> float:
    """Expected inflation: a fifth of the ten-year yield's moves, round its level when that yields 4.7 percent."""
    return 2.3 + 0.2 * (curve[120] - 4.7)


def _policy(curve: Curve) -> float:
    """The federal funds rate, from the yields at the beginning of a month: it moves by quarters of a percent."""
    return max(0.08, round(curve[1] * 4) / 4 - 0.12)


def newest(at: float) -> date:
    """The newest day that is published at ``at`` (seconds since 1970): the trading day before the last one."""
    return treasury.before(treasury.newest(at, PUBLISHED_HOUR))


async def graph(market: Market, request: Request) -> Answer:
    """``fredgraph.csv?id=DGS2,DGS10&cosd=2026-01-01``: weekdays, a cell empty on holidays; HTML where an id is unknown."""
    names = [name for name in request.query_params.get("id", "").split(",") if name]
    found = [series(market, name) for name in names]
    first = _day(request.query_params.get("cosd"))
    if not names or None in found:
        return NOT_FOUND
    lines = [",".join(["observation_date", *names])]
    async for day, values in _rows([one for one in found if one is not None], first, newest(market.clock.at())):
        lines.append(",".join([str(day), *values]))
    return Answer("\n".join(lines) + "\n", media=CSV)


async def observations(market: Market, request: Request) -> Answer:
    """``/fred/series/observations``, for whoever has a key: any, but none that begins with ``bad``."""
    asked = request.query_params
    key = asked.get("api_key", "")
    if not key:
        return bad_request("Variable api_key is not set.")
    if key.startswith("bad"):
        return bad_request("The value for variable api_key is not registered.")
    one = series(market, asked.get("series_id", ""))
    if one is None:
        return bad_request("The series does not exist.")
    if asked.get("file_type") != "json":
        return bad_request("The simulator answers with file_type=json alone.")
    first, last = _day(asked.get("observation_start")), newest(market.clock.at())
    rows = [
        {"realtime_start": str(last), "realtime_end": str(last), "date": str(day), "value": values[0] or "."}
        async for day, values in _rows([one], first, last)
    ]
    return Answer(
        {
            "realtime_start": str(last),
            "realtime_end": str(last),
            "observation_start": str(first),
            "observation_end": "9999-12-31",
            "units": "lin",
            "output_type": 1,
            "file_type": "json",
            "order_by": "observation_date",
            "sort_order": "asc",
            "count": len(rows),
            "offset": 0,
            "limit": 100000,
            "observations": rows,
        }
    )


async def _rows(found: Sequence[Series], first: date, last: date) -> AsyncIterator[tuple[date, list[str]]]:
    """Every weekday with the values as they are written, empty ones on holidays."""
    trading = set(treasury.days(first, last))
    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        if day.weekday() < 5:
            yield day, [f"{one(day):.2f}" if day in trading else "" for one in found]
        if n % 100 == 0:
            await asyncio.sleep(0)


def _day(text: str | None) -> date:
    try:
        return max(FIRST_DAY, date.fromisoformat(text or ""))
    except ValueError:
        return FIRST_DAY


def bad_request(why: str, status: int = 400) -> Answer:
    return Answer({"error_code": status, "error_message": f"Bad Request.  {why}"}, status)


NOT_FOUND = Answer(
    "<!DOCTYPE html><html><head><title>Page Not Found | FRED | St. Louis Fed</title></head></html>", 404, media=HTML
)
ROUTES: Sequence[RouteOf] = (
    ("GET", "/graph/fredgraph.csv", graph),
    ("GET", "/fred/series/observations", observations),
)


def _unknown(market: Market, request: Request) -> Answer:
    return bad_request("The series does not exist.") if "observations" in request.url.path else NOT_FOUND


_LIMIT = {"error_code": 429, "error_message": "Too Many Requests.  Exceeded Rate Limit"}
FAILURES: Mapping[str, Failure] = {
    "404": _unknown,
    "429": Answer(_LIMIT, 429),
    "200ratelimit": Answer(_LIMIT, 200),
    "401": bad_request("The value for variable api_key is not registered."),
}
