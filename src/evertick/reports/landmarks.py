"""The instruments a report speaks about by name, and what else the universe's file does not say.

Each list is in order of preference; an instrument that a universe of one's own does not have is passed over.
"""

from __future__ import annotations

from evertick.model import Group

SPECIAL = frozenset({"CRYPTO_CAP", "CRYPTO_VOLUME", "BTC_DOM", "ETH_DOM", "FNG"})
"""Measures, not markets: they do not rise or fall with the others and count in no breadth."""

HEADLINE = ("VNINDEX", "SPX", "N225", "BTC", "GOLD", "USDVND", "STOXX50E", "WTI", "EURUSD", "ETH")
"""The first six that have a price get the sparklines of the headline."""

LINES = ("SPX", "STOXX50E", "N225", "HSI", "VNINDEX", "FTSE", "DAX", "IXIC")
"""The first six with bars are the lines of the world indices."""
LINES_SHOWN = 6

LEADING = frozenset((*HEADLINE, *LINES))
"""Twice as large as the others on the map."""

MATRIX = (
    "SPX",
    "IXIC",
    "STOXX50E",
    "N225",
    "HSI",
    "VNINDEX",
    "BTC",
    "ETH",
    "GOLD",
    "WTI",
    "DXY",
    "EURUSD",
    "US10Y",
    "VIX",
)

SECTORS = frozenset({"XLK", "XLF", "XLV", "XLY", "XLC", "XLI", "XLP", "XLE", "XLU", "XLB", "XLRE"})
"""The eleven of the S&P 500; the group holds other funds too."""

DRAWDOWN = ("SPX", "VNINDEX", "BTC")
"""The first that has bars is drawn; all are told of."""

VIETNAM_INDICES = ("VNINDEX", "VN30", "HNX", "UPCOM")
INTRADAY = ("VNINDEX", "VN30")
"""The first with a history of its last session is drawn."""

CURRENCIES = {
    "USD": "",
    "EUR": "EURUSD",
    "GBP": "GBPUSD",
    "JPY": "USDJPY",
    "CHF": "USDCHF",
    "AUD": "AUDUSD",
    "CAD": "USDCAD",
    "CNY": "USDCNY",
    "SGD": "USDSGD",
    "KRW": "USDKRW",
    "THB": "USDTHB",
    "VND": "USDVND",
}
"""Of the cross matrix, each with the pair that ties it to the dollar."""

TENORS = {
    "US1M": 1, "US2M": 2, "US3M": 3, "US6M": 6, "US1Y": 12, "US2Y": 24, "US3Y": 36, "US5Y": 60, "US7Y": 84, "US10Y": 120,
    "US20Y": 240, "US30Y": 360,
}  # fmt: skip
"""Points of the yield curve, in months."""
SPREAD = ("US10Y", "US2Y")
FEAR = {"VIX9D": 9, "VIX": 30, "VIX3M": 90, "VIX6M": 180}
"""Points of the volatility curve, in days; the second and the third say whether it is inverted."""

SEASONS = ("VNINDEX", "SPX", "IXIC", "STOXX50E", "N225", "BTC", "GOLD", "WTI")
"""Their monthly returns are told; the first has its days in the calendar."""

BENCHMARK = {Group.CRYPTO: "BTC", Group.VIETNAM: "VNINDEX"}
"""What beta and correlation of a group are measured against; `BENCHMARK_ELSE` for the other groups."""
BENCHMARK_ELSE = "SPX"


def benchmark(group: Group) -> str:
    return BENCHMARK.get(group, BENCHMARK_ELSE)


KEPT = frozenset((*LINES, *MATRIX, *DRAWDOWN, *SPREAD, *SEASONS))
"""Their closes of a good year are kept between the stages (3 to 5 KB each)."""
