"""Twelve Data as the simulator speaks it: ``/quote`` and ``/time_series``, one object for one symbol, more by symbol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request

from evertick.model import Instrument
from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.keyed import asked_day, find, key_in, midnight, rows, tick, today, used, whole_days, wrong_key
from evertick.simulator.market import Market, Tick

BASE = "/twelvedata"
PER_MINUTE, PER_DAY = 8, 800
DAY = 86400
MANY = 5000
_KEY = {
    "code": 401,
    "message": "**apikey** parameter is incorrect or not specified. You can get your free API key instantly following "
    "this link: https://twelvedata.com/pricing. If you believe that everything is correct, you can contact us at "
    "https://twelvedata.com/contact/customer",
    "status": "error",
}
_UNKNOWN = {
    "code": 404,
    "message": "**symbol** or **figi** parameter is missing or invalid. Please provide a valid symbol according to API "
    "documentation: https://twelvedata.com/docs#reference-data",
    "status": "error",
}


async def quote(market: Market, request: Request) -> Answer:
    return _each(market, request, lambda instrument, symbol: _quote(market, instrument, symbol))


def _quote(market: Market, instrument: Instrument, symbol: str) -> dict[str, Any]:
    now = tick(market, instrument)
    _, high, low = market.current(instrument, now.day)
    changed = now.price - now.previous_close
    day = date.fromordinal(now.day)
    began = midnight(instrument, day)
    return _about(instrument, symbol) | {
        "datetime": day.isoformat(),
        "timestamp": began,
        "last_quote_at": now.at // 60 * 60 if now.trading else began,
        "open": f"{now.open:.5f}",
        "high": f"{now.high:.5f}",
        "low": f"{now.low:.5f}",
        "close": f"{now.price:.5f}",
        "volume": f"{now.volume:.0f}",
        "previous_close": f"{now.previous_close:.5f}",
        "change": f"{changed:.5f}",
        "percent_change": f"{changed / now.previous_close * 100:.5f}",
        "average_volume": f"{market.traits(instrument).volume:.0f}",
        "is_market_open": now.trading,
        "fifty_two_week": _year(now, high, low),
    }


def _year(now: Tick, high: float, low: float) -> dict[str, str]:
    return {
        "low": f"{low:.5f}",
        "high": f"{high:.5f}",
        "low_change": f"{now.price - low:.5f}",
        "high_change": f"{now.price - high:.5f}",
        "low_change_percent": f"{(now.price / low - 1) * 100:.5f}",
        "high_change_percent": f"{(now.price / high - 1) * 100:.5f}",
        "range": f"{low:.6f} - {high:.6f}",
    }


def _about(instrument: Instrument, symbol: str) -> dict[str, str]:
    name = {"XNYS": "NYSE", "XNAS": "NASDAQ"}.get(instrument.exchange, instrument.exchange)
    return {
        "symbol": symbol,
        "name": instrument.name,
        "exchange": name,
        "mic_code": instrument.exchange,
        "currency": instrument.currency,
    }


async def time_series(market: Market, request: Request) -> Answer:
    """Daily bars of days that have ended, newest first, 30 unless ``outputsize`` says otherwise."""
    asked = request.query_params
    if asked.get("interval") != "1day":
        return _error(400, "**interval** parameter is invalid; the simulator knows 1day alone")
    try:
        size = min(max(int(asked.get("outputsize", "30")), 1), MANY)
    except ValueError:
        size = 30
    return _each(market, request, lambda i, symbol: _series(market, i, symbol, asked.get("start_date", ""), size))


def _series(market: Market, instrument: Instrument, symbol: str, start: str, size: int) -> dict[str, Any]:
    now = today(market, instrument)
    first = asked_day(start, now - timedelta(days=2 * size))
    values = [
        {
            "datetime": day.isoformat(),
            "open": f"{opened:.5f}",
            "high": f"{high:.5f}",
            "low": f"{low:.5f}",
            "close": f"{close:.5f}",
            "volume": f"{volume:.0f}",
        }
        for day, opened, high, low, close, volume in rows(whole_days(market, instrument, first, now))
    ]
    about = _about(instrument, symbol)
    meta = {name: about[name] for name in ("symbol", "currency", "exchange", "mic_code")}
    meta |= {"interval": "1day", "exchange_timezone": market.hours(instrument).tz, "type": "ETF"}
    return {"meta": meta, "values": values[::-1][:size], "status": "ok"}


def _each(market: Market, request: Request, one: Callable[[Instrument, str], dict[str, Any]]) -> Answer:
    """What ``one`` makes of every symbol asked for; each costs a credit."""
    key = key_in(request, "authorization", "apikey ", "apikey")
    if wrong_key(key):
        return Answer(_KEY, 401)
    symbols = [s for s in dict.fromkeys(request.query_params.get("symbol", "").split(",")) if s]
    minute = used(market, request, "twelvedata", key, 60, len(symbols))
    day = used(market, request, "twelvedata", key, DAY, len(symbols))
    if minute > PER_MINUTE or day > PER_DAY:
        return _over(minute, day)
    found: dict[str, Any] = {}
    for symbol in symbols:
        instrument = find(market, "twelvedata", symbol)
        found[symbol] = _UNKNOWN if instrument is None else one(instrument, symbol)
    if len(found) == 1:
        (only,) = found.values()
        return Answer(only, 404 if only is _UNKNOWN else 200)
    return Answer(found) if found else Answer(_UNKNOWN, 404)


def _over(minute: int, day: int) -> Answer:
    span, used_up, limit = ("minute", minute, PER_MINUTE) if minute > PER_MINUTE else ("day", day, PER_DAY)
    return _error(
        429,
        f"You have run out of API credits for the current {span}. {used_up} API credits were used, with the current "
        f"limit being {limit}. Wait for the next {span} or consider switching to a paid plan that will remove daily limits.",
    )


def _error(code: int, message: str, status: int | None = None) -> Answer:
    return Answer({"code": code, "message": message, "status": "error"}, status or code)


ROUTES: Sequence[RouteOf] = (("GET", "/quote", quote), ("GET", "/time_series", time_series))
FAILURES: Mapping[str, Failure] = {
    "429": _over(PER_MINUTE + 1, 0),
    "200ratelimit": Answer(_over(PER_MINUTE + 1, 0).payload),
    "quota": Answer(_over(0, PER_DAY + 1).payload),
    "401": Answer(_KEY, 401),
    "404": Answer(_UNKNOWN, 404),
    "403": _error(403, "This endpoint is not available with your current plan."),
}
