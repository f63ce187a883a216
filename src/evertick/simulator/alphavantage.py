"""Alpha Vantage as the simulator speaks it: ``/query`` with GLOBAL_QUOTE and TIME_SERIES_DAILY. Every error is HTTP 200."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from starlette.requests import Request

from evertick.model import Instrument
from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.keyed import find, rows, tick, today, used, whole_days, wrong_key
from evertick.simulator.market import Market

BASE = "/alphavantage"
PER_DAY = 25
DAY = 86400
COMPACT = 100
_BACK = timedelta(days=170)
"""Over a hundred trading days."""
INVALID = Answer(
    {
        "Error Message": "the parameter apikey is invalid or missing. Please claim your free API key on "
        "(https://www.alphavantage.co/support/#api-key). It should take less than 20 seconds."
    }
)


async def query(market: Market, request: Request) -> Answer:
    asked = request.query_params
    key, function = asked.get("apikey", ""), asked.get("function", "")
    if wrong_key(key):
        return INVALID
    if used(market, request, "alphavantage", key, DAY) > PER_DAY:
        return _limit(key)
    symbol = asked.get("symbol", "")
    instrument = find(market, "alphavantage", symbol)
    if function == "GLOBAL_QUOTE":
        return _quote(market, instrument, symbol)
    if function == "TIME_SERIES_DAILY" and asked.get("outputsize", "compact") != "compact":
        return Answer({"Information": "Thank you for using Alpha Vantage! This is a premium endpoint."})
    if function == "TIME_SERIES_DAILY" and instrument is not None:
        return _daily(market, instrument, symbol)
    return _invalid_call(function)


def _quote(market: Market, instrument: Instrument | None, symbol: str) -> Answer:
    if instrument is None:
        return Answer({"Global Quote": {}})
    now = tick(market, instrument)
    changed = now.price - now.previous_close
    return Answer(
        {
            "Global Quote": {
                "01. symbol": symbol,
                "02. open": f"{now.open:.4f}",
                "03. high": f"{now.high:.4f}",
                "04. low": f"{now.low:.4f}",
                "05. price": f"{now.price:.4f}",
                "06. volume": f"{now.volume:.0f}",
                "07. latest trading day": date.fromordinal(now.day).isoformat(),
                "08. previous close": f"{now.previous_close:.4f}",
                "09. change": f"{changed:.4f}",
                "10. change percent": f"{changed / now.previous_close * 100:.4f}%",
            }
        }
    )


def _daily(market: Market, instrument: Instrument, symbol: str) -> Answer:
    """The newest hundred days that have ended, newest first."""
    now = today(market, instrument)
    days = list(rows(whole_days(market, instrument, now - _BACK, now)))[-COMPACT:]
    found = {
        day.isoformat(): {
            "1. open": f"{opened:.4f}",
            "2. high": f"{high:.4f}",
            "3. low": f"{low:.4f}",
            "4. close": f"{close:.4f}",
            "5. volume": f"{volume:.0f}",
        }
        for day, opened, high, low, close, volume in reversed(days)
    }
    about = {
        "1. Information": "Daily Prices (open, high, low, close) and Volumes",
        "2. Symbol": symbol,
        "3. Last Refreshed": next(iter(found), ""),
        "4. Output Size": "Compact",
        "5. Time Zone": "US/Eastern",
    }
    return Answer({"Meta Data": about, "Time Series (Daily)": found})


def _limit(key: str) -> Answer:
    """It says the key back."""
    return Answer(
        {
            "Information": f"We have detected your API key as {key} and our standard API rate limit is 25 requests per day. "
            "Please subscribe to any of the premium plans at https://www.alphavantage.co/premium/ to instantly remove "
            "all daily rate limits."
        }
    )


def _invalid_call(function: str) -> Answer:
    return Answer(
        {
            "Error Message": "Invalid API call. Please retry or visit the documentation "
            f"(https://www.alphavantage.co/documentation/) for {function[:40]}."
        }
    )


def _limited(market: Market, request: Request) -> Answer:
    return _limit(request.query_params.get("apikey", ""))


ROUTES: Sequence[RouteOf] = (("GET", "/query", query),)
FAILURES: Mapping[str, Failure] = {
    "429": _limited,
    "200ratelimit": _limited,
    "401": INVALID,
    "403": Answer({"Information": "Thank you for using Alpha Vantage! This is a premium endpoint."}),
    "404": _invalid_call("GLOBAL_QUOTE"),
}
