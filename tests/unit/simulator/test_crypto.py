"""Binance, OKX and CoinPaprika as the simulator speaks them: CoinGecko's market, seen from elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from evertick.simulator import Faults, Market, MarketClock, create_app
from evertick.simulator.coins import APART
from unit.simulator.samples import NOW, instrument

MINUTE = int(NOW.timestamp() // 60 * 60)
DAY_MS = 86_400_000
COINS = (
    instrument("BTC", "crypto", "24/7", yahoo="BTC-USD", coingecko="bitcoin", binance="BTCUSDT", okx="BTC-USDT"),
    instrument("ETH", "crypto", "24/7", coingecko="ethereum", binance="ETHUSDT", okx="ETH-USDT"),
    instrument("SHIB", "crypto", "24/7", 8, coingecko="shiba-inu", binance="SHIBUSDT", okx="SHIB-USDT"),
    instrument("USDT", "crypto", "24/7", 4, coingecko="tether"),
)


@pytest.fixture
def market(clock: MarketClock) -> Market:
    return Market(COINS, seed=1, clock=clock)


@pytest.fixture
async def client(market: Market, faults: Faults) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_app(market, faults))
    async with httpx2.AsyncClient(transport=transport, base_url="http://simulator") as found:
        yield found


async def get(client: httpx2.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- Binance ---


async def test_tickers_are_coingeckos_prices_a_little_apart(client: httpx2.AsyncClient, market: Market) -> None:
    rows = await get(client, "/binance/api/v3/ticker/24hr", symbols='["ETHUSDT","BTCUSDT","SHIBUSDT"]', type="FULL")
    assert [row["symbol"] for row in rows] == ["ETHUSDT", "BTCUSDT", "SHIBUSDT"]
    for row in rows:
        one = market.find("binance", row["symbol"])
        assert one is not None
        price, before = market.price(one, NOW.timestamp()), market.price(one, NOW.timestamp() - 86_400)
        close_to = {"rel": APART / 2, "abs": 1e-8}  # eight decimals are all there are
        assert float(row["lastPrice"]) == pytest.approx(price, **close_to)
        assert float(row["openPrice"]) == pytest.approx(before, **close_to)
        assert float(row["lowPrice"]) <= float(row["lastPrice"]) <= float(row["highPrice"])
        assert float(row["priceChangePercent"]) == pytest.approx((price / before - 1) * 100, abs=1e-3)
        assert float(row["volume"]) * float(row["weightedAvgPrice"]) == pytest.approx(
            float(row["quoteVolume"]), rel=0.01
        )
        assert row["closeTime"] == int(NOW.timestamp() * 1000)


async def test_one_symbol_is_an_object_and_none_are_all(client: httpx2.AsyncClient) -> None:
    one = await get(client, "/binance/api/v3/ticker/24hr", symbol="BTCUSDT")
    all_ = await get(client, "/binance/api/v3/ticker/24hr")
    assert one["symbol"] == "BTCUSDT"
    assert [row["symbol"] for row in all_] == ["BTCUSDT", "ETHUSDT", "SHIBUSDT"]


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("ticker/24hr", {"symbols": '["BTCUSDT","NOPEUSDT"]'}, -1121),
        ("ticker/24hr", {"symbol": "btcusdt"}, -1121),
        ("ticker/24hr", {"symbols": "BTCUSDT"}, -1100),
        ("ticker/24hr", {"symbols": '["BTC/USDT"]'}, -1100),
        ("ticker/24hr", {"symbols": "[1]"}, -1100),
        ("ticker/24hr", {"symbols": "[]", "symbol": "BTCUSDT"}, -1128),
        ("klines", {"interval": "1d"}, -1102),
        ("klines", {"symbol": "NOPEUSDT", "interval": "1d"}, -1121),
        ("klines", {"symbol": "BTCUSDT", "interval": "2d"}, -1120),
        ("klines", {"symbol": "BTCUSDT", "interval": "1d", "limit": "many"}, -1100),
    ],
)
async def test_what_binance_refuses(client: httpx2.AsyncClient, path: str, params: dict[str, str], code: int) -> None:
    answer = await client.get(f"/binance/api/v3/{path}", params=params)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_klines_are_the_markets_days_and_today_has_not_ended(client: httpx2.AsyncClient, market: Market) -> None:
    rows = await get(client, "/binance/api/v3/klines", symbol="BTCUSDT", interval="1d", limit="10")
    assert len(rows) == 10
    days = [datetime.fromtimestamp(row[0] / 1000, UTC).date() for row in rows]
    assert days == [NOW.date() - timedelta(days=n) for n in reversed(range(10))]
    btc = market.instruments["BTC"]
    columns = market.columns(btc, days[0].toordinal(), days[-2].toordinal())
    for row, close in zip(rows[:-1], columns.close, strict=True):
        _, opened, high, low, closed, volume, ends, turnover, trades, *_, last = row
        assert float(closed) == pytest.approx(close, rel=APART / 2)
        assert float(low) <= min(float(opened), float(closed)) <= max(float(opened), float(closed)) <= float(high)
        assert float(volume) * float(closed) == pytest.approx(float(turnover), rel=1e-6)
        assert (ends - row[0], type(trades), last) == (DAY_MS - 1, int, "0")
    assert float(rows[-1][4]) == pytest.approx(market.price(btc, NOW.timestamp()), rel=APART / 2)


async def test_klines_page_by_page(client: httpx2.AsyncClient) -> None:
    async def page(start: datetime, **more: str) -> list[Any]:
        stamp = str(int(start.timestamp() * 1000))
        return await get(client, "/binance/api/v3/klines", symbol="BTCUSDT", interval="1d", startTime=stamp, **more)

    start = datetime(2020, 1, 1, tzinfo=UTC)
    first = await page(start, limit="5000")
    second = await page(start + timedelta(days=1000), limit="1000")
    assert (len(first), len(second)) == (1000, 1000)
    assert first[0][0] == int(start.timestamp() * 1000)
    assert second[0][0] - first[-1][0] == DAY_MS
    assert len(await page(start)) == 500
    assert len(await page(NOW + timedelta(days=1))) == 0
    assert (await page(NOW - timedelta(hours=1))) == []  # today began before that
    old = await page(datetime(2009, 1, 3, tzinfo=UTC), limit="1")
    assert datetime.fromtimestamp(old[0][0] / 1000, UTC).year == 2014


async def test_a_ban_says_until_when(client: httpx2.AsyncClient, faults: Faults) -> None:
    for kind, status in (("418", 418), ("429", 429), ("200ratelimit", 200)):
        faults.replace([f"binance={kind}"])
        answer = await client.get("/binance/api/v3/klines?symbol=BTCUSDT&interval=1d")
        assert (answer.status_code, answer.json()["code"]) == (status, -1003)
        until = int(answer.json()["msg"].split("until ")[1].split(".")[0])
        assert until == int((NOW.timestamp() + 90) * 1000)


# --- OKX ---


async def test_okx_lists_every_pair_and_says_with_a_code_that_it_went_well(
    client: httpx2.AsyncClient, market: Market
) -> None:
    answer = await get(client, "/okx/api/v5/market/tickers", instType="SPOT")
    assert (answer["code"], answer["msg"]) == ("0", "")
    rows = {row["instId"]: row for row in answer["data"]}
    assert list(rows) == ["BTC-USDT", "BTC-USDC", "ETH-USDT", "ETH-USDC", "SHIB-USDT", "SHIB-USDC"]
    for pair, row in rows.items():
        one = market.find("okx", pair.replace("USDC", "USDT"))
        assert one is not None
        assert float(row["last"]) == pytest.approx(market.price(one, NOW.timestamp()), rel=APART / 2 + 1e-7)
        assert float(row["low24h"]) <= float(row["last"]) <= float(row["high24h"])
        assert row["ts"] == str(int(NOW.timestamp() * 1000))
        assert "e" not in row["last"]
        for name in ("open24h", "sodUtc0", "sodUtc8"):
            assert 0.5 < float(row[name]) / float(row["last"]) < 2


async def test_one_pair(client: httpx2.AsyncClient) -> None:
    answer = await get(client, "/okx/api/v5/market/ticker", instId="BTC-USDT")
    assert [row["instId"] for row in answer["data"]] == ["BTC-USDT"]


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("tickers", {}, "50014"),
        ("tickers", {"instType": "STOCKS"}, "51000"),
        ("ticker", {}, "50014"),
        ("ticker", {"instId": "NOPE-USDT"}, "51001"),
    ],
)
async def test_what_okx_refuses_comes_with_http_200(
    client: httpx2.AsyncClient, path: str, params: dict[str, str], code: str
) -> None:
    answer = await get(client, f"/okx/api/v5/market/{path}", **params)
    assert (answer["code"], answer["data"]) == (code, [])
    assert answer["msg"]


# --- CoinPaprika ---


async def test_the_whole_market_is_coingeckos_within_a_thousandth(client: httpx2.AsyncClient) -> None:
    whole = await get(client, "/coinpaprika/v1/global")
    data = (await get(client, "/coingecko/api/v3/global"))["data"]
    assert whole["market_cap_usd"] == pytest.approx(data["total_market_cap"]["usd"], rel=1e-3)
    assert whole["volume_24h_usd"] == pytest.approx(data["total_volume"]["usd"], rel=1e-3)
    assert whole["bitcoin_dominance_percentage"] == pytest.approx(data["market_cap_percentage"]["btc"], abs=0.01)
    assert whole["market_cap_change_24h"] == pytest.approx(data["market_cap_change_percentage_24h_usd"], abs=0.01)
    assert whole["last_updated"] == MINUTE


async def test_what_coinpaprika_does_not_give(client: httpx2.AsyncClient, clock: MarketClock) -> None:
    past = await client.get("/coinpaprika/v1/tickers/btc-bitcoin/historical")
    unknown = await client.get("/coinpaprika/v1/coins/nobody")
    assert (past.status_code, unknown.status_code) == (402, 404)
    assert "error" in past.json() and "error" in unknown.json()
    transport = httpx2.ASGITransport(app=create_app(Market([], clock=clock)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://simulator") as nothing:
        assert (await nothing.get("/coinpaprika/v1/global")).status_code == 404


# --- CoinGecko ---


async def test_a_wrong_key_is_worse_than_none(client: httpx2.AsyncClient) -> None:
    for key, status in (("CG-any", 200), ("bad-one", 401)):
        answer = await client.get("/coingecko/api/v3/global", headers={"x-cg-demo-api-key": key})
        assert answer.status_code == status
    assert answer.json()["status"]["error_code"] == 10002
