from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from evertick.simulator import Market, MarketClock
from unit.simulator.samples import INSTRUMENTS, NOW

CHART = "/yahoo/v8/finance/chart/"
SPARK = "/yahoo/v7/finance/spark"
YAHOO = [i for i in INSTRUMENTS if "yahoo" in i.symbols]


async def chart(client: httpx2.AsyncClient, symbol: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(CHART + symbol.replace("^", "%5E").replace("=", "%3D"), params=params)
    assert answer.status_code == 200
    body = answer.json()
    assert body["chart"]["error"] is None
    (result,) = body["chart"]["result"]
    return result


def columns(result: dict[str, Any]) -> dict[str, list[Any]]:
    (quote,) = result["indicators"]["quote"]
    assert {len(values) for values in quote.values()} == {len(result["timestamp"])}
    return quote


# --- chart -----------------------------------------------------------------------------------------------------------


async def test_two_years_of_daily_bars(client: httpx2.AsyncClient, market: Market) -> None:
    result = await chart(client, "^GSPC", interval="1d", range="2y")
    quote = columns(result)
    assert 495 < len(result["timestamp"]) < 510
    assert result["timestamp"] == sorted(set(result["timestamp"]))
    assert result["timestamp"][-1] == int(NOW.timestamp())  # the bar under way carries its last trade
    assert result["indicators"]["adjclose"][0]["adjclose"] == quote["close"]
    assert result["meta"]["dataGranularity"] == "1d"
    day = datetime.fromtimestamp(result["timestamp"][0], UTC).toordinal()
    assert quote["close"][0] == market.close(market.instruments["SPX"], day)


async def test_some_bars_hold_only_nulls_and_the_same_ones_in_every_range(client: httpx2.AsyncClient) -> None:
    long = await chart(client, "^GSPC", interval="1d", range="10y")
    quote = columns(long)
    empty = {at for at, close in zip(long["timestamp"], quote["close"], strict=True) if close is None}
    assert 2 < len(empty) < 30
    for values in quote.values():
        assert {at for at, value in zip(long["timestamp"], values, strict=True) if value is None} == empty
    short = await chart(client, "^GSPC", interval="1d", range="5y")
    part = columns(short)["close"]
    assert {at for at, close in zip(short["timestamp"], part, strict=True) if close is None} == {
        at for at in empty if at >= short["timestamp"][0]
    }


@pytest.mark.parametrize("one", YAHOO, ids=lambda i: i.id)
async def test_every_instrument_has_a_chart_that_agrees_with_its_head(client: httpx2.AsyncClient, one) -> None:
    result = await chart(client, one.symbols["yahoo"], interval="1d", range="1mo")
    meta, quote = result["meta"], columns(result)
    assert meta["symbol"] == one.symbols["yahoo"]
    assert meta["regularMarketPrice"] == quote["close"][-1]
    assert meta["regularMarketDayHigh"] == quote["high"][-1]
    assert meta["regularMarketDayLow"] == quote["low"][-1]
    assert (
        meta["fiftyTwoWeekLow"]
        <= meta["regularMarketDayLow"]
        <= meta["regularMarketDayHigh"]
        <= meta["fiftyTwoWeekHigh"]
    )
    assert meta["regularMarketTime"] <= NOW.timestamp()
    assert result["timestamp"][-1] <= NOW.timestamp()
    assert len(meta["currency"]) == 3
    local = [datetime.fromtimestamp(at + meta["gmtoffset"], UTC).date() for at in result["timestamp"]]
    assert local == sorted(set(local))


async def test_one_day_is_measured_from_the_close_before(client: httpx2.AsyncClient, market: Market) -> None:
    meta = (await chart(client, "^GSPC", interval="1d", range="1d"))["meta"]
    before = market.close(market.instruments["SPX"], NOW.toordinal() - 1)
    assert meta["chartPreviousClose"] == before
    assert meta["regularMarketChangePercent"] == pytest.approx(
        (meta["regularMarketPrice"] / before - 1) * 100, abs=1e-3
    )


async def test_the_previous_close_of_a_chart_lies_before_its_range(client: httpx2.AsyncClient, market: Market) -> None:
    result = await chart(client, "BTC-USD", interval="1d", range="1mo")
    first = datetime.fromtimestamp(result["timestamp"][0], UTC).toordinal()
    assert result["meta"]["chartPreviousClose"] == market.close(market.instruments["BTC"], first - 1)


async def test_two_instants_in_place_of_a_range(client: httpx2.AsyncClient) -> None:
    start, end = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 20, 23, tzinfo=UTC)
    result = await chart(client, "^GSPC", interval="1d", period1=int(start.timestamp()), period2=int(end.timestamp()))
    days = [datetime.fromtimestamp(at, UTC).date() for at in result["timestamp"]]
    assert days[-1] == date(2026, 3, 20)
    assert len(days) in (15, 16)  # midnight in London is the evening before in New York


async def test_all_there_is(client: httpx2.AsyncClient, market: Market) -> None:
    result = await chart(client, "BTC-USD", interval="1d", period1=0, period2=9_999_999_999)
    first = date.fromordinal(market.traits(market.instruments["BTC"]).first_day)
    assert datetime.fromtimestamp(result["timestamp"][0], UTC).date() == first
    assert len(result["timestamp"]) == NOW.toordinal() - first.toordinal() + 1
    assert result["meta"]["range"] == ""


async def test_range_max_silently_answers_months(client: httpx2.AsyncClient) -> None:
    result = await chart(client, "^GSPC", interval="1d", range="max")
    assert result["meta"]["dataGranularity"] == "1mo"
    assert all(b - a > 20 * 86400 for a, b in pairwise(result["timestamp"][:-1]))


@pytest.mark.parametrize(("interval", "days"), [("1wk", 7), ("1mo", 31), ("3mo", 92)])
async def test_coarser_bars_hold_the_days(client: httpx2.AsyncClient, interval: str, days: int) -> None:
    daily, coarse = [columns(await chart(client, "BTC-USD", interval=i, range="1y")) for i in ("1d", interval)]
    whole = [close for close in daily["close"] if close is not None]
    assert coarse["close"][-1] == whole[-1]
    assert max(coarse["high"]) == max(high for high in daily["high"] if high is not None)
    assert sum(coarse["volume"]) == sum(v for v in daily["volume"] if v is not None)
    assert 365 / days - 1 <= len(coarse["close"]) <= 365 / days + 2


async def test_intraday(client: httpx2.AsyncClient) -> None:
    result = await chart(client, "^GSPC", interval="5m", range="1d")
    assert "adjclose" not in result["indicators"]
    assert result["meta"]["previousClose"] == result["meta"]["chartPreviousClose"]
    ((period,),) = result["meta"]["tradingPeriods"]
    assert period["start"] == result["timestamp"][0]
    assert result["timestamp"][-1] == period["start"] + 7 * 300
    assert columns(result)["close"][-1] == result["meta"]["regularMarketPrice"]
    five = await chart(client, "^GSPC", interval="15m", range="5d")
    assert len(five["timestamp"]) == 4 * 26 + 3


async def test_a_future_in_the_evening_has_a_new_price_and_not_yet_a_new_bar(
    client: httpx2.AsyncClient, clock: MarketClock
) -> None:
    clock.set(datetime(2026, 11, 29, 23, 30, tzinfo=UTC))  # Sunday, half past five in Chicago
    result = await chart(client, "GC=F", interval="1d", range="5d")
    assert result["meta"]["regularMarketTime"] == int(clock.at())
    assert datetime.fromtimestamp(result["timestamp"][-1], UTC).date() == date(2026, 11, 27)
    clock.set(datetime(2026, 11, 30, 7, 0, tzinfo=UTC))
    result = await chart(client, "GC=F", interval="1d", range="5d")
    assert result["timestamp"][-1] == int(clock.at())


async def test_a_closed_market_keeps_its_time(client: httpx2.AsyncClient) -> None:
    meta = (await chart(client, "^N225", interval="1d", range="1d"))["meta"]
    assert meta["regularMarketTime"] == int(datetime(2026, 11, 25, 6, 30, tzinfo=UTC).timestamp())
    assert meta["currency"] == "JPY"
    assert (meta["timezone"], meta["gmtoffset"]) == ("JST", 32400)


@pytest.mark.parametrize(
    ("symbol", "params", "status", "code"),
    [
        ("NOSUCH", {}, 404, "Not Found"),
        ("BTC-USD", {"interval": "7m"}, 422, "Unprocessable Entity"),
        ("BTC-USD", {"range": "3w"}, 422, "Unprocessable Entity"),
        ("BTC-USD", {"interval": "1m", "range": "1mo"}, 422, "Unprocessable Entity"),
        ("BTC-USD", {"period1": "soon"}, 400, "Bad Request"),
        ("BTC-USD", {"period1": "inf"}, 400, "Bad Request"),
        ("BTC-USD", {"period1": "20", "period2": "10"}, 400, "Bad Request"),
    ],
)
async def test_what_yahoo_refuses(
    client: httpx2.AsyncClient, symbol: str, params: dict[str, str], status: int, code: str
) -> None:
    answer = await client.get(CHART + symbol, params=params)
    assert answer.status_code == status
    assert answer.json()["chart"]["result"] is None
    assert answer.json()["chart"]["error"]["code"] == code


@pytest.mark.parametrize("period", ["-99999999999999", "99999999999999"])
async def test_absurd_instants_are_taken_as_the_ends_of_time(client: httpx2.AsyncClient, period: str) -> None:
    answer = await client.get(
        CHART + "BTC-USD", params={"interval": "1mo", "period1": "-99999999999999", "period2": period}
    )
    assert answer.status_code in (200, 400)


# --- spark and quote -------------------------------------------------------------------------------------------------


async def test_spark_leaves_out_what_it_does_not_know(client: httpx2.AsyncClient) -> None:
    answer = await client.get(SPARK, params={"symbols": "^GSPC,NOSUCH,btc-usd,^GSPC", "range": "1d", "interval": "5m"})
    result = answer.json()["spark"]["result"]
    assert [item["symbol"] for item in result] == ["^GSPC", "BTC-USD"]
    for item in result:
        (response,) = item["response"]
        closes = response["indicators"]["quote"][0]["close"]
        assert len(closes) == len(response["timestamp"]) > 0
        assert closes[-1] == response["meta"]["regularMarketPrice"]


async def test_spark_agrees_with_the_chart(client: httpx2.AsyncClient) -> None:
    for interval, span in (("5m", "1d"), ("15m", "5d"), ("1d", "1mo")):
        params = {"interval": interval, "range": span}
        answer = await client.get(SPARK, params={"symbols": "^GDAXI", **params})
        (response,) = answer.json()["spark"]["result"][0]["response"]
        whole = await chart(client, "^GDAXI", **params)
        assert response["meta"] == whole["meta"]
        assert response["timestamp"] == whole["timestamp"]
        assert response["indicators"]["quote"][0]["close"] == columns(whole)["close"]


async def test_spark_takes_twenty_symbols(client: httpx2.AsyncClient) -> None:
    for count, status in ((20, 200), (21, 400)):
        answer = await client.get(SPARK, params={"symbols": ",".join(f"S{n}" for n in range(count))})
        assert answer.status_code == status
    assert answer.json()["spark"]["error"]["code"] == "Bad Request"
    assert (await client.get(SPARK)).status_code == 400


async def test_the_other_spark_has_another_shape(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/yahoo/v8/finance/spark", params={"symbols": "^GSPC,VCB.VN"})
    assert list(answer.json()) == ["^GSPC", "VCB.VN"]
    one = answer.json()["^GSPC"]
    assert one["symbol"] == "^GSPC"
    assert len(one["close"]) == len(one["timestamp"]) == 8
    assert one["previousClose"] == one["chartPreviousClose"]
    refused = await client.get("/yahoo/v8/finance/spark")
    assert refused.status_code == 400


async def test_quotes_want_a_crumb(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/yahoo/v7/finance/quote", params={"symbols": "^GSPC"})
    assert answer.status_code == 401
    assert answer.json()["finance"]["error"]["description"] == "Invalid Crumb"
