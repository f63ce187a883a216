from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import Group, Quote
from evertick.sources.okx import FEW, Okx, parse_tickers

from .answers import NOW, STAMP, instrument
from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes

BTC = instrument("BTC", Group.CRYPTO, "24/7", "USD", okx="BTC-USDT")
PEPE = instrument("PEPE", Group.CRYPTO, "24/7", "USD", okx="PEPE-USDT")
MANY = [instrument(f"C{n}", Group.CRYPTO, "24/7", "USD", okx=f"C{n}-USDT") for n in range(FEW + 1)]


def ticker(pair: str = "BTC-USDT", price: float = 77347.5, **more: Any) -> dict[str, Any]:
    return {
        "instType": "SPOT",
        "instId": pair,
        "last": f"{price:.10g}",
        "lastSz": "0.0012",
        "askPx": f"{price * 1.0001:.10g}",
        "bidPx": f"{price * 0.9999:.10g}",
        "open24h": f"{price * 1.004:.10g}",
        "high24h": f"{price * 1.01:.10g}",
        "low24h": f"{price * 0.99:.10g}",
        "volCcy24h": "812345678.9",
        "vol24h": "10500.25",
        "ts": str(STAMP * 1000 - 430),
        "sodUtc0": f"{price * 1.002:.10g}",
        "sodUtc8": f"{price * 1.003:.10g}",
    } | more


def answer(*rows: Any, code: Any = "0", msg: str = "") -> dict[str, Any]:
    return {"code": code, "msg": msg, "data": list(rows)}


def test_a_ticker_has_its_price_its_change_of_24_hours_and_its_turnover():
    (quote,) = parse_tickers(answer(ticker("ETH-BTC", 0.04), ticker()), [BTC, PEPE], NOW).quotes
    assert quote == Quote(
        id="BTC",
        price=77347.5,
        as_of=NOW - timedelta(milliseconds=430),
        source="okx",
        change_pct=pytest.approx(-0.3984, abs=1e-4),
        previous_close=77656.89,
        day_high=78120.975,
        day_low=76574.025,
        volume=812345678.9,
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"last": ""}, "no price"),
        ({"last": "0"}, "price 0"),
        ({"last": "-1"}, "price below 0"),
        ({"last": "77347500"}, "price 7.73475e+07, 997.5 times the one before it"),
        ({"last": "77347500", "open24h": "77656890"}, "price 7.73475e+07, 997.5 times the one before it"),
        ({"ts": ""}, "no time"),
        ({"ts": str((STAMP + 3600) * 1000)}, "a price from 2026-11-23 17:00 UTC, which is yet to come"),
    ],
)
def test_a_wrong_price_is_refused_and_costs_only_itself(more: dict[str, Any], why: str):
    parsed = parse_tickers(answer(ticker(**more), ticker("PEPE-USDT", 2.2e-5)), [BTC, PEPE], NOW)
    assert ([q.id for q in parsed.quotes], parsed.refused) == (["PEPE"], {"BTC": why})


def test_highs_and_lows_that_contradict_each_other_are_left_out():
    (quote,) = parse_tickers(answer(ticker(high24h="76000", low24h="78000")), [BTC], NOW).quotes
    assert (quote.day_high, quote.day_low) == (None, None)


@pytest.mark.parametrize(
    ("payload", "kind", "came"),
    [
        (None, SourceMalformed, "null"),
        ([ticker()], SourceMalformed, "a list"),
        ({"code": "0", "msg": "", "data": {}}, SourceMalformed, "an object"),
        ({"code": 0, "msg": "", "data": []}, SourceMalformed, "an object"),
        (answer({}, None, 5), SourceMalformed, "a list of something else"),
        (answer(code="50011", msg="Too Many Requests"), SourceRateLimited, "error 50011: Too Many Requests"),
        (answer(code="50001", msg="Service temporarily unavailable"), SourceUnavailable, None),
        (answer(code="50101", msg="APIKey does not match current environment."), SourceRefused, None),
        (
            answer(code="51000", msg="Parameter instType error"),
            SourceMalformed,
            "error 51000: Parameter instType error",
        ),
    ],
)
def test_an_error_comes_with_http_200_and_a_code(payload: Any, kind: type[SourceError], came: str | None):
    with pytest.raises(SourceError) as caught:
        parse_tickers(payload, [BTC], NOW)
    assert type(caught.value) is kind
    assert came is None or caught.value.came == came
    assert caught.value.endpoint == "/api/v5/market/tickers"


def test_whatever_comes_gives_quotes_or_our_error():
    payload = answer(ticker(), ticker("ETH-BTC", 0.04), ticker("PEPE-USDT", 2.2e-5))
    check_quotes(parse_tickers, payload, [BTC, PEPE], NOW)


async def test_many_pairs_are_asked_for_all_at_once_and_what_nobody_asked_for_is_dropped():
    http = FakeHttp(lambda url, params: answer(*(ticker(f"C{n}-USDT", 100.0) for n in range(500))))
    found = await Okx(FixedClock(), "http://h/okx/").fetch(http, MANY)
    assert [q.id for q in found.quotes] == [i.id for i in MANY]
    assert http.asked == [("http://h/okx/api/v5/market/tickers", {"instType": "SPOT"}, None)]


async def test_a_few_pairs_are_asked_for_one_by_one_and_an_unknown_one_is_refused():
    def one(url: str, params: dict[str, str]) -> Any:
        if params["instId"] == "PEPE-USDT":
            return {
                "code": "51001",
                "msg": "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
                "data": [],
            }
        return answer(ticker(params["instId"]))

    http = FakeHttp(one)
    found = await Okx(FixedClock(), "http://h").fetch(http, [BTC, PEPE])
    assert ([q.id for q in found.quotes], found.refused) == (
        ["BTC"],
        {"PEPE": "PEPE-USDT: a pair that OKX does not have"},
    )
    assert {url for url, _, _ in http.asked} == {"http://h/api/v5/market/ticker"}


async def test_one_pair_that_fails_costs_itself_and_all_of_them_are_an_error():
    lost = SourceUnavailable("okx", "/api/v5/market/ticker", "HTTP 502")
    half = FakeHttp(lambda url, params: lost if params["instId"] == "PEPE-USDT" else answer(ticker()))
    found = await Okx(FixedClock(), "http://h").fetch(half, [BTC, PEPE])
    assert ([q.id for q in found.quotes], list(found.failures)) == (["BTC"], [lost])
    with pytest.raises(SourceUnavailable):
        await Okx(FixedClock(), "http://h").fetch(FakeHttp(lambda url, params: lost), [BTC, PEPE])
