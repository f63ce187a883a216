from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evertick.errors import SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import SPARK_POINTS, Group, Quote
from evertick.sources.coingecko import PAGE, CoinGecko, parse_global, parse_markets

from .answers import BTC, CAP, DOM, GLOBAL, NOW, PEPE, RATE_LIMIT, changed, coin, instrument
from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes

VOLUME = instrument("CRYPTO_VOLUME", Group.CRYPTO, "24/7", "USD", coingecko="global:total_volume.usd")


def test_a_coin_has_its_price_its_change_of_24_hours_and_its_week():
    (quote,) = parse_markets([coin()], [BTC], NOW).quotes
    assert quote == Quote(
        id="BTC",
        price=66526.0,
        as_of=datetime(2026, 11, 23, 15, 59, 1, 595000, UTC),
        source="coingecko",
        change_pct=0.35911,
        previous_close=66287.95333,
        day_high=66695.0,
        day_low=65488.0,
        volume=25951454601.0,
        market_cap=1312806485784.0,
        spark=quote.spark,
    )
    assert len(quote.spark) == SPARK_POINTS
    assert (quote.spark[0], quote.spark[-1]) == (66000.0, 66167.0)


def test_tiny_prices_and_new_coins_with_nulls():
    row = coin("pepe", 2.2e-7, sparkline_in_7d={"price": []}, market_cap=None, high_24h=None, low_24h=None,
               price_change_percentage_24h=None, total_volume=None, circulating_supply=None)  # fmt: skip
    (quote,) = parse_markets([row], [PEPE], NOW).quotes
    assert (quote.price, quote.change_pct, quote.previous_close, quote.market_cap, quote.spark) == (
        2.2e-7,
        None,
        None,
        None,
        (),
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"current_price": None}, "no price"),
        ({"current_price": "66526"}, "no price"),
        ({"current_price": 0}, "price 0"),
        ({"current_price": -66526}, "price below 0"),
        ({"last_updated": None}, "no time"),
        ({"last_updated": "2026-11-24T16:00:00Z"}, "a price from 2026-11-24 16:00 UTC, which is yet to come"),
        ({"current_price": 66526000}, "price 6.6526e+07, 1007 times the one before it"),
        ({"current_price": 66526000, "sparkline_in_7d": None}, "price 6.6526e+07, 1000 times the one before it"),
    ],
)
def test_a_wrong_price_is_refused_and_costs_only_itself(more: dict[str, Any], why: str):
    parsed = parse_markets(
        [coin(**more), coin("pepe", 2.2e-7, sparkline_in_7d=None, market_cap=None)], [BTC, PEPE], NOW
    )
    assert ([q.id for q in parsed.quotes], parsed.refused) == (["PEPE"], {"BTC": why})


def test_unknown_coins_are_absent_and_unasked_ones_passed_over():
    parsed = parse_markets([coin("dogwifhat", 2.0), coin()], [BTC, PEPE], NOW)
    assert ([q.id for q in parsed.quotes], parsed.refused) == (["BTC"], {})
    assert parse_markets([], [BTC], NOW).quotes == []


@pytest.mark.parametrize(
    ("payload", "came"),
    [
        (None, "null"),
        ({"error": "coin not found"}, "coin not found"),
        ([{}, {}], "items of other coins than those asked for"),
        ([None, 5, "x"], "items of other coins than those asked for"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(payload: Any, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_markets(payload, [BTC], NOW)
    assert (caught.value.came, caught.value.endpoint) == (came, "/coins/markets")


def test_the_rate_limit_that_comes_with_http_200():
    for parse, which in ((parse_markets, BTC), (parse_global, CAP)):
        with pytest.raises(SourceRateLimited, match="asked to slow down: You've exceeded the Rate Limit"):
            parse(RATE_LIMIT, [which], NOW)


@pytest.mark.parametrize(
    "payload",
    [
        {"status": {"error_code": 10002, "error_message": "API Key Missing"}},
        {"error_code": 10010, "error_message": "API Key Missing"},
        {"status": {"error_code": 1020, "error_message": "API Key Missing"}},
    ],
)
def test_a_key_that_is_not_accepted(payload: Any):
    with pytest.raises(SourceRefused, match=r"error 1\d+: API Key Missing"):
        parse_markets(payload, [BTC], NOW)


def test_a_high_below_the_low_or_on_another_scale_is_left_out():
    (quote,) = parse_markets([coin(high_24h=65000, low_24h=66000)], [BTC], NOW).quotes
    assert (quote.day_high, quote.day_low) == (None, None)
    (quote,) = parse_markets([coin(high_24h=66695000)], [BTC], NOW).quotes
    assert (quote.day_high, quote.day_low) == (None, 65488.0)


def test_a_change_that_no_price_can_have_made_is_left_out():
    for change in (-100, -812, 1e300, "0.3", None):
        (quote,) = parse_markets([coin(price_change_percentage_24h=change)], [BTC], NOW).quotes
        assert (quote.change_pct, quote.previous_close) == (None, None)


def test_the_whole_market():
    cap, dom = parse_global(GLOBAL, [CAP, DOM], NOW).quotes
    assert cap == Quote(
        id="CRYPTO_CAP",
        price=2830792311397.48,
        as_of=NOW - timedelta(seconds=120),
        source="coingecko",
        change_pct=-2.4093849321207177,
        previous_close=pytest.approx(2830792311397.48 / (1 - 0.024093849321207177)),
        volume=86470764020.53,
    )
    assert (dom.price, dom.change_pct, dom.volume) == (58.58960312785831, None, None)


@pytest.mark.parametrize(
    ("path", "value", "refused"),
    [
        ("data/total_volume/usd", 8.6e13, {"CRYPTO_VOLUME": "a volume of 8.6e+13 beside the capitalisation"}),
        ("data/total_volume/usd", 8.6e7, {"CRYPTO_VOLUME": "a volume of 8.6e+07 beside the capitalisation"}),
        ("data/total_market_cap/usd", 2.8e15, {"CRYPTO_CAP": "a capitalisation of 2.8e+15 dollars"}),
        ("data/total_market_cap/usd", None, {"CRYPTO_CAP": "no price"}),
        ("data/total_market_cap", [], {"CRYPTO_CAP": "no price"}),
        ("data/market_cap_percentage/btc", 58589.6, {"BTC_DOM": "58589.6 % of the whole"}),
        ("data/market_cap_percentage/btc", 0.0585896, {"BTC_DOM": "0.0585896 % of the whole"}),
        ("data/market_cap_percentage/btc", 0, {"BTC_DOM": "price 0"}),
        ("data/updated_at", None, {"CRYPTO_CAP": "no time", "BTC_DOM": "no time"}),
    ],
)
def test_wrong_numbers_of_the_whole_market_are_refused(path: str, value: object, refused: dict[str, str]):
    parsed = parse_global(changed(GLOBAL, path, value), [CAP, DOM, VOLUME], NOW)
    assert {id_: why for id_, why in parsed.refused.items() if id_ in refused} == refused
    assert len(parsed.quotes) + len(parsed.refused) == 3


@pytest.mark.parametrize("payload", [None, [], {}, {"data": []}, {"data": None}])
def test_another_shape_of_global_is_an_error(payload: Any):
    with pytest.raises(SourceMalformed, match="expected an object with 'data'"):
        parse_global(payload, [CAP], NOW)


def test_whatever_comes_gives_quotes_or_our_error():
    pepe = coin("pepe", 2.2e-7, high_24h=2.3e-7, low_24h=2.1e-7, market_cap=92e6, circulating_supply=420e12)
    pepe["sparkline_in_7d"] = {"price": [2e-7, 2.1e-7, 2.2e-7]}
    check_quotes(parse_markets, [coin(), pepe], [BTC, PEPE], NOW)


def test_whatever_comes_of_the_whole_market_gives_quotes_or_our_error():
    check_quotes(parse_global, GLOBAL, [CAP, DOM, VOLUME], NOW)


def both(url: str, params: dict[str, str]) -> Any:
    if url.endswith("/global"):
        return GLOBAL
    return [coin(id_, 100.0, sparkline_in_7d=None, market_cap=None) for id_ in params["ids"].split(",")]


async def test_coins_are_asked_for_by_their_ids_a_hundred_at_a_time_and_the_whole_market_once():
    coins = [instrument(f"C{n}", Group.CRYPTO, "24/7", "USD", coingecko=f"coin-{n}") for n in range(PAGE + 5)]
    http = FakeHttp(both)
    answer = await CoinGecko(FixedClock(), "http://h/api/v3/").fetch(http, [*coins, CAP, DOM])
    assert len(answer.quotes) == PAGE + 7
    assert sorted(url for url, _, _ in http.asked) == ["http://h/api/v3/coins/markets"] * 2 + ["http://h/api/v3/global"]
    assert sorted(len(p["ids"].split(",")) for _, p, _ in http.asked if p) == [5, PAGE]
    assert {headers for _, _, headers in http.asked} == {None}


async def test_only_what_is_wanted_is_asked_for_and_the_key_goes_into_a_header():
    http = FakeHttp(both)
    await CoinGecko(FixedClock(), "http://h", "CG-secret").fetch(http, [DOM])
    assert http.asked == [("http://h/global", {}, {"x-cg-demo-api-key": "CG-secret"})]


async def test_one_request_that_fails_costs_its_own_instruments_and_all_of_them_are_an_error():
    lost = SourceUnavailable("coingecko", "/global", "HTTP 502")
    half = FakeHttp(lambda url, params: lost if url.endswith("/global") else both(url, params))
    answer = await CoinGecko(FixedClock(), "http://h").fetch(half, [BTC, CAP])
    assert ([q.id for q in answer.quotes], list(answer.failures)) == (["BTC"], [lost])
    with pytest.raises(SourceUnavailable):
        await CoinGecko(FixedClock(), "http://h").fetch(FakeHttp(lambda url, params: lost), [BTC, CAP])
