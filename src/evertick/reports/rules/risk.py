"""Risk: the fear gauge, what moves together, who swings most and who is deepest under its high."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Sentence
from evertick.reports.findings import Facts, Findings
from evertick.reports.rules import Rule
from evertick.reports.values import change, name, number, percent, price

CALM, NORMAL, NERVOUS = 15.0, 20.0, 30.0
"""Upper ends of the VIX's bands; above the last is stress."""

VIX_CALM = Rule(
    "vix.calm",
    "neutral",
    (
        "The VIX at {value} ({change}) speaks of calm.",
        "Options price little fear: VIX {value}, {change}.",
        "Wall Street is relaxed, with the VIX at {value} ({change}).",
    ),
)
VIX_NORMAL = Rule(
    "vix.normal",
    "neutral",
    (
        "The VIX stands at {value} ({change}), in its usual range.",
        "Nothing unusual in the fear gauge: VIX {value}, {change}.",
        "At {value} ({change}) the VIX signals neither calm nor alarm.",
    ),
)
VIX_NERVOUS = Rule(
    "vix.nervous",
    "warn",
    (
        "The VIX at {value} ({change}) shows nerves.",
        "Protection is in demand: VIX {value}, {change}.",
        "Wall Street is uneasy; the VIX stands at {value} ({change}).",
    ),
)
VIX_STRESS = Rule(
    "vix.stress",
    "warn",
    (
        "The VIX at {value} ({change}) is a sign of stress.",
        "Alarm in the options market: VIX {value}, {change}.",
        "Above 30 the VIX means stress; it stands at {value} ({change}).",
    ),
)
CLOSEST = Rule(
    "correlation.closest",
    "neutral",
    (
        "{a} and {b} move most alike: correlation {value} over {n} days.",
        "The closest pair of the last {n} days is {a} and {b} (correlation {value}).",
        "With a correlation of {value} over {n} days, {a} and {b} walk side by side.",
    ),
)
OPPOSITE = Rule(
    "correlation.opposite",
    "neutral",
    (
        "Most opposed are {a} and {b}: {value}.",
        "{a} and {b} tend to go opposite ways ({value}).",
        "When {a} rises, {b} tends to fall: correlation {value}.",
    ),
)
WILDEST = Rule(
    "volatility.highest",
    "neutral",
    (
        "{name} swings most: annualised volatility of {value} over 20 days.",
        "The widest swings are those of {name}, {value} a year by the last 20 days.",
        "By 20-day volatility, {name} leads with {value}.",
    ),
)
DEEPEST = Rule(
    "drawdown.deepest",
    "down",
    (
        "{name} is deepest under its high of the year: {fall}.",
        "{name} has the longest way back to its 52-week high: {fall}.",
        "Furthest from its peak of 52 weeks is {name}, down {fall}.",
    ),
)


TERM_NORMAL = Rule(
    "vix.term_normal",
    "neutral",
    (
        "The nearer, the calmer: the VIX stands at {near}, its three-month sister at {far}.",
        "Volatility slopes upward, from {near} for the next 30 days to {far} for three months.",
        "For three months options price in more unrest than for one, {far} against {near}.",
    ),
)
TERM_INVERTED = Rule(
    "vix.term_inverted",
    "warn",
    (
        "The near future is feared more than the far one: {near} for 30 days, {far} for three months.",
        "The volatility curve is inverted, with {near} for 30 days above {far} for three months.",
        "Protection for a month costs more than for three: VIX {near} against {far}.",
    ),
)


def fear(findings: Findings) -> Iterator[Sentence]:
    f = findings.get("VIX")
    if f is None or f.price is None:
        return
    level = f.price
    rule = (
        VIX_CALM if level < CALM else VIX_NORMAL if level < NORMAL else VIX_NERVOUS if level < NERVOUS else VIX_STRESS
    )
    yield rule.say(findings.day, f.id, {"vix": level, "change": f.change}, value=price(f), change=change(f.change))


def term(findings: Findings) -> Iterator[Sentence]:
    """The volatility that options price in for a month against that for three."""
    _, one, three, *_ = landmarks.FEAR
    near, far = findings.get(one), findings.get(three)
    if near is None or far is None or near.price is None or far.price is None or near.price == far.price:
        return
    rule = TERM_INVERTED if near.price > far.price else TERM_NORMAL
    inputs = {"near": near.price, "far": far.price}
    yield rule.say(findings.day, one, inputs, near=price(near), far=price(far))


def pairs(findings: Findings) -> Iterator[Sentence]:
    """The most and the least correlated pair of the matrix."""
    matrix = findings.correlation
    if matrix is None:
        return
    found = [
        (value, matrix.ids[row], matrix.ids[column])
        for row in range(len(matrix.ids))
        for column in range(row)
        if (value := matrix.at(row, column)) is not None
    ]
    if not found:
        return
    for rule, (value, a, b) in ((CLOSEST, max(found)), (OPPOSITE, min(found))):
        one, two = findings.get(a), findings.get(b)
        if one is None or two is None or (rule is OPPOSITE and value > -0.2):
            continue
        inputs = {"a": a, "b": b, "correlation": value}
        yield rule.say(findings.day, f"{a} {b}", inputs, a=name(one), b=name(two), value=number(value), n=matrix.days)


def extremes(findings: Findings, among: list[Facts]) -> Iterator[Sentence]:
    wild = max(
        (f for f in among if f.vol20 is not None and f.group is not Group.VOLATILITY),
        key=lambda f: f.vol20 or 0,
        default=None,
    )
    if wild is not None:
        yield WILDEST.say(findings.day, wild.id, {"vol20": wild.vol20}, name=name(wild), value=percent(wild.vol20))
    deep = min(
        (f for f in among if f.drawdown is not None and f.group is not Group.VOLATILITY),
        key=lambda f: f.drawdown or 0,
        default=None,
    )
    if deep is not None and deep.drawdown is not None and deep.drawdown < -1:
        yield DEEPEST.say(
            findings.day, deep.id, {"drawdown": deep.drawdown}, name=name(deep), fall=percent(-deep.drawdown)
        )
