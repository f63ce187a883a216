from __future__ import annotations

import json
import math
from copy import deepcopy
from datetime import datetime
from typing import Any

import httpx2
import pytest

from evertick.simulator.faults import SPOILED
from evertick.simulator.spoil import spoil

SHAPES = {
    "chart": ("/yahoo/v8/finance/chart/BTC-USD", {"interval": "1d", "range": "1mo"}),
    "intraday": ("/yahoo/v8/finance/chart/%5EGSPC", {"interval": "5m", "range": "1d"}),
    "spark": ("/yahoo/v7/finance/spark", {"symbols": "^GSPC,BTC-USD,VCB.VN,EURUSD=X"}),
    "spark8": ("/yahoo/v8/finance/spark", {"symbols": "^GSPC,BTC-USD"}),
    "markets": ("/coingecko/api/v3/coins/markets", {"vs_currency": "usd", "sparkline": "true"}),
    "global": ("/coingecko/api/v3/global", {}),
    "simple": ("/coingecko/api/v3/simple/price", {"ids": "bitcoin,ethereum", "vs_currencies": "usd"}),
    "fng": ("/alternative/fng/", {"limit": "9"}),
}


@pytest.fixture(params=SHAPES)
async def shape(request: pytest.FixtureRequest, client: httpx2.AsyncClient) -> tuple[str, Any]:
    path, params = SHAPES[request.param]
    return request.param, (await client.get(path, params=params)).json()


@pytest.fixture
async def payloads(client: httpx2.AsyncClient) -> dict[str, Any]:
    return {name: (await client.get(path, params=params)).json() for name, (path, params) in SHAPES.items()}


@pytest.mark.parametrize("kind", SPOILED)
def test_every_kind_spoils_every_shape_and_leaves_the_right_one_alone(kind: str, shape: tuple[str, Any]) -> None:
    name, payload = shape
    before = deepcopy(payload)
    spoiled = spoil(kind, payload)
    assert payload == before
    assert json.loads(json.dumps(spoiled)) is not None
    harmless = {  # nothing to put out of order, or twice, in an object
        ("unsorted", "spark8"), ("duplicate", "spark8"), ("unsorted", "global"), ("duplicate", "global"),
        ("unsorted", "simple"), ("duplicate", "simple"), ("misaligned", "simple"), ("future", "simple"), ("stale", "simple"),
        ("millis", "simple"), ("notime", "simple"), ("swapped", "simple"), ("swapped", "global"), ("swapped", "fng"),
        ("swapped", "spark"), ("swapped", "spark8"),
    }  # fmt: skip
    if (kind, name) not in harmless:
        assert json.dumps(spoiled) != json.dumps(before)


def block(payload: Any) -> dict[str, Any]:
    return payload["chart"]["result"][0]


def test_the_latest_price_jumps_by_a_thousand_and_the_close_before_does_not(payloads: dict[str, Any]) -> None:
    right, wrong = block(payloads["chart"]), block(spoil("scale", payloads["chart"]))
    assert wrong["meta"]["regularMarketPrice"] == right["meta"]["regularMarketPrice"] * 1000
    assert wrong["meta"]["chartPreviousClose"] == right["meta"]["chartPreviousClose"]
    closes = wrong["indicators"]["quote"][0]["close"]
    assert closes[:-1] == right["indicators"]["quote"][0]["close"][:-1]
    assert closes[-1] == right["indicators"]["quote"][0]["close"][-1] * 1000
    coins = spoil("scale", payloads["markets"])
    assert coins[0]["current_price"] == payloads["markets"][0]["current_price"] * 1000
    assert coins[0]["price_change_24h"] == payloads["markets"][0]["price_change_24h"]


def test_nan_reaches_prices_but_not_times(payloads: dict[str, Any]) -> None:
    wrong = block(spoil("nan", payloads["chart"]))
    assert math.isnan(wrong["meta"]["regularMarketPrice"])
    assert any(value is not None and math.isnan(value) for value in wrong["indicators"]["quote"][0]["close"])
    assert wrong["timestamp"] == block(payloads["chart"])["timestamp"]


def test_columns_lose_their_ends(payloads: dict[str, Any]) -> None:
    wrong = block(spoil("misaligned", payloads["chart"]))
    lengths = {len(values) for values in wrong["indicators"]["quote"][0].values()}
    assert len(lengths) == 5
    assert len(wrong["timestamp"]) not in lengths


def test_bars_out_of_order_and_twice_stay_whole(payloads: dict[str, Any]) -> None:
    right = block(payloads["chart"])
    rows = set(zip(right["timestamp"], right["indicators"]["quote"][0]["close"], strict=True))
    mixed = block(spoil("unsorted", payloads["chart"]))
    assert mixed["timestamp"] != sorted(mixed["timestamp"])
    assert set(zip(mixed["timestamp"], mixed["indicators"]["quote"][0]["close"], strict=True)) == rows
    twice = block(spoil("duplicate", payloads["chart"]))
    assert twice["timestamp"][-1] == twice["timestamp"][-2]
    assert len(twice["timestamp"]) == len(right["timestamp"]) + 1


def test_the_shell_of_a_delisted_symbol(payloads: dict[str, Any]) -> None:
    wrong = block(spoil("shell", payloads["chart"]))
    assert "timestamp" not in wrong
    assert wrong["indicators"] == {"quote": [{}], "adjclose": [{}]}
    assert wrong["meta"]["regularMarketTime"] is None
    responses = [item["response"] for item in spoil("shell", payloads["spark"])["spark"]["result"]]
    assert [] in responses


def test_the_snapshot_of_an_index(payloads: dict[str, Any]) -> None:
    wrong = block(spoil("snapshot", payloads["chart"]))
    assert len(wrong["timestamp"]) == 1
    assert wrong["indicators"]["quote"][0]["open"] == [0.0]
    assert wrong["indicators"]["quote"][0]["close"] == [wrong["meta"]["regularMarketPrice"]]
    assert wrong["meta"]["validRanges"] == ["1d", "5d"]


@pytest.mark.parametrize(("kind", "days"), [("stale", -5), ("future", 1)])
def test_times_move_in_every_way_of_writing_them(payloads: dict[str, Any], kind: str, days: int) -> None:
    chart, right = block(spoil(kind, payloads["chart"])), block(payloads["chart"])
    assert chart["meta"]["regularMarketTime"] == right["meta"]["regularMarketTime"] + days * 86400
    assert chart["timestamp"] == [at + days * 86400 for at in right["timestamp"]]
    coin, before = spoil(kind, payloads["markets"])[0], payloads["markets"][0]
    moved = datetime.fromisoformat(coin["last_updated"]) - datetime.fromisoformat(before["last_updated"])
    assert moved.days == days
    fng = spoil(kind, payloads["fng"])["data"][0]
    assert int(fng["timestamp"]) == int(payloads["fng"]["data"][0]["timestamp"]) + days * 86400
    assert (
        spoil(kind, payloads["global"])["data"]["updated_at"] == payloads["global"]["data"]["updated_at"] + days * 86400
    )


def test_half_is_missing(payloads: dict[str, Any]) -> None:
    assert len(spoil("partial", payloads["spark"])["spark"]["result"]) == 2
    assert len(spoil("partial", payloads["markets"])) == 2
    assert len(spoil("partial", payloads["fng"])["data"]) == 4
    assert "market_cap_percentage" not in spoil("partial", payloads["global"])["data"]


def test_nothing_keeps_the_shape(payloads: dict[str, Any]) -> None:
    assert spoil("nothing", payloads["chart"]) == {"chart": {"result": [], "error": None}}
    assert spoil("nothing", payloads["spark"]) == {"spark": {"result": [], "error": None}}
    assert spoil("nothing", payloads["markets"]) == []
    assert spoil("nothing", payloads["global"]) == {"data": {}}
    assert spoil("nothing", payloads["simple"]) == {}
    assert spoil("nothing", payloads["fng"])["data"] == []


def test_numbers_as_text_stay_text_where_they_were(payloads: dict[str, Any]) -> None:
    assert {row["value"] for row in spoil("zero", payloads["fng"])["data"]} == {"0"}
    assert all(int(row["value"]) < 0 for row in spoil("negative", payloads["fng"])["data"])
    assert spoil("null", payloads["fng"])["data"][0]["value"] is None


# --- shapes of other providers ---------------------------------------------------------------------------------------

CANDLES = [[1785628800000 + n * 86_400_000, "10.0", "12.0", "9.0", "11.0", "5000.0"] for n in range(4)]
BARS = {"t": [1790640000, 1790726400, 1790812800], "o": [1.0, 2.0, 3.0], "h": [2.0, 3.0, 4.0], "l": [0.5, 1.0, 2.0],
        "c": [1.5, 2.5, 3.5], "v": [10, 20, 30], "s": "ok"}  # fmt: skip
TICKER = [{"symbol": "BTCUSDT", "lastPrice": "77000.50", "highPrice": "78000.00", "lowPrice": "76000.00",
           "closeTime": 1790826780326}]  # fmt: skip
NUMBERED = {"Global Quote": {"01. symbol": "IBM", "03. high": "126.3000", "04. low": "125.1000", "05. price": "125.7800",
                             "07. latest trading day": "2026-11-20"}}  # fmt: skip


def test_prices_written_as_text_stay_text() -> None:
    assert spoil("zero", TICKER)[0]["lastPrice"] == "0.00"
    assert spoil("scale", TICKER)[0]["lastPrice"] == "77000500.00"
    assert spoil("nan", TICKER)[0]["lastPrice"] == "nan"
    assert spoil("zero", NUMBERED)["Global Quote"]["05. price"] == "0.0000"
    assert spoil("zero", NUMBERED)["Global Quote"]["01. symbol"] == "IBM"


def test_candles_in_rows() -> None:
    assert [row[4] for row in spoil("scale", CANDLES)] == ["11.0", "11.0", "11.0", "11000.0"]
    assert spoil("swapped", CANDLES)[0][2:4] == ["9.0", "12.0"]
    assert spoil("future", CANDLES)[0][0] == CANDLES[0][0] + 86_400_000
    assert spoil("duplicate", CANDLES)[-1] == CANDLES[-1]
    assert all(row[5] == "5000.0" for row in spoil("negative", CANDLES))


def test_candles_in_columns() -> None:
    assert spoil("scale", BARS)["c"] == [1.5, 2.5, 3500.0]
    assert spoil("unsorted", BARS)["t"] == [1790726400, 1790812800, 1790640000]
    assert spoil("unsorted", BARS)["c"] == [2.5, 3.5, 1.5]
    assert spoil("swapped", BARS)["h"] == BARS["l"]
    assert len({len(v) for k, v in spoil("misaligned", BARS).items() if k != "s"}) > 1
    assert spoil("nothing", BARS) == {**{k: [] for k in "tohlcv"}, "s": "ok"}
    assert spoil("stale", BARS)["t"][0] == BARS["t"][0] - 5 * 86400  # type: ignore[operator, index]


def test_times_in_milliseconds_and_as_days() -> None:
    assert spoil("future", TICKER)[0]["closeTime"] == 1790826780326 + 86_400_000
    assert spoil("future", NUMBERED)["Global Quote"]["07. latest trading day"] == "2026-11-21"
    assert spoil("notime", NUMBERED)["Global Quote"]["07. latest trading day"] is None
    assert int(spoil("millis", TICKER)[0]["closeTime"]) > 1e15


def test_names_and_order_of_fields() -> None:
    assert "lastPrice" not in spoil("renamed", TICKER)[0]
    assert spoil("reordered", TICKER) == TICKER
    assert next(iter(spoil("reordered", TICKER)[0])) == "closeTime"
    assert spoil("digits", TICKER)[0]["lastPrice"] == "７７０００.５"
    assert spoil("comma", TICKER)[0]["lastPrice"] == "77.000,50"
