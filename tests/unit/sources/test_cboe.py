from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Quote
from evertick.sources.cboe import Cboe, parse_bars, parse_quote
from evertick.sources.reading import Answer

from .answers import NOW
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .official import VIX, VVIX, cboe_csv, weekdays

SINCE = date(2026, 11, 1)
FILE = cboe_csv()
PATH = "/api/global/us_indices/daily_prices/{}_History.csv"


def test_the_last_row_is_the_close_of_its_day():
    assert parse_quote(FILE, VIX, NOW) == Quote(
        id="VIX",
        price=16.7,
        as_of=datetime(2026, 11, 20, 21, 15, tzinfo=UTC),
        source="cboe",
        change_pct=pytest.approx(10 / 16.6),
        previous_close=16.6,
        day_high=17.4,
        day_low=16.2,
        spark=(16.0, 16.1, 16.2, 16.3, 16.4, 16.5, 16.6, 16.7),
    )


def test_bars_are_open_high_low_close_without_volume():
    found = parse_bars(FILE, VIX, date(2026, 11, 19), NOW)
    assert found.dates() == [date(2026, 11, 19), date(2026, 11, 20)]
    assert [list(c) for c in (found.open, found.high, found.low, found.close)] == [
        [16.4, 16.5],
        [17.3, 17.4],
        [16.1, 16.2],
        [16.6, 16.7],
    ]
    assert all(math.isnan(v) for v in found.volume)


def test_a_file_of_closes_alone_is_read_too():
    body = b"DATE,VVIX\n" + b"".join(
        b"%s,9%d.500000\n" % (f"{d:%m/%d/%Y}".encode(), n) for n, d in enumerate(weekdays(5))
    )
    quote = parse_quote(body, VVIX, NOW)
    assert isinstance(quote, Quote)
    assert (quote.price, quote.day_high, quote.day_low) == (94.5, None, None)
    found = parse_bars(body, VVIX, SINCE, NOW)
    assert list(found.close) == [90.5, 91.5, 92.5, 93.5, 94.5]
    assert all(math.isnan(v) for v in found.high)


def test_only_the_end_of_a_long_file_is_read():
    body = cboe_csv(9_000)
    old = body.replace(b"05/14/1992,", b"05/14/1992,garbage,")
    assert parse_quote(old, VIX, NOW) == parse_quote(body, VIX, NOW)
    assert len(parse_bars(body, VIX, date(2024, 11, 20), NOW)) == len(weekdays(9_000)) - 8_477
    assert len(parse_bars(body, VIX, date(1900, 1, 1), NOW)) == 9_000


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_either_line_end(end: str):
    assert parse_quote(cboe_csv(end=end), VIX, NOW) == parse_quote(FILE, VIX, NOW)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"11/20/2026,1,1,1,16700.000000", "price 16700, 1025 times the one before it"),
        (b"11/30/2026,1,1,1,16.700000", "a price from 2026-11-30 21:15 UTC, which is yet to come"),
    ],
)
def test_a_wrong_close_is_refused(row: bytes, why: str):
    lines = FILE.split(b"\r\n")
    assert parse_quote(b"\r\n".join([*lines[:-2], row, b""]), VIX, NOW) == why
    found = parse_bars(b"\r\n".join([*lines[:-2], row, b""]), VIX, SINCE, NOW)
    assert found.dates()[-1] == date(2026, 11, 19)


@pytest.mark.parametrize(
    "row", [b"11/20/2026,16,17,15,0.000000", b"11/20/2026,16,17,15,x", b"11/45/2026,1,1,1,1", b"1"]
)
def test_a_row_that_is_none_leaves_the_day_before(row: bytes):
    lines = FILE.split(b"\r\n")
    quote = parse_quote(b"\r\n".join([*lines[:-2], row, b""]), VIX, NOW)
    assert isinstance(quote, Quote)
    assert (quote.price, quote.as_of.day) == (16.6, 19)


def test_a_day_with_two_closes_has_none_and_half_a_file_is_none():
    found = parse_bars(FILE + b"11/19/2026,16,17,15,17.000000\r\n", VIX, SINCE, NOW)
    assert date(2026, 11, 19) not in found.dates()
    assert len(found) == 7
    assert parse_quote(FILE, VIX, NOW + timedelta(days=60)) == "no value since 2026-11-20"
    with pytest.raises(SourceMalformed):
        parse_quote(FILE[:-7], VIX, NOW)


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b"", "columns "),
        (b"DATE,OPEN\r\n11/20/2026,1\r\n", "columns DATE, OPEN"),
        (b"DATE,CLOSE,CLOSE\r\n11/20/2026,1,2\r\n", "columns DATE, CLOSE, CLOSE"),
        (b"DATE,CLOSE\r\n", "no row that can be read"),
        (b"DATE,CLOSE\r\n2026-11-20,16.1\r\n", "no row that can be read"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(body: bytes, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_quote(body, VIX, NOW)
    assert (caught.value.came, caught.value.endpoint) == (came, PATH.format("VIX"))


def test_whatever_comes_gives_quotes_or_our_error():
    def parse(body: Any, instruments: Any, now: datetime) -> Answer:
        found = parse_quote(body, instruments[0], now)
        return Answer((), {"VIX": found}) if isinstance(found, str) else Answer([found])

    check_quotes(parse, FILE, [VIX], NOW)


def test_whatever_comes_gives_bars_or_our_error():
    check_bars(lambda body: parse_bars(body, VIX, SINCE, NOW), FILE, [VIX], NOW)


# --- asking ---


async def test_each_index_is_a_file_and_one_that_fails_costs_only_itself():
    def script(url: str, params: dict[str, Any]) -> Any:
        return FILE if "/VIX_" in url else SourceRefused("cboe", url, "HTTP 403")

    http = FakeHttp(script)
    answer = await Cboe(FixedClock(), "http://h/").fetch(http, [VVIX, VIX])
    assert [q.id for q in answer.quotes] == ["VIX"]
    assert [f.came for f in answer.failures] == ["HTTP 403"]
    assert [url for url, _, _ in http.asked] == ["http://h" + PATH.format(name) for name in ("VVIX", "VIX")]
    (found,) = await Cboe(FixedClock(), "http://h").bars(http, [VIX], SINCE)
    assert len(found) == 8
    with pytest.raises(SourceRefused):
        await Cboe(FixedClock(), "http://h").fetch(http, [VVIX])


async def test_after_a_request_to_slow_down_nothing_more_is_asked():
    http = FakeHttp(lambda url, params: SourceRateLimited("cboe", url, "HTTP 429"))
    with pytest.raises(SourceError):
        await Cboe(FixedClock(), "http://h").fetch(http, [VIX, VVIX])
    assert len(http.asked) == 1
