from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited
from evertick.model import Group, Quote
from evertick.sources.coinpaprika import CoinPaprika, parse_global

from .answers import NOW, STAMP, changed, instrument
from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes

CAP = instrument("CRYPTO_CAP", Group.CRYPTO, "24/7", "USD", coinpaprika="global:market_cap_usd")
VOLUME = instrument("CRYPTO_VOLUME", Group.CRYPTO, "24/7", "USD", coinpaprika="global:volume_24h_usd")
SHARE = instrument("BTC_DOM", Group.CRYPTO, "24/7", "%", coinpaprika="global:bitcoin_dominance_percentage")
WHOLE = {
    "market_cap_usd": 3104500000000,
    "volume_24h_usd": 160200000000,
    "bitcoin_dominance_percentage": 55.92,
    "cryptocurrencies_number": 12639,
    "market_cap_ath_value": 4250000000000,
    "market_cap_ath_date": "2025-10-06T22:00:00Z",
    "market_cap_change_24h": -2.17,
    "volume_24h_change_24h": 2.5,
    "last_updated": STAMP - 40,
}


def test_the_whole_market():
    cap, volume, share = parse_global(WHOLE, [CAP, VOLUME, SHARE], NOW).quotes
    assert cap == Quote(
        id="CRYPTO_CAP",
        price=3.1045e12,
        as_of=NOW - timedelta(seconds=40),
        source="coinpaprika",
        change_pct=-2.17,
        previous_close=pytest.approx(3.1045e12 / (1 - 0.0217)),
        volume=1.602e11,
    )
    assert (volume.price, volume.change_pct, volume.volume) == (1.602e11, 2.5, None)
    assert (share.price, share.change_pct, share.previous_close) == (55.92, None, None)


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("market_cap_usd", 3.1e15, {"CRYPTO_CAP": "a capitalisation of 3.1e+15 dollars",
                                    "CRYPTO_VOLUME": "a volume of 1.602e+11 dollars beside the capitalisation"}),
        ("market_cap_usd", None, {"CRYPTO_CAP": "no price",
                                  "CRYPTO_VOLUME": "a volume of 1.602e+11 dollars beside the capitalisation"}),
        ("volume_24h_usd", 1.6e14, {"CRYPTO_VOLUME": "a volume of 1.6e+14 dollars beside the capitalisation"}),
        ("volume_24h_usd", 1.6e8, {"CRYPTO_VOLUME": "a volume of 1.6e+08 dollars beside the capitalisation"}),
        ("volume_24h_usd", 0, {"CRYPTO_VOLUME": "price 0"}),
        ("bitcoin_dominance_percentage", 0.5592, {"BTC_DOM": "0.5592 % of the whole"}),
        ("bitcoin_dominance_percentage", 5592, {"BTC_DOM": "5592 % of the whole"}),
        ("bitcoin_dominance_percentage", "55.92", {"BTC_DOM": "no price"}),
    ],
)  # fmt: skip
def test_wrong_numbers_are_refused(name: str, value: Any, refused: dict[str, str]):
    parsed = parse_global(changed(WHOLE, name, value), [CAP, VOLUME, SHARE], NOW)
    assert parsed.refused == refused
    assert len(parsed.quotes) == 3 - len(refused)


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (None, "no time"),
        ("now", "no time"),
        (STAMP + 86_400, "a price from 2026-11-24 16:00 UTC, which is yet to come"),
    ],
)
def test_without_a_time_of_its_own_nothing_is_taken(at: Any, why: str):
    parsed = parse_global(changed(WHOLE, "last_updated", at), [CAP, SHARE], NOW)
    assert (parsed.quotes, parsed.refused) == ([], {"CRYPTO_CAP": why, "BTC_DOM": why})


def test_a_number_that_coinpaprika_does_not_have_is_refused():
    other = instrument("OTHER", Group.CRYPTO, "24/7", "USD", coinpaprika="global:defi_cap_usd")
    assert parse_global(WHOLE, [other], NOW).refused == {"OTHER": "no price"}


@pytest.mark.parametrize(
    ("payload", "kind", "came"),
    [
        (None, SourceMalformed, "null"),
        ([WHOLE], SourceMalformed, "a list"),
        ({}, SourceMalformed, "an object"),
        ({"error": "id not found"}, SourceMalformed, "id not found"),
        ({"error": "too many requests"}, SourceRateLimited, "asked to slow down: too many requests"),
        ({"error": "Monthly limit exceeded"}, SourceRateLimited, "asked to slow down: Monthly limit exceeded"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(payload: Any, kind: type[SourceError], came: str):
    with pytest.raises(SourceError) as caught:
        parse_global(payload, [CAP], NOW)
    assert (type(caught.value), caught.value.came, caught.value.endpoint) == (kind, came, "/v1/global")


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(parse_global, WHOLE, [CAP, VOLUME, SHARE], NOW)


async def test_all_of_it_is_one_request():
    http = FakeHttp(lambda url, params: WHOLE)
    answer = await CoinPaprika(FixedClock(), "http://h/coinpaprika/").fetch(http, [CAP, VOLUME, SHARE])
    assert len(answer.quotes) == 3
    assert http.asked == [("http://h/coinpaprika/v1/global", {}, None)]
