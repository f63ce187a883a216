from __future__ import annotations

from datetime import timedelta

import pytest

from evertick.errors import SourceMalformed, SourceUnavailable
from evertick.model import Quote
from evertick.sources import courtesy
from evertick.sources.vietcombank import Vietcombank, parse_rates

from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes
from .vietnamese import DKK, NOW, USD, instrument, local, rates

XDR = instrument("XDRVND", vietcombank="XDR")
SEK = instrument("SEKVND", vietcombank="SEK")


def test_the_rate_is_the_middle_of_transfer_and_sell_at_the_bank_s_time():
    answer = parse_rates(rates(), [USD, DKK, SEK], NOW)
    assert list(answer.quotes) == [
        Quote("USDVND", 26270.0, local("2026-11-24 08:30:00"), "vietcombank"),
        Quote("DKKVND", 3975.15, local("2026-11-24 08:30:00"), "vietcombank"),
    ]
    assert answer.refused == {}


def test_a_dash_is_no_rate():
    assert parse_rates(rates(), [XDR], NOW).refused == {"XDRVND": "no rate of selling"}
    only_sold = rates(usd='Buy="26,050.00" Transfer="-" Sell="26,460.00"')
    assert parse_rates(only_sold, [USD], NOW).refused == {"USDVND": "no rate of buying by transfer"}


def test_codes_may_have_blanks_around_them():
    body = rates().replace(b'"USD"', b'"USD  "').replace(b'"26,460.00"', b'" 26,460.00 "')
    assert [q.price for q in parse_rates(body, [USD], NOW).quotes] == [26270.0]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("11/24/2026 12:05:00 AM", "2026-11-24 00:05:00"),
        ("11/23/2026 12:05:00 PM", "2026-11-23 12:05:00"),
        ("1/5/2026  9:00:00 PM", "2026-01-05 21:00:00"),
        (" 11/24/2026 8:30:00 AM ", "2026-11-24 08:30:00"),
    ],
)
def test_the_time_is_american_in_form_and_vietnamese_in_zone(shown: str, expected: str):
    (quote,) = parse_rates(rates(shown), [USD], NOW).quotes
    assert quote.as_of == local(expected)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (rates(at=""), "no time"),
        (rates(at="24/11/2026 8:30:00 AM"), "no time"),
        (rates(at="11/24/2026 13:30:00 PM"), "no time"),
        (rates(at="2026-11-24T08:30:00"), "no time"),
        (rates(at="11/25/2026 8:30:00 AM"), "a price from 2026-11-25 01:30 UTC, which is yet to come"),
        (rates(usd='Buy="1" Transfer="26,080.00" Sell="26,460,000.00"'), "buys at 26080 and sells at 2.646e+07"),
        (rates(usd='Buy="1" Transfer="26,460.00" Sell="26,080.00"'), "buys at 26460 and sells at 26080"),
        (rates(usd='Buy="1" Transfer="26.080,00" Sell="26,460.00"'), "no rate of buying by transfer"),
        (rates(usd='Buy="1" Transfer="26,080.00" Sell="0"'), "no rate of selling"),
        (rates(usd='Buy="1"'), "no rate of selling"),
        (rates(usd='Buy="1" Transfer="1" Sell="1" /><Exrate CurrencyCode="USD" Transfer="2" Sell="2"'), "two different rates"),
    ],
)  # fmt: skip
def test_a_wrong_rate_is_refused(body: bytes, why: str):
    answer = parse_rates(body, [USD], NOW)
    assert (list(answer.quotes), answer.refused) == ([], {"USDVND": why})


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b"<ExrateList></ExrateList>", "no <Exrate>"),
        (b"<rss><Exrate/></rss>", "XML of <rss>"),
        (rates()[:300], "broken XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><ExrateList>&b;</ExrateList>', "XML with a document type"),
        (rates(usd='Buy="26.05" Transfer="26.08" Sell="26.46"'), "a dollar of 26.27 VND"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(body: bytes, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_rates(body, [DKK], NOW)
    assert came in caught.value.came
    assert caught.value.endpoint == "/Usercontrols/TVPortal.TyGia/pXML.aspx"


def test_whatever_comes_gives_rates_or_our_error():
    check_quotes(parse_rates, rates(), [USD, DKK], NOW)


async def test_all_rates_come_with_one_request_every_five_minutes_at_most():
    http = FakeHttp(lambda url, params: rates())
    source = Vietcombank(FixedClock(NOW + timedelta(hours=1)), "http://h/vietcombank/")
    answer = await source.fetch(http, [USD, DKK])
    assert len(answer.quotes) == 2
    assert http.asked == [("http://h/vietcombank/Usercontrols/TVPortal.TyGia/pXML.aspx", {"b": "10"}, None)]
    assert (Vietcombank.rate, Vietcombank.every_s) == ((1, 300.0), 300.0)


async def test_a_request_that_fails_is_not_repeated_within_the_five_minutes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(courtesy, "JITTER_S", 0.0)
    clock, http = FixedClock(NOW), FakeHttp(lambda url, params: SourceUnavailable("vietcombank", "/x", "HTTP 503"))
    manners = courtesy.Manners(Vietcombank.rate, courtesy.Quota(None, clock))
    with pytest.raises(SourceUnavailable, match="HTTP 503"):
        await Vietcombank(clock).fetch(courtesy.Courteous(http, manners, 45.0), [USD])
    assert len(http.asked) == 1
