"""A deterministic market for tests: 130 instruments, about 400 daily bars each, one snapshot, and the findings of both.

Nothing here is real: prices are random walks from a seed of the instrument's id, so that every run sees the same market.
"""

from __future__ import annotations

import math
import random
from array import array
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

from evertick.model import Bars, Group, Instrument, Quote, Snapshot, SourceStatus
from evertick.reports.analyse import analyse, daily_moves
from evertick.reports.collect import examine
from evertick.reports.findings import Findings

NOW = datetime(2026, 11, 23, 9, 31, 20, tzinfo=UTC)
AS_OF = datetime(2026, 11, 23, 9, 30, 4, tzinfo=UTC)
BARS = 400

_INDICES = """
SPX|S&P 500|americas|USD|XNYS|6890
DJI|Dow Jones Industrial Average|americas|USD|XNYS|47800
IXIC|Nasdaq Composite|americas|USD|XNAS|23400
RUT|Russell 2000|americas|USD|XNYS|2480
GSPTSE|S&P/TSX Composite|americas|CAD|XTSE|30300
BVSP|Ibovespa|americas|BRL|BVMF|157000
MXX|S&P/BMV IPC|americas|MXN|XMEX|62800
FTSE|FTSE 100|europe|GBP|XLON|9700
GDAXI|DAX|europe|EUR|XETR|24000
FCHI|CAC 40|europe|EUR|XPAR|8100
STOXX50E|Euro Stoxx 50|europe|EUR|XETR|5650
IBEX|IBEX 35|europe|EUR|XMAD|16100
SSMI|Swiss Market Index|europe|CHF|XSWX|12600
AEX|AEX|europe|EUR|XAMS|960
N225|Nikkei 225|asia|JPY|XTKS|50100
HSI|Hang Seng|asia|HKD|XHKG|26200
SSEC|SSE Composite|asia|CNY|XSHG|3990
KS11|KOSPI|asia|KRW|XKRX|4010
TWII|TAIEX|asia|TWD|XTAI|27700
NSEI|Nifty 50|asia|INR|XNSE|25900
STI|Straits Times Index|asia|SGD|XSES|4540
JKSE|Jakarta Composite|asia|IDR|XIDX|8380
SET|SET Index|asia|THB|XBKK|1300
AXJO|S&P/ASX 200|asia|AUD|XASX|8800
TA125|TA-125|asia|ILS|XTAE|3300
"""
_VIETNAM = "VNINDEX VN30 VCB BID CTG TCB MBB VPB ACB FPT HPG VHM VIC VNM MWG GAS SSI STB SAB MSN VRE PLX POW HDB VJC"
_CRYPTO = "BTC ETH XRP BNB SOL DOGE TRX ADA LINK AVAX XLM SUI BCH HBAR LTC TON SHIB DOT UNI AAVE NEAR APT ICP ETC ATOM FIL ARB OP"
_FX = "EURUSD USDJPY GBPUSD USDCHF AUDUSD USDCAD USDCNY USDVND NZDUSD USDKRW USDSGD USDTHB USDINR EURJPY EURGBP EURVND JPYVND DXY"
_COMMODITIES = "GOLD SILVER PLATINUM COPPER WTI BRENT NATGAS CORN WHEAT SOYBEAN COFFEE COCOA SUGAR COTTON"
_RATES = "US3M US5Y US10Y US30Y"
_VOLATILITY = "VIX VVIX VXN"
_SECTORS = "XLK XLF XLE XLV XLY XLP XLI XLU XLB XLRE XLC"


def instruments() -> tuple[Instrument, ...]:
    rows: list[Instrument] = []
    for line in _INDICES.strip().splitlines():
        id_, name, region, currency, exchange, _ = line.split("|")
        rows.append(Instrument(id_, name, Group.INDICES, region, currency, exchange, 2, {"yahoo": f"^{id_}"}))
    for names, group, region, currency, exchange, decimals in (
        (_VIETNAM, Group.VIETNAM, "asia", "VND", "XSTC", 2),
        (_CRYPTO, Group.CRYPTO, "world", "USD", "24/7", 2),
        (_FX, Group.FX, "world", "", "FX", 4),
        (_COMMODITIES, Group.COMMODITIES, "world", "USD", "CME", 2),
        (_RATES, Group.RATES, "americas", "%", "XNYS", 3),
        (_VOLATILITY, Group.VOLATILITY, "americas", "pts", "XNYS", 2),
        (_SECTORS, Group.SECTORS, "americas", "USD", "XNYS", 2),
    ):
        for id_ in names.split():
            money = currency or id_[-3:]
            symbols = {"coingecko": id_.lower(), "yahoo": id_} if group is Group.CRYPTO else {"yahoo": id_}
            rows.append(
                Instrument(id_, id_.title() if len(id_) > 4 else id_, group, region, money, exchange, decimals, symbols)
            )
    rows.append(
        Instrument(
            "CRYPTO_CAP",
            "Crypto market capitalisation",
            Group.CRYPTO,
            "world",
            "USD",
            "24/7",
            0,
            {"coingecko": "global"},
        )
    )
    rows.append(
        Instrument("BTC_DOM", "Bitcoin dominance", Group.CRYPTO, "world", "%", "24/7", 2, {"coingecko": "global"})
    )
    rows.append(
        Instrument("ETH_DOM", "Ether dominance", Group.CRYPTO, "world", "%", "24/7", 2, {"coingecko": "global"})
    )
    rows.append(Instrument("FNG", "Fear & Greed", Group.SENTIMENT, "world", "pts", "24/7", 0, {"alternative": "fng"}))
    return tuple(rows)


_ONLY_QUOTED = ("CRYPTO_CAP", "BTC_DOM", "ETH_DOM", "FNG")
_LEVEL = {
    **{line.split("|")[0]: float(line.split("|")[5]) for line in _INDICES.strip().splitlines()},
    "VNINDEX": 1650, "VN30": 1880, "BTC": 86500, "ETH": 2800, "USDVND": 26350, "EURVND": 30400, "JPYVND": 168.0, "USDJPY": 156.5, "EURUSD": 1.15,
    "DXY": 100.2, "GOLD": 4060, "SILVER": 50, "WTI": 58, "BRENT": 62.5, "US3M": 3.8, "US5Y": 3.6, "US10Y": 4.06, "US30Y": 4.7, "VIX": 23.4,
    "VVIX": 120.0, "VXN": 28.0,
}  # fmt: skip
_SIGMA = {
    Group.CRYPTO: 0.032,
    Group.FX: 0.004,
    Group.RATES: 0.012,
    Group.VOLATILITY: 0.06,
    Group.COMMODITIES: 0.016,
    Group.VIETNAM: 0.016,
}


def make_bars(instrument: Instrument, count: int = BARS, *, end: date | None = None) -> Bars:
    """A walk with a shared market factor; ends at ``end`` (the newest bar may be today's)."""
    if instrument.id in _ONLY_QUOTED:
        return Bars.empty(instrument.id)
    always = instrument.exchange == "24/7"
    days: list[int] = []
    day = (end or AS_OF.date()).toordinal()
    while len(days) < count:
        if always or date.fromordinal(day).weekday() < 5:
            days.append(day)
        day -= 1
    days.reverse()
    own = random.Random(f"bars {instrument.id}")
    sigma = _SIGMA.get(instrument.group, 0.010)
    tilt = -0.35 if instrument.group is Group.VOLATILITY else 0.55
    level = own.uniform(-0.3, 0.1)
    levels = []
    for d in days:
        market = random.Random(f"market {d}").gauss(0.02, 1)
        level += sigma * (tilt * market + 0.8 * own.gauss(0.02, 1))
        levels.append(level)
    last = _LEVEL.get(instrument.id) or math.exp(own.uniform(0, 8))
    scale = last / math.exp(levels[-1])
    close = array("d", (round(scale * math.exp(v), 6) for v in levels))
    opened, high, low, volume = (array("d") for _ in range(4))
    for i, c in enumerate(close):
        o = close[i - 1] * (1 + own.gauss(0, sigma / 6)) if i else c
        opened.append(o)
        high.append(max(o, c) * (1 + abs(own.gauss(0, sigma / 3))))
        low.append(min(o, c) * (1 - abs(own.gauss(0, sigma / 3))))
        volume.append(float("nan") if instrument.group is Group.FX else float(own.randrange(10**6, 10**9)))
    return Bars(instrument.id, array("i", days), opened, high, low, close, volume)


def quote(instrument: Instrument) -> Quote:
    own = random.Random(f"quote {instrument.id}")
    bars = make_bars(instrument)
    if not len(bars):
        price = {"CRYPTO_CAP": 2.94e12, "BTC_DOM": 57.3, "ETH_DOM": 11.6, "FNG": 22.0}[instrument.id]
        spark = (*(max(5.0, min(95.0, 40 - i * 0.6 + own.gauss(0, 4))) for i in range(29)), 22.0)
        return Quote(
            instrument.id,
            price,
            AS_OF - timedelta(minutes=2),
            next(iter(instrument.symbols)),
            change_pct=-2.41 if instrument.id == "CRYPTO_CAP" else None,
            spark=spark if instrument.id == "FNG" else (),
        )
    price, before = bars.close[-1], bars.close[-2]
    steps = [before]
    for _ in range(30):
        steps.append(steps[-1] * (1 + own.gauss(0, 0.001)))
    return Quote(
        instrument.id,
        price,
        AS_OF - timedelta(minutes=own.randrange(1, 5)),
        next(iter(instrument.symbols)),
        change_pct=100 * (price / before - 1),
        previous_close=before,
        day_high=bars.high[-1],
        day_low=bars.low[-1],
        volume=bars.volume[-1],
        market_cap=own.uniform(1e9, 1.9e12) if instrument.group is Group.CRYPTO else None,
        spark=(*steps, price),
    )


SOURCES = (
    SourceStatus("yahoo", "ok", 102, AS_OF, duration_s=1.4),
    SourceStatus(
        "coingecko", "partial", 31, AS_OF, error="2 instruments missing", error_kind="partial", duration_s=0.6
    ),
    SourceStatus(
        "alternative", "failing", 0, AS_OF - timedelta(hours=5), error="no connection", error_kind="unavailable"
    ),
)


def snapshot(rows: tuple[Instrument, ...] | None = None) -> Snapshot:
    """One quote each; the sentiment index is five hours old, and NATGAS came from yesterday."""
    quotes = []
    for instrument in rows or instruments():
        q = quote(instrument)
        if instrument.id == "NATGAS":
            q = replace(q, as_of=AS_OF - timedelta(days=4))
        if instrument.id == "FNG":
            q = replace(q, as_of=AS_OF - timedelta(hours=5))
        quotes.append(q)
    return Snapshot(AS_OF, tuple(quotes), SOURCES)


async def bars(instrument: Instrument) -> Bars:
    """What the writer and the workflow read bars with."""
    return make_bars(instrument)


@cache
def findings() -> Findings:
    """The findings of this market at `NOW` (made once: they are frozen)."""
    rows = instruments()
    shot = snapshot(rows)
    moves = {id_: daily_moves(make_bars(i)) for i in rows if (id_ := i.id) in ("SPX", "BTC", "VNINDEX")}
    found, kept = [], {}
    for instrument, q in zip(rows, shot.quotes, strict=True):
        facts, series = examine(instrument, q, make_bars(instrument), moves, NOW)
        found.append(facts)
        if series is not None:
            kept[instrument.id] = series
    return analyse(found, kept, snapshot_as_of=shot.as_of, made=NOW, sources=shot.sources)
