from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.sources.vndirect import HEADERS, VnDirect, parse_bars, parse_quotes

from .answers import SPX
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .vietnamese import DAYS, FPT, INDEX, NOW, SHARE, VND, VNINDEX, instrument, local, quarters, stamp, udf

SINCE = date(2026, 11, 17)
NO_DATA = {"t": [], "c": [], "o": [], "h": [], "l": [], "v": [], "s": "no_data"}


def test_a_share_is_in_thousands_and_an_index_in_points():
    assert list(parse_bars(udf(), FPT, SINCE, NOW).close) == VND[1:]
    bars = parse_bars(udf(INDEX), VNINDEX, SINCE, NOW)
    assert (bars.dates(), list(bars.close)) == (DAYS[1:], INDEX[1:])


def test_days_are_those_of_vietnam_however_they_are_stamped():
    midnight = [stamp(day) - 7 * 3600 for day in DAYS]
    texts = [str(stamp(day)) for day in DAYS]
    for stamps in (midnight, texts):
        assert parse_bars(udf(stamps=stamps), FPT, SINCE, NOW).dates() == DAYS[1:]


@pytest.mark.parametrize(
    "payload", [NO_DATA, {"s": "no_data"}, {"s": "error", "errmsg": "unknown_symbol"}, NO_DATA | {"s": "ok"}]
)
def test_without_data_there_are_no_bars(payload: Any):
    assert len(parse_bars(payload, FPT, SINCE, NOW)) == 0
    assert parse_quotes(payload, [FPT], NOW).refused == {"FPT": "no bars"}


@pytest.mark.parametrize(
    ("payload", "came"),
    [
        (None, "null"),
        ([], "a list"),
        ({}, "an object"),
        (udf(s=None), "an object"),
        (udf(c=SHARE[:-1]), "columns of different lengths"),
        (udf(c=None), "a column is missing"),
        (udf([c * 1000 for c in SHARE]), "a share of 99200000 VND"),
        (udf([c / 1000 for c in SHARE]), "a share of 99.2 VND"),
        (udf(stamps=[stamp(day) + 86_400 for day in DAYS]), "a bar of 2026-11-21, a Saturday"),
        (udf(c=[None] * 7), "no usable bar among those sent"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(payload: Any, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_bars(payload, FPT, SINCE, NOW)
    assert (caught.value.came, caught.value.endpoint) == (came, "/dchart/history")


def test_an_index_in_thousands_is_an_error():
    with pytest.raises(SourceMalformed, match="an index of 1760020 points"):
        parse_bars(udf([c * 1000 for c in INDEX]), VNINDEX, SINCE, NOW)


def test_a_quote_is_of_the_beginning_of_its_bar():
    (quote,) = parse_quotes(quarters(), [FPT], NOW).quotes
    assert (quote.price, quote.as_of, quote.source) == (99200.0, local("2026-11-24 10:15:00"), "vndirect")
    assert (quote.previous_close, quote.change_pct) == (97800.0, pytest.approx(1.431493, abs=1e-6))
    assert quote.spark == (96900.0, 98000.0, 98500.0, 98100.0, 99200.0)
    assert (quote.day_high, quote.day_low) == (100190.0, 95930.0)
    assert quote.volume == 6001200 + 3900100 + 4800500 + 5100000 + 2300700


def test_a_quote_of_the_first_bar_known_has_no_change():
    (quote,) = parse_quotes(udf([99.2], [int(local("2026-11-24 10:15:00").timestamp())]), [FPT], NOW).quotes
    assert (quote.previous_close, quote.change_pct) == (None, None)


def test_bars_out_of_order_or_yet_to_come_do_not_matter():
    payload = quarters()
    reversed_ = {k: v[::-1] if isinstance(v, list) else v for k, v in payload.items()}
    later = {k: [*v, v[-1] + 900 if k == "t" else v[-1] * 2] if isinstance(v, list) else v for k, v in payload.items()}
    right = parse_quotes(payload, [FPT], NOW).quotes
    assert parse_quotes(reversed_, [FPT], NOW).quotes == parse_quotes(later, [FPT], NOW).quotes == right


@pytest.mark.parametrize(
    ("closes", "why"),
    [
        ([*SHARE[:-1], 99200.0], "a share of 99200000 VND"),
        ([*SHARE[:-1], 0.25], "price 250, 0.002556 times the one before it"),
        ([c * 1000 for c in SHARE], "a share of 99200000 VND"),
        ([c / 1000 for c in SHARE], "a share of 99.2 VND"),
    ],
)
def test_a_price_on_another_scale_is_refused(closes: list[float], why: str):
    answer = parse_quotes(quarters(closes), [FPT], NOW)
    assert (list(answer.quotes), answer.refused) == ([], {"FPT": why})


def test_bars_from_a_day_without_trading_are_left_out():
    sunday = udf([99.2, 99.3], [int(local(f"2026-11-{d} 10:15:00").timestamp()) for d in (20, 22)])
    (quote,) = parse_quotes(sunday, [FPT], NOW).quotes
    assert quote.as_of == local("2026-11-20 10:15:00")


def test_whatever_comes_gives_bars_and_quotes_or_our_error():
    check_bars(lambda payload: parse_bars(payload, FPT, SINCE, NOW), udf(), [FPT], NOW)
    check_bars(lambda payload: parse_bars(payload, VNINDEX, SINCE, NOW), udf(INDEX), [VNINDEX], NOW)
    check_quotes(parse_quotes, quarters(), [FPT], NOW)


async def test_bars_are_asked_for_by_vietnamese_days():
    http = FakeHttp(lambda url, params: udf(INDEX))
    (bars,) = await VnDirect(FixedClock(NOW), "http://h/vndirect/").bars(http, [VNINDEX], SINCE)
    assert len(bars) == 6
    begin = int(local("2026-11-17 00:00:00").timestamp())
    expected = {"resolution": "D", "symbol": "VNINDEX", "from": str(begin), "to": str(int(NOW.timestamp()))}
    assert http.asked == [("http://h/vndirect/dchart/history", expected, HEADERS)]


async def test_what_it_has_no_symbol_for_has_no_bars():
    http = FakeHttp(lambda url, params: udf())
    spx, fpt = await VnDirect(FixedClock(NOW)).bars(http, [SPX, FPT], SINCE)
    assert (len(spx), len(fpt), len(http.asked)) == (0, 6, 1)


async def test_an_instrument_that_fails_costs_itself():
    others = [instrument(f"S{n}") for n in range(5)]
    http = FakeHttp(
        lambda url, params: SourceUnavailable("vndirect", "/x", "HTTP 502") if params["symbol"] == "FPT" else quarters()
    )
    answer = await VnDirect(FixedClock(NOW)).fetch(http, [FPT, *others])
    assert {q.id for q in answer.quotes} == {i.id for i in others}
    assert [str(f) for f in answer.failures] == ["vndirect /x: HTTP 502"]
    assert {params["resolution"] for _, params, _ in http.asked} == {"15"}


@pytest.mark.parametrize(
    "failure",
    [
        SourceRateLimited("vndirect", "/x", "HTTP 429", retry_after=7),
        SourceRefused("vndirect", "/x", "HTTP 403"),
        SourceUnavailable("vndirect", "/x", "HTTP 503"),
    ],
    ids=lambda failure: failure.kind,
)
async def test_who_does_not_want_us_is_not_asked_thirty_times(failure: SourceError):
    http = FakeHttp(lambda url, params: failure)
    with pytest.raises(type(failure)):
        await VnDirect(FixedClock(NOW)).fetch(http, [instrument(f"S{n}") for n in range(30)])
    assert len(http.asked) <= 5


async def test_after_a_request_to_slow_down_what_came_is_kept():
    limited = SourceRateLimited("vndirect", "/x", "HTTP 429", retry_after=7)
    http = FakeHttp(lambda url, params: limited if params["symbol"] > "S2" else quarters())
    answer = await VnDirect(FixedClock(NOW)).fetch(http, [instrument(f"S{n}") for n in range(9)])
    assert {q.id for q in answer.quotes} == {"S0", "S1", "S2"}
    assert set(map(type, answer.failures)) == {SourceRateLimited}
    assert len(http.asked) <= 6
