"""Yahoo Finance as the simulator speaks it: v8 chart, v7 spark, v8 spark, and the v7 quote that wants a crumb."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from starlette.requests import Request

from evertick.model import Group, Instrument
from evertick.simulator.answers import TEXT, Answer, Failure, RouteOf
from evertick.simulator.hours import EPOCH, Hours
from evertick.simulator.market import Candles, Market, Tick
from evertick.simulator.noise import BLOCK, FIRST_DAY, block_of, draws

BASE = "/yahoo"
SPARK_SYMBOLS = 20
"""More are answered with 400."""
RANGES = ("1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max")
INTRADAY = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 1800, "60m": 3600, "90m": 5400, "1h": 3600}
DAILY = ("1d", "5d", "1wk", "1mo", "3mo")
INTRADAY_DAYS = {"1m": 8, "60m": 730, "1h": 730}
"""How far back intraday bars go; 60 days for those not named."""
DAYS_AT_ONCE = 800
"""Daily bars made without letting others run: about two milliseconds' worth."""
_MONTHS = {"1mo": 1, "3mo": 3, "6mo": 6, "1y": 12, "2y": 24, "5y": 60, "10y": 120}
_KINDS = {
    Group.INDICES: "INDEX", Group.VIETNAM: "EQUITY", Group.CRYPTO: "CRYPTOCURRENCY", Group.FX: "CURRENCY",
    Group.COMMODITIES: "FUTURE", Group.RATES: "INDEX", Group.VOLATILITY: "INDEX", Group.SECTORS: "ETF",
    Group.SENTIMENT: "INDEX",
}  # fmt: skip
_EXCHANGE_NAMES = {
    "XNYS": "SNP", "XNAS": "NIM", "24/7": "CCC", "FX": "CCY", "CME": "CMX", "CBOT": "CBT", "XCBO": "WCB", "UST": "CGI",
    "XLON": "FGI", "XETR": "GER", "XPAR": "PAR", "XTKS": "OSA", "XHKG": "HKG", "XSTC": "VSE", "XSHG": "SHH",
}  # fmt: skip
_CURRENCIES = {
    "Europe/London": "GBP", "Europe/Zurich": "CHF", "Europe/Stockholm": "SEK", "Europe/Copenhagen": "DKK",
    "Europe/Oslo": "NOK", "Europe/Warsaw": "PLN", "Europe/Istanbul": "TRY", "Asia/Tokyo": "JPY", "Asia/Hong_Kong": "HKD",
    "Asia/Shanghai": "CNY", "Asia/Taipei": "TWD", "Asia/Seoul": "KRW", "Asia/Kolkata": "INR", "Asia/Singapore": "SGD",
    "Asia/Jakarta": "IDR", "Asia/Kuala_Lumpur": "MYR", "Asia/Bangkok": "THB", "Asia/Manila": "PHP",
    "Asia/Ho_Chi_Minh": "VND", "Australia/Sydney": "AUD", "Pacific/Auckland": "NZD", "Asia/Jerusalem": "ILS",
    "Asia/Riyadh": "SAR", "Africa/Cairo": "EGP", "Africa/Johannesburg": "ZAR", "America/Toronto": "CAD",
    "America/Sao_Paulo": "BRL", "America/Argentina/Buenos_Aires": "ARS", "America/Santiago": "CLP",
}  # fmt: skip


class Refused(Exception):
    """Yahoo's own way of saying no."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status, self.code, self.description = status, code, description

    def answer(self, root: str) -> Answer:
        return Answer(
            {root: {"result": None, "error": {"code": self.code, "description": self.description}}}, self.status
        )


# --- routes ----------------------------------------------------------------------------------------------------------


async def chart(market: Market, request: Request) -> Answer:
    """``/v8/finance/chart/{symbol}?interval=1d&range=1mo`` or ``&period1=…&period2=…``."""
    try:
        instrument = market.find("yahoo", request.path_params["symbol"])
        if instrument is None:
            raise Refused(404, "Not Found", "No data found, symbol may be delisted")
        window = _window(market, instrument, request)
        return Answer({"chart": {"result": [await _chart(market, instrument, window)], "error": None}})
    except Refused as refused:
        return refused.answer("chart")


async def spark(market: Market, request: Request) -> Answer:
    """``/v7/finance/spark?symbols=A,B&range=1d&interval=5m``: unknown symbols are left out."""
    try:
        found = []
        for symbol, instrument in _asked(market, request):
            window = _window(market, instrument, request, default="5m")
            found.append({"symbol": symbol, "response": [await _closes(market, instrument, window)]})
            if len(found) % 8 == 0:
                await asyncio.sleep(0)
        return Answer({"spark": {"result": found, "error": None}})
    except Refused as refused:
        return refused.answer("spark")


async def spark_v8(market: Market, request: Request) -> Answer:
    """``/v8/finance/spark``: the same, in another shape."""
    try:
        found: dict[str, Any] = {}
        for symbol, instrument in _asked(market, request):
            window = _window(market, instrument, request, default="5m")
            one = await _closes(market, instrument, window)
            head = one["meta"]
            found[symbol] = {
                "timestamp": one["timestamp"],
                "symbol": symbol,
                "close": one["indicators"]["quote"][0]["close"],
                "previousClose": head.get("previousClose"),
                "chartPreviousClose": head["chartPreviousClose"],
                "dataGranularity": INTRADAY.get(window.interval, 86400),
            }
        return Answer(found)
    except Refused as refused:
        return refused.answer("spark")


async def quote(market: Market, request: Request) -> Answer:
    """``/v7/finance/quote`` wants a cookie and a crumb, which the simulator never gives."""
    error = {"code": "Unauthorized", "description": "Invalid Crumb"}
    return Answer({"finance": {"result": None, "error": error}}, 401)


def _asked(market: Market, request: Request) -> Iterable[tuple[str, Instrument]]:
    symbols = [s.strip() for s in request.query_params.get("symbols", "").split(",") if s.strip()]
    if not symbols:
        raise Refused(400, "Bad Request", "Missing required query parameter=symbols")
    if len(symbols) > SPARK_SYMBOLS:
        raise Refused(400, "Bad Request", f"Max number of symbols allowed is {SPARK_SYMBOLS}")
    pairs = ((symbol, market.find("yahoo", symbol)) for symbol in dict.fromkeys(symbols))
    return [(instrument.symbols["yahoo"], instrument) for _, instrument in pairs if instrument is not None]


# --- what is asked for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that is asked for, and what is known at its end."""

    at: float
    tick: Tick
    first: int
    """Trading days, ordinals."""
    last: int
    interval: str
    range: str
    """Empty where two instants were given instead."""

    @property
    def intraday(self) -> bool:
        return self.interval in INTRADAY


def _window(market: Market, instrument: Instrument, request: Request, default: str = "1d") -> Window:
    asked = request.query_params
    interval = asked.get("interval", default)
    if interval not in INTRADAY and interval not in DAILY:
        valid = ", ".join((*INTRADAY, *DAILY))
        raise Refused(
            422,
            "Unprocessable Entity",
            f"Invalid input - interval={interval} is not supported. Valid intervals: [{valid}]",
        )
    at = market.clock.at()
    tick = market.tick(instrument, at)
    h = market.hours(instrument)
    if "period1" in asked or "period2" in asked:
        start, end = _instant(asked.get("period1", "0")), _instant(asked.get("period2", str(int(at))))
        if start >= end:
            raise Refused(400, "Bad Request", "Invalid input - start date cannot be after end date.")
        first, last = _local(h, start), min(tick.day, _local(h, end))
        window = Window(at, tick, first, last, interval, "")
    else:
        span = asked.get("range", "1d")
        if span not in RANGES:
            raise Refused(422, "Unprocessable Entity", f"Invalid input - range={span} is not supported.")
        if span == "max" and interval in ("1d", "5d", "1wk"):
            interval = "1mo"  # Yahoo says nothing about it but the granularity
        window = Window(at, tick, _first_day(h, tick.day, span), tick.day, interval, span)
    days = INTRADAY_DAYS.get(interval, 60)
    if window.intraday and window.last - max(window.first, market.traits(instrument).first_day) > days:
        raise Refused(
            422, "Unprocessable Entity",
            f"{interval} data not available for startTime={_midnight(window.first)}. "
            f"The requested range must be within the last {days} days.",
        )  # fmt: skip
    return window


def _instant(text: str) -> int:
    try:
        return max(-(10**11), min(10**11, int(float(text))))
    except (ValueError, OverflowError):
        raise Refused(400, "Bad Request", f"Invalid input - {text[:40]} is not a number of seconds") from None


def _local(h: Hours, at: int) -> int:
    """The local day of an instant, within the market's time."""
    lowest, highest = (FIRST_DAY - EPOCH) * 86400, (FIRST_DAY - EPOCH + 109_000) * 86400
    return h.local_day(min(max(at, lowest), highest))


def _first_day(h: Hours, last: int, span: str) -> int:
    if span == "1d":
        return last
    if span == "5d":
        for _ in range(4):
            last = h.before(last)
        return last
    day = date.fromordinal(last)
    if span == "ytd":
        return date(day.year, 1, 1).toordinal()
    if span == "max":
        return FIRST_DAY
    months = day.year * 12 + day.month - 1 - _MONTHS[span]
    first = date(months // 12, months % 12 + 1, 1)
    return (first + timedelta(days=day.day - 1)).toordinal()


def _midnight(day: int) -> int:
    return (day - EPOCH) * 86400


# --- what is answered ------------------------------------------------------------------------------------------------


async def _chart(market: Market, instrument: Instrument, window: Window) -> dict[str, Any]:
    if window.intraday:
        candles = await _candles(market, instrument, window)
        volume: list[int | None] = [int(v) for v in candles.volume]
        indicators: dict[str, Any] = {}
    else:
        candles = await _days(market, instrument, window)
        volume = [None if v is None else int(v) for v in candles.volume]
        indicators = {"adjclose": [{"adjclose": candles.close}]}
    columns = {
        "low": candles.low, "high": candles.high, "volume": volume, "open": candles.open, "close": candles.close,
    }  # fmt: skip
    return {
        "meta": meta(market, instrument, window),
        "timestamp": candles.at,
        "indicators": {"quote": [columns], **indicators},
    }


async def _closes(market: Market, instrument: Instrument, window: Window) -> dict[str, Any]:
    if window.interval == "5m" and window.first == window.last == window.tick.day:
        at, close = market.closes(instrument, window.last, window.at)
    elif window.intraday:
        candles = await _candles(market, instrument, window)
        at, close = candles.at, candles.close
    else:
        candles = await _days(market, instrument, window)
        at, close = candles.at, candles.close
    return {
        "meta": meta(market, instrument, window),
        "timestamp": at,
        "indicators": {"quote": [{"close": close}]},
    }


async def _candles(market: Market, instrument: Instrument, window: Window) -> Candles:
    out = Candles([], [], [], [], [], [])
    first = max(window.first, market.traits(instrument).first_day)
    for day in market.hours(instrument).days(first, window.last):
        _extend(out, market.candles(instrument, day, INTRADAY[window.interval], window.at))
        await asyncio.sleep(0)
    return out


def _extend(out: Candles, more: Candles) -> None:
    for name in ("at", "open", "high", "low", "close", "volume"):
        getattr(out, name).extend(getattr(more, name))


async def _days(market: Market, instrument: Instrument, window: Window) -> Candles:
    """Daily bars with the rows that hold nothing; the day that is under way comes last, stamped with its last trade."""
    h, tick = market.hours(instrument), window.tick
    # the evening before its date a future's new day is not on the chart yet
    begun = tick.day <= h.local_day(window.at)
    live = tick.trading and begun and window.last >= tick.day >= window.first
    last = min(window.last, tick.day - 1 if tick.trading or not begun else tick.day)
    out = Candles([], [], [], [], [], [])
    for first in range(max(window.first, market.traits(instrument).first_day), last + 1, DAYS_AT_ONCE):
        if out.at:
            await asyncio.sleep(0)
        c = market.columns(instrument, first, min(first + DAYS_AT_ONCE - 1, last))
        piece = Candles(h.stamps(c.days), c.open, c.high, c.low, c.close, c.volume)
        _hollow(instrument, c.days, piece)
        _extend(out, piece)
    if live:
        out.at.append(tick.at)
        for column, value in (
            (out.open, tick.open), (out.high, tick.high), (out.low, tick.low), (out.close, tick.price),
            (out.volume, tick.volume),
        ):  # fmt: skip
            column.append(value)
    return out if window.interval == "1d" else _coarser(out, h, window.interval)


def _hollow(instrument: Instrument, days: list[int], out: Candles) -> None:
    """About one bar in 256 holds only nulls, as if the provider had no trade that day."""
    if not days:
        return
    base, words = None, None
    for i, day in enumerate(days):
        block, place = block_of(day)
        if block != base:
            base, words = block, draws(f"hollow/{instrument.id}/{block}", BLOCK)
        if words is not None and words[place] < 256:
            out.open[i] = out.high[i] = out.low[i] = out.close[i] = out.volume[i] = None


def _coarser(days: Candles, h: Hours, interval: str) -> Candles:
    """Weeks from Monday, months, quarters: the first open, the last close, the sum of the volumes."""
    out = Candles([], [], [], [], [], [])
    period: tuple[int, ...] | None = None
    for at, o, high, low, close, volume in zip(
        days.at, days.open, days.high, days.low, days.close, days.volume, strict=True
    ):
        if close is None:
            continue
        day = datetime.fromtimestamp(at, h.zone).date()
        this = _period(day, interval)
        if this != period:
            period = this
            out.at.append(at)
            for column, value in zip(
                (out.open, out.high, out.low, out.close, out.volume), (o, high, low, close, volume), strict=True
            ):
                column.append(value)
            continue
        out.high[-1], out.low[-1] = max(out.high[-1], high), min(out.low[-1], low)
        out.close[-1], out.volume[-1] = close, out.volume[-1] + volume
    return out


def _period(day: date, interval: str) -> tuple[int, ...]:
    if interval == "1mo":
        return day.year, day.month
    if interval == "3mo":
        return day.year, (day.month - 1) // 3
    return day.isocalendar()[:2]


def meta(market: Market, instrument: Instrument, window: Window) -> dict[str, Any]:
    """What stands above the bars: the quote, the session, and where the numbers come from."""
    t, h, tick = market.traits(instrument), market.hours(instrument), window.tick
    _, high, low = market.current(instrument, tick.day)
    now = datetime.fromtimestamp(window.at, h.zone)
    offset = int(now.utcoffset().total_seconds())  # type: ignore[union-attr]
    zone = now.tzname()
    segments = h.segments(tick.day)
    opens, closes = segments[0][0], segments[-1][1]

    def period(start: int, end: int) -> dict[str, Any]:
        return {"timezone": zone, "start": start, "end": end, "gmtoffset": offset}

    regular = period(opens, closes)
    symbol = instrument.symbols["yahoo"]
    exchange = _EXCHANGE_NAMES.get(instrument.exchange, instrument.exchange)
    change = tick.price - tick.previous_close
    percent = round(change / tick.previous_close * 100, 4)
    first = max(window.first, t.first_day)
    previous = tick.previous_close if first >= tick.day else market.close(instrument, h.before(first))
    found = {
        "currency": instrument.currency if len(instrument.currency) == 3 and instrument.currency.isupper()
        else _CURRENCIES.get(h.tz, "EUR" if h.tz.startswith("Europe/") else "USD"),
        "symbol": symbol,
        "exchangeName": exchange,
        "fullExchangeName": exchange,
        "instrumentType": "INDEX" if symbol.startswith("^") else _KINDS[instrument.group],
        "firstTradeDate": _midnight(t.first_day),
        "regularMarketTime": tick.at,
        "hasPrePostMarketData": False,
        "gmtoffset": offset,
        "timezone": zone,
        "exchangeTimezoneName": h.tz,
        "regularMarketPrice": tick.price,
        "regularMarketChangePercent": percent,
        "fulldayPrice": tick.price,
        "fulldayChange": round(change, t.decimals),
        "fulldayChangePercent": percent,
        "fiftyTwoWeekHigh": max(high, tick.high),
        "fiftyTwoWeekLow": min(low, tick.low),
        "regularMarketDayHigh": tick.high,
        "regularMarketDayLow": tick.low,
        "regularMarketVolume": int(tick.volume),
        "longName": instrument.name,
        "shortName": instrument.name,
        "chartPreviousClose": previous,
        "priceHint": min(4, t.decimals),
        "currentTradingPeriod": {
            "pre": period(opens - 5400, opens), "regular": regular, "post": period(closes, closes + 5400),
        },
        "dataGranularity": window.interval,
        "range": window.range,
        "validRanges": list(RANGES),
    }  # fmt: skip
    if window.intraday:
        found |= {"previousClose": tick.previous_close, "scale": 3, "tradingPeriods": [[regular]]}
    return found


def _not_found(market: Market, request: Request) -> Answer:
    refused = Refused(404, "Not Found", "No data found, symbol may be delisted")
    return refused.answer("spark" if "spark" in request.url.path else "chart")


ROUTES: Sequence[RouteOf] = (
    ("GET", "/v8/finance/chart/{symbol}", chart),
    ("GET", "/v7/finance/spark", spark),
    ("GET", "/v8/finance/spark", spark_v8),
    ("GET", "/v7/finance/quote", quote),
)
FAILURES: Mapping[str, Failure] = {
    "429": Answer("Too Many Requests\r\n", 429, media=TEXT),
    "200ratelimit": Refused(200, "Too Many Requests", "Rate limit exceeded").answer("finance"),
    "401": Refused(401, "Unauthorized", "Invalid Crumb").answer("finance"),
    "404": _not_found,
}
