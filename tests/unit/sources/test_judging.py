from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import timedelta

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import Bars, Quote, SourceStatus
from evertick.sources.judging import FAILED_RUNS, STRIKES, Breaker, advice, check_bars, on_scale, rest, sound, status
from evertick.sources.reading import Answer

from .answers import NOW, SPX, US3M, VIX


def quote(id_: str, price: float = 100.0) -> Quote:
    return Quote(id_, price, NOW, "yahoo")


BEFORE = SourceStatus("yahoo", "ok", 2, NOW - timedelta(hours=1))
LOST = SourceUnavailable("yahoo", "/v7", "HTTP 502")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer([quote("SPX"), quote("VIX")]), ("ok", 2, NOW, None, None)),
        (Answer([quote("SPX")]), ("partial", 1, NOW, "1 instrument missing: VIX", "missing")),
        (
            Answer([quote("SPX")], {"VIX": "price 0"}),
            ("partial", 1, NOW, "1 price refused: VIX: price 0", "malformed"),
        ),
        (
            Answer([quote("SPX")], failures=[LOST, LOST]),
            ("partial", 1, NOW, "yahoo /v7: HTTP 502 (and 1 more)", "unavailable"),
        ),
        (Answer(failures=[LOST]), ("failing", 0, BEFORE.last_success, "yahoo /v7: HTTP 502", "unavailable")),
        (Answer(), ("partial", 0, BEFORE.last_success, "2 instruments missing: SPX, VIX", "missing")),
        (
            Answer((), {"SPX": "price 0", "VIX": "no time"}),
            ("failing", 0, BEFORE.last_success, "2 prices refused: SPX: price 0; VIX: no time", "malformed"),
        ),
    ],
)
def test_the_status_says_what_the_run_amounted_to(answer: Answer, expected: tuple):
    s = status("yahoo", [SPX, VIX], answer, BEFORE, NOW, 0.12345)
    assert (s.state, s.quotes, s.last_success, s.error, s.error_kind) == expected
    assert (s.name, s.duration_s) == ("yahoo", 0.123)


def test_a_long_list_is_told_in_a_line():
    many = Answer((), {f"I{n}": "no price" for n in range(50)})
    s = status("yahoo", [SPX], many, None, NOW, 0)
    assert s.error == "50 prices refused: I0: no price; I1: no price; I2: no price …"


def seconds(errors: list, runs: int, own: bool = False) -> float | None:
    until = rest(errors, runs, NOW, own)
    return None if until is None else (until - NOW).total_seconds()


def limited(after: float | None) -> SourceRateLimited:
    return SourceRateLimited("yahoo", "/", "HTTP 429", retry_after=after)


def test_what_the_provider_asks_for_counts_also_for_ones_own():
    assert seconds([limited(7)], 1) == seconds([limited(7)], 1, own=True) == 7
    assert seconds([LOST, limited(7), limited(30)], 0) == 30
    assert seconds([limited(0)], 1) == 1


def test_without_a_number_the_rest_doubles_up_to_half_an_hour():
    assert [seconds([limited(None)], n) for n in (0, 1, 2, 3, 5, 6, 50)] == [60, 60, 120, 240, 960, 1800, 1800]


def test_a_provider_that_fails_again_and_again_gets_a_rest():
    assert [seconds([LOST], n) for n in (0, 1, 2, 3, 4, 5, 50)] == [None, None, None, 60, 120, 240, 1800]
    assert [seconds([], n) for n in (2, 3)] == [None, 60]


def test_one_that_refuses_gets_it_at_once():
    refused = SourceRefused("yahoo", "/", "HTTP 403")
    assert [seconds([refused], n) for n in (0, 1, 2, 3, 50)] == [None, 120, 240, 480, 1800]


def test_ones_own_is_tried_again_soon():
    refused = SourceRefused("yahoo", "/", "HTTP 403")
    assert [seconds([refused], n, own=True) for n in (1, 2, 3, 4, 50)] == [None, None, 5, 10, 60]


def test_a_breaker_opens_is_half_open_after_its_rest_and_closes_when_that_goes_well():
    breaker = Breaker()
    for _ in range(FAILED_RUNS):
        assert not breaker.open(NOW) and not breaker.half_open(NOW)
        breaker.told(True, [LOST], NOW)
    after = NOW + timedelta(seconds=60)
    assert breaker.open(NOW) and not breaker.half_open(NOW)
    assert breaker.half_open(after) and not breaker.open(after)
    breaker.told(True, [LOST], after)
    assert breaker.retry_at == after + timedelta(seconds=120)
    breaker.told(False, [], after + timedelta(seconds=120))
    assert (breaker.failed, breaker.retry_at) == (0, None)


def test_a_rest_that_a_clock_running_ahead_has_named_does_not_hold_once_the_clock_is_right():
    breaker = Breaker()
    ahead = NOW + timedelta(days=30)
    breaker.told(False, [SourceRateLimited("one", "/", "HTTP 429", retry_after=86400.0)], ahead)
    assert breaker.open(ahead + timedelta(hours=23))
    assert breaker.half_open(NOW) and not breaker.open(NOW)


def test_a_price_on_another_scale_than_the_last_known_is_refused_until_it_stays():
    first, known = on_scale(Answer([quote("SPX", 7000.0)]), {})
    assert (len(first.quotes), known) == (1, {"SPX": (7000.0, 0)})
    for n in range(1, STRIKES):
        answer, known = on_scale(Answer([quote("SPX", 7e6), quote("VIX", 16.0)]), known)
        assert ([q.id for q in answer.quotes], known["SPX"]) == (["VIX"], (7000.0, n))
        assert answer.refused == {"SPX": "price 7e+06, 1000 times the last known one"}
    answer, known = on_scale(Answer([quote("SPX", 7e6)]), known)
    assert ([q.price for q in answer.quotes], known["SPX"]) == ([7e6], (7e6, 0))


def test_a_right_price_in_between_wipes_the_strikes_out():
    known = {"SPX": (7000.0, STRIKES - 2)}
    _, known = on_scale(Answer([quote("SPX", 7001.0)]), known)
    assert known == {"SPX": (7001.0, 0)}


def test_none_of_a_few_instruments_may_mean_that_it_does_not_know_them_none_of_many_is_a_failure():
    assert status("yahoo", [SPX, VIX, US3M], Answer(), None, NOW, 0).state == "failing"


@pytest.mark.parametrize(
    ("error", "keyed", "said"),
    [
        (SourceRefused("finnhub", "/quote", "HTTP 401"), True, "Check EVERTICK_SOURCES__FINNHUB__API_KEY"),
        (SourceRefused("finnhub", "/quote", "HTTP 403"), False, ""),
        (
            SourceUnavailable("finnhub", "/quote", "no connection (refused)"),
            False,
            "Check that this machine can reach it",
        ),
        (SourceUnavailable("finnhub", "/quote", "HTTP 502"), True, ""),
    ],
)
def test_an_error_says_what_to_do_where_that_helps(error: SourceError, keyed: bool, said: str):
    assert advice("finnhub", Answer(failures=[error]), keyed) == said


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        ({"price": float("nan")}, "a number that is none"),
        ({"volume": float("inf")}, "a number that is none"),
        ({"spark": (1.0, float("nan"))}, "a number that is none"),
        ({"spark": (1.0,) * 100}, "100 points in its line, at most 32 are drawn"),
        ({"as_of": NOW.replace(tzinfo=None)}, "a time without a zone"),
        ({"as_of": NOW + timedelta(days=1)}, "a price from 2026-11-24 16:00 UTC, which is yet to come"),
    ],
)
def test_what_the_board_could_not_keep_is_refused_whatever_an_adapter_let_pass(spoiled: dict, why: str):
    answer = sound(Answer([replace(quote("SPX"), **spoiled), quote("VIX")]), {"SPX", "VIX"}, NOW)
    assert ([q.id for q in answer.quotes], answer.refused) == (["VIX"], {"SPX": why})


def test_what_nobody_asked_for_is_left_out():
    assert sound(Answer([quote("SPX")], {"DAX": "price 0"}), {"VIX"}, NOW) == Answer([], {}, ())


def bars(days: list[int], closes: list[float]) -> Bars:
    column = array("d", closes)
    return Bars("SPX", array("i", days), column, column, column, column, column)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (bars([1, 3, 2], [7.0, 7.0, 7.0]), "days out of order"),
        (bars([1, 1], [7.0, 7.0]), "days out of order"),
        (bars([1, 2], [7.0]), "columns of different lengths"),
        (bars([1, 2], [7.0, float("nan")]), "a close that is no number"),
        (bars([1, 2], [7000.0, 7000.0]), "1000 times the last known price"),
    ],
)
def test_bars_that_cannot_be_right_are_malformed(sent: Bars, why: str):
    with pytest.raises(SourceMalformed, match=why):
        check_bars("yahoo", sent, {"SPX": (7.0, 0)})


def test_bars_that_can_be_right_pass():
    check_bars("yahoo", bars([1, 2], [7.0, 7.1]), {"SPX": (7.0, 0)})
    check_bars("yahoo", bars([1, 2], [7.0, 7.1]), {})
    check_bars("yahoo", Bars.empty("SPX"), {"SPX": (7.0, 0)})
