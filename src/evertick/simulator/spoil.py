"""Right answers made wrong: the JSON parses, and what it says is not so. Pure; the payload given is not changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from math import inf, nan
from typing import Any

Change = Callable[[Any], Any]
_PRICES = frozenset(
    {"regularMarketPrice", "open", "high", "low", "close", "adjclose", "current_price", "high_24h", "low_24h", "price",
     "value", "usd", "total_market_cap", "market_cap_percentage"}
)  # fmt: skip
_TIMES = frozenset({"regularMarketTime", "timestamp", "updated_at", "last_updated", "last_updated_at"})
_DAY = 86400


def spoil(kind: str, payload: Any) -> Any:
    """``payload`` spoiled in the way ``kind`` (a key of `evertick.simulator.faults.SPOILED`) says."""
    return _SPOILERS[kind](deepcopy(payload))


# --- finding one's way -----------------------------------------------------------------------------------------------


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _prices(
    payload: Any, change: Change, key: str = "", lists: Callable[[list[Any], Change], list[Any]] | None = None
) -> Any:
    """Apply ``change`` to the prices in ``payload``, in a list to every third one (or as ``lists`` says)."""
    if isinstance(payload, dict):
        return {
            k: _prices(v, change, k if k in _PRICES else key if _number(v) else "", lists) for k, v in payload.items()
        }
    if isinstance(payload, list):
        if key and payload and not isinstance(payload[0], dict | list):
            return (lists or _every_third)(payload, change)
        return [_prices(v, change, "", lists) for v in payload]
    if key and _number(payload):
        return change(payload)
    if key == "value" and isinstance(payload, str):  # alternative.me writes numbers as text
        changed = change(float(payload))
        return str(int(changed)) if _number(changed) and changed == changed and abs(changed) != inf else changed
    return payload


def _every_third(values: list[Any], change: Change) -> list[Any]:
    return [change(v) if v is not None and (i % 3 == 2 or len(values) < 3) else v for i, v in enumerate(values)]


def _last(values: list[Any], change: Change) -> list[Any]:
    return [*values[:-1], change(values[-1]) if values[-1] is not None else None]


def _times(payload: Any, seconds: int, key: str = "") -> Any:
    if isinstance(payload, dict):
        return {k: _times(v, seconds, k) for k, v in payload.items()}
    if isinstance(payload, list):
        return [_times(v, seconds, key) for v in payload]
    if key not in _TIMES:
        return payload
    if _number(payload):
        return payload + seconds
    if isinstance(payload, str) and payload.isdigit():
        return str(int(payload) + seconds)
    if isinstance(payload, str):
        moved = datetime.fromisoformat(payload) + timedelta(seconds=seconds)
        return f"{moved:%Y-%m-%dT%H:%M:%S}.{moved.microsecond // 1000:03d}Z"
    return payload


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


def _rows(payload: Any, change: Callable[[list[Any]], list[Any]]) -> Any:
    """Change the rows of the answer, whatever it calls them: bars with their timestamps, coins, days."""
    for block in _series(payload):
        block["timestamp"] = change(block["timestamp"])
        for column in _columns(block):
            column.update({name: change(values) for name, values in column.items()})
    if _series(payload):
        return payload
    if isinstance(payload, list):
        return change(payload)
    if isinstance(payload, dict) and isinstance(payload.get("data"), list):
        return {**payload, "data": change(payload["data"])}
    return payload


# --- the ways --------------------------------------------------------------------------------------------------------


def _nothing(payload: Any) -> Any:
    if isinstance(payload, list):
        return []
    for root in ("chart", "spark"):
        if root in payload:
            return {root: {"result": [], "error": None}}
    if "data" in payload:
        return {**payload, "data": type(payload["data"])()}
    return {}


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
            for name in list(item)[3::2] or list(item)[1:]:
                del item[name]
        return payload
    return {k: dict(list(v.items())[::2]) if isinstance(v, dict) else v for k, v in payload.items()}


def _duplicate(payload: Any) -> Any:
    return _rows(payload, lambda rows: [*rows, rows[-1]] if rows else rows)


def _unsorted(payload: Any) -> Any:
    return _rows(payload, lambda rows: [*rows[len(rows) // 2 :], *rows[: len(rows) // 2]])


def _retype(value: Any) -> Any:
    return {"raw": value, "fmt": f"{value:,}"} if int(value) % 2 else f"{value:,} USD"


_SPOILERS: Mapping[str, Callable[[Any], Any]] = {
    "nothing": _nothing,
    "shell": _shell,
    "snapshot": _snapshot,
    "partial": _partial,
    "null": lambda p: _prices(p, lambda _: None),
    "nan": lambda p: _prices(p, lambda _: nan),
    "infinity": lambda p: _prices(p, lambda _: inf),
    "retyped": lambda p: _prices(p, _retype),
    "misaligned": _misaligned,
    "unsorted": _unsorted,
    "duplicate": _duplicate,
    "zero": lambda p: _prices(p, lambda _: 0),
    "negative": lambda p: _prices(p, lambda v: -v),
    "scale": lambda p: _prices(p, lambda v: v * 1000, lists=_last),
    "stale": lambda p: _times(p, -5 * _DAY),
    "future": lambda p: _times(p, _DAY),
}
