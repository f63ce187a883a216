"""The Vietnamese brokers and Vietcombank: their shapes, one market behind all of them, their errors."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest

from evertick.model import Instrument
from evertick.simulator import Faults, Market, MarketClock, create_app
from evertick.simulator.vietcombank import set_at
from evertick.simulator.vietnam import ZONE
from unit.simulator.samples import instrument

TRADING = datetime(2026, 11, 25, 3, 20, tzinfo=UTC)
"""A Wednesday, 10:20 in Vietnam."""


def vietnamese(id: str, exchange: str = "XSTC", currency: str = "VND") -> Instrument:
    decimals = 0 if currency == "VND" else 2
    made = instrument(id, "vietnam", exchange, decimals, region="asia", vn=id)
    return Instrument(made.id, made.name, made.group, made.region, currency, exchange, decimals, made.symbols)


INDICES = [
    vietnamese(*row, "pts") for row in (("VNINDEX", "XSTC"), ("VN30", "XSTC"), ("HNX", "XHNX"), ("UPCOM", "XHNX"))
]
SHARES = [vietnamese(id) for id in ("FPT", "VCB", "HPG", "VIC", "MBB")]
USD = instrument("USDVND", "fx", "FX", 0, vietcombank="USD", yahoo="VND=X")


@pytest.fixture
def market() -> Market:
    return Market([*INDICES, *SHARES, USD], seed=1, clock=MarketClock(TRADING, speed=0))


@pytest.fixture
async def client(market: Market):
    transport = httpx2.ASGITransport(app=create_app(market, Faults()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://simulator") as found:
        yield found


def stamp(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


async def got(client: httpx2.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def udf(client: httpx2.AsyncClient, symbol: str, **more: Any) -> Any:
    params = {"resolution": "D", "symbol": symbol, "from": stamp(date(2026, 11, 16)), "to": int(TRADING.timestamp())}
    return await got(client, "/vndirect/dchart/history", **params | more)


async def vci(client: httpx2.AsyncClient, body: Any, status: int = 200) -> Any:
    answer = await client.post("/vci/api/chart/OHLCChart/gap-chart", json=body)
    assert answer.status_code == status
    return answer.json()


async def test_the_board_of_indices(client: httpx2.AsyncClient, market: Market) -> None:
    rows = await got(client, "/vps/getlistindexdetail/10,11,99,02,03")
    assert [row["mc"] for row in rows] == ["10", "11", "02", "03"]
    for row, index in zip(rows, INDICES, strict=True):
        tick = market.tick(index, TRADING.timestamp())
        assert (row["cIndex"], row["oIndex"], row["time"], row["status"]) == (
            tick.price,
            tick.previous_close,
            "10:20:00",
            "O",
        )
        change, pct, _, *counts = row["ot"].split("|")
        assert change == f"{abs(tick.price - tick.previous_close):.2f}"
        assert re.fullmatch(r"\d+\.\d\d%", pct)
        assert sum(map(int, counts)) == {"10": 390, "11": 30, "02": 305, "03": 870}[row["mc"]]


@pytest.mark.parametrize(
    ("moment", "shown", "status"),
    [
        ("2026-11-25T04:45:00", "11:30:00", "C"),
        ("2026-11-25T13:00:00", "14:45:00", "C"),
        ("2026-11-26T01:00:00", "14:45:00", "C"),
        ("2026-11-28T03:00:00", "14:45:00", "C"),
    ],
)
async def test_outside_trading_the_board_shows_the_last_trade(
    client, market, moment: str, shown: str, status: str
) -> None:
    market.clock.set(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    (row,) = await got(client, "/vps/getlistindexdetail/10")
    assert (row["time"], row["status"]) == (shown, status)


async def test_an_index_that_nobody_follows_has_a_row_without_a_level() -> None:
    alone = Market([USD], seed=1, clock=MarketClock(TRADING, speed=0))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=create_app(alone)), base_url="http://s") as client:
        (row,) = await got(client, "/vps/getlistindexdetail/10")
    assert (row["cIndex"], row["time"]) == (0, "10:20:00")


async def test_most_shares_rise_when_most_of_the_universe_s_do(client: httpx2.AsyncClient, market: Market) -> None:
    for day in range(2, 27):
        market.clock.set(datetime(2026, 11, day, 13, tzinfo=UTC))
        ticks = [market.tick(share, market.clock.at()) for share in SHARES]
        up = sum(tick.price > tick.previous_close for tick in ticks)
        moved = sum(tick.price != tick.previous_close for tick in ticks)
        (row,) = await got(client, "/vps/getlistindexdetail/10")
        advances, declines = map(int, row["ot"].split("|")[3:5])
        if 2 * up != moved:
            assert (advances > declines) == (2 * up > moved)


async def test_shares_are_in_thousands_between_floor_and_ceiling(client: httpx2.AsyncClient, market: Market) -> None:
    rows = await got(client, "/vps/getliststockdata/FPT,NOBODY,VCB,VNINDEX")
    assert [row["sym"] for row in rows] == ["FPT", "VCB"]
    for row, share in zip(rows, SHARES, strict=False):
        tick = market.tick(share, TRADING.timestamp())
        assert row["lastPrice"] * 1000 == pytest.approx(tick.price)
        assert row["r"] * 1000 == pytest.approx(tick.previous_close) == pytest.approx(float(row["closePrice"]))
        assert row["f"] <= row["lastPrice"] <= row["c"]
        assert row["c"] / row["r"] <= 1.07 and row["f"] / row["r"] >= 0.93
        assert row["lot"] == int(tick.volume) // 10
        assert float(row["changePc"]) >= 0
    assert await got(client, "/vps/getliststockdata/NOBODY") == []


async def test_all_brokers_have_the_same_bars(client: httpx2.AsyncClient, market: Market) -> None:
    for index, (kbs, vietcap) in zip(INDICES, (("VNINDEX",) * 2, ("VN30",) * 2, ("HNXINDEX", "HNXIndex"), ("UPCOMINDEX", "HNXUpcomIndex")), strict=True):  # fmt: skip
        a = await udf(client, index.id)
        b = (await got(client, f"/kbs/iis-server/investment/index/{kbs}/data_day", sdate="16-11-2026"))["data_day"][
            ::-1
        ]
        (c,) = await vci(
            client, {"timeFrame": "ONE_DAY", "symbols": [vietcap], "to": int(TRADING.timestamp()), "countBack": 8}
        )
        days = [stamp(date(2026, 11, d)) for d in (16, 17, 18, 19, 20, 23, 24, 25)]
        assert a["t"] == [int(t) for t in c["t"]] == days
        assert [row["t"] for row in b] == [f"{datetime.fromtimestamp(t, UTC):%Y-%m-%d} 07:00" for t in days]
        assert a["c"] == [float(row["c"]) for row in b] == c["c"]
        assert a["c"][-1] == market.price(index, TRADING.timestamp())
        assert a["c"][-2] == market.close(index, date(2026, 11, 24).toordinal())


async def test_of_shares_only_vndirect_s_are_in_thousands(client: httpx2.AsyncClient) -> None:
    a = await udf(client, "FPT")
    b = (await got(client, "/kbs/iis-server/investment/stocks/FPT/data_day", sdate="16-11-2026"))["data_day"][::-1]
    (c,) = await vci(
        client, {"timeFrame": "ONE_DAY", "symbols": ["FPT"], "to": int(TRADING.timestamp()), "countBack": 8}
    )
    assert [pytest.approx(v * 1000) for v in a["c"]] == [float(row["c"]) for row in b] == c["c"]
    assert 50_000 < c["c"][0] < 200_000
    assert all(isinstance(v, str) for row in b for v in row.values())


async def test_quarter_hours_end_where_the_price_is(client: httpx2.AsyncClient, market: Market) -> None:
    bars = await udf(client, "VNINDEX", resolution="15")
    newest = datetime.fromtimestamp(bars["t"][-1], ZONE)
    assert (newest.hour, newest.minute) == (10, 15)
    assert bars["c"][-1] == market.price(INDICES[0], TRADING.timestamp())
    assert {len(bars[name]) for name in "tohlcv"} == {len(bars["t"])}


async def test_nothing_is_known_of_what_is_not_there(client: httpx2.AsyncClient) -> None:
    assert (await udf(client, "NOBODY"))["s"] == "no_data"
    assert (await udf(client, "FPT", to=stamp(date(2026, 11, 15)), **{"from": stamp(date(2026, 11, 14))}))["t"] == []
    for path in ("stocks/NOBODY", "stocks/VNINDEX", "index/FPT"):
        answer = await client.get(f"/kbs/iis-server/investment/{path}/data_day")
        assert (answer.status_code, answer.json()) == (404, {"status": 404, "message": "Data not found"})
    for symbols in (["NOBODY"], ["FPT", "VCB"], []):
        assert (
            await vci(client, {"timeFrame": "ONE_DAY", "symbols": symbols, "to": 1_790_000_000, "countBack": 9}) == []
        )


async def test_what_is_asked_wrongly_is_refused(client: httpx2.AsyncClient) -> None:
    wrong = {"resolution": "7", "symbol": "FPT"}, {"symbol": "FPT", "from": "yesterday"}
    for params in wrong:
        answer = await client.get("/vndirect/dchart/history", params=params)
        assert (answer.status_code, answer.json()["s"]) == (400, "error")
    answer = await client.get("/kbs/iis-server/investment/stocks/FPT/data_day", params={"sdate": "2026-11-01"})
    assert (answer.status_code, answer.json()["status"]) == (400, 400)
    for body in ({}, [], {"timeFrame": "ONE_YEAR", "symbols": ["FPT"], "to": 1, "countBack": 1}):
        assert (await vci(client, body, 400))["message"] == "Bad Request"
    assert (await client.get("/vci/api/chart/OHLCChart/gap-chart")).status_code == 405


async def test_the_bank_sets_its_rates_around_the_market_s(client: httpx2.AsyncClient, market: Market) -> None:
    answer = await client.get("/vietcombank/Usercontrols/TVPortal.TyGia/pXML.aspx", params={"b": "10"})
    assert answer.headers["content-type"].startswith("text/xml")
    text = answer.text
    assert text.startswith("<!--For reference only. Only one request every 5 minutes!-->")
    assert "<DateTime>11/25/2026 8:30:00 AM</DateTime>" in text
    usd = re.search(
        r'CurrencyCode="USD" CurrencyName="US DOLLAR {11}" Buy="([\d,.]+)" Transfer="([\d,.]+)" Sell="([\d,.]+)"', text
    )
    assert usd is not None
    buy, transfer, sell = (float(v.replace(",", "")) for v in usd.groups())
    morning = datetime(2026, 11, 25, 1, 30, tzinfo=UTC).timestamp()
    assert buy < transfer < sell
    assert (transfer + sell) / 2 == pytest.approx(market.price(USD, morning), rel=1e-4)
    assert re.search(r'CurrencyCode="DKK" [^/]*Buy="-"', text)


@pytest.mark.parametrize(
    ("now", "expected"),
    [("08:29:59", "24 14:30"), ("08:30:00", "25 08:30"), ("12:00:00", "25 11:00"), ("23:59:59", "25 14:30")],
)
def test_the_bank_s_hours(now: str, expected: str) -> None:
    at = datetime.fromisoformat(f"2026-11-25T{now}").replace(tzinfo=ZONE)
    assert f"{set_at(at.timestamp()):%d %H:%M}" == expected
