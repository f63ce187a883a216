"""The harness notices what it is there to notice: parse functions with one fault each."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, settings

from evertick.errors import SourceMalformed
from evertick.model import Bars, Instrument, Quote
from evertick.sources.reading import Answer, decimal, instant, leapt, mapping, wrong

from .answers import BTC, NOW, PEPE, STAMP
from .hardening import check_bars, check_quotes

PAYLOAD = {"row": {"id": "bitcoin", "last": "66526.5", "before": 66000, "at": STAMP - 60}}
CSV = b"DATE,OPEN,CLOSE\n" + b"".join(b"11/%02d/2026,16.10,16.%02d\n" % (day, day) for day in range(2, 23))


def read(payload: Any, instruments: Sequence[Instrument], now: datetime, *, compare: bool = True) -> Answer:
    """The quote of a payload, with nothing to compare its price with where ``compare`` is off."""
    row = mapping(payload).get("row")
    if not isinstance(row, dict):
        raise SourceMalformed("test", "/", "no row")
    price, as_of = decimal(row.get("last")), instant(row.get("at"))
    usual = decimal(row.get("before")) if compare else None
    if row.get("id") != "bitcoin":
        return Answer()
    if reason := wrong(BTC, price, as_of, now, (usual or 66000.0) if compare else None):
        return Answer((), {BTC.id: reason})
    assert price is not None and as_of is not None
    return Answer([Quote(BTC.id, price, as_of, "test", previous_close=usual if usual and usual > 0 else None)])


@pytest.fixture(autouse=True)
def unshrunk():
    """Without looking for the smallest case of each failure, which takes a second or two."""
    before = settings.default
    settings.register_profile("unshrunk", before, phases=[Phase.generate], max_examples=200)
    settings.load_profile("unshrunk")
    yield
    settings.register_profile("restored", before)
    settings.load_profile("restored")


def fails(parse: Any) -> str:
    """What the harness says of a parse function with a fault: one or several things."""
    with pytest.raises((Exception, ExceptionGroup)) as caught:
        check_quotes(parse, PAYLOAD, [BTC], NOW)
    found = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else [caught.value]
    return "; ".join(f"{type(one).__name__}: {one}" for one in found)


def test_a_careful_parse_function_passes():
    check_quotes(read, PAYLOAD, [BTC], NOW)


def test_another_scale_is_noticed_and_may_be_excused():
    blind = partial(read, compare=False)
    assert "AssertionError: BTC at" in fails(blind)
    check_quotes(blind, PAYLOAD, [BTC], NOW, on_scale=False)


def test_what_is_raised_must_be_ours():
    assert "Error: " in fails(lambda p, i, n: read({"row": p["row"]}, i, n))


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        ({"price": 0.0}, "a price of 0"),
        ({"price": -66526.5}, "a price of -66526.5"),
        ({"as_of": NOW + timedelta(days=1)}, "yet to come"),
        ({"as_of": NOW.replace(tzinfo=None)}, "without a time zone"),
        ({"id": "PEPE"}, "quotes that nobody asked for"),
        ({"day_high": 66.0}, "day_high is 66 beside a price of"),
        ({"volume": math.inf}, "volume is inf"),
        ({"volume": -1.0}, "volume is below zero"),
    ],
)
def test_a_quote_that_cannot_be_right_is_noticed(change: dict[str, Any], noticed: str):
    def parse(payload: Any, instruments: Sequence[Instrument], now: datetime) -> Answer:
        answer = read(payload, instruments, now)
        return answer if payload is PAYLOAD else Answer([replace(q, **change) for q in answer.quotes], answer.refused)

    assert noticed in fails(parse)


def test_an_error_must_fit_on_a_line():
    def parse(payload: Any, instruments: Sequence[Instrument], now: datetime) -> Answer:
        if payload is not PAYLOAD:
            raise SourceMalformed("test", "/", "two\nlines")
        return read(payload, instruments, now)

    assert "not one line of text" in fails(parse)


def test_a_valid_payload_must_give_every_quote():
    with pytest.raises(AssertionError, match="lacks quotes"):
        check_quotes(read, PAYLOAD, [BTC, PEPE], NOW)


def rows_of(body: bytes, *, ascending: bool = True, scale: bool = True) -> Bars:
    """Bars of a CSV file, with one fault where an argument says so."""
    rows: dict[int, float] = {}
    for line in body.decode("utf-8", "replace").splitlines()[1:]:
        cells = line.split(",")
        try:
            day, close = datetime.strptime(cells[0], "%m/%d/%Y"), decimal(cells[2])
        except (ValueError, IndexError):
            continue
        if close is not None and close > 0 and day.date() <= NOW.date() and (not scale or not leapt(close, 16.0)):
            rows[day.toordinal()] = close
    days = sorted(rows) if ascending else list(rows)
    none = [math.nan] * len(days)
    closes = array("d", [rows[d] for d in days])
    return Bars(
        BTC.id, array("i", days), array("d", none), array("d", none), array("d", none), closes, array("d", none)
    )


def test_bars_of_bytes_pass_when_they_are_read_with_care():
    check_bars(rows_of, CSV, [BTC], NOW)


def test_bars_out_of_order_or_on_another_scale_are_noticed():
    with pytest.raises(AssertionError, match="out of order"):
        check_bars(lambda body: rows_of(body, ascending=False), CSV, [BTC], NOW)
    with pytest.raises(AssertionError, match="usually near"):
        check_bars(lambda body: rows_of(body, scale=False), CSV, [BTC], NOW)
