"""What one instrument does: its move, and what its averages, bands and range say about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Sentence
from evertick.reports.findings import Facts, Findings
from evertick.reports.rules import Rule
from evertick.reports.values import FLAT, change, level, name, number, percent, price, size

BIG_SIGMA = 1.5
BIG_SESSIONS = 20
OVERBOUGHT, OVERSOLD = 70.0, 30.0
STRETCHED = 2.0
CORRECTION, BEAR = -10.0, -20.0
RUN = 4
"""Sessions in a row worth a sentence."""
STEADY_POINTS = 0.005
"""Percentage points: a yield that moves less is steady."""
FALL_FROM_HIGHS = frozenset({Group.INDICES, Group.VIETNAM, Group.CRYPTO, Group.COMMODITIES, Group.SECTORS})
"""Corrections and bear markets are words for what investors hold, not for yields, exchange rates or fear gauges."""
LIVELIER, CALMER = 1.3, 0.7
"""20-day volatility against that of 60 days."""

UP = Rule("move.up", "up", ("{name} gains {change} to {price}.", "{name} is up {change} at {price}.", "{name} adds {change} and stands at {price}."))  # fmt: skip
DOWN = Rule("move.down", "down", ("{name} loses {change} to {price}.", "{name} is down {change} at {price}.", "{name} gives up {change} and stands at {price}."))  # fmt: skip
LITTLE = Rule(
    "move.little",
    "neutral",
    (
        "{name} is little changed at {price} ({change}).",
        "{name} hardly moves ({change}) and stands at {price}.",
        "{name} marks time at {price} ({change}).",
    ),
)
BIG_UP = Rule(
    "move.biggest_gain",
    "up",
    (
        "{name} gains {change}, its largest move in {n} sessions, to {price}.",
        "{name} jumps {change} to {price}; nothing as large was seen for {n} sessions.",
        "A strong day for {name}: up {change} to {price}, the widest swing in {n} sessions.",
    ),
)
BIG_DOWN = Rule(
    "move.biggest_loss",
    "down",
    (
        "{name} loses {change}, its largest move in {n} sessions, to {price}.",
        "{name} drops {change} to {price}; nothing as large was seen for {n} sessions.",
        "A weak day for {name}: down {change} to {price}, the widest swing in {n} sessions.",
    ),
)
YIELD_UP = Rule(
    "yield.up",
    "neutral",
    (
        "{name} rises {points} percentage points to {level}.",
        "{name} is up {points} percentage points at {level}.",
        "{name} climbs to {level}, {points} percentage points more than the day before.",
    ),
)
YIELD_DOWN = Rule(
    "yield.down",
    "neutral",
    (
        "{name} falls {points} percentage points to {level}.",
        "{name} is down {points} percentage points at {level}.",
        "{name} eases to {level}, {points} percentage points less than the day before.",
    ),
)
YIELD_STEADY = Rule(
    "yield.steady",
    "neutral",
    (
        "{name} is steady at {level}.",
        "{name} hardly moves and stands at {level}.",
        "No change worth naming: {name} at {level}.",
    ),
)
OVER_200 = Rule(
    "average200.over",
    "up",
    (
        "{name} moves above its 200-day average ({average}) for the first time in {n} sessions.",
        "After {n} sessions below it, {name} is back over the 200-day average of {average}.",
        "{name} takes back its 200-day average, {average}, which it had been under for {n} sessions.",
    ),
)
UNDER_200 = Rule(
    "average200.under",
    "down",
    (
        "{name} moves below its 200-day average ({average}) for the first time in {n} sessions.",
        "After {n} sessions above it, {name} slips under the 200-day average of {average}.",
        "{name} gives way at its 200-day average, {average}, which had held for {n} sessions.",
    ),
)
GOLDEN = Rule(
    "cross.golden",
    "up",
    (
        "The 50-day average of {name} has crossed above the 200-day one, a golden cross.",
        "{name} shows a golden cross: its 50-day average ({fast}) is now above the 200-day one ({slow}).",
        "A golden cross in {name}: {fast} for 50 days against {slow} for 200.",
    ),
)
DEATH = Rule(
    "cross.death",
    "down",
    (
        "The 50-day average of {name} has crossed below the 200-day one, a death cross.",
        "{name} shows a death cross: its 50-day average ({fast}) is now below the 200-day one ({slow}).",
        "A death cross in {name}: {fast} for 50 days against {slow} for 200.",
    ),
)
HIGH_52 = Rule(
    "year.high",
    "up",
    (
        "{name} is at its highest in 52 weeks.",
        "A 52-week high for {name}, at {price}.",
        "{name} has not stood higher within a year than at {price}.",
    ),
)
LOW_52 = Rule(
    "year.low",
    "down",
    (
        "{name} is at its lowest in 52 weeks.",
        "A 52-week low for {name}, at {price}.",
        "{name} has not stood lower within a year than at {price}.",
    ),
)
RSI_HIGH = Rule(
    "rsi.overbought",
    "warn",
    (
        "The RSI of {name} reads {rsi}, overbought by the usual mark of 70.",
        "{name} runs hot: 14-day RSI at {rsi}.",
        "With an RSI of {rsi}, {name} is in overbought ground.",
    ),
)
RSI_LOW = Rule(
    "rsi.oversold",
    "warn",
    (
        "The RSI of {name} reads {rsi}, oversold by the usual mark of 30.",
        "{name} looks exhausted: 14-day RSI at {rsi}.",
        "With an RSI of {rsi}, {name} is in oversold ground.",
    ),
)
BAND_OVER = Rule(
    "band.over",
    "warn",
    (
        "{name} trades above its upper Bollinger band of {band}.",
        "{name} has left its Bollinger band at the top ({band}).",
        "The upper Bollinger band of {name}, {band}, is broken.",
    ),
)
BAND_UNDER = Rule(
    "band.under",
    "warn",
    (
        "{name} trades below its lower Bollinger band of {band}.",
        "{name} has left its Bollinger band at the bottom ({band}).",
        "The lower Bollinger band of {name}, {band}, is broken.",
    ),
)
STRETCH_UP = Rule(
    "stretch.up",
    "warn",
    (
        "{name} stands {z} standard deviations above its 60-day mean.",
        "Measured by its last 60 days, {name} is stretched upward (z = {z}).",
        "{name} is far above its 60-day mean: {z} standard deviations.",
    ),
)
STRETCH_DOWN = Rule(
    "stretch.down",
    "warn",
    (
        "{name} stands {z} standard deviations below its 60-day mean.",
        "Measured by its last 60 days, {name} is stretched downward (z = {z}).",
        "{name} is far below its 60-day mean: {z} standard deviations.",
    ),
)
CORRECTION_ = Rule(
    "drawdown.correction",
    "down",
    (
        "{name} is {fall} below its 52-week high: a correction.",
        "From its high of the year {name} has come down {fall}, which counts as a correction.",
        "In correction: {name} has lost {fall} since its 52-week high.",
    ),
)
BEAR_ = Rule(
    "drawdown.bear",
    "down",
    (
        "{name} is {fall} below its 52-week high, in bear-market ground.",
        "From its high of the year {name} has fallen {fall}: a bear market by the usual mark of 20%.",
        "A bear market in {name}: {fall} lost since the 52-week high.",
    ),
)
RUN_UP = Rule(
    "run.up",
    "up",
    (
        "{name} has risen {n} sessions in a row.",
        "That makes {n} gains in a row for {name}.",
        "{name} is on a run of {n} sessions with gains.",
    ),
)
RUN_DOWN = Rule(
    "run.down",
    "down",
    (
        "{name} has fallen {n} sessions in a row.",
        "That makes {n} losses in a row for {name}.",
        "{name} is on a run of {n} sessions with losses.",
    ),
)
LIVELY = Rule(
    "volatility.rising",
    "warn",
    (
        "{name} swings more than before: 20-day volatility at {short}, 60-day at {long}.",
        "Volatility of {name} is rising, {short} over 20 days against {long} over 60.",
        "Moves in {name} have become wider (annualised volatility {short} after {long}).",
    ),
)
CALM = Rule(
    "volatility.falling",
    "neutral",
    (
        "{name} has calmed down: 20-day volatility at {short}, 60-day at {long}.",
        "Volatility of {name} is ebbing, {short} over 20 days against {long} over 60.",
        "Moves in {name} have become smaller (annualised volatility {short} after {long}).",
    ),
)
TREND_UP = Rule(
    "trend.up",
    "up",
    (
        "The trend points up: price above the 50-day average, and that above the 200-day one.",
        "Above its 50-day average ({fast}) and its 200-day one ({slow}), {name} keeps an upward trend.",
        "{name} is in an upward trend, with {fast} as its 50-day and {slow} as its 200-day average.",
    ),
)
TREND_DOWN = Rule(
    "trend.down",
    "down",
    (
        "The trend points down: price below the 50-day average, and that below the 200-day one.",
        "Below its 50-day average ({fast}) and its 200-day one ({slow}), {name} keeps a downward trend.",
        "{name} is in a downward trend, with {fast} as its 50-day and {slow} as its 200-day average.",
    ),
)
YEAR_UP = Rule(
    "year.gain",
    "up",
    (
        "Over one year {name} has gained {year}.",
        "{name} stands {year} higher than a year ago.",
        "The balance of one year: plus {year}.",
    ),
)
YEAR_DOWN = Rule(
    "year.loss",
    "down",
    (
        "Over one year {name} has lost {year}.",
        "{name} stands {year} lower than a year ago.",
        "The balance of one year: minus {year}.",
    ),
)
FOLLOWS = Rule(
    "benchmark.follows",
    "neutral",
    (
        "It moves closely with {benchmark}: correlation {correlation}, beta {beta}.",
        "Most of its moves follow {benchmark} (correlation {correlation}, beta {beta}).",
        "Over 60 days the correlation with {benchmark} is {correlation} and the beta {beta}.",
    ),
)


def move(f: Facts, day: date) -> Sentence | None:
    """The one sentence about the day's move; ``None`` where no change is known."""
    if f.change is None or f.price is None:
        return None
    inputs = {"change": f.change, "price": f.price}
    if f.group is Group.RATES:
        return _yield(f, day)
    if (
        f.sigma is not None
        and abs(f.sigma) > BIG_SIGMA
        and abs(f.change) >= FLAT
        and (f.biggest_in or 0) >= BIG_SESSIONS
    ):
        n = int(f.biggest_in or 0)
        rule = BIG_UP if f.change > 0 else BIG_DOWN
        return rule.say(
            day,
            f.id,
            {**inputs, "sigma": f.sigma, "sessions": n},
            name=name(f),
            change=size(f.change),
            price=price(f),
            n=n,
        )
    if abs(f.change) < FLAT:
        return LITTLE.say(day, f.id, inputs, name=name(f), change=change(f.change), price=price(f))
    return (UP if f.change > 0 else DOWN).say(day, f.id, inputs, name=name(f), change=size(f.change), price=price(f))


def moved(f: Facts) -> bool:
    """Whether the sentence of its day says that it moved."""
    if f.change is None or f.price is None:
        return False
    if f.group is Group.RATES:
        return abs(f.points or 0.0) >= STEADY_POINTS
    return abs(f.change) >= FLAT


def _yield(f: Facts, day: date) -> Sentence:
    """A yield moves by percentage points; its change in percent would be read as that."""
    now, points = f.price or 0.0, f.points or 0.0
    inputs = {"level": now, "points": points}
    if abs(points) < STEADY_POINTS:
        return YIELD_STEADY.say(day, f.id, inputs, name=name(f), level=price(f))
    rule = YIELD_UP if points > 0 else YIELD_DOWN
    return rule.say(day, f.id, inputs, name=name(f), points=number(abs(points)), level=price(f))


def signals(f: Facts, day: date) -> Iterator[Sentence]:
    """Everything technical that fires, the rarest first."""
    who = name(f)
    if f.turn200 is not None:
        n = int(abs(f.turn200))
        rule = OVER_200 if f.turn200 > 0 else UNDER_200
        yield rule.say(day, f.id, {"sessions": n, "sma200": f.sma200}, name=who, n=n, average=level(f, f.sma200))
    if f.cross is not None:
        rule = GOLDEN if f.cross > 0 else DEATH
        inputs = {"sma50": f.sma50, "sma200": f.sma200, "sessions_ago": f.cross}
        yield rule.say(day, f.id, inputs, name=who, fast=level(f, f.sma50), slow=level(f, f.sma200))
    if f.new_52w:
        rule = HIGH_52 if f.new_52w > 0 else LOW_52
        yield rule.say(day, f.id, {"price": f.price}, name=who, price=price(f))
    if f.rsi14 is not None and not OVERSOLD <= f.rsi14 <= OVERBOUGHT:
        rule = RSI_HIGH if f.rsi14 > OVERBOUGHT else RSI_LOW
        yield rule.say(day, f.id, {"rsi14": f.rsi14}, name=who, rsi=number(f.rsi14, 1))
    if f.price is not None and f.band_upper is not None and f.band_lower is not None:
        if f.price > f.band_upper:
            yield BAND_OVER.say(
                day, f.id, {"price": f.price, "band": f.band_upper}, name=who, band=level(f, f.band_upper)
            )
        elif f.price < f.band_lower:
            yield BAND_UNDER.say(
                day, f.id, {"price": f.price, "band": f.band_lower}, name=who, band=level(f, f.band_lower)
            )
    if f.z60 is not None and abs(f.z60) > STRETCHED:
        rule = STRETCH_UP if f.z60 > 0 else STRETCH_DOWN
        yield rule.say(day, f.id, {"z60": f.z60}, name=who, z=number(abs(f.z60), 1))
    if f.streak is not None and abs(f.streak) >= RUN:
        rule = RUN_UP if f.streak > 0 else RUN_DOWN
        yield rule.say(day, f.id, {"streak": f.streak}, name=who, n=int(abs(f.streak)))


def state(f: Facts, day: date) -> Iterator[Sentence]:
    """Where it stands: drawdown, trend, a year's balance, volatility, its benchmark."""
    if f.group in FALL_FROM_HIGHS and f.drawdown is not None and f.drawdown <= CORRECTION:
        rule = BEAR_ if f.drawdown <= BEAR else CORRECTION_
        yield rule.say(day, f.id, {"drawdown": f.drawdown}, name=name(f), fall=percent(-f.drawdown))
    if f.price is not None and f.sma50 is not None and f.sma200 is not None:
        rule_ = TREND_UP if f.price > f.sma50 > f.sma200 else TREND_DOWN if f.price < f.sma50 < f.sma200 else None
        if rule_ is not None:
            inputs = {"price": f.price, "sma50": f.sma50, "sma200": f.sma200}
            yield rule_.say(day, f.id, inputs, name=name(f), fast=level(f, f.sma50), slow=level(f, f.sma200))
    if f.group not in (Group.RATES, Group.VOLATILITY) and f.ret_1y is not None and abs(f.ret_1y) >= 1:
        rule = YEAR_UP if f.ret_1y > 0 else YEAR_DOWN
        yield rule.say(day, f.id, {"return_1y": f.ret_1y}, name=name(f), year=percent(abs(f.ret_1y)))
    yield from unrest(f, day)


def unrest(f: Facts, day: date) -> Iterator[Sentence]:
    if f.vol20 is not None and f.vol60:
        ratio = f.vol20 / f.vol60
        rule = LIVELY if ratio >= LIVELIER else CALM if ratio <= CALMER else None
        if rule is not None:
            inputs = {"vol20": f.vol20, "vol60": f.vol60}
            yield rule.say(day, f.id, inputs, name=name(f), short=percent(f.vol20), long=percent(f.vol60))


def follows(f: Facts, findings: Findings) -> Iterator[Sentence]:
    leader = findings.get(landmarks.benchmark(f.group))
    if leader is None or leader.id == f.id or f.correlation60 is None or f.beta60 is None or f.correlation60 < 0.6:
        return
    inputs = {"correlation60": f.correlation60, "beta60": f.beta60, "benchmark": leader.id}
    values = {"benchmark": name(leader), "correlation": number(f.correlation60), "beta": number(f.beta60)}
    yield FOLLOWS.say(findings.day, f.id, inputs, **values)


def about(f: Facts, findings: Findings, most: int = 4) -> list[Sentence]:
    """What a card says: the move, then what is rarest, at most ``most`` sentences."""
    first = move(f, findings.day)
    said = [first] if first is not None else []
    for sentence in (*signals(f, findings.day), *state(f, findings.day), *follows(f, findings)):
        if len(said) >= most:
            break
        said.append(sentence)
    return said
