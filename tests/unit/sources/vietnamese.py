"""Answers of the Vietnamese providers in the shapes they have, with numbers of our own, and what they are asked for.

The moment is Tuesday 24 November 2026, 10:20 in Vietnam; the days before it are trading days back to Monday the 16th.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from evertick.model import Group, Instrument
from evertick.sources.vietnam import ZONE

NOW = datetime(2026, 11, 24, 3, 20, tzinfo=UTC)
DAYS = [date(2026, 11, d) for d in (16, 17, 18, 19, 20, 23, 24)]
INDEX = [1731.2, 1738.9, 1725.4, 1740.1, 1745.2, 1751.66, 1760.02]
SHARE = [97.1, 97.8, 96.9, 98.0, 98.5, 98.1, 99.2]
"""Thousands of VND."""
VOLUME = [5_123_400, 4_211_000, 6_001_200, 3_900_100, 4_800_500, 5_100_000, 2_300_700]


def local(text: str) -> datetime:
    """The instant of ``2026-11-24 10:19:40`` in Vietnam."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def instrument(id_: str, exchange: str = "XSTC", currency: str = "VND", **symbols: str) -> Instrument:
    return Instrument(id_, id_, Group.VIETNAM, "asia", currency, exchange, 2, symbols or {"vn": id_})


VNINDEX = instrument("VNINDEX", currency="pts")
VN30 = instrument("VN30", currency="pts")
HNX = instrument("HNX", "XHNX", "pts")
UPCOM = instrument("UPCOM", "XHNX", "pts")
FPT = instrument("FPT")
SHS = instrument("SHS", "XHNX")
USD = Instrument("USDVND", "USD/VND", Group.FX, "world", "VND", "DAILY", 0, {"vietcombank": "USD"})
DKK = Instrument("DKKVND", "DKK/VND", Group.FX, "world", "VND", "DAILY", 0, {"vietcombank": "DKK"})


def index_row(mc: str = "10", now: float = 1760.02, before: float = 1751.66, **more: Any) -> dict[str, Any]:
    change = abs(now - before)
    return {
        "id": 1101,
        "mc": mc,
        "cIndex": now,
        "oIndex": before,
        "vol": 230566000,
        "value": 8146100,
        "time": "10:19:40",
        "status": "O",
        "accVol": 0,
        "ot": f"{change:.2f}|{change / before * 100:.2f}%|81461|219|87|64",
    } | more


def board(**more: Any) -> list[dict[str, Any]]:
    return [
        index_row(**more),
        index_row("11", 1985.4, 1990.1, **more),
        index_row("02", 262.11, 261.9, **more),
        index_row("03", 118.2, 118.4, **more),
    ]


def share_row(sym: str = "FPT", last: Any = 99.2, before: float = 98.1, **more: Any) -> dict[str, Any]:
    return {
        "id": 2100,
        "sym": sym,
        "lastPrice": last,
        "r": before,
        "c": round(before * 1.069, 2),
        "f": round(before * 0.931, 2),
        "changePc": "1.12",
        "lot": 230070,
        "openPrice": "98.5",
        "highPrice": f"{before * 1.0133:.2f}",
        "lowPrice": f"{before * 1.0011:.2f}",
        "fBVol": "22040",
        "fSVolume": "89790",
        "closePrice": f"{before * 1000:.1f}",
    } | more


def stamp(day: date) -> int:
    """How daily bars are stamped: the day's beginning in UTC."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def table(closes: list[float], stamps: list[Any] | None = None) -> dict[str, list[Any]]:
    return {
        "t": [stamp(day) for day in DAYS] if stamps is None else stamps,
        "o": [round(c * 0.998, 2) for c in closes],
        "h": [round(c * 1.01, 2) for c in closes],
        "l": [round(c * 0.99, 2) for c in closes],
        "c": closes,
        "v": (VOLUME * 99)[: len(closes)],
    }


def udf(closes: list[float] = SHARE, stamps: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return table(closes, stamps) | {"s": "ok"} | more


def quarters(closes: list[float] = SHARE, last: str = "2026-11-24 10:15:00") -> dict[str, Any]:
    """Bars of 15 minutes up to the one that begins at ``last``, and the last two of Monday before them."""
    newest = local(last)
    stamps = [newest - timedelta(minutes=15 * n) for n in range(len(closes) - 2)][::-1]
    monday = [local("2026-11-23 14:30:00"), local("2026-11-23 14:45:00")]
    return udf(closes, [int(at.timestamp()) for at in [*monday, *stamps]])


def kbs(closes: list[float], symbol: str = "FPT") -> dict[str, Any]:
    rows = [
        {"t": f"{day} 07:00", "o": f"{c * 0.998:.2f}", "h": f"{c * 1.01:.2f}", "l": f"{c * 0.99:.2f}", "c": f"{c:.2f}", "v": str(v)}
        for day, c, v in zip(DAYS, closes, VOLUME, strict=True)
    ]  # fmt: skip
    return {"symbol": symbol, "data_day": rows[::-1]}


def vci(closes: list[float], symbol: str = "FPT") -> list[dict[str, Any]]:
    columns = table(closes, [str(stamp(day)) for day in DAYS])
    return [{"symbol": symbol, **columns, "accumulatedVolume": columns["v"], "minBatchTruncTime": "1790726400"}]


VND = [round(c * 1000, 1) for c in SHARE]
"""`SHARE` in VND."""


def rates(
    at: str = "11/24/2026 8:30:00 AM", usd: str = 'Buy="26,050.00" Transfer="26,080.00" Sell="26,460.00"'
) -> bytes:
    return f"""<!--For reference only. Only one request every 5 minutes!-->
<ExrateList>
  <DateTime>{at}</DateTime>
  <Exrate CurrencyCode="AUD" CurrencyName="AUSTRALIAN DOLLAR   " Buy="16,811.20" Transfer="16,981.01" Sell="17,525.40" />
  <Exrate CurrencyCode="DKK" CurrencyName="DANISH KRONE        " Buy="-" Transfer="3,900.10" Sell="4,050.20" />
  <Exrate CurrencyCode="USD" CurrencyName="US DOLLAR           " {usd} />
  <Exrate CurrencyCode="XDR" CurrencyName="SPECIAL DRAWING     " Buy="-" Transfer="-" Sell="-" />
  <Source>Joint Stock Commercial Bank for Foreign Trade of Vietnam - Vietcombank</Source>
</ExrateList>
""".encode()
