"""What each built-in provider gives and where to read about it: for the page of sources and the line that credits them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class About:
    title: str
    gives: str
    site: str
    """Where its terms and its own pages are; several providers ask for a visible link to it."""


_ALL = {
    "coingecko": About(
        "CoinGecko",
        "Coins, and the capitalisation and dominance of the whole crypto market",
        "https://www.coingecko.com",
    ),
    "coinpaprika": About(
        "CoinPaprika", "The capitalisation and dominance of the whole crypto market", "https://coinpaprika.com"
    ),
    "binance": About("Binance", "Coins against the dollar (USDT), with daily bars", "https://www.binance.com"),
    "okx": About("OKX", "Coins against the dollar (USDT), with daily bars", "https://www.okx.com"),
    "alternative": About(
        "alternative.me",
        "The Crypto Fear & Greed Index, once a day",
        "https://alternative.me/crypto/fear-and-greed-index/",
    ),
    "vps": About("VPS", "Vietnamese indices with their breadth, and shares", "https://www.vps.com.vn"),
    "vndirect": About("VNDIRECT", "Daily bars of Vietnamese indices and shares", "https://www.vndirect.com.vn"),
    "kbs": About("KB Securities Vietnam", "Daily bars of Vietnamese indices and shares", "https://www.kbsec.com.vn"),
    "vci": About("Vietcap", "Daily bars of Vietnamese indices and shares", "https://www.vietcap.com.vn"),
    "vietcombank": About(
        "Vietcombank", "Foreign currencies in dong, as the bank trades them", "https://www.vietcombank.com.vn"
    ),
    "cboe": About("Cboe", "Volatility indices: closes and daily bars", "https://www.cboe.com"),
    "yahoo": About(
        "Yahoo Finance",
        "Indices, shares, funds, currencies, commodities and rates, with daily bars",
        "https://finance.yahoo.com",
    ),
    "treasury": About("US Treasury", "Yields of the US Treasury curve, once a day", "https://home.treasury.gov"),
    "fred": About(
        "FRED, Federal Reserve Bank of St. Louis", "Rates and other series, once a day", "https://fred.stlouisfed.org"
    ),
    "ecb": About("European Central Bank", "Reference rates of the euro, once a day", "https://www.ecb.europa.eu"),
    "twelvedata": About("Twelve Data", "US shares and funds", "https://twelvedata.com"),
    "finnhub": About("Finnhub", "US shares and funds", "https://finnhub.io"),
    "fmp": About("Financial Modeling Prep", "US shares and funds", "https://financialmodelingprep.com"),
    "tiingo": About("Tiingo", "US shares and funds", "https://www.tiingo.com"),
    "massive": About("Massive (Polygon)", "US shares and funds", "https://massive.com"),
    "alphavantage": About("Alpha Vantage", "US shares and funds", "https://www.alphavantage.co"),
}
ABOUT: Mapping[str, About] = MappingProxyType(_ALL)
