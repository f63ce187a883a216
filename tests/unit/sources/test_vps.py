from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from evertick.errors import SourceMalformed, SourceRateLimited, SourceUnavailable
from evertick.model import Breadth, Quote
from evertick.sources.vps import BATCH, HEADERS, Vps, board_times, parse_indices, parse_shares

from .answers import changed
from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes
from .vietnamese import FPT, HNX, NOW, SHS, UPCOM, VN30, VNINDEX, board, index_row, instrument, local, share_row

AT = datetime(2026, 11, 24, 3, 19, 40, tzinfo=UTC)
TIMES = {"10": AT, "02": AT}


def test_an_index_has_its_change_and_its_breadth():
    answer = parse_indices(board(), [VNINDEX], NOW)
    assert answer.quotes == [
        Quote(
            "VNINDEX",
            1760.02,
            AT,
            "vps",
            change_pct=pytest.approx(0.477261, abs=1e-6),
            previous_close=1751.66,
            volume=230566000.0,
            breadth=Breadth(219, 87, 64),
        )
    ]


def test_a_fall_is_below_zero_though_the_board_shows_it_without_a_sign():
    (quote,) = parse_indices([index_row("11", 1985.4, 1990.1)], [VN30], NOW).quotes
    assert index_row("11", 1985.4, 1990.1)["ot"].startswith("4.70|0.24%")
    assert quote.change_pct == pytest.approx(-0.236169, abs=1e-6)


def test_every_index_is_found_by_its_code():
    answer = parse_indices(board(), [UPCOM, VNINDEX, HNX, VN30], NOW)
    assert {q.id: q.price for q in answer.quotes} == {"VNINDEX": 1760.02, "VN30": 1985.4, "HNX": 262.11, "UPCOM": 118.2}


@pytest.mark.parametrize(
    "ot", ["", None, "1|2|3", "8.36|0.48%|81461|x|87|64", "8.36|0.48%|81461|0|0|0", "1|1%|1|9999|1|1", "1|1%|1|-5|1|1", "1|1%|1|²|1|1"]
)  # fmt: skip
def test_without_sound_counts_there_is_no_breadth(ot: Any):
    (quote,) = parse_indices([index_row(ot=ot)], [VNINDEX], NOW).quotes
    assert quote.breadth is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cIndex": 0}, "no price"),
        ({"cIndex": None}, "no price"),
        ({"cIndex": -1760.02}, "no price"),
        ({"cIndex": float("nan")}, "no price"),
        ({"cIndex": 1760020.0}, "price 1.76002e+06, 1005 times the one before it"),
        ({"cIndex": 1760020.0, "oIndex": 1751660.0}, "an index of 1760020 points"),
        ({"cIndex": 1.76, "oIndex": 0}, "an index of 1.76 points"),
        ({"cIndex": 1900.0}, "1900 after 1751.66: no index moves further than its shares may"),
        ({"time": ""}, "no time"),
        ({"time": "99:00:00"}, "no time"),
        ({"time": 101940}, "no time"),
    ],
)
def test_a_wrong_index_is_refused(change: dict[str, Any], why: str):
    answer = parse_indices([index_row(**change)], [VNINDEX], NOW)
    assert (list(answer.quotes), answer.refused) == ([], {"VNINDEX": why})


def test_two_rows_of_one_index_that_differ_are_none():
    answer = parse_indices([index_row(), index_row(now=1755.0), index_row("11", 1985.4, 1990.1)], [VNINDEX], NOW)
    assert answer.refused == {"VNINDEX": "no price"}
    assert len(parse_indices([index_row(), index_row()], [VNINDEX], NOW).quotes) == 1


def test_a_share_is_in_dong_and_dated_by_its_exchange():
    times = {"10": AT, "02": local("2026-11-24 10:18:00")}
    answer = parse_shares([share_row(), share_row("SHS", 21.5, 21.1)], [FPT, SHS], times, NOW)
    fpt, shs = answer.quotes
    assert fpt == Quote(
        "FPT",
        99200.0,
        AT,
        "vps",
        change_pct=pytest.approx(1.121305, abs=1e-6),
        previous_close=98100.0,
        day_high=99400.0,
        day_low=98210.0,
        volume=2300700.0,
    )
    assert (shs.price, shs.as_of) == (21500.0, times["02"])


def test_a_price_written_as_text_is_read_too():
    (quote,) = parse_shares([share_row(last="99.20")], [FPT], TIMES, NOW).quotes
    assert quote.price == 99200.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lastPrice": 0}, "no trade yet today"),
        ({"lastPrice": None}, "no price"),
        ({"lastPrice": "-"}, "no price"),
        ({"lastPrice": 99200.0}, "price 9.92e+07, 1011 times the one before it"),
        ({"lastPrice": 99200.0, "r": 98100.0, "c": 104900.0, "f": 91300.0}, "a share of 99200000 VND"),
        ({"lastPrice": 0.0992, "r": 0.0981, "c": 0.1049, "f": 0.0913}, "a share of 99.2 VND"),
        ({"lastPrice": 105.0}, "105000 VND, which lies beyond floor 91330 and ceiling 104870"),
        ({"lastPrice": 91.0}, "91000 VND, which lies beyond floor 91330 and ceiling 104870"),
        ({"lastPrice": 105.0, "c": None}, "105000 VND, which lies beyond floor 91233 and ceiling 104967"),
        ({"c": 104900.0}, "floor 91330, reference 98100, ceiling 1.049e+08 do not fit together"),
        ({"f": 99.0}, "floor 99000, reference 98100, ceiling 104870 do not fit together"),
        ({"r": None}, "no reference price"),
        ({"closePrice": "98.1"}, "a reference price of 98100 VND, where closePrice says 98.1"),
    ],
)
def test_a_wrong_share_is_refused(change: dict[str, Any], why: str):
    answer = parse_shares([share_row(**change)], [FPT], TIMES, NOW)
    assert (list(answer.quotes), answer.refused) == ([], {"FPT": why})


def test_without_a_time_there_is_no_price():
    assert parse_shares([share_row()], [FPT], {}, NOW).refused == {"FPT": "no time"}


def test_a_high_below_the_price_is_none():
    (quote,) = parse_shares([share_row(highPrice="98.5", lowPrice="0")], [FPT], TIMES, NOW).quotes
    assert (quote.day_high, quote.day_low) == (None, None)


def test_an_index_it_has_no_code_for_is_not_priced_as_a_share():
    vn100 = instrument("VN100", currency="pts")
    answer = parse_shares([share_row("VN100", 1900.0, 1890.0)], [vn100], TIMES, NOW)
    assert answer.refused == {"VN100": "not a price in VND, and no index known here"}


@pytest.mark.parametrize(
    ("payload", "came"),
    [
        (None, "null"),
        ({"message": "Forbidden"}, "an object"),
        ([{"mc": "77"}], "rows of other indices than those asked for"),
    ],
)
def test_another_shape_of_the_board_is_an_error(payload: Any, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_indices(payload, [VNINDEX], NOW)
    assert caught.value.came == came


def test_rows_of_other_shares_are_an_error_and_none_at_all_are_not():
    with pytest.raises(SourceMalformed, match="rows of other shares"):
        parse_shares([share_row("XYZ")], [FPT], TIMES, NOW)
    assert parse_shares([], [FPT], TIMES, NOW).quotes == []


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(parse_indices, board(), [VNINDEX, VN30, HNX, UPCOM], NOW)
    rows = [share_row(), share_row("SHS", 21.5, 21.1)]
    check_quotes(lambda p, i, n: parse_shares(p, i, TIMES, n), rows, [FPT, SHS], NOW)


def test_the_board_dates_shares_and_never_fails():
    assert board_times(board(), NOW) == TIMES
    assert board_times(None, NOW) == board_times([None, {"mc": "10", "time": []}], NOW) == {}


async def test_one_request_for_the_indices_and_one_for_every_batch_of_shares():
    shares = [instrument(f"S{n:02}") for n in range(BATCH + 1)]

    def script(url: str, params: dict[str, str]) -> Any:
        if "getlistindexdetail" in url:
            return board()
        return [share_row(sym) for sym in url.rpartition("/")[2].split(",")]

    http = FakeHttp(script)
    answer = await Vps(FixedClock(NOW), "http://h/vps/").fetch(http, [FPT, VNINDEX, *shares])
    assert [url for url, _, _ in http.asked] == [
        "http://h/vps/getlistindexdetail/10,11,02,03",
        "http://h/vps/getliststockdata/FPT," + ",".join(s.id for s in shares[: BATCH - 1]),
        "http://h/vps/getliststockdata/S49,S50",
    ]
    assert all(headers == HEADERS for _, _, headers in http.asked)
    assert {q.id for q in answer.quotes} == {"FPT", "VNINDEX", *(s.id for s in shares)}


async def test_without_the_board_nothing_is_dated():
    http = FakeHttp(lambda url, params: SourceUnavailable("vps", "/x", "HTTP 502"))
    with pytest.raises(SourceUnavailable):
        await Vps(FixedClock(NOW)).fetch(http, [FPT, VNINDEX])
    assert len(http.asked) == 1


async def test_a_batch_that_fails_costs_its_shares_and_a_request_to_slow_down_ends_the_run():
    shares = [instrument(f"S{n:03}") for n in range(3 * BATCH)]
    failing = [SourceUnavailable("vps", "/x", "HTTP 502"), SourceRateLimited("vps", "/x", "HTTP 429")]
    http = FakeHttp(lambda url, params: board() if "index" in url else failing[len(http.asked) - 2])
    answer = await Vps(FixedClock(NOW)).fetch(http, [VNINDEX, *shares])
    assert [q.id for q in answer.quotes] == ["VNINDEX"]
    assert answer.failures == failing
    assert len(http.asked) == 3


async def test_all_shares_failing_is_an_error_where_nothing_else_was_asked_for():
    http = FakeHttp(lambda url, params: board() if "index" in url else SourceUnavailable("vps", "/x", "HTTP 502"))
    with pytest.raises(SourceUnavailable):
        await Vps(FixedClock(NOW)).fetch(http, [FPT])


def test_a_code_of_its_own_comes_before_the_shared_one():
    own = instrument("FUND", vps="E1VFVN30", vn="FUND")
    (quote,) = parse_shares([share_row("E1VFVN30")], [own], TIMES, NOW).quotes
    assert quote.id == "FUND"
    assert parse_indices(changed(board(), "0/time", "10:20:00"), [VNINDEX], NOW).quotes[0].as_of == NOW
