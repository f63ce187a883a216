"""Currencies, commodities and interest rates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Name, Sentence
from evertick.reports.findings import Facts, Findings, extremes
from evertick.reports.rules import Rule
from evertick.reports.values import change, name, number, price, size

DOLLAR_WIDE = 70.0
"""Percent of the currencies that the dollar rises or falls against."""
STEADY_SPREAD = 0.05
"""Percentage points in a month: a curve that moves less keeps its shape."""
MONTH_MOVE = 5.0
"""Percent in a month worth a sentence."""

DOLLAR_UP = Rule(
    "dollar.up",
    "neutral",
    (
        (
            "The dollar gains against {n} of {total} currencies.",
            "The dollar gains against {n} of {total} currencies.",
        ),
        (
            "A firm dollar: {n} of {total} currencies loses to it.",
            "A firm dollar: {n} of {total} currencies lose to it.",
        ),
        (
            "The greenback is in demand and rises against {n} of {total} currencies.",
            "The greenback is in demand and rises against {n} of {total} currencies.",
        ),
    ),
)
DOLLAR_DOWN = Rule(
    "dollar.down",
    "neutral",
    (
        ("The dollar loses to {n} of {total} currencies.", "The dollar loses to {n} of {total} currencies."),
        (
            "A soft dollar: {n} of {total} currencies gains on it.",
            "A soft dollar: {n} of {total} currencies gain on it.",
        ),
        (
            "The greenback weakens against {n} of {total} currencies.",
            "The greenback weakens against {n} of {total} currencies.",
        ),
    ),
)
DOLLAR_MIXED = Rule(
    "dollar.mixed",
    "neutral",
    (
        "The dollar shows no clear direction: {up} currencies gain on it, {down} lose.",
        "A mixed picture for the dollar, with {up} currencies up against it and {down} down.",
        "Against the dollar {up} currencies rise and {down} fall.",
    ),
)
STRONGEST = Rule(
    "currency.leaders",
    "neutral",
    (
        "Strongest against the dollar is the {best} ({high}), weakest the {worst} ({low}).",
        "The {best} leads the currencies with {high} against the dollar; the {worst} is last with {low}.",
        "Against the dollar the day runs from the {best} ({high}) to the {worst} ({low}).",
    ),
)
GOODS = Rule(
    "commodities.leaders",
    "neutral",
    (
        "Among commodities {best} rises most ({high}), {worst} falls furthest ({low}).",
        "{best} ({high}) leads the commodities, {worst} ({low}) is at their end.",
        "The commodities range from {best} ({high}) to {worst} ({low}).",
    ),
)
GOODS_MONTH_UP = Rule(
    "commodities.month_up",
    "up",
    (
        "Over a month nothing has risen like {name}: {change}.",
        "{name} is the commodity of the month, up {change}.",
        "With a gain of {change}, {name} leads over one month.",
    ),
)
GOODS_MONTH_DOWN = Rule(
    "commodities.month_down",
    "down",
    (
        "Over a month nothing has fallen like {name}: {change}.",
        "{name} has had the worst month, down {change}.",
        "With a loss of {change}, {name} is last over one month.",
    ),
)
OIL_GOLD = Rule(
    "commodities.gold_oil",
    "neutral",
    (
        "Gold stands at {gold} ({gold_change}), US crude at {oil} ({oil_change}).",
        "An ounce of gold costs {gold} ({gold_change}), a barrel of US crude {oil} ({oil_change}).",
        "Gold: {gold} ({gold_change}); US crude: {oil} ({oil_change}).",
    ),
)
TWO_TEN_INVERTED = Rule(
    "curve.two_ten_inverted",
    "warn",
    (
        "Ten-year yields are {spread} percentage points below those of two years.",
        "Between two and ten years the curve is upside down, by {spread} percentage points.",
        "Two years yield {spread} percentage points more than ten: the curve is inverted there.",
    ),
)
TWO_TEN = Rule(
    "curve.two_ten",
    "neutral",
    (
        "Ten-year yields are {spread} percentage points above those of two years.",
        "Between two and ten years the curve rises by {spread} percentage points.",
        "Ten years yield {spread} percentage points more than two.",
    ),
)
STEEPENED = Rule(
    "curve.steepened",
    "neutral",
    (
        "Within a month the curve has steepened by {move} percentage points.",
        "That gap has widened by {move} percentage points in a month.",
        "A month ago the gap was {move} percentage points smaller: the curve steepens.",
    ),
)
FLATTENED = Rule(
    "curve.flattened",
    "neutral",
    (
        "Within a month the curve has flattened by {move} percentage points.",
        "That gap has narrowed by {move} percentage points in a month.",
        "A month ago the gap was {move} percentage points larger: the curve flattens.",
    ),
)
YEAR_HIGHER = Rule(
    "yield.year_higher",
    "neutral",
    (
        "{name} is {points} percentage points higher than a year ago.",
        "Within a year {name} has risen by {points} percentage points.",
        "Compared with a year ago, {name} has gained {points} percentage points.",
    ),
)
YEAR_LOWER = Rule(
    "yield.year_lower",
    "neutral",
    (
        "{name} is {points} percentage points lower than a year ago.",
        "Within a year {name} has fallen by {points} percentage points.",
        "Compared with a year ago, {name} has lost {points} percentage points.",
    ),
)


def against_dollar(findings: Findings) -> list[tuple[float, str]]:
    """Percent by which each other currency of the matrix moved against the dollar, the weakest first."""
    matrix = findings.strength
    if matrix is None or "USD" not in matrix.ids:
        return []
    dollar = matrix.ids.index("USD")
    moves = ((matrix.at(row, dollar), code) for row, code in enumerate(matrix.ids) if code != "USD")
    return sorted((move, code) for move, code in moves if move is not None)


def dollar(findings: Findings) -> Iterator[Sentence]:
    moves = against_dollar(findings)
    if len(moves) < 3:
        return
    up, down, total = sum(m > 0 for m, _ in moves), sum(m < 0 for m, _ in moves), len(moves)
    inputs = {"up": up, "down": down, "total": total}
    if 100 * down >= DOLLAR_WIDE * total:
        yield DOLLAR_UP.say(findings.day, "USD", inputs, n=down, total=total)
    elif 100 * up >= DOLLAR_WIDE * total:
        yield DOLLAR_DOWN.say(findings.day, "USD", inputs, n=up, total=total)
    else:
        yield DOLLAR_MIXED.say(findings.day, "USD", inputs, up=up, down=down)
    (low, worst), (high, best) = moves[0], moves[-1]
    inputs_ = {"best": best, "high": high, "worst": worst, "low": low}
    yield STRONGEST.say(
        findings.day, "currencies", inputs_, best=code(best), high=change(high), worst=code(worst), low=change(low)
    )


def code(currency: str) -> Name:
    """A currency by its name."""
    return CURRENCIES.get(currency) or Name(currency)


CURRENCIES = {
    "USD": Name("US dollar"),
    "EUR": Name("euro"),
    "GBP": Name("pound sterling"),
    "JPY": Name("Japanese yen"),
    "CHF": Name("Swiss franc"),
    "AUD": Name("Australian dollar"),
    "CAD": Name("Canadian dollar"),
    "CNY": Name("Chinese yuan"),
    "SGD": Name("Singapore dollar"),
    "KRW": Name("Korean won"),
    "THB": Name("Thai baht"),
    "VND": Name("Vietnamese dong"),
}


def goods(findings: Findings) -> Iterator[Facts]:
    """Commodities, without the funds that hold them."""
    return (f for f in findings.of(Group.COMMODITIES) if f.instrument.exchange != "XNYS")


def gold_and_oil(findings: Findings) -> Iterator[Sentence]:
    gold, oil = findings.get("GOLD"), findings.get("WTI")
    if gold is None or oil is None or gold.change is None or oil.change is None:
        return
    inputs = {"gold": gold.price, "gold_change": gold.change, "oil": oil.price, "oil_change": oil.change}
    values = {"gold": price(gold), "oil": price(oil)}
    moves = {"gold_change": change(gold.change), "oil_change": change(oil.change)}
    yield OIL_GOLD.say(findings.day, "GOLD", inputs, **values, **moves)


def commodities(findings: Findings) -> Iterator[Sentence]:
    found = extremes((f for f in goods(findings) if f.change is not None), lambda f: f.change)
    if found is not None and found.count >= 5 and (found.least.change or 0) < 0 < (found.most.change or 0):
        worst, best = found.least, found.most
        inputs = {"best": best.id, "high": best.change, "worst": worst.id, "low": worst.change}
        values = {"best": name(best), "high": change(best.change), "worst": name(worst), "low": change(worst.change)}
        yield GOODS.say(findings.day, "commodities", inputs, **values)
    month = extremes((f for f in goods(findings) if f.ret_1m is not None), lambda f: f.ret_1m)
    if month is None:
        return
    for rule, one, sign in ((GOODS_MONTH_UP, month.most, 1), (GOODS_MONTH_DOWN, month.least, -1)):
        if one.ret_1m is not None and one.ret_1m * sign >= MONTH_MOVE:
            yield rule.say(findings.day, one.id, {"return_1m": one.ret_1m}, name=name(one), change=size(one.ret_1m))


def curve(findings: Findings) -> Iterator[Sentence]:
    """Two years against ten: the gap, and how it changed within a month."""
    long, short = (findings.get(id_) for id_ in landmarks.SPREAD)
    if long is None or short is None or long.price is None or short.price is None:
        return
    gap = long.price - short.price
    inputs = {"10y": long.price, "2y": short.price, "spread": gap}
    rule = TWO_TEN_INVERTED if gap < 0 else TWO_TEN
    yield rule.say(findings.day, long.id, inputs, spread=number(abs(gap)))
    if long.close_1m is None or short.close_1m is None:
        return
    move = gap - (long.close_1m - short.close_1m)
    if abs(move) >= STEADY_SPREAD:
        rule = STEEPENED if move > 0 else FLATTENED
        yield rule.say(findings.day, long.id, {"spread": gap, "change_1m": move}, move=number(abs(move)))


def year_of_yields(findings: Findings, ids: Iterable[str]) -> Iterator[Sentence]:
    for id_ in ids:
        f = findings.get(id_)
        if f is None or f.price is None or f.close_1y is None or abs(f.price - f.close_1y) < STEADY_SPREAD:
            continue
        points = f.price - f.close_1y
        rule = YEAR_HIGHER if points > 0 else YEAR_LOWER
        yield rule.say(
            findings.day,
            id_,
            {"now": f.price, "year_ago": f.close_1y, "points": points},
            name=name(f),
            points=number(abs(points)),
        )
