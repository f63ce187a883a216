"""A small universe: one or two instruments of every kind."""

from __future__ import annotations

from datetime import UTC, datetime

from evertick.model import Group, Instrument

NOW = datetime(2026, 11, 25, 15, 7, 42, tzinfo=UTC)
"""A Wednesday: New York has been open for 37 minutes, Frankfurt is open, Tokyo and Ho Chi Minh City are closed."""


def instrument(
    id: str, group: str, exchange: str, decimals: int = 2, region: str = "world", **symbols: str
) -> Instrument:
    currency = {"vietnam": "VND", "indices": "pts", "rates": "%"}.get(group, "USD")
    return Instrument(id, f"The {id}", Group(group), region, currency, exchange, decimals, symbols)


INSTRUMENTS = (
    instrument("SPX", "indices", "XNYS", region="americas", yahoo="^GSPC"),
    instrument("DJI", "indices", "XNYS", region="americas", yahoo="^DJI"),
    instrument("DAX", "indices", "XETR", region="europe", yahoo="^GDAXI"),
    instrument("N225", "indices", "XTKS", region="asia", yahoo="^N225"),
    instrument("TASI", "indices", "XSAU", region="asia", yahoo="^TASI.SR"),
    instrument("VNINDEX", "vietnam", "XSTC", region="asia", yahoo="^VNINDEX.VN"),
    instrument("VCB", "vietnam", "XSTC", 0, region="asia", yahoo="VCB.VN"),
    instrument("BTC", "crypto", "24/7", yahoo="BTC-USD", coingecko="bitcoin"),
    instrument("ETH", "crypto", "24/7", yahoo="ETH-USD", coingecko="ethereum"),
    instrument("USDT", "crypto", "24/7", 4, coingecko="tether"),
    instrument("SHIB", "crypto", "24/7", 8, coingecko="shiba-inu"),
    instrument("CRYPTO_CAP", "crypto", "24/7", 0, coingecko="global:total_market_cap.usd"),
    instrument("FNG", "sentiment", "DAILY", 0, alternative="fng"),
    instrument("EURUSD", "fx", "FX", 4, yahoo="EURUSD=X"),
    instrument("USDJPY", "fx", "FX", 3, yahoo="JPY=X"),
    instrument("EURJPY", "fx", "FX", 3, yahoo="EURJPY=X"),
    instrument("DXY", "fx", "FX", yahoo="DX-Y.NYB"),
    instrument("GOLD", "commodities", "CME", yahoo="GC=F"),
    instrument("CORN", "commodities", "CBOT", yahoo="ZC=F"),
    instrument("US10Y", "rates", "UST", 3, region="americas", yahoo="^TNX"),
    instrument("VIX", "volatility", "XCBO", region="americas", yahoo="^VIX"),
    instrument("ODD", "sectors", "XNYS", region="americas", yahoo="NOBODY-KNOWS"),
)
