from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from evertick.errors import ReportRejected
from evertick.model import Group, Instrument
from evertick.reports.findings import Facts, Findings, facts
from evertick.reports.validate import REASONS, validate
from unit.reports import samples

ROW = Instrument("X", "X", Group.INDICES, "asia", "pts", "XTKS", 2, {"yahoo": "X"})
OIL = replace(ROW, id="WTI", group=Group.COMMODITIES)


def findings(*found: Facts) -> Findings:
    return replace(samples.findings(), facts=found)


def good(row: Instrument = ROW, **known: float) -> Facts:
    return facts(row, {"price": 10.0, **known}, as_of=samples.AS_OF, source="yahoo", fresh=True)


def reasons(*found: Facts) -> tuple[str, ...]:
    with pytest.raises(ReportRejected) as caught:
        validate(findings(*found))
    return caught.value.reasons


def test_the_sample_passes() -> None:
    validate(samples.findings())
    validate(findings(good()))


def test_no_quote_at_all() -> None:
    assert reasons(facts(ROW, {}))[0].startswith("no instrument has a quote")


def test_every_quote_stale() -> None:
    old = facts(ROW, {"price": 1.0}, as_of=samples.AS_OF - timedelta(days=3), source="yahoo")
    assert reasons(old) == ("every quote is stale, the newest is of 2026-11-20 09:30 UTC",)


def test_one_fresh_quote_is_enough() -> None:
    validate(findings(good(), facts(ROW, {"price": 1.0}, source="yahoo")))


def test_what_is_not_finite() -> None:
    assert reasons(good(atr14=float("inf")))[0] == "X: atr14 is not finite"


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"price": 0.0}, "X: price 0 is impossible"),
        ({"price": -3.0}, "X: price -3 is impossible"),
        ({"rsi14": 101.0}, "X: rsi14 101 is outside 0 to 100"),
        ({"position_52w": -0.1}, "X: position_52w -0.1 is outside 0 to 1"),
        ({"correlation60": 1.5}, "X: correlation60 1.5 is outside -1 to 1"),
        ({"vol20": -1.0}, "X: vol20 -1 is outside 0 to inf"),
        ({"change": -120.0}, "X: a fall of 120.0 % is impossible"),
        ({"low_52w": 9.0, "high_52w": 8.0}, "X: the 52-week low is above the high"),
    ],
)
def test_what_is_impossible(known: dict[str, float], reason: str) -> None:
    assert reasons(good(**known)) == (reason,)


def test_oil_has_been_negative() -> None:
    validate(findings(good(OIL, price=-37.63, change=-305.0)))


def test_a_quote_from_the_future() -> None:
    ahead = facts(ROW, {"price": 1.0}, as_of=samples.NOW + timedelta(hours=1), fresh=True)
    assert reasons(ahead) == ("X: its quote is from the future (2026-11-23 10:31 UTC)",)


def test_reasons_are_bounded() -> None:
    found = [good(replace(ROW, id=f"X{n}"), price=-1.0) for n in range(50)]
    said = reasons(*found)
    assert len(said) == REASONS + 1
    assert said[-1] == "and 38 more"
