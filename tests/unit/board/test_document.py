from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from evertick.board.document import SCHEMA, NotASnapshot, document, dumps, iso, loads
from evertick.model import Snapshot

from .quotes import FULL, NOW, UNIVERSE, quote


def test_what_is_kept_comes_back_whole():
    assert loads(dumps(FULL)) == FULL
    assert loads(dumps(FULL, UNIVERSE)) == FULL
    assert loads(dumps(Snapshot(NOW, ()))) == Snapshot(NOW, ())


def test_the_kept_document_describes_itself_for_other_programs():
    read = json.loads(dumps(FULL, UNIVERSE))
    assert (read["schema"], read["as_of"]) == (SCHEMA, "2026-11-23T16:00:00Z")
    assert read["quotes"][0] == {
        "id": "SPX",
        "name": "S&P 500",
        "group": "indices",
        "currency": "pts",
        "price": 7012.45,
        "as_of": "2026-11-23T15:59:00Z",
        "source": "yahoo",
        "change_pct": -0.064,
        "previous_close": 7016.94,
        "day_high": 7030.1,
        "day_low": 6998.2,
        "volume": 2.143e9,
        "market_cap": 1e13,
        "breadth": {"advances": 310, "declines": 180, "unchanged": 13},
        "spark": [7000.0, 7012.45],
    }
    assert "spark" not in read["quotes"][1]
    assert read["sources"][1]["retry_at"] == iso(NOW + timedelta(60))


def test_fields_of_a_newer_version_are_passed_over():
    read = json.loads(dumps(FULL))
    read["mood"] = "calm"
    read["quotes"][0]["iv"] = 12
    assert loads(json.dumps(read).encode()) == FULL


def spoiled(path: str, value: object) -> bytes:
    read = json.loads(dumps(FULL))
    at = read
    *way, last = path.split("/")
    for step in way:
        at = at[int(step) if step.isdecimal() else step]
    at[last] = value
    return json.dumps(read).encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[]", "schema"),
        (b"{}", "schema"),
        (spoiled("schema", "evertick.market_indices/2"), "schema"),
        (spoiled("as_of", None), "as_of is not a text"),
        (spoiled("as_of", "yesterday"), "as_of is not an instant"),
        (spoiled("as_of", "2026-11-23T16:00:00"), "as_of has no time zone"),
        (spoiled("quotes", {}), "quotes is not a list"),
        (spoiled("quotes", [1]), "quotes is not a list of objects"),
        (spoiled("quotes/0/price", "7012"), "price is not a number"),
        (spoiled("quotes/0/price", True), "price is not a number"),
        (spoiled("quotes/0/price", None), "a quote has no price"),
        (dumps(FULL).replace(b"7012.45", b"NaN"), "price is not a number"),
        (dumps(FULL).replace(b"7012.45", b"1e999"), "price is not a number"),
        (spoiled("quotes/0/id", 5), "id is not a text"),
        (spoiled("quotes/0/spark", "up"), "spark"),
        (spoiled("quotes/0/spark", [1.0] * 100), "spark"),
        (spoiled("quotes/0/volume", "many"), "volume is not a number"),
        (spoiled("quotes/0/breadth", [310, 180, 13]), "breadth is not an object"),
        (spoiled("quotes/0/breadth/declines", -1), "declines is not a count"),
        (spoiled("sources/0/quotes", None), "not counted"),
        (spoiled("sources/0/quotes", True), "quotes is not a count"),
        (spoiled("sources/1/quota_left", 1.5), "quota_left is not a count"),
        (spoiled("sources/1/note", 7), "note is not a text"),
        (spoiled("sources/1/last_error_at", "now"), "last_error_at is not an instant"),
        (spoiled("sources/0/state", 1), "state is not a text"),
    ],
)
def test_anything_else_is_not_a_snapshot(body: bytes, why: str):
    with pytest.raises(NotASnapshot, match=why):
        loads(body)


def test_a_price_that_is_no_number_is_never_written():
    with pytest.raises(ValueError, match="JSON"):
        dumps(Snapshot(NOW, (quote("SPX", float("nan")),)))


def test_the_answer_of_the_api_has_the_shape_of_the_design():
    answer = document(FULL, UNIVERSE, NOW + timedelta(seconds=10))
    assert answer == {
        "as_of": "2026-11-23T16:00:00Z",
        "quotes": [
            {
                "id": "SPX",
                "name": "S&P 500",
                "group": "indices",
                "price": 7012.45,
                "change_pct": -0.064,
                "currency": "pts",
                "as_of": "2026-11-23T15:59:00Z",
                "age_s": 70,
                "fresh": True,
                "source": "yahoo",
                "session": "open",
                "session_until": "2026-11-23T21:00:00Z",
            },
            {
                "id": "BTC",
                "name": "BTC",
                "group": "indices",
                "price": 86500.5,
                "change_pct": None,
                "currency": "pts",
                "as_of": "2026-11-23T15:59:00Z",
                "age_s": 70,
                "fresh": True,
                "source": "coingecko",
                "session": "always",
                "session_until": None,
            },
        ],
        "sources": [
            {
                "name": "yahoo",
                "state": "partial",
                "quotes": 1,
                "last_success": "2026-11-23T16:00:00Z",
                "error": None,
                "error_kind": None,
                "retry_at": None,
                "duration_s": 0.25,
                "title": "",
                "last_error": None,
                "last_error_at": None,
                "quota": None,
                "quota_left": None,
                "note": None,
            },
            {
                "name": "coingecko",
                "state": "resting",
                "quotes": 0,
                "last_success": "2026-11-23T15:00:00Z",
                "error": "asked to wait",
                "error_kind": "rate_limited",
                "retry_at": iso(NOW + timedelta(60)),
                "duration_s": None,
                "title": "CoinGecko",
                "last_error": "asked to wait",
                "last_error_at": "2026-11-23T16:00:00Z",
                "quota": 10_000,
                "quota_left": 0,
                "note": "its markets are closed",
            },
        ],
    }


def test_an_old_price_stays_and_says_that_it_is_old():
    (spx, btc) = document(FULL, UNIVERSE, NOW + timedelta(hours=2))["quotes"]
    assert (spx["age_s"], spx["fresh"], btc["fresh"]) == (7260, False, False)


def test_a_price_from_a_moment_ahead_of_us_is_no_negative_age_old():
    ahead = replace(FULL, quotes=(quote("SPX", age_s=-30),))
    assert document(ahead, UNIVERSE, NOW)["quotes"][0]["age_s"] == 0


def test_sparks_come_when_asked_for_and_dropped_instruments_are_left_out():
    with_unknown = replace(FULL, quotes=(*FULL.quotes, quote("GONE")))
    answer = document(with_unknown, UNIVERSE, NOW, spark=True)
    assert [(q["id"], q["spark"]) for q in answer["quotes"]] == [("SPX", [7000.0, 7012.45]), ("BTC", [])]


def test_before_the_first_snapshot_the_answer_is_empty():
    assert document(None, UNIVERSE, NOW) == {"as_of": None, "quotes": [], "sources": []}


def test_instants_are_written_in_utc():
    hanoi = datetime(2026, 11, 23, 16, 30, 4, tzinfo=timezone(timedelta(hours=7)))
    assert iso(hanoi) == "2026-11-23T09:30:04Z"
    assert iso(datetime(2026, 1, 1, 0, 0, 0, 5, UTC)) == "2026-01-01T00:00:00.000005Z"
