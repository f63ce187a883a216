"""The exchanges of Vietnam: how many shares rise and fall, what is traded most, and the index within its session."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Sentence
from evertick.reports.findings import Facts, Findings, extremes
from evertick.reports.rules import Rule
from evertick.reports.values import change, compact, level, name

WIDE = 1.5
"""So many times as many shares on one side make the breadth of an exchange one-sided."""

RISING = Rule(
    "vietnam.rising",
    "up",
    (
        "On the {name} {up} shares rise and {down} fall: buyers have the upper hand.",
        "Green prevails on the {name}, with {up} gainers against {down} losers.",
        "Gainers outnumber losers on the {name}, {up} to {down}.",
    ),
)
FALLING = Rule(
    "vietnam.falling",
    "down",
    (
        "On the {name} {down} shares fall and {up} rise: sellers have the upper hand.",
        "Red prevails on the {name}, with {down} losers against {up} gainers.",
        "Losers outnumber gainers on the {name}, {down} to {up}.",
    ),
)
EVEN = Rule(
    "vietnam.even",
    "neutral",
    (
        "The {name} is divided: {up} shares rise, {down} fall.",
        "On the {name} gainers and losers are in balance, {up} to {down}.",
        "Neither side prevails on the {name}, with {up} shares up and {down} down.",
    ),
)
MOST_TRADED = Rule(
    "vietnam.most_traded",
    "neutral",
    (
        "Most money goes into {name}: {value} worth of shares change hands ({change}).",
        "{name} is traded most, for {value} ({change}).",
        "By value, {name} leads the board with {value} ({change}).",
    ),
)
SHARES = Rule(
    "vietnam.leaders",
    "neutral",
    (
        "Among the leading shares {best} does best ({high}), {worst} worst ({low}).",
        "{best} ({high}) heads the blue chips, {worst} ({low}) trails them.",
        "The blue chips range from {best} ({high}) to {worst} ({low}).",
    ),
)
AT_TOP = Rule(
    "session.near_high",
    "up",
    (
        "{name} stands near its high of the session, {high}.",
        "{name} holds close to the session's high of {high}.",
        "Near the top of the session: {name}, whose high is {high}.",
    ),
)
AT_BOTTOM = Rule(
    "session.near_low",
    "down",
    (
        "{name} stands near its low of the session, {low}.",
        "{name} lingers close to the session's low of {low}.",
        "Near the bottom of the session: {name}, whose low is {low}.",
    ),
)
NEAR = 0.1
"""Of the session's range."""


def breadth(findings: Findings) -> Iterator[Sentence]:
    """Gainers against losers, of each exchange that counts them."""
    for id_ in ("VNINDEX", "HNX", "UPCOM"):
        f = findings.get(id_)
        if f is None or f.advances is None or f.declines is None or f.advances + f.declines < 5:
            continue
        up, down = f.advances, f.declines
        rule = RISING if up >= WIDE * down else FALLING if down >= WIDE * up else EVEN
        inputs = {"advances": up, "declines": down}
        yield rule.say(findings.day, id_, inputs, name=name(f), up=int(up), down=int(down))


def shares(findings: Findings) -> Iterator[Facts]:
    return (f for f in findings.of(Group.VIETNAM) if f.id not in landmarks.VIETNAM_INDICES)


def most_traded(findings: Findings) -> Iterator[Sentence]:
    f = max((f for f in shares(findings) if f.turnover), key=lambda f: (f.turnover or 0, f.id), default=None)
    if f is not None and f.change is not None:
        inputs = {"turnover": f.turnover, "change": f.change}
        value = compact(f.turnover, "VND")
        yield MOST_TRADED.say(findings.day, f.id, inputs, name=name(f), value=value, change=change(f.change))


def leaders(findings: Findings) -> Iterator[Sentence]:
    moved = (f for f in shares(findings) if f.change is not None)
    if (found := extremes(moved, lambda f: f.change)) is not None and found.count >= 5:
        worst, best = found.least, found.most
        inputs = {"best": best.id, "high": best.change, "worst": worst.id, "low": worst.change}
        values = {"best": name(best), "high": change(best.change), "worst": name(worst), "low": change(worst.change)}
        yield SHARES.say(findings.day, "shares", inputs, **values)


def within_session(findings: Findings) -> Iterator[Sentence]:
    """Whether the index stands near the high or the low of its session."""
    f = findings.get("VNINDEX")
    if f is None or f.price is None or f.day_high is None or f.day_low is None or f.day_high <= f.day_low:
        return
    share = (f.price - f.day_low) / (f.day_high - f.day_low)
    inputs = {"price": f.price, "day_high": f.day_high, "day_low": f.day_low}
    if share >= 1 - NEAR:
        yield AT_TOP.say(findings.day, f.id, inputs, name=name(f), high=level(f, f.day_high))
    elif share <= NEAR:
        yield AT_BOTTOM.say(findings.day, f.id, inputs, name=name(f), low=level(f, f.day_low))
