from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx2
import pytest

from evertick.simulator import Market, MarketClock
from unit.simulator.samples import NOW

BASE = "/coingecko/api/v3"
MINUTE = int(NOW.timestamp() // 60 * 60)
COINS = ["bitcoin", "ethereum", "tether", "shiba-inu"]


async def get(client: httpx2.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(BASE + path, params=params)
    assert answer.status_code == 200
    return answer.json()


async def test_markets(client: httpx2.AsyncClient, market: Market) -> None:
    rows = await get(client, "/coins/markets", vs_currency="usd", ids=",".join([*COINS, "nobody"]), sparkline="true")
    assert {row["id"] for row in rows} == set(COINS)
    assert [row["market_cap_rank"] for row in rows] == [1, 2, 3, 4]
    caps = [row["market_cap"] for row in rows]
    assert caps == sorted(caps, reverse=True)
    for row in rows:
        instrument = market.find("coingecko", row["id"])
        price = market.price(instrument, MINUTE)
        before = market.price(instrument, MINUTE - 86400)
        assert row["current_price"] == price
        assert row["price_change_24h"] == pytest.approx(price - before)
        assert row["price_change_percentage_24h"] == pytest.approx((price / before - 1) * 100, abs=1e-4)
        assert row["low_24h"] <= price <= row["high_24h"]
        assert row["ath"] >= row["high_24h"]
        assert row["market_cap"] == pytest.approx(price * row["circulating_supply"], rel=1e-6)
        assert datetime.fromisoformat(row["last_updated"]).timestamp() == pytest.approx(MINUTE, abs=1)


async def test_sparklines_are_hourly_prices_of_seven_days(client: httpx2.AsyncClient, market: Market) -> None:
    (row,) = await get(client, "/coins/markets", vs_currency="usd", ids="bitcoin", sparkline="true")
    hours = row["sparkline_in_7d"]["price"]
    last = int(NOW.timestamp() // 3600) * 3600
    btc = market.instruments["BTC"]
    assert hours == [market.price(btc, last - 3600 * n) for n in reversed(range(168))]


async def test_no_sparkline_unless_asked(client: httpx2.AsyncClient) -> None:
    rows = await get(client, "/coins/markets", vs_currency="usd")
    assert all("sparkline_in_7d" not in row for row in rows)


async def test_pages_and_order(client: httpx2.AsyncClient) -> None:
    pages = [await get(client, "/coins/markets", vs_currency="usd", per_page="3", page=str(n)) for n in (1, 2, 3)]
    assert [len(page) for page in pages] == [3, 1, 0]
    upward = await get(client, "/coins/markets", vs_currency="usd", order="market_cap_asc")
    assert [row["id"] for row in upward] == [row["id"] for page in pages for row in page][::-1]
    assert upward[-1]["market_cap_rank"] == 1


async def test_changes_over_other_spans(client: httpx2.AsyncClient, market: Market) -> None:
    (row,) = await get(client, "/coins/markets", vs_currency="usd", ids="ethereum", price_change_percentage="1h,7d,30d")
    for span, seconds in (("1h", 3600), ("7d", 7 * 86400), ("30d", 30 * 86400)):
        before = market.price(market.instruments["ETH"], MINUTE - seconds)
        change = (row["current_price"] / before - 1) * 100
        assert row[f"price_change_percentage_{span}_in_currency"] == pytest.approx(change)


async def test_other_currencies(client: httpx2.AsyncClient) -> None:
    (usd,) = await get(client, "/coins/markets", vs_currency="usd", ids="bitcoin", sparkline="true")
    (vnd,) = await get(client, "/coins/markets", vs_currency="vnd", ids="bitcoin", sparkline="true")
    assert vnd["current_price"] == pytest.approx(usd["current_price"] * 26350, rel=1e-6)
    assert vnd["sparkline_in_7d"]["price"][0] == pytest.approx(usd["sparkline_in_7d"]["price"][0] * 26350)


async def test_the_price_moves_once_a_minute(client: httpx2.AsyncClient, clock: MarketClock) -> None:
    async def bitcoin() -> dict[str, Any]:
        return (await get(client, "/coins/markets", vs_currency="usd", ids="bitcoin"))[0]

    before = await bitcoin()
    clock.set(datetime.fromtimestamp(MINUTE + 59, NOW.tzinfo))
    assert await bitcoin() == before
    clock.set(datetime.fromtimestamp(MINUTE + 60, NOW.tzinfo))
    assert (await bitcoin())["last_updated"] > before["last_updated"]


async def test_global_adds_up(client: httpx2.AsyncClient) -> None:
    rows = await get(client, "/coins/markets", vs_currency="usd")
    data = (await get(client, "/global"))["data"]
    total = data["total_market_cap"]["usd"]
    assert sum(row["market_cap"] for row in rows) == pytest.approx(total * 0.93, rel=1e-6)
    bitcoin = next(row for row in rows if row["id"] == "bitcoin")
    assert data["market_cap_percentage"]["btc"] == pytest.approx(bitcoin["market_cap"] / total * 100)
    assert data["total_market_cap"]["btc"] == pytest.approx(total / bitcoin["current_price"], rel=1e-6)
    assert data["total_market_cap"]["vnd"] > 2**53
    before = sum(row["market_cap"] - row["market_cap_change_24h"] for row in rows)
    change = (sum(row["market_cap"] for row in rows) / before - 1) * 100
    assert data["market_cap_change_percentage_24h_usd"] == pytest.approx(change, abs=1e-4)
    assert data["updated_at"] == MINUTE


async def test_simple_price(client: httpx2.AsyncClient, market: Market) -> None:
    flags = {f"include_{name}": "true" for name in ("market_cap", "24hr_vol", "24hr_change", "last_updated_at")}
    found = await get(client, "/simple/price", ids="bitcoin,nobody", vs_currencies="usd,xxx", **flags)
    assert list(found) == ["bitcoin"]
    one = found["bitcoin"]
    assert set(one) == {"usd", "usd_market_cap", "usd_24h_vol", "usd_24h_change", "last_updated_at"}
    assert one["usd"] == market.price(market.instruments["BTC"], MINUTE)
    assert one["last_updated_at"] == MINUTE
    assert await get(client, "/simple/price", ids="nobody", vs_currencies="usd") == {}


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/coins/markets", {}, 400),
        ("/coins/markets", {"vs_currency": "xxx"}, 400),
        ("/coins/markets", {"vs_currency": "usd", "page": "one"}, 400),
        ("/simple/price", {"ids": "bitcoin"}, 422),
        ("/coins/bitcoin", {}, 404),
        ("/ping/pong", {}, 404),
    ],
)
async def test_what_coingecko_refuses(
    client: httpx2.AsyncClient, path: str, params: dict[str, str], status: int
) -> None:
    answer = await client.get(BASE + path, params=params)
    assert answer.status_code == status
    assert "error" in answer.json()


async def test_a_universe_without_coins(clock: MarketClock) -> None:
    from evertick.simulator import create_app

    transport = httpx2.ASGITransport(app=create_app(Market([], clock=clock)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://simulator") as client:
        assert (await client.get(BASE + "/global")).json() == {"data": {}}
        assert (await client.get(BASE + "/coins/markets?vs_currency=usd")).json() == []
