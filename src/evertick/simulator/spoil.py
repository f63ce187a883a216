"""Right answers made wrong: the JSON parses, and what it says is not so. Pure; the payload given is not changed.

CSV and XML are spoiled in the same ways by `evertick.simulator.spoil_text`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from math import inf, isfinite, nan
from typing import Any

Change = Callable[[Any], Any]
_PRICES = frozenset(
    {"regularmarketprice", "open", "high", "low", "close", "adjclose", "current_price", "high_24h", "low_24h", "price",
     "value", "usd", "total_market_cap", "market_cap_percentage", "market_cap_usd", "volume_24h_usd",
     "bitcoin_dominance_percentage", "lastprice", "openprice", "highprice", "lowprice", "bidprice", "askprice", "last",
     "open24h", "high24h", "low24h", "askpx", "bidpx", "o", "h", "l", "c", "cindex", "oindex", "adclose", "average",
     "tngolast", "daylow", "dayhigh", "indexvalue"}
)  # fmt: skip
_TIMES = frozenset(
    {"regularmarkettime", "timestamp", "updated_at", "last_updated", "last_updated_at", "t", "ts", "date", "datetime",
     "time", "opentime", "closetime", "last_quote_at", "lastsaletimestamp", "quotetimestamp", "latest trading day"}
)  # fmt: skip
_NUMBERED = re.compile(r"^\d+\. ")
_DAY = 86400
_MILLISECONDS_FROM = 100_000_000_000
"""Seconds since 1970 reach this in the year 5138, milliseconds did in 1973."""


def spoil(kind: str, payload: Any) -> Any:
    """``payload`` spoiled in the way ``kind`` (a key of `evertick.simulator.faults.SPOILED`) says."""
    return _SPOILERS[kind](deepcopy(payload))


# --- finding one's way -----------------------------------------------------------------------------------------------


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _name(key: str) -> str:
    """Alpha Vantage numbers its fields: ``05. price``."""
    return _NUMBERED.sub("", key).lower()


def changed(value: Any, change: Change) -> Any:
    """``change`` applied to a number, or to one written as text, which stays text; all else as it is."""
    if _number(value):
        return change(value)
    if not isinstance(value, str):
        return value
    try:
        number = float(value.replace(",", ""))
    except ValueError:
        return value
    found = change(number)
    if not _number(found):
        return found
    if not isfinite(found):
        return str(found)
    places = len(value.partition(".")[2])
    return f"{found:.{places}f}" if places else str(int(found))


def _prices(
    payload: Any, change: Change, key: str = "", lists: Callable[[list[Any], Change], list[Any]] | None = None
) -> Any:
    """Apply ``change`` to the prices in ``payload``, in a list to every third one (or as ``lists`` says)."""
    if isinstance(payload, dict):
        return {
            k: _prices(v, change, k if _name(k) in _PRICES else key if _number(v) else "", lists)
            for k, v in payload.items()
        }
    if isinstance(payload, list):
        if key and payload and _scalar(payload[0]):
            return (lists or _every_third)(payload, change)
        if payload and all(map(_candle, payload)):
            return (lists or _every_third)(payload, lambda row: _of_candle(row, change))
        return [_prices(v, change, "", lists) for v in payload]
    return changed(payload, change) if key else payload


def _candle(row: Any) -> bool:
    """A row of time, open, high, low, close and more, as Binance and OKX write it."""
    if not isinstance(row, list) or len(row) < 5 or not all(map(_scalar, row)) or not str(row[0]).isdigit():
        return False
    return not str(row[1]).isdigit() or int(row[0]) > 10 * int(row[1])


def _of_candle(row: list[Any], change: Change) -> list[Any]:
    return [row[0], *(changed(value, change) for value in row[1:5]), *row[5:]]


def _every_third(values: list[Any], change: Change) -> list[Any]:
    return [_one(v, change) if i % 3 == 2 or len(values) < 3 else v for i, v in enumerate(values)]


def _last(values: list[Any], change: Change) -> list[Any]:
    return [*values[:-1], _one(values[-1], change)]


def _one(value: Any, change: Change) -> Any:
    return change(value) if isinstance(value, list) else changed(value, change)


def _times(payload: Any, change: Callable[[float], float | None], key: str = "") -> Any:
    """Apply ``change`` (of seconds since 1970) to the times in ``payload``, however they are written."""
    if isinstance(payload, dict):
        return {k: _times(v, change, _name(k)) for k, v in payload.items()}
    if isinstance(payload, list):
        if key not in _TIMES and _candle(payload):
            return [_moved(payload[0], change), *payload[1:]]
        return [_times(v, change, key) for v in payload]
    return _moved(payload, change) if key in _TIMES else payload


def _moved(value: Any, change: Callable[[float], float | None]) -> Any:
    if isinstance(value, str) and value.isdigit() and len(value) != len("20261123"):
        found = _moved(int(value), change)
        return found if found is None else str(found)
    if isinstance(value, str):
        return _moved_text(value, change)
    if not _number(value):
        return value
    scale = 1000 if abs(value) >= _MILLISECONDS_FROM else 1
    found = change(value / scale)
    return found if found is None else type(value)(found * scale)


def _moved_text(text: str, change: Callable[[float], float | None]) -> Any:
    """An ISO date or time, moved and written as it was."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    before = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    after = change(before)
    if after is None:
        return None
    if after > 10 * before:
        return str(int(after))
    later = at + timedelta(seconds=after - before)
    moved = later.isoformat(timespec="milliseconds" if "." in text else "seconds")
    if len(text) == 10:
        return moved[:10]
    moved = moved[:10] + text[10] + moved[11:]
    return moved.removesuffix("+00:00") + "Z" if text.endswith("Z") else moved[: len(text)]


def _series(payload: Any) -> list[dict[str, Any]]:
    """Yahoo's blocks of meta, timestamps and columns, of a chart or a spark; none elsewhere."""
    if not isinstance(payload, dict):
        return []
    if "chart" in payload:
        return list(payload["chart"]["result"] or [])
    if "spark" in payload:
        return [r for item in payload["spark"]["result"] or [] for r in item.get("response", [])]
    return []


def _columns(block: dict[str, Any]) -> list[dict[str, list[Any]]]:
    return [column for group in block["indicators"].values() for column in group]


def _parallel(payload: dict[str, Any]) -> list[str]:
    """Names of the columns where bars are written as lists side by side: ``{"t": […], "o": […], …}``."""
    names = [k for k, v in payload.items() if isinstance(v, list) and v and all(map(_scalar, v))]
    return names if len(names) > 1 and len({len(payload[k]) for k in names}) == 1 else []


def _rows(payload: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    """Change the rows of the answer, whatever it calls them: bars with their timestamps, coins, days."""
    for block in _series(payload):
        block["timestamp"] = change(block["timestamp"])
        for column in _columns(block):
            column.update({name: change(values) for name, values in column.items()})
    if _series(payload):
        return payload
    if isinstance(payload, list):
        if payload and all(isinstance(item, dict) and _parallel(item) for item in payload):
            return [_rows(item, change) for item in payload]
        return change(payload)
    if not isinstance(payload, dict):
        return payload
    if names := _parallel(payload):
        return {**payload, **{name: change(payload[name]) for name in names}}
    return {
        k: _rows(v, change) if isinstance(v, dict) or (isinstance(v, list) and v and not _scalar(v[0])) else v
        for k, v in payload.items()
    }


# --- the ways --------------------------------------------------------------------------------------------------------


def _nothing(payload: Any) -> Any:
    if isinstance(payload, list):
        return []
    for root in ("chart", "spark"):
        if root in payload:
            return {root: {"result": [], "error": None}}
    for root in ("data", "results"):
        if root in payload:
            return {**payload, root: type(payload[root])()}
    return {**payload, **{name: [] for name in _parallel(payload)}} if _parallel(payload) else {}


def _shell(payload: Any) -> Any:
    blocks = _series(payload)
    for block in blocks:
        del block["timestamp"]
        block["indicators"] = {"quote": [{}], "adjclose": [{}]}
        block["meta"] |= {"currency": None, "regularMarketTime": None, "instrumentType": "ECNQUOTE"}
        for name in ("regularMarketPrice", "chartPreviousClose", "previousClose", "fulldayPrice"):
            block["meta"].pop(name, None)
    if blocks:
        for number, item in enumerate(payload.get("spark", {}).get("result", [])):
            if number % 2:
                item["response"] = []
        return payload
    if isinstance(payload, list):
        return [{} for _ in payload]
    return {k: {} if isinstance(v, dict) else [{}] if isinstance(v, list) else v for k, v in payload.items()}


def _snapshot(payload: Any) -> Any:
    blocks = _series(payload)
    for block in blocks:
        block["timestamp"] = block["timestamp"][-1:]
        for column in _columns(block):
            for name, values in column.items():
                column[name] = [0.0] if name in ("open", "high", "low") else values[-1:]
        block["meta"] |= {
            "firstTradeDate": None,
            "fiftyTwoWeekHigh": 0.0,
            "fiftyTwoWeekLow": 0.0,
            "validRanges": ["1d", "5d"],
        }
    return payload if blocks else _prices(payload, lambda _: 0)


def _partial(payload: Any) -> Any:
    if isinstance(payload, dict) and "spark" in payload:
        result = payload["spark"]["result"]
        return {"spark": {"result": result[: len(result) // 2], "error": None}}
    if isinstance(payload, dict) and isinstance(payload.get("data"), dict):
        data = {k: v for k, v in payload["data"].items() if k != "market_cap_percentage"}
        return {"data": data}
    if isinstance(payload, dict) and "chart" not in payload and "data" not in payload:
        return dict(list(payload.items())[: len(payload) // 2])
    return _rows(payload, lambda rows: rows[: len(rows) // 2])


def _misaligned(payload: Any) -> Any:
    for block in _series(payload):
        for cut, name in enumerate(sorted(block["indicators"]["quote"][0]), 1):
            values = block["indicators"]["quote"][0][name]
            block["indicators"]["quote"][0][name] = values[:-cut]
    if _series(payload):
        return payload
    items = payload if isinstance(payload, list) else payload.get("data")
    if isinstance(items, list):
        for item in items[::2]:
            _lose(item)
        return payload
    if names := _parallel(payload):
        return {**payload, **{name: payload[name][:-cut] for cut, name in enumerate(names)}}
    return {k: dict(list(v.items())[::2]) if isinstance(v, dict) else v for k, v in payload.items()}


def _lose(item: Any) -> None:
    """Take fields from an object, columns' ends, or cells from a row."""
    if isinstance(item, list):
        del item[3:]
    elif isinstance(item, dict):
        for cut, name in enumerate(_parallel(item)):
            item[name] = item[name][: len(item[name]) - cut]
        if not _parallel(item):
            for name in list(item)[3::2] or list(item)[1:]:
                del item[name]


def _duplicate(payload: Any) -> Any:
    return _rows(payload, lambda rows: [*rows, rows[-1]] if rows else rows)


def _unsorted(payload: Any) -> Any:
    return _rows(payload, lambda rows: [*rows[len(rows) // 2 :], *rows[: len(rows) // 2]])


def _retype(value: Any) -> Any:
    return {"raw": value, "fmt": f"{value:,}"} if int(value) % 2 else f"{value:,} USD"


def _renamed(payload: Any) -> Any:
    """``lastPrice`` is called ``last_price_v2``, and so on: whatever holds a price."""
    if isinstance(payload, dict):
        return {f"{k}_v2" if _name(k) in _PRICES else k: _renamed(v) for k, v in payload.items()}
    return [_renamed(v) for v in payload] if isinstance(payload, list) else payload


def _reordered(payload: Any) -> Any:
    """Fields in another order: what reads them by name does not notice."""
    if isinstance(payload, dict):
        return {k: _reordered(v) for k, v in reversed(payload.items())}
    return [_reordered(v) for v in payload] if isinstance(payload, list) else payload


_OPPOSITE = {
    "high": "low", "low": "high", "h": "l", "l": "h", "highPrice": "lowPrice", "lowPrice": "highPrice", "high24h": "low24h",
    "low24h": "high24h", "high_24h": "low_24h", "low_24h": "high_24h", "dayHigh": "dayLow", "dayLow": "dayHigh",
    "regularMarketDayHigh": "regularMarketDayLow", "regularMarketDayLow": "regularMarketDayHigh",
    "03. high": "04. low", "04. low": "03. high",
}  # fmt: skip


def _swapped(payload: Any) -> Any:
    if isinstance(payload, dict):
        return {k: _swapped(payload.get(_OPPOSITE.get(k, k), v)) for k, v in payload.items()}
    if isinstance(payload, list):
        return [*payload[:2], payload[3], payload[2], *payload[4:]] if _candle(payload) else [*map(_swapped, payload)]
    return payload


def other_script(value: float) -> str:
    """A number in fullwidth digits, which `float` reads."""
    return f"{value}".translate(str.maketrans("0123456789", "０１２３４５６７８９"))


def decimal_comma(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


_SPOILERS: Mapping[str, Callable[[Any], Any]] = {
    "nothing": _nothing,
    "shell": _shell,
    "snapshot": _snapshot,
    "partial": _partial,
    "null": lambda p: _prices(p, lambda _: None),
    "nan": lambda p: _prices(p, lambda _: nan),
    "infinity": lambda p: _prices(p, lambda _: inf),
    "huge": lambda p: _prices(p, lambda _: 1e300),
    "retyped": lambda p: _prices(p, _retype),
    "digits": lambda p: _prices(p, other_script),
    "comma": lambda p: _prices(p, decimal_comma),
    "misaligned": _misaligned,
    "renamed": _renamed,
    "reordered": _reordered,
    "swapped": _swapped,
    "wrapped": lambda p: {"payload": p, "version": 2},
    "unsorted": _unsorted,
    "duplicate": _duplicate,
    "zero": lambda p: _prices(p, lambda _: 0),
    "negative": lambda p: _prices(p, lambda v: -v),
    "scale": lambda p: _prices(p, lambda v: v * 1000, lists=_last),
    "shrunk": lambda p: _prices(p, lambda v: v / 1000, lists=_last),
    "stale": lambda p: _times(p, lambda at: at - 5 * _DAY),
    "future": lambda p: _times(p, lambda at: at + _DAY),
    "millis": lambda p: _times(p, lambda at: at * 1000),
    "notime": lambda p: _times(p, lambda _: None),
}
