from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from evertick.errors import SourceMalformed, SourceRateLimited
from evertick.sources.ecb import Ecb, bars, parse_rates, quotes

from .answers import NOW
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .official import EUR_GBP, EUR_USD, USD_JPY, USD_VND, ecb_days, ecb_xml

SINCE = date(2026, 11, 1)
ALL = [EUR_USD, USD_JPY, EUR_GBP]
FILE = ecb_xml(ecb_days())
DAYS_90 = "/stats/eurofxref/eurofxref-hist-90d.xml"
NEWEST = "/stats/eurofxref/eurofxref-daily.xml"


def test_the_newest_day_is_the_price_as_of_its_publication():
    dollar, yen, pound = quotes(parse_rates(FILE), ALL, NOW).quotes
    assert (dollar.price, dollar.previous_close) == (1.157, 1.156)
    assert dollar.change_pct == pytest.approx(100 / 1156)
    assert dollar.as_of == datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    assert dollar.spark == (1.15, 1.151, 1.152, 1.153, 1.154, 1.155, 1.156, 1.157)
    assert yen.price == float(f"{178.7 / 1.157:.7g}")
    assert pound.price == 0.8707


def test_in_summer_the_rates_are_published_an_hour_earlier_in_utc():
    summer = datetime(2026, 7, 6, 18, tzinfo=UTC)
    rates = parse_rates(ecb_xml(ecb_days(last=date(2026, 7, 6))))
    assert quotes(rates, [EUR_USD], summer).quotes[0].as_of == datetime(2026, 7, 6, 14, 0, tzinfo=UTC)


def test_the_file_of_one_day_has_prices_and_nothing_before_them():
    (quote,) = quotes(parse_rates(ecb_xml(ecb_days(1))), [EUR_USD], NOW).quotes
    assert (quote.price, quote.previous_close, quote.change_pct, quote.spark) == (1.15, None, None, (1.15,))


def test_bars_have_a_close_alone():
    found = bars(parse_rates(FILE), EUR_USD, date(2026, 11, 18), NOW)
    assert found.dates() == [date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)]
    assert list(found.close) == [1.155, 1.156, 1.157]
    assert all(math.isnan(v) for column in (found.open, found.high, found.low, found.volume) for v in column)


def test_the_set_of_currencies_is_that_of_the_day():
    days = ecb_days()
    for day in list(days)[:2]:
        del days[day]["GBP"]  # stopped: the newest days are without it
    rates = parse_rates(ecb_xml(days))
    parsed = quotes(rates, [EUR_USD, EUR_GBP, USD_VND], NOW)
    assert [q.id for q in parsed.quotes] == ["EURUSD"]
    assert parsed.refused == {
        "EURGBP": "no rate of EUR/GBP on 2026-11-20",
        "USDVND": "no rate of USD/VND on 2026-11-20",
    }
    assert len(bars(rates, EUR_GBP, SINCE, NOW)) == 6
    assert len(bars(rates, USD_VND, SINCE, NOW)) == 0


def test_days_out_of_order_and_twice_change_nothing_and_two_rates_of_a_day_are_none():
    days = ecb_days()
    shuffled = {day: days[day] for day in sorted(days)}
    assert parse_rates(ecb_xml(shuffled)) == parse_rates(FILE)
    twice = FILE.replace(
        b"</gesmes:Envelope>", b"<Cube time='2026-11-20'><Cube currency='USD' rate='1.1570'/></Cube></gesmes:Envelope>"
    )
    assert parse_rates(twice) == parse_rates(FILE)
    other = twice.replace(b"rate='1.1570'/></Cube></g", b"rate='1.2000'/></Cube></g")
    parsed = quotes(parse_rates(other), ALL, NOW)
    assert parsed.refused.keys() == {"EURUSD", "USDJPY"}
    assert [q.id for q in parsed.quotes] == ["EURGBP"]


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        ("0", "no rate of USD on 2026-11-20"),
        ("-1.157", "no rate of USD on 2026-11-20"),
        ("NaN", "no rate of USD on 2026-11-20"),
        ("1,157", "no rate of USD on 2026-11-20"),
        ("", "no rate of USD on 2026-11-20"),
        ("1157.0", "price 1157, 1003 times the one before it"),
    ],
)
def test_a_wrong_rate_is_refused_and_costs_only_itself(rate: str, why: str):
    days = ecb_days()
    days["2026-11-20"]["USD"] = rate
    parsed = quotes(parse_rates(ecb_xml(days)), [EUR_USD, EUR_GBP], NOW)
    assert [q.id for q in parsed.quotes] == ["EURGBP"]
    assert parsed.refused == {"EURUSD": why}
    assert len(bars(parse_rates(ecb_xml(days)), EUR_USD, SINCE, NOW)) == 7


def test_rates_of_tomorrow_and_of_long_ago_are_refused():
    early = quotes(parse_rates(FILE), [EUR_USD], datetime(2026, 11, 20, 14, 30, tzinfo=UTC))
    assert early.refused == {"EURUSD": "a price from 2026-11-20 15:00 UTC, which is yet to come"}
    late = quotes(parse_rates(FILE), [EUR_USD], NOW + timedelta(days=30))
    assert late.refused == {"EURUSD": "no value since 2026-11-20"}


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b"<a/>", "no rates"),
        (ecb_xml({}), "no rates"),
        (ecb_xml({"2026-13-45": {"USD": "1.1"}}), "no rates"),
        (FILE[: len(FILE) // 2], "broken XML"),
        (FILE.replace(b"?>", b'?><!DOCTYPE a [<!ENTITY r "1.1">]>', 1), "XML with a document type"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(body: bytes, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_rates(body)
    assert caught.value.came.startswith(came)
    assert (caught.value.provider, caught.value.endpoint) == ("ecb", DAYS_90)


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(lambda body, instruments, now: quotes(parse_rates(body), instruments, now), FILE, ALL, NOW)


def test_whatever_comes_gives_bars_or_our_error():
    check_bars(lambda body: [bars(parse_rates(body), i, SINCE, NOW) for i in ALL], FILE, ALL, NOW)


# --- asking ---


async def test_one_request_answers_for_all():
    http = FakeHttp(lambda url, params: FILE)
    answer = await Ecb(FixedClock(), "http://h/ecb/").fetch(http, ALL)
    assert len(answer.quotes) == 3
    found = await Ecb(FixedClock(), "http://h/ecb").bars(http, ALL, SINCE)
    assert [(b.instrument, len(b)) for b in found] == [("EURUSD", 8), ("USDJPY", 8), ("EURGBP", 8)]
    assert [url for url, _, _ in http.asked] == ["http://h/ecb" + DAYS_90] * 2


async def test_when_the_long_file_is_broken_the_short_one_answers():
    def script(url: str, params: dict[str, Any]) -> Any:
        return FILE[:500] if url.endswith(DAYS_90) else ecb_xml(ecb_days(1))

    http = FakeHttp(script)
    answer = await Ecb(FixedClock(), "http://h").fetch(http, ALL)
    assert [q.previous_close for q in answer.quotes] == [None, None, None]
    assert [url for url, _, _ in http.asked] == ["http://h" + DAYS_90, "http://h" + NEWEST]


async def test_an_office_that_asks_for_rest_is_not_asked_for_the_other_file():
    http = FakeHttp(lambda url, params: SourceRateLimited("ecb", DAYS_90, "HTTP 429"))
    with pytest.raises(SourceRateLimited):
        await Ecb(FixedClock()).fetch(http, ALL)
    assert [url for url, _, _ in http.asked] == ["https://www.ecb.europa.eu" + DAYS_90]
