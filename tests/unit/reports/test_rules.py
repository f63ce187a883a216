"""What fires each rule, and that every rule reads well whichever of its wordings is chosen."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from evertick.model import Group, Instrument, SourceStatus
from evertick.reports import indicators
from evertick.reports.blocks import Sentence, Text
from evertick.reports.findings import Breadth, Facts, Findings, Matrix, Movers, Series, Some, facts
from evertick.reports.rules import (
    Rule,
    ahead,
    all_rules,
    choice,
    crypto,
    instrument,
    market,
    money,
    risk,
    seasons,
    signals,
    sources,
    vietnam,
)
from unit.reports import samples
from unit.reports.reading import english

DAY = date(2026, 11, 23)
ROW = Instrument("X", "Exchange index", Group.INDICES, "asia", "pts", "XTKS", 2, {"yahoo": "X"})


def row(id_: str, group: Group = Group.INDICES, currency: str = "pts", region: str = "asia") -> Instrument:
    return replace(ROW, id=id_, name=id_, group=group, currency=currency, region=region)


def one(instrument_: Instrument = ROW, /, **known: float) -> Facts:
    return facts(instrument_, {"price": 100.0, **known}, as_of=samples.AS_OF, source="yahoo", fresh=True)


def findings(*found: Facts, **more: object) -> Findings:
    blank: dict[str, object] = {
        "breadth": {},
        "movers": {},
        "correlation": None,
        "lines": (),
        "falls": (),
        "sources": (),
    }
    return replace(samples.findings(), facts=found, **{**blank, **more})  # type: ignore[arg-type]


def ids(sentences: Iterable[Sentence | None]) -> list[str]:
    return [s.rule for s in sentences if s is not None]


# --- all of them


def test_there_are_enough_rules_and_each_has_three_wordings() -> None:
    rules = list(all_rules())
    assert len(rules) >= 15
    assert len({r.id for r in rules}) == len(rules)
    for rule in rules:
        assert len(set(rule.wordings)) == len(rule.wordings) >= 3, rule.id
        assert rule.tone in ("up", "down", "neutral", "warn")


def test_the_wordings_of_a_rule_use_no_places_but_those_it_fills() -> None:
    """Each wording is said once with values for the places of all the others: none may need more."""
    for rule in all_rules():
        for wording in rule.wordings:
            for form in wording if isinstance(wording, tuple) else (wording,):
                assert form.endswith((".", "!")), form
                assert form[0].isupper() or form[0] in "{", form


def test_the_choice_is_stable_and_spreads() -> None:
    assert choice(DAY, "move.up", "SPX", 3) == choice(DAY, "move.up", "SPX", 3)
    assert {choice(DAY, "move.up", f"S{n}", 3) for n in range(30)} == {0, 1, 2}
    assert {choice(DAY + timedelta(days=n), "move.up", "SPX", 3) for n in range(30)} == {0, 1, 2}


def test_a_sentence_carries_its_rule_inputs_and_tone() -> None:
    rule = Rule("a.rule", "up", ("One {x}.", "Two {x}.", "Three {x}."))
    said = rule.say(DAY, "SPX", {"fact": 1.5}, x="here")
    assert (said.rule, said.inputs, said.tone) == ("a.rule", {"fact": 1.5}, "up")
    assert english(said) in ("One here.", "Two here.", "Three here.")


def test_no_sentence_gives_advice() -> None:
    words = ("you should", "recommend", "buy ", "sell ", "we expect", "target price")
    for rule in all_rules():
        for wording in rule.wordings:
            text = " ".join(wording) if isinstance(wording, tuple) else wording
            assert not any(word in text.lower() for word in words), text


# --- one instrument


@pytest.mark.parametrize(
    ("known", "rule"),
    [
        ({"change": 0.0}, "move.little"),
        ({"change": 0.19}, "move.little"),
        ({"change": -0.19}, "move.little"),
        ({"change": 0.2}, "move.up"),
        ({"change": -0.2}, "move.down"),
        ({"change": 2.0, "sigma": 1.6, "biggest_in": 20}, "move.biggest_gain"),
        ({"change": -2.0, "sigma": -1.6, "biggest_in": 20}, "move.biggest_loss"),
        ({"change": 2.0, "sigma": 1.5, "biggest_in": 90}, "move.up"),
        ({"change": 2.0, "sigma": 3.0, "biggest_in": 19}, "move.up"),
        ({"change": 0.1, "sigma": 3.0, "biggest_in": 90}, "move.little"),
    ],
)
def test_the_days_move(known: dict[str, float], rule: str) -> None:
    assert ids([instrument.move(one(**known), DAY)]) == [rule]


def test_no_change_no_sentence() -> None:
    assert instrument.move(one(), DAY) is None
    assert instrument.move(facts(ROW, {"change": 1.0}), DAY) is None


@pytest.mark.parametrize(
    ("known", "rule", "points"),
    [
        ({"price": 4.10, "change": 1.0, "previous_close": 4.05}, "yield.up", 0.05),
        ({"price": 4.00, "change": -1.0, "previous_close": 4.05}, "yield.down", -0.05),
        ({"price": 4.051, "change": 0.02, "previous_close": 4.05}, "yield.steady", 0.001),
        ({"price": 4.04, "change": 1.0}, "yield.up", 0.04),
    ],
)
def test_yields_move_by_percentage_points(known: dict[str, float], rule: str, points: float) -> None:
    said = instrument.move(one(row("US10Y", Group.RATES, "%"), **known), DAY)
    assert said is not None
    assert said.rule == rule
    assert said.inputs["points"] == pytest.approx(points)
    assert "%" in english(said)


@pytest.mark.parametrize(
    ("known", "rules"),
    [
        ({}, []),
        ({"rsi14": 70.0}, []),
        ({"rsi14": 70.1}, ["rsi.overbought"]),
        ({"rsi14": 30.0}, []),
        ({"rsi14": 29.9}, ["rsi.oversold"]),
        ({"turn200": 12.0, "sma200": 99.0}, ["average200.over"]),
        ({"turn200": -12.0, "sma200": 101.0}, ["average200.under"]),
        ({"cross": 1.0, "sma50": 2.0, "sma200": 1.0}, ["cross.golden"]),
        ({"cross": -3.0, "sma50": 1.0, "sma200": 2.0}, ["cross.death"]),
        ({"new_52w": 1.0}, ["year.high"]),
        ({"new_52w": -1.0}, ["year.low"]),
        ({"new_52w": 0.0}, []),
        ({"band_upper": 99.0, "band_lower": 90.0}, ["band.over"]),
        ({"band_upper": 110.0, "band_lower": 101.0}, ["band.under"]),
        ({"band_upper": 110.0, "band_lower": 90.0}, []),
        ({"z60": 2.0}, []),
        ({"z60": 2.1}, ["stretch.up"]),
        ({"z60": -2.1}, ["stretch.down"]),
        ({"streak": 3.0}, []),
        ({"streak": 4.0}, ["run.up"]),
        ({"streak": -4.0}, ["run.down"]),
    ],
)
def test_technical_signals(known: dict[str, float], rules: list[str]) -> None:
    assert ids(instrument.signals(one(**known), DAY)) == rules


@pytest.mark.parametrize(
    ("known", "rules"),
    [
        ({"drawdown": -9.9}, []),
        ({"drawdown": -10.0}, ["drawdown.correction"]),
        ({"drawdown": -20.0}, ["drawdown.bear"]),
        ({"sma50": 90.0, "sma200": 80.0}, ["trend.up"]),
        ({"sma50": 110.0, "sma200": 120.0}, ["trend.down"]),
        ({"sma50": 90.0, "sma200": 95.0}, []),
        ({"ret_1y": 0.5}, []),
        ({"ret_1y": 12.0}, ["year.gain"]),
        ({"ret_1y": -12.0}, ["year.loss"]),
        ({"vol20": 26.0, "vol60": 20.0}, ["volatility.rising"]),
        ({"vol20": 14.0, "vol60": 20.0}, ["volatility.falling"]),
        ({"vol20": 20.0, "vol60": 20.0}, []),
        ({"vol20": 20.0, "vol60": 0.0}, []),
    ],
)
def test_where_it_stands(known: dict[str, float], rules: list[str]) -> None:
    assert ids(instrument.state(one(**known), DAY)) == rules


def test_only_what_investors_hold_is_in_a_bear_market() -> None:
    assert ids(instrument.state(one(row("V", Group.VOLATILITY), drawdown=-50.0, ret_1y=-50.0), DAY)) == []
    assert ids(instrument.state(one(row("F", Group.FX), drawdown=-50.0), DAY)) == []


def test_what_follows_its_benchmark() -> None:
    spx = one(row("SPX"))
    follower = one(correlation60=0.8, beta60=1.1)
    assert ids(instrument.follows(follower, findings(spx, follower))) == ["benchmark.follows"]
    assert ids(instrument.follows(one(correlation60=0.5, beta60=1.1), findings(spx))) == []
    assert ids(instrument.follows(spx, findings(spx))) == []
    assert ids(instrument.follows(follower, findings(follower))) == []


def test_a_card_says_at_most_four_sentences() -> None:
    everything = {
        "turn200": 12.0,
        "new_52w": 1.0,
        "rsi14": 80.0,
        "z60": 3.0,
        "streak": 5.0,
        "drawdown": -30.0,
        "change": 1.0,
    }
    said = instrument.about(one(**everything), findings())
    assert ids(said) == ["move.up", "average200.over", "year.high", "rsi.overbought"]


# --- the market


def breadth(up: int, down: int, **more: int) -> Breadth:
    blank = {"unchanged": 0, "over50": 0, "of50": 0, "over200": 0, "of200": 0, "highs": 0, "lows": 0}
    return Breadth(advancing=up, declining=down, **{**blank, **more})


@pytest.mark.parametrize(
    ("up", "down", "rule"),
    [(13, 7, "market.broad_gain"), (12, 8, "market.mixed"), (7, 13, "market.broad_loss"), (1, 0, "market.broad_gain")],
)
def test_how_the_world_moves(up: int, down: int, rule: str) -> None:
    assert ids(market.direction(findings(breadth={Group.INDICES: breadth(up, down)}))) == [rule]


def test_without_indices_the_world_is_silent() -> None:
    assert ids(market.direction(findings())) == []
    assert ids(market.direction(findings(breadth={Group.INDICES: breadth(0, 0)}))) == []
    assert ids(market.leaders(findings())) == []


def test_regions_part_ways_only_when_they_do() -> None:
    def regions(asia: float, europe: float) -> Findings:
        return findings(
            *(one(row(f"A{n}", region="asia"), change=asia) for n in range(3)),
            *(one(row(f"E{n}", region="europe"), change=europe) for n in range(3)),
        )

    assert ids(market.contrast(regions(1.0, -1.0))) == ["region.contrast"]
    assert ids(market.contrast(regions(1.0, 0.5))) == []
    assert ids(market.contrast(regions(0.2, -0.2))) == []
    assert ids(market.contrast(findings(one(change=1.0), one(row("E", region="europe"), change=-1.0)))) == []


def test_leaders_name_the_first_and_the_last() -> None:
    found = findings(
        one(row("A"), change=2.0), one(row("B"), change=-1.0), movers={Group.INDICES: Movers(("A",), ("B",))}
    )
    (said,) = market.leaders(found)
    assert said.inputs == {"best": "A", "high": 2.0, "worst": "B", "low": -1.0}


@pytest.mark.parametrize(
    ("over", "of", "rules"),
    [(65, 100, ["breadth.broad"]), (64, 100, []), (36, 100, []), (35, 100, ["breadth.narrow"]), (4, 4, []), (0, 0, [])],
)
def test_the_breadth_of_the_trend(over: int, of: int, rules: list[str]) -> None:
    found = findings(breadth={Group.CRYPTO: breadth(1, 1, over200=over, of200=of)})
    assert ids(market.trend(found, Group.CRYPTO, Text("the coins"))) == rules


@pytest.mark.parametrize(
    ("index", "members", "rules"),
    [
        (1.0, [-1, -1, -1, 1, 1], ["breadth.against_gain"]),
        (-1.0, [1, 1, 1, -1, -1], ["breadth.against_loss"]),
        (1.0, [1, 1, 1, -1, -1], []),
        (0.1, [-1, -1, -1, -1, -1], []),
        (1.0, [-1, -1, -1], []),
    ],
)
def test_an_index_against_its_members(index: float, members: list[float], rules: list[str]) -> None:
    found = [one(row(f"M{n}"), change=c) for n, c in enumerate(members)]
    whole = findings(one(row("VNINDEX"), change=index), *found)
    assert ids(market.against(whole, "VNINDEX", whole.facts, Text("the Vietnamese shares"))) == rules


def test_extremes_are_told_from_three_on() -> None:
    assert ids(market.extremes(findings(breadth={Group.FX: breadth(1, 1, highs=1, lows=1)}))) == []
    (said,) = market.extremes(findings(breadth={Group.FX: breadth(1, 1, highs=1), Group.CRYPTO: breadth(1, 1, lows=2)}))
    assert said.inputs == {"highs": 1, "lows": 2}


def test_the_curve() -> None:
    def tenors(long: float, short: float) -> Findings:
        return findings(
            one(row("US10Y", Group.RATES, "%"), price=long), one(row("US3M", Group.RATES, "%"), price=short)
        )

    assert ids(market.curve(tenors(4.0, 5.0))) == ["curve.inverted"]
    assert ids(market.curve(tenors(4.0, 3.0))) == ["curve.normal"]
    assert ids(market.curve(findings(one(row("US10Y", Group.RATES, "%"))))) == []


@pytest.mark.parametrize(("change", "rule"), [(0.3, "dong.weaker"), (-0.3, "dong.stronger"), (0.01, "dong.steady")])
def test_the_dong(change: float, rule: str) -> None:
    assert ids(market.dong(findings(one(row("USDVND", Group.FX, "VND"), change=change)))) == [rule]


# --- crypto, risk, sources, sessions


@pytest.mark.parametrize(
    ("change", "rule"), [(1.0, "crypto.cap_up"), (-1.0, "crypto.cap_down"), (0.1, "crypto.cap_flat")]
)
def test_the_size_of_crypto(change: float, rule: str) -> None:
    cap = one(row("CRYPTO_CAP", Group.CRYPTO, "USD"), price=3e12, change=change)
    assert ids(crypto.capitalisation(findings(cap))) == [rule]


@pytest.mark.parametrize(
    ("value", "band"),
    [
        (0, "extreme fear"),
        (24, "extreme fear"),
        (25, "fear"),
        (45, "neutral mood"),
        (55, "greed"),
        (75, "extreme greed"),
        (100, "extreme greed"),
    ],
)
def test_the_bands_of_the_mood(value: float, band: str) -> None:
    assert crypto.band(value).msgid == band


def test_a_new_band_is_news() -> None:
    def mood(*history: float) -> Findings:
        fng = facts(row("FNG", Group.SENTIMENT), {"price": history[-1]}, spark=history)
        return findings(fng)

    assert ids(crypto.mood(mood(40.0, 30.0))) == ["sentiment.band"]
    assert ids(crypto.mood(mood(40.0, 20.0))) == ["sentiment.changed"]
    assert ids(crypto.mood(mood(40.0))) == ["sentiment.band"]
    assert ids(crypto.mood(findings())) == []


def test_dominance_needs_both_shares() -> None:
    btc, eth = one(row("BTC_DOM", Group.CRYPTO, "%")), one(row("ETH_DOM", Group.CRYPTO, "%"))
    assert ids(crypto.dominance(findings(btc, eth))) == ["crypto.dominance"]
    assert ids(crypto.dominance(findings(btc))) == []


def test_coins_are_counted_from_five_on() -> None:
    assert ids(crypto.breadth(findings(breadth={Group.CRYPTO: breadth(2, 2)}))) == []
    assert ids(crypto.breadth(findings(breadth={Group.CRYPTO: breadth(2, 3)}))) == ["crypto.breadth"]


@pytest.mark.parametrize(
    ("level", "rule"), [(14.9, "vix.calm"), (15.0, "vix.normal"), (20.0, "vix.nervous"), (30.0, "vix.stress")]
)
def test_the_fear_gauge(level: float, rule: str) -> None:
    assert ids(risk.fear(findings(one(row("VIX", Group.VOLATILITY), price=level, change=1.0)))) == [rule]


def test_the_closest_and_the_most_opposed_pair() -> None:
    nan = float("nan")
    cells = array("d", [1, 0.9, -0.5, 0.9, 1, nan, -0.5, nan, 1])
    found = findings(one(row("A")), one(row("B")), one(row("C")), correlation=Matrix(("A", "B", "C"), cells, 60))
    closest, opposite = risk.pairs(found)
    assert closest.inputs == {"a": "B", "b": "A", "correlation": 0.9}
    assert opposite.inputs == {"a": "C", "b": "A", "correlation": -0.5}


def test_pairs_that_hardly_differ_are_not_opposed() -> None:
    cells = array("d", [1, 0.1, 0.1, 1])
    found = findings(one(row("A")), one(row("B")), correlation=Matrix(("A", "B"), cells, 60))
    assert ids(risk.pairs(found)) == ["correlation.closest"]
    assert ids(risk.pairs(findings())) == []


def test_the_wildest_and_the_deepest() -> None:
    among = [
        one(row("A"), vol20=50.0, drawdown=-2.0),
        one(row("B"), vol20=10.0, drawdown=-30.0),
        one(row("VIX", Group.VOLATILITY), vol20=150.0),
    ]
    wild, deep = risk.extremes(findings(*among), among)
    assert (wild.inputs["vol20"], deep.inputs["drawdown"]) == (50.0, -30.0)
    assert ids(risk.extremes(findings(), [])) == []


def test_all_is_fresh() -> None:
    found = findings(one(), sources=(SourceStatus("yahoo", "ok"), SourceStatus("coingecko", "off")))
    (said,) = sources.freshness(found)
    assert (said.rule, said.inputs) == ("sources.fresh", {"sources": 1, "quotes": 1})


def test_each_trouble_is_told() -> None:
    btc = replace(row("BTC", Group.CRYPTO), symbols={"coingecko": "bitcoin", "yahoo": "BTC-USD"})
    found = findings(
        facts(ROW, {}),
        facts(row("OLD"), {"price": 1.0}, source="yahoo"),
        facts(btc, {"price": 1.0}, source="yahoo", fresh=True),
        sources=(
            SourceStatus("yahoo", "failing", last_success=samples.AS_OF),
            SourceStatus("coingecko", "resting"),
            SourceStatus("alternative", "partial"),
        ),
    )
    assert ids(sources.freshness(found)) == [
        "source.failing",
        "source.never",
        "source.partial",
        "quotes.missing",
        "quotes.stale",
        "quotes.fallback",
    ]


def test_a_second_source_alone_is_no_trouble() -> None:
    btc = replace(row("BTC", Group.CRYPTO), symbols={"coingecko": "bitcoin", "yahoo": "BTC-USD"})
    found = findings(facts(btc, {"price": 1.0}, source="yahoo", fresh=True), sources=(SourceStatus("yahoo", "ok"),))
    assert ids(sources.freshness(found)) == ["quotes.fallback", "sources.fresh"]


def test_sessions_now_and_next() -> None:
    assert ids(ahead.sessions(DAY, [], [], None)) == ["session.none"]
    assert ids(ahead.sessions(DAY, ["London"], ["New York"], samples.NOW)) == ["session.open", "session.next"]  # type: ignore[list-item]


# --- Vietnam


def counted(up: float, down: float) -> Facts:
    return one(row("VNINDEX", Group.VIETNAM), advances=up, declines=down, unchanged=10)


@pytest.mark.parametrize(
    ("up", "down", "rule"),
    [(300, 100, "vietnam.rising"), (100, 300, "vietnam.falling"), (200, 190, "vietnam.even"), (2, 1, None)],
)
def test_the_shares_of_an_exchange(up: float, down: float, rule: str | None) -> None:
    assert ids(vietnam.breadth(findings(counted(up, down)))) == ([rule] if rule else [])


@pytest.mark.parametrize(("price", "rule"), [(109.5, "session.near_high"), (100.5, "session.near_low"), (105.0, None)])
def test_where_the_index_stands_in_its_session(price: float, rule: str | None) -> None:
    f = one(row("VNINDEX", Group.VIETNAM), price=price, day_high=110.0, day_low=100.0)
    assert ids(vietnam.within_session(findings(f))) == ([rule] if rule else [])
    assert (
        ids(vietnam.within_session(findings(one(row("VNINDEX", Group.VIETNAM), day_high=100.0, day_low=100.0)))) == []
    )


def test_the_share_with_the_most_money_and_the_ends_of_the_board() -> None:
    shares = [
        one(row(f"S{n}", Group.VIETNAM, "VND"), change=float(n), turnover=1e9 * (7 - abs(n - 3))) for n in range(6)
    ]
    index = one(row("VNINDEX", Group.VIETNAM), change=99.0, turnover=1e15)
    found = findings(index, *shares)
    (most,) = vietnam.most_traded(found)
    assert most.inputs["turnover"] == 7e9
    (ends,) = vietnam.leaders(found)
    assert (ends.inputs["best"], ends.inputs["worst"]) == ("S5", "S0")
    assert ids(vietnam.leaders(findings(*shares[:4]))) == []


# --- money


def strengths(*moves: float) -> Matrix:
    """Currencies that moved so against the dollar."""
    ids_ = ("USD", *(f"C{n}" for n in range(len(moves))))
    return Matrix(ids_, array("d", indicators.cross_changes([0.0, *moves])), 0)


@pytest.mark.parametrize(
    ("moves", "rule"),
    [((-1.0, -2.0, -0.5), "dollar.up"), ((1.0, 2.0, 0.5), "dollar.down"), ((1.0, -2.0, 0.5), "dollar.mixed")],
)
def test_the_dollar(moves: tuple[float, ...], rule: str) -> None:
    said = list(money.dollar(findings(strength=strengths(*moves))))
    assert ids(said) == [rule, "currency.leaders"]
    assert said[1].inputs["high"] == pytest.approx(max(moves))
    assert said[1].inputs["low"] == pytest.approx(min(moves))
    assert list(money.dollar(findings(strength=strengths(1.0)))) == []


def test_commodities_of_the_day_and_of_the_month() -> None:
    goods = [one(row(f"G{n}", Group.COMMODITIES), change=n - 2.0, ret_1m=6.0 * (n - 2)) for n in range(5)]
    funds = one(replace(row("FUND", Group.COMMODITIES), exchange="XNYS"), change=50.0, ret_1m=50.0)
    said = list(money.commodities(findings(*goods, funds)))
    assert ids(said) == ["commodities.leaders", "commodities.month_up", "commodities.month_down"]
    assert said[1].inputs == {"return_1m": 12.0}
    calm = [one(row(f"G{n}", Group.COMMODITIES), change=1.0, ret_1m=1.0) for n in range(5)]
    assert ids(money.commodities(findings(*calm))) == []
    assert ids(
        money.gold_and_oil(findings(*(one(row(i, Group.COMMODITIES), change=1.0) for i in ("GOLD", "WTI"))))
    ) == ["commodities.gold_oil"]


def yields(long: float, short: float, long_before: float, short_before: float) -> Findings:
    return findings(
        one(row("US10Y", Group.RATES, "%"), price=long, close_1m=long_before, close_1y=long_before),
        one(row("US2Y", Group.RATES, "%"), price=short, close_1m=short_before),
    )


@pytest.mark.parametrize(
    ("now", "before", "rules"),
    [
        ((4.5, 4.0), (4.2, 4.0), ["curve.two_ten", "curve.steepened"]),
        ((3.5, 4.0), (4.2, 4.0), ["curve.two_ten_inverted", "curve.flattened"]),
        ((4.5, 4.0), (4.48, 4.0), ["curve.two_ten"]),
        ((-0.5, -0.7), (-0.5, -0.6), ["curve.two_ten", "curve.steepened"]),
    ],
)
def test_two_years_against_ten(now: tuple[float, float], before: tuple[float, float], rules: list[str]) -> None:
    assert ids(money.curve(yields(*now, *before))) == rules


@pytest.mark.parametrize(("before", "rule"), [(4.0, "yield.year_higher"), (5.0, "yield.year_lower"), (4.51, None)])
def test_a_yield_and_that_of_a_year_ago(before: float, rule: str | None) -> None:
    assert ids(money.year_of_yields(yields(4.5, 4.0, before, 4.0), ["US10Y"])) == ([rule] if rule else [])


# --- signals over all markets


def test_one_sentence_for_each_kind_of_signal() -> None:
    three, two, none = Some(3, [one(), one(), one()]), Some(2, [one(), one()]), Some(0, [])
    said = list(signals.summary(findings(), two, three, 1, three, 1, two))
    assert ids(said) == ["signals.crosses", "signals.rsi", "signals.bands", "signals.stretched"]
    assert said[1].inputs == {"hot": 1, "cold": 2}
    assert said[2].inputs == {"over": 1, "under": 2}
    assert ids(signals.summary(findings(), none, none, 0, none, 0, none)) == ["signals.none"]


# --- months


def test_the_months_of_a_year() -> None:
    firsts = array("i", (date(2026, month, 1).toordinal() for month in range(5, 12)))
    series = Series("X", firsts, array("d", [1.0, -2.0, float("nan"), 5.0, 0.5, -1.0, 2.5]))
    f = one(ROW)
    said = list(seasons.year(findings(f), f, series))
    assert ids(said) == ["months.range", "months.risen"]
    assert said[0].inputs == {"best": date(2026, 8, 1), "high": 5.0, "worst": date(2026, 6, 1), "low": -2.0}
    assert said[1].inputs == {"risen": 4, "months": 6}
    assert ids(seasons.so_far(findings(f), f, series)) == ["months.so_far_up"]
    ended = Series("X", firsts[:-1], series.values[:-1])
    assert ids(seasons.so_far(findings(f), f, ended)) == [], "a month that is over has no 'so far'"
    assert ids(seasons.year(findings(f), f, Series("X", firsts[:5], series.values[:5]))) == []
