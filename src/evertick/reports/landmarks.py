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

BENCHMARK = {Group.CRYPTO: "BTC", Group.VIETNAM: "VNINDEX"}
"""What beta and correlation of a group are measured against; `BENCHMARK_ELSE` for the other groups."""
BENCHMARK_ELSE = "SPX"


def benchmark(group: Group) -> str:
    return BENCHMARK.get(group, BENCHMARK_ELSE)


KEPT = frozenset((*LINES, *MATRIX, *DRAWDOWN))
"""Their closes of the last year are kept between the stages (3 KB each)."""
