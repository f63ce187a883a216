"""A small universe and quotes of it for the board's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from evertick.model import Breadth, Group, Instrument, Quote, Snapshot, SourceStatus
from evertick.universe import Universe

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)


def instrument(id_: str, exchange: str = "XNYS", name: str = "") -> Instrument:
    return Instrument(id_, name or id_, Group.INDICES, "americas", "pts", exchange, 2, {"yahoo": id_})


UNIVERSE = Universe.of([instrument("SPX", name="S&P 500"), instrument("DJI"), instrument("BTC", "24/7")])


def quote(id_: str, price: float = 100.0, *, age_s: float = 60, source: str = "yahoo", **more) -> Quote:
    return Quote(id_, price, NOW - timedelta(seconds=age_s), source, **more)


FULL = Snapshot(
    NOW,
    (
        quote(
            "SPX",
            7012.45,
            change_pct=-0.064,
            previous_close=7016.94,
            day_high=7030.1,
            day_low=6998.2,
            volume=2.143e9,
            market_cap=1e13,
            spark=(7000.0, 7012.45),
            breadth=Breadth(310, 180, 13),
        ),
        quote("BTC", 86500.5, source="coingecko"),
    ),
    (
        SourceStatus("yahoo", "partial", 1, NOW, None, None, None, 0.25),
        SourceStatus(
            "coingecko",
            "resting",
            0,
            NOW - timedelta(hours=1),
            "asked to wait",
            "rate_limited",
            NOW + timedelta(60),
            title="CoinGecko",
            last_error="asked to wait",
            last_error_at=NOW,
            quota=10_000,
            quota_left=0,
            note="its markets are closed",
        ),
    ),
)
