from __future__ import annotations

from array import array

import pytest

from evertick.model import Group
from evertick.reports.findings import FIELDS, Breadth, Matrix, facts
from evertick.reports.written import Line, Written
from unit.reports import samples

ROW = samples.instruments()[0]


def test_unknown_facts_are_none() -> None:
    f = facts(ROW, {"price": 5.0, "change": None})
    assert (f.price, f.change, f.rsi14) == (5.0, None, None)


def test_a_name_that_is_no_fact_is_refused() -> None:
    with pytest.raises(KeyError, match="prize"):
        facts(ROW, {"prize": 5.0})


def test_every_field_has_its_own_place() -> None:
    f = facts(ROW, {name: float(n) for n, name in enumerate(FIELDS)})
    assert [getattr(f, name) for name in FIELDS] == [float(n) for n in range(len(FIELDS))]


def test_a_second_source_is_known_by_the_order_of_asking() -> None:
    btc = next(x for x in samples.instruments() if x.id == "BTC")
    assert not facts(btc, {}, source="coingecko").fallback
    assert facts(btc, {}, source="yahoo").fallback
    assert not facts(btc, {}).fallback
    assert not facts(ROW, {}, source=next(iter(ROW.symbols))).fallback


def test_breadth_counts() -> None:
    members = [
        facts(ROW, {"price": 10.0, "change": 1.0, "sma50": 9.0, "sma200": 11.0, "new_52w": 1.0}),
        facts(ROW, {"price": 10.0, "change": -1.0, "sma50": 11.0}),
        facts(ROW, {"price": 10.0, "change": 0.0, "new_52w": -1.0}),
        facts(ROW, {"price": 10.0}),
        facts(ROW, {"change": 5.0}),
    ]
    b = Breadth.among(members)
    assert (b.advancing, b.declining, b.unchanged, b.total) == (1, 1, 1, 3)
    assert (b.share50, b.share200) == (50.0, 0.0)
    assert (b.highs, b.lows) == (1, 1)
    assert Breadth.among([]).share50 is None


def test_findings_give_what_has_a_price() -> None:
    findings = samples.findings()
    assert findings.get("SPX") is not None
    assert findings.get("NO_SUCH") is None
    assert findings.quoted == len(findings.facts) >= 120
    assert {f.group for f in findings.of(Group.FX)} == {Group.FX}


def test_a_matrix_cell_may_be_unknown() -> None:
    assert Matrix(("A", "B"), array("d", [1.0, float("nan"), float("nan"), 1.0]), 60).at(0, 1) is None


def test_a_text_is_added_without_looking_at_the_facts_again() -> None:
    findings = samples.findings()
    written = {"en": Written("m", Line("One.", (), ()), ())}
    told = findings.told(written, ["struck"])
    assert (told.written, told.warnings) == (written, ("struck", *findings.warnings))
    assert (findings.written, told.facts) == ({}, findings.facts)
    assert told.facts is findings.facts
    assert (told.quoted, told.get("SPX")) == (findings.quoted, findings.get("SPX"))
