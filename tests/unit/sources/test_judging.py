from __future__ import annotations

from datetime import timedelta

import pytest

from evertick.errors import SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import Quote, SourceStatus
from evertick.sources.judging import STRIKES, assign, on_scale, rest, status
from evertick.sources.reading import Answer

from .answers import BTC, CAP, FNG, NOW, PEPE, SPX, VIX

PREFERENCE = ["coingecko", "alternative", "yahoo"]
ALL = [SPX, BTC, PEPE, CAP, FNG]


def ids(work: dict) -> dict[str, list[str]]:
    return {name: [i.id for i in instruments] for name, instruments in work.items()}


def test_every_instrument_is_asked_of_the_first_source_that_knows_it():
    assert ids(assign(ALL, PREFERENCE, (), ())) == {
        "coingecko": ["BTC", "PEPE", "CRYPTO_CAP"],
        "alternative": ["FNG"],
        "yahoo": ["SPX"],
    }


def test_when_that_one_failed_the_next_is_asked_as_well():
    work = ids(assign(ALL, PREFERENCE, {"coingecko"}, ()))
    assert (work["coingecko"], work["yahoo"]) == (["BTC", "PEPE", "CRYPTO_CAP"], ["SPX", "BTC"])


def test_a_resting_source_is_not_asked_and_one_that_is_off_does_not_exist():
    work = ids(assign(ALL, PREFERENCE, {"coingecko"}, {"coingecko"}))
    assert (work["coingecko"], work["yahoo"]) == ([], ["SPX", "BTC"])
    assert ids(assign(ALL, ["yahoo"], (), ())) == {"yahoo": ["SPX", "BTC"]}


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
        (Answer(), ("failing", 0, BEFORE.last_success, "2 instruments missing: SPX, VIX", "missing")),
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


def test_a_public_provider_that_fails_again_and_again_gets_a_rest():
    refused = SourceRefused("yahoo", "/", "HTTP 403")
    assert [seconds([refused], n) for n in (1, 3, 4, 5, 6, 50)] == [None, None, 240, 480, 960, 1800]
    assert seconds([refused], 50, own=True) is None
    assert seconds([SourceMalformed("yahoo", "/", "x")], 0) is None


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
