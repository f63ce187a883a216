from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from evertick.errors import SettingsError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Group, Quote
from evertick.settings import SourceSettings
from evertick.sources.conductor import Conductor
from evertick.sources.keyed import Turns, as_of_day, day_of, one_by_one, priced, said, series, usable_key
from evertick.sources.listing import BUILT_IN
from evertick.sources.reading import Answer
from evertick.universe import Universe

from .answers import instrument
from .fakes import FakeHttp, FixedClock
from .test_finnhub import quote as finnhub_quote
from .tickers import KEY, NOW, SINCE, XLE, XLF, XLK, days, tickers, told

COIN = instrument("BTC", Group.CRYPTO, "24/7", "USD", massive="X:BTCUSD")
OIL = instrument("WTI", Group.COMMODITIES, "CME", "USD", twelvedata="WTI")


def test_turns_go_round_all_instruments_a_few_at_a_time():
    turns, clock = Turns(2, 0.0, clock := FixedClock()), clock
    five = tickers(5)
    taken = [turns.take(five) for _ in range(5)]
    assert [[i.id for i in now] for now, _ in taken] == [
        ["T0", "T1"],
        ["T2", "T3"],
        ["T4", "T0"],
        ["T1", "T2"],
        ["T3", "T4"],
    ]
    assert taken[0][1] == ("T2", "T3", "T4")
    assert all({i.id for i in now} | set(later) == {"T0", "T1", "T2", "T3", "T4"} for now, later in taken)


def test_nobody_has_a_turn_before_its_time_and_few_instruments_are_all_taken():
    clock = FixedClock()
    turns = Turns(2, 480.0, clock)
    assert turns.take([XLK]) == ([XLK], ())
    clock.pass_(479)
    assert turns.take([XLK]) == ([], ("XLK",))
    clock.pass_(1)
    assert turns.take([XLK]) == ([XLK], ())


def test_turns_survive_a_list_that_grows_and_shrinks():
    turns = Turns(2, 0.0, FixedClock())
    seen = {i.id for n in (5, 3, 7, 2, 4, 4, 4) for i in turns.take(tickers(n))[0]}
    assert {"T0", "T1", "T2", "T3"} <= seen


@pytest.mark.parametrize(("given", "key"), [("  abc ", "abc"), ("", None), ("  ", None), (None, None)])
def test_a_key_is_used_without_the_blanks_around_it(given: str | None, key: str | None):
    assert usable_key("fmp", given) == key


@pytest.mark.parametrize("given", ["abc\r\nX-Other: 1", "khóa-bí-mật", "two words"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(given: str):
    with pytest.raises(SettingsError) as caught:
        usable_key("fmp", given)
    assert "SOURCES__FMP__API_KEY" in str(caught.value)
    assert given not in repr(caught.value)


def test_what_a_provider_says_is_one_short_line_without_the_key():
    assert said(f"Your key {KEY} and {KEY.lower()}\n is\x00 wrong", KEY) == "Your key … and … is wrong"
    assert len(said("x" * 5000, KEY)) == 160
    assert said({"a": 1}, KEY) == said(None, None) == ""


async def test_a_request_that_fails_costs_its_own_instrument():
    answers = {"XLK": Answer([Quote("XLK", 1.0, NOW, "x")]), "XLE": SourceRefused("x", "/", "not in the plan"), "XLF": Answer((), {"XLF": "no price"})}  # fmt: skip

    async def ask(one):
        answer = answers[one.id]
        if isinstance(answer, Exception):
            raise answer
        return answer

    answer = await one_by_one([XLK, XLE, XLF], ("XLV",), ask)
    assert [q.id for q in answer.quotes] == ["XLK"]
    assert (answer.refused, [str(f) for f in answer.failures], answer.later) == (
        {"XLF": "no price"},
        ["x /: not in the plan"],
        ("XLV",),
    )


@pytest.mark.parametrize(
    ("error", "asked"), [(SourceRefused("x", "/", "bad key"), 2), (SourceRateLimited("x", "/", "slow down"), 1)]
)
async def test_a_wrong_key_and_a_request_to_slow_down_end_the_run(error: Exception, asked: int):
    count = 0

    async def ask(one):
        nonlocal count
        count += 1
        raise error

    with pytest.raises(type(error)):
        await one_by_one(tickers(5), (), ask)
    assert count == asked


def test_the_price_must_be_on_one_scale_with_the_close_before_it_or_the_opening():
    assert priced(XLK, "x", 240.0, NOW, NOW, previous=0.24) == "price 240, 1000 times the one before it"
    assert priced(XLK, "x", 240.0, NOW, NOW, previous=0.0, opened=0.24) == "price 240, 1000 times the one before it"
    quote = priced(XLK, "x", 240.0, NOW, NOW, previous=0.0, opened=239.0, high=0.0, low=238.0, change_pct=1.5)
    assert isinstance(quote, Quote)
    assert (quote.change_pct, quote.previous_close, quote.day_high, quote.day_low) == (1.5, None, None, 238.0)


def test_a_high_below_the_low_is_neither():
    quote = priced(XLK, "x", 240.0, NOW, NOW, previous=239.0, high=238.0, low=241.0)
    assert isinstance(quote, Quote)
    assert (quote.day_high, quote.day_low, quote.change_pct) == (None, None, pytest.approx(0.41841))


@pytest.mark.parametrize(
    ("of", "day", "as_of"),
    [
        (XLK, date(2026, 11, 20), datetime(2026, 11, 20, 21, tzinfo=UTC)),  # Friday's close
        (XLK, date(2026, 11, 23), datetime(2026, 11, 23, 5, tzinfo=UTC)),  # today, which lasts: its beginning
        (XLK, date(2026, 7, 10), datetime(2026, 7, 10, 20, tzinfo=UTC)),  # in summer
        (XLK, date(2026, 11, 22), datetime(2026, 11, 22, 5, tzinfo=UTC)),  # a Sunday
        (XLK, date(2026, 11, 24), datetime(2026, 11, 24, 5, tzinfo=UTC)),  # tomorrow stays tomorrow
        (COIN, date(2026, 11, 22), datetime(2026, 11, 23, tzinfo=UTC)),
        (OIL, date(2026, 11, 19), datetime(2026, 11, 20, 6, tzinfo=UTC)),  # goes on through the night
    ],
)
def test_a_price_that_has_only_a_day_is_as_old_as_it_may_be(of, day: date, as_of: datetime):
    assert as_of_day(of, day, NOW) == as_of


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-20", date(2026, 11, 20)),
        ("2026-11-20T00:00:00.000Z", date(2026, 11, 20)),
        ("2026-11-20 15:59:00", date(2026, 11, 20)),
        ("2026-13-45", None),
        ("9999-12-31", None),
        ("0001-01-01", None),
        ("", None),
        (20261120, None),
        (None, None),
    ],
)
def test_the_day_that_a_text_begins_with(text: object, day: date | None):
    assert day_of(text) == day


def rows(closes, last=date(2026, 11, 20)):
    return [
        (day, [close, close, close, close, 1000]) for day, close in zip(days(len(closes), last), closes, strict=True)
    ]


def test_bars_are_sorted_and_begin_where_asked():
    raw = rows([240.0, 241.0, 242.0, 243.0])
    bars = series(reversed(raw), XLK, date(2026, 11, 18), NOW, "x", "/")
    assert told(bars) == [("2026-11-18", 241.0), ("2026-11-19", 242.0), ("2026-11-20", 243.0)]


def test_a_day_sent_twice_counts_once_and_with_two_prices_not_at_all():
    raw = rows([240.0, 241.0, 242.0])
    twice = [*raw, raw[0], (raw[1][0], [241, 241, 241, 239.5, 1000]), raw[1]]
    assert [close for _, close in told(series(twice, XLK, SINCE, NOW, "x", "/"))] == [240.0, 242.0]


def test_bars_of_days_to_come_and_on_another_scale_are_dropped():
    raw = rows([240.0, 241.0, 242.0, 243.0, 244.0], date(2026, 11, 25))
    assert [d for d, _ in told(series(raw, XLK, SINCE, NOW, "x", "/"))] == ["2026-11-19", "2026-11-20", "2026-11-23"]
    alone = rows([240.0, 241.0])
    alone[1][1][3] = 241_000.0
    assert [c for _, c in told(series(alone, XLK, SINCE, NOW, "x", "/"))] == [240.0]


def test_a_bar_of_a_sunday_means_that_all_days_are_shifted():
    raw = [(day - timedelta(days=5), numbers) for day, numbers in rows([240.0, 241.0, 242.0])]
    with pytest.raises(SourceMalformed, match="a bar of 2026-11-14, a Saturday"):
        series(sorted(raw), XLK, SINCE, NOW, "x", "/")
    assert len(series(raw, COIN, SINCE, NOW, "x", "/")) == 3


def test_futures_have_tomorrows_bar_this_evening():
    evening = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)  # 19:00 in Chicago: Tuesday's trading has begun
    raw = rows([60.0, 61.0], date(2026, 11, 24))
    assert len(series(raw, OIL, SINCE, evening, "x", "/")) == 2
    assert len(series(raw, XLK, SINCE, evening, "x", "/")) == 1


def test_rows_without_one_usable_bar_are_an_error_and_no_rows_are_none():
    assert len(series([], XLK, SINCE, NOW, "x", "/")) == 0
    with pytest.raises(SourceMalformed, match="no usable bar"):
        series(rows([0.0, -3.0]), XLK, SINCE, NOW, "x", "/")


KEYED = [one for one in BUILT_IN if one.needs_key]


def test_six_providers_want_a_key():
    assert [one.name for one in KEYED] == ["twelvedata", "finnhub", "fmp", "tiingo", "massive", "alphavantage"]


@pytest.mark.parametrize("listed", KEYED, ids=lambda one: one.name)
def test_every_keyed_source_reads_tickers_and_keeps_its_key_to_itself(listed):
    source = listed.load()
    made = source(FixedClock(), "http://h", KEY)
    assert (source.namespaces, source.needs_key, source.title) == ((listed.name, "ticker"), True, listed.title)
    assert KEY not in repr(made)
    # an answer to a burst and to what is refilled meanwhile stays within the plan: rate is (requests, seconds)
    assert source.rate[0] >= 1
    assert source.rate[1] > 0


UNKNOWN = {
    "twelvedata": {"code": 404, "message": "**symbol** not found", "status": "error"},
    "finnhub": {"c": 0, "t": 0},
    "fmp": [],
    "tiingo": [],
    "massive": {"status": "NOT_FOUND"},
    "alphavantage": {"Global Quote": {}},
}
"""What each says of a symbol that it does not know: the shortest answer it has."""
PLAN = {"twelvedata": 800, "finnhub": 60 * 1440, "fmp": 250, "tiingo": 1000, "massive": 5 * 1440, "alphavantage": 25}


@pytest.mark.parametrize("listed", KEYED, ids=lambda one: one.name)
async def test_the_runs_of_a_day_stay_within_the_plan_and_reach_every_instrument(listed):
    clock = FixedClock()
    source = listed.load()(clock, None, KEY)
    http = FakeHttp(lambda url, params: UNKNOWN[listed.name])
    left: list[set[str]] = []
    for _ in range(480):
        left.append(set((await source.fetch(http, tickers(12))).later))
        clock.pass_(180)
    cost = 4 if listed.name == "twelvedata" else 1
    assert 0 < len(http.asked) * cost <= PLAN[listed.name]
    assert source.per_day is None or len(http.asked) <= source.per_day
    assert set.intersection(*left) == set(), "an instrument whose turn never came"


async def test_the_conductor_hands_what_is_left_for_later_to_the_next_provider():
    clock = FixedClock()
    six = tickers(6)

    def script(url, params):
        if "finnhub" in url:
            return finnhub_quote()
        return {s: {"symbol": s, "close": "240.1", "previous_close": "239.0", "timestamp": 1795449000, "last_quote_at": 1795449600} for s in params["symbol"].split(",")}  # fmt: skip

    http = FakeHttp(script)
    settings = {name: SourceSettings(api_key=KEY, base_url=f"http://h/{name}") for name in ("twelvedata", "finnhub")}
    conductor = Conductor(http, Universe.of(six), settings, clock)
    fetched = await conductor.fetch()
    assert {q.id: q.source for q in fetched.quotes} == {
        "T0": "twelvedata", "T1": "twelvedata", "T2": "twelvedata", "T3": "twelvedata", "T4": "finnhub", "T5": "finnhub",
    }  # fmt: skip
    states = {s.name: (s.state, s.quotes, s.error) for s in fetched.statuses if s.quotes}
    assert states == {"twelvedata": ("ok", 4, None), "finnhub": ("ok", 2, None)}
    clock.pass_(180)
    again = await conductor.fetch()
    assert {q.id: q.source for q in again.quotes} == {"T4": "finnhub", "T5": "finnhub"}
    assert not [s for s in again.statuses if s.state in ("failing", "partial", "resting")]
