"""The source in ``examples/``: what it shows others should be right."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evertick.errors import SettingsError, SourceMalformed
from evertick.model import Group, Quote

from .answers import instrument
from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes
from .tickers import NOW

FILE = Path(__file__).parents[3] / "examples" / "evertick-source-example" / "evertick_source_example.py"
spec = importlib.util.spec_from_file_location("evertick_source_example", FILE)
assert spec is not None
assert spec.loader is not None
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)

BAR = instrument("BAR", Group.CRYPTO, "24/7", "USD", csvprices="bar-1kg")
COIN = instrument("COIN", Group.CRYPTO, "24/7", "USD", csvprices="coin-1oz")
PRICES = b"""\
symbol,price,previous,at
bar-1kg,84230.50,84110.00,2026-11-23T15:59:30Z
coin-1oz,2790.00,2785.00,2026-11-23T16:59:30+01:00
"""


def test_rows_become_quotes():
    assert example.parse_prices(PRICES, [BAR, COIN], NOW).quotes == [
        Quote(
            "BAR", 84230.5, datetime(2026, 11, 23, 15, 59, 30, tzinfo=UTC), "csvprices",
            change_pct=pytest.approx(0.14326, abs=1e-5), previous_close=84110.0,
        ),
        Quote(
            "COIN", 2790.0, datetime(2026, 11, 23, 15, 59, 30, tzinfo=UTC), "csvprices",
            change_pct=pytest.approx(0.17953, abs=1e-5), previous_close=2785.0,
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"84230.50", b"", "no price"),
        (b"84230.50", b"0", "price 0"),
        (b"84230.50", b"84230500", "price 8.42305e+07, 1001 times the one before it"),
        (b"2026-11-23T15:59:30Z", b"2026-11-23", "no time"),
        (b"2026-11-23T15:59:30Z", b"2026-11-24T15:59:30Z", "a price from 2026-11-24 15:59 UTC, which is yet to come"),
        (b"coin-1oz", b"bar-1kg", "several rows that contradict each other"),
    ],
)
def test_a_wrong_price_is_refused(old: bytes, new: bytes, why: str):
    assert example.parse_prices(PRICES.replace(old, new), [BAR], NOW).refused == {"BAR": why}


def test_another_table_is_an_error_that_says_what_came():
    with pytest.raises(SourceMalformed, match=r"/prices\.csv: a table without price; its columns are symbol, prize"):
        example.parse_prices(PRICES.replace(b"price", b"prize"), [BAR], NOW, "/prices.csv")


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(example.parse_prices, PRICES, [BAR, COIN], NOW)


async def test_the_address_is_the_files_own_and_must_be_set():
    http = FakeHttp(lambda url, params: PRICES)
    answer = await example.CsvPrices(FixedClock(NOW), "http://h/prices.csv", "t0ken").fetch(http, [BAR])
    assert http.asked == [("http://h/prices.csv", {}, {"Authorization": "Bearer t0ken"})]
    assert [q.id for q in answer.quotes] == ["BAR"]
    with pytest.raises(SettingsError, match="CSVPRICES__BASE_URL is not set"):
        example.CsvPrices(FixedClock(NOW))
