"""Volatility by term, the same month in earlier years, and what may be called an unusual move."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import date, timedelta

import pytest

from evertick import universe
from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.analyse import closes, same_month
from evertick.reports.blocks import Figure, Table
from evertick.reports.findings import Facts, Findings, Series, facts
from evertick.reports.rules import risk, seasons
from evertick.reports.sections import headline, seasonality
from evertick.reports.sections import risk as risk_section
from unit.reports import samples
from unit.reports.reading import english

ROWS = {i.id: i for i in universe.load()}


def market(*found: Facts, **more: object) -> Findings:
    return replace(samples.findings(), facts=found, **more)


def one(id: str, fresh: bool = True, **known: float | None) -> Facts:
    return facts(ROWS[id], known, as_of=samples.AS_OF, source="x", fresh=fresh)


# --- unusual moves


def test_what_hardly_moved_is_no_unusual_move() -> None:
    stable = one("USDT", price=1.0003, change=0.03, sigma=4.2)
    real = one("SPX", price=6_800.0, change=-1.4, sigma=-2.1)
    other_day = one("DAX", price=24_000.0, change=0.9, sigma=-3.0)
    stale = one("N225", fresh=False, price=50_000.0, change=3.0, sigma=3.5)
    usual = one("FTSE", price=9_700.0, change=0.8, sigma=1.1)
    assert [f.id for f in headline.unusual(market(stable, other_day, stale, usual, real), 9)] == ["SPX"]


def test_a_yield_moves_by_points() -> None:
    still = one("US10Y", price=4.0, change=0.1, previous_close=3.996, sigma=2.0)
    moved = one("US2Y", price=3.6, change=2.86, previous_close=3.5, sigma=2.5)
    gone = one("US30Y", price=0.0, change=-100.0, sigma=-9.0)
    assert [f.id for f in headline.unusual(market(still, moved, gone), 9)] == ["US2Y"]


def test_the_strongest_come_first() -> None:
    found = [one(id, price=1.0, change=size, sigma=size) for id, size in (("SPX", 2.0), ("DAX", -3.0), ("BTC", 2.5))]
    assert [f.id for f in headline.unusual(market(*found), 9)] == ["DAX", "BTC", "SPX"]


# --- volatility by term


@pytest.mark.parametrize(
    ("near", "far", "rule"), [(17.0, 20.0, "vix.term_normal"), (28.0, 24.0, "vix.term_inverted"), (20.0, 20.0, None)]
)
def test_the_curve_of_volatility_is_normal_or_inverted(near: float, far: float, rule: str | None) -> None:
    said = list(risk.term(market(one("VIX", price=near), one("VIX3M", price=far))))
    assert [s.rule for s in said] == ([rule] if rule else [])
    for sentence in said:
        assert f"{near:.2f}" in english(sentence)
        assert f"{far:.2f}" in english(sentence)


def test_nothing_is_said_of_one_term() -> None:
    assert list(risk.term(market(one("VIX", price=20.0)))) == []


def test_the_figure_has_its_terms_in_order_and_the_curves_of_before() -> None:
    levels = dict(zip(landmarks.FEAR, (15.0, 17.0, 20.0, 21.0), strict=True))
    found = market(*(one(id, price=level, close_1m=level + 1) for id, level in levels.items()))
    section = risk_section.section(found, samples.no_cards())
    (figure,) = [b for b in section.blocks if isinstance(b, Figure) and b.id == "risk-term"]
    assert [english(t) for t in figure.data["terms"]] == ["9D", "30D", "3M", "6M"]
    assert [s["values"] for s in figure.data["series"]] == [[15.0, 17.0, 20.0, 21.0], [16.0, 18.0, 21.0, 22.0]]


# --- the same month in earlier years


def walk(years: int) -> Series:
    """Up 1 % in each November but the first, which falls 2 %; level else."""
    day, level = date(2026 - years, 1, 1), 100.0
    days, values = array("i"), array("d")
    while day <= date(2026, 11, 20):
        if day.month == 11 and day.day == 10:
            level *= 0.98 if day.year == 2026 - years else 1.01
        days.append(day.toordinal())
        values.append(level)
        day += timedelta(days=1)
    return Series("VNINDEX", days, values)


def test_the_months_of_earlier_years() -> None:
    found = same_month(walk(2), date(2026, 11, 23))
    assert [date.fromordinal(d) for d in found.day] == [date(2024, 11, 1), date(2025, 11, 1), date(2026, 11, 1)]
    assert list(found.values) == pytest.approx([-2.0, 1.0, 1.0])
    assert len(same_month(walk(2), date(2026, 2, 3)).day) == 3
    assert len(same_month(Series("X", array("i"), array("d")), date(2026, 2, 3)).day) == 0


def test_closes_of_what_has_seasons_are_kept_for_longer() -> None:
    vnindex = samples.make_bars(ROWS["VNINDEX"], 520)
    ftse = samples.make_bars(ROWS["FTSE"], 520)
    assert "VNINDEX" in landmarks.SEASONS
    assert "FTSE" not in landmarks.SEASONS
    assert len(closes(vnindex).day) == 520
    assert 250 < len(closes(ftse).day) < 300


def test_the_table_and_the_sentence_tell_of_them() -> None:
    series = same_month(walk(2), date(2026, 11, 23))
    vnindex = samples.findings().get("VNINDEX")
    assert vnindex is not None
    found = market(vnindex, same_month=(series,), months=(), calendar=None)
    (sentence,) = seasons.year_ago(found, vnindex, series)
    assert (sentence.rule, sentence.inputs["month"]) == ("months.year_ago_up", date(2025, 11, 1))
    assert "1.00%" in english(sentence)
    (table,) = [b for b in seasonality.section(found, samples.no_cards()).blocks if isinstance(b, Table)]
    assert [english(c.title) for c in table.columns[1:]] == ["Nov 2026", "Nov 2025", "Nov 2024"]
    (row,) = table.rows
    assert [round(cell.value, 6) for cell in row[1:]] == [1.0, 1.0, -2.0]


def test_the_market_of_the_samples_tells_of_it() -> None:
    assert {s.id for s in samples.findings().same_month} <= set(landmarks.SEASONS)
    assert all(f.instrument.group is Group.VOLATILITY for id in landmarks.FEAR if (f := samples.findings().get(id)))
