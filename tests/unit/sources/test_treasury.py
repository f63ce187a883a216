from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import pytest

from evertick.errors import SourceMalformed, SourceUnavailable
from evertick.sources.treasury import Treasury, bars, parse_curve, quotes

from .answers import NOW
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .official import US1M, US2Y, US10Y, treasury_csv, treasury_rows, weekdays

SINCE = date(2026, 11, 1)
ALL = [US1M, US2Y, US10Y]
FILE = treasury_csv(treasury_rows())
PATH = "/resource-center/data-chart-center/interest-rates/daily-treasury-rates.csv/{}/all"


def test_the_newest_row_is_the_yield_as_of_that_afternoon_in_new_york():
    month, two, ten = quotes(parse_curve(FILE), ALL, NOW).quotes
    assert (month.price, two.price, ten.price) == (3.97, 4.17, 4.67)
    assert (ten.previous_close, ten.change_pct) == (4.66, pytest.approx(100 / 466))
    assert ten.as_of == datetime(2026, 11, 20, 20, 30, tzinfo=UTC)
    assert ten.spark == (4.6, 4.61, 4.62, 4.63, 4.64, 4.65, 4.66, 4.67)


def test_columns_are_found_by_name_whatever_their_order_and_quotes():
    names = 'Date,"10 Yr","1.5 Month","2 Yr"'
    rows = [(day, ten, "N/A", two) for day, _, two, ten in treasury_rows()]
    curve = parse_curve(treasury_csv(rows, names))
    assert curve["1.5Month"] == {}
    parsed = quotes(curve, ALL, NOW)
    assert [(q.id, q.price) for q in parsed.quotes] == [("US2Y", 4.17), ("US10Y", 4.67)]
    assert parsed.refused == {"US1M": "no column 1Mo"}
    assert len(bars(curve, US1M, SINCE, NOW)) == 0


def test_bars_have_a_close_alone_and_no_day_that_is_not_available():
    rows = treasury_rows()
    rows[1] = (*rows[1][:3], "N/A")
    found = bars(parse_curve(treasury_csv(rows)), US10Y, date(2026, 11, 18), NOW)
    assert found.dates() == [date(2026, 11, 18), date(2026, 11, 20)]
    assert list(found.close) == [4.65, 4.67]
    assert all(math.isnan(v) for column in (found.open, found.high, found.low, found.volume) for v in column)


@pytest.mark.parametrize(
    ("cell", "price", "as_of"),
    [
        ("N/A", 4.66, 19),
        ("", 4.66, 19),
        ("nan", 4.66, 19),
        ("4670.00", 4.66, 19),
        ("-4.67", None, 0),
        ("0.00", None, 0),
    ],
)
def test_a_cell_that_is_no_yield_leaves_the_day_before_or_is_refused(cell: str, price: float | None, as_of: int):
    rows = treasury_rows()
    rows[0] = (*rows[0][:3], cell)
    parsed = quotes(parse_curve(treasury_csv(rows)), [US10Y], NOW)
    assert [(q.price, q.as_of.day) for q in parsed.quotes] == ([] if price is None else [(price, as_of)])
    assert (price is None) == ("US10Y" in parsed.refused)


def test_a_whole_column_on_another_scale_is_refused():
    rows = [(day, a, b, f"{float(c) * 1000:.2f}") for day, a, b, c in treasury_rows()]
    parsed = quotes(parse_curve(treasury_csv(rows)), [US10Y, US2Y], NOW)
    assert parsed.refused == {"US10Y": "no yield between -5 and 30 percent"}
    assert len(parsed.quotes) == 1


def test_rows_out_of_order_and_twice_change_nothing_and_two_yields_of_a_day_are_none():
    rows = treasury_rows()
    assert parse_curve(treasury_csv([*rows[::-1], rows[0]])) == parse_curve(FILE)
    other = (rows[0][0], "3.97", "4.17", "5.00")
    parsed = quotes(parse_curve(treasury_csv([*rows, other])), [US10Y, US2Y], NOW)
    assert [(q.id, q.price) for q in parsed.quotes] == [("US10Y", 4.66), ("US2Y", 4.17)]


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b"", "columns "),
        (b"No data\n", "columns Nodata"),
        (b"Date\n11/20/2026\n", "columns Date"),
        (b"Day,10 Yr\n11/20/2026,4.1\n", "columns Day, 10Yr"),
        (b"Date,10 Yr,10 Yr\n11/20/2026,4.1,4.2\n", "columns Date, 10Yr, 10Yr"),
        (b"Date,10 Yr\n", "no yield of any day"),
        (b"Date,10 Yr\n2026-11-20,4.1\n", "no yield of any day"),
        (FILE[:-8], "a table that breaks off"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(body: bytes, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_curve(body, PATH.format(2026))
    assert (caught.value.came, caught.value.endpoint) == (came, PATH.format(2026))


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(lambda body, instruments, now: quotes(parse_curve(body), instruments, now), FILE, ALL, NOW)


def test_whatever_comes_gives_bars_or_our_error():
    check_bars(lambda body: [bars(parse_curve(body), i, SINCE, NOW) for i in ALL], FILE, ALL, NOW)


# --- asking ---


def years(**files: Any) -> FakeHttp:
    """``_2026=…``: an answer for each year; the others are not there."""

    def script(url: str, params: dict[str, Any]) -> Any:
        year = params["field_tdr_date_value"]
        assert url == "http://h" + PATH.format(year)
        return files.get("_" + year, SourceMalformed("treasury", url, "HTTP 404"))

    return FakeHttp(script)


def asked(http: FakeHttp) -> list[str]:
    return [params["field_tdr_date_value"] for _, params, _ in http.asked]


def of_year(last: date, count: int = 262) -> bytes:
    """The rows of the year of ``last`` among the ``count`` weekdays before it."""
    newest = weekdays(count, last)[::-1]
    rows = [(day, "3.90", "4.10", f"{4 + day.day / 100:.2f}") for day in newest if day.year == last.year]
    return treasury_csv(rows)


async def test_one_request_answers_for_all():
    http = years(_2026=FILE)
    answer = await Treasury(FixedClock(), "http://h/").fetch(http, ALL)
    assert len(answer.quotes) == 3
    ((_, params, _),) = http.asked
    assert params == {
        "type": "daily_treasury_yield_curve",
        "field_tdr_date_value": "2026",
        "page": "",
        "_format": "csv",
    }


async def test_bars_of_two_years_are_three_files():
    files = {f"_{year}": of_year(date(year, 11, 20)) for year in (2024, 2025, 2026)}
    http = years(**files)
    (found,) = await Treasury(FixedClock(), "http://h").bars(http, [US10Y], date(2024, 11, 23))
    assert asked(http) == ["2024", "2025", "2026"]
    assert {day.year for day in found.dates()} == {2025, 2026}


@pytest.mark.parametrize(
    ("now", "files", "newest", "line"),
    [
        (datetime(2027, 1, 1, 12, tzinfo=UTC), {}, date(2026, 12, 31), 32),
        (datetime(2027, 1, 4, 23, tzinfo=UTC), {"_2027": treasury_csv([])}, date(2026, 12, 31), 32),
        (datetime(2027, 1, 5, 23, tzinfo=UTC), {"_2027": of_year(date(2027, 1, 5))}, date(2027, 1, 5), 32),
    ],
)
async def test_round_new_year_the_year_before_is_read_too(
    now: datetime, files: dict[str, bytes], newest: date, line: int
):
    http = years(_2026=of_year(date(2026, 12, 31)), **files)
    answer = await Treasury(FixedClock(now), "http://h").fetch(http, [US10Y])
    assert asked(http) == ["2026", "2027"]
    (quote,) = answer.quotes
    assert (quote.as_of.date(), len(quote.spark)) == (newest, line)
    assert quote.previous_close is not None


async def test_half_a_file_is_good_for_quotes_and_not_for_bars():
    body = of_year(date(2026, 11, 20))
    half = body[: body.index(b"06/16/2026") - 1]  # where a row ends
    treasury = Treasury(FixedClock(), "http://h")
    assert len((await treasury.fetch(years(_2026=half), [US10Y])).quotes) == 1
    with pytest.raises(SourceMalformed) as caught:
        await treasury.bars(years(_2026=half), [US10Y], date(2026, 9, 1))
    assert caught.value.came == "rows back to 2026-06-17 only"


async def test_the_year_is_that_of_new_york():
    http = years(_2026=of_year(date(2026, 12, 31)))
    await Treasury(FixedClock(datetime(2027, 1, 1, 3, tzinfo=UTC)), "http://h").fetch(http, [US10Y])
    assert asked(http) == ["2026"]


async def test_a_missing_file_is_an_error_once_the_year_is_a_week_old():
    http = years(_2026=of_year(date(2026, 12, 31)))
    with pytest.raises(SourceMalformed):
        await Treasury(FixedClock(datetime(2027, 1, 12, tzinfo=UTC)), "http://h").fetch(http, [US10Y])
    with pytest.raises(SourceMalformed):
        await Treasury(FixedClock(datetime(2027, 1, 3, 23, tzinfo=UTC)), "http://h").fetch(years(), [US10Y])


async def test_the_year_before_is_only_needed_for_bars():
    now, this = datetime(2027, 2, 1, 23, tzinfo=UTC), of_year(date(2027, 2, 1))
    treasury = Treasury(FixedClock(now), "http://h")
    (quote,) = (await treasury.fetch(years(_2027=this), [US10Y])).quotes
    assert quote.as_of.date() == date(2027, 2, 1)
    with pytest.raises(SourceMalformed):
        await treasury.bars(years(_2027=this), [US10Y], date(2026, 12, 1))


async def test_an_office_that_cannot_be_reached_is_said_to_be_so():
    http = years(_2026=SourceUnavailable("treasury", "/", "HTTP 503"))
    with pytest.raises(SourceUnavailable):
        await Treasury(FixedClock(), "http://h").fetch(http, ALL)
