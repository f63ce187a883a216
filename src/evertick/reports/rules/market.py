"""What the markets do as a whole: breadth, regions, leaders, the curve, the dong."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from evertick.model import Group
from evertick.reports.blocks import Sentence
from evertick.reports.findings import Breadth, Facts, Findings
from evertick.reports.rules import Rule
from evertick.reports.values import FLAT, change, level, name, number, percent, region, size

BROAD = 65.0
"""Percent of a group: from here a move is broad."""
NARROW = 35.0
REGION_LEAST = 3
"""Indices that an average of a region needs."""
STEADY = 0.05
"""Percent: the dong moves little, and less than this is steady."""

BROAD_GAIN = Rule(
    "market.broad_gain",
    "up",
    (
        (
            "{n} of {total} world indices is up: a broad advance.",
            "{n} of {total} world indices are up: a broad advance.",
        ),
        (
            "The world's stock markets rise together, {n} of {total} index in the green.",
            "The world's stock markets rise together, {n} of {total} indices in the green.",
        ),
        (
            "Buyers are in charge almost everywhere: {n} of {total} world indices gains.",
            "Buyers are in charge almost everywhere: {n} of {total} world indices gain.",
        ),
    ),
)
BROAD_LOSS = Rule(
    "market.broad_loss",
    "down",
    (
        (
            "{n} of {total} world indices is down: a broad retreat.",
            "{n} of {total} world indices are down: a broad retreat.",
        ),
        (
            "The world's stock markets fall together, {n} of {total} index in the red.",
            "The world's stock markets fall together, {n} of {total} indices in the red.",
        ),
        (
            "Selling is widespread: {n} of {total} world indices loses ground.",
            "Selling is widespread: {n} of {total} world indices lose ground.",
        ),
    ),
)
MIXED = Rule(
    "market.mixed",
    "neutral",
    (
        ("World indices are mixed: {n} up, {down} down.", "World indices are mixed: {n} up, {down} down."),
        (
            "No common direction in world stocks: {n} index rises and {down} fall.",
            "No common direction in world stocks: {n} indices rise and {down} fall.",
        ),
        (
            "The picture is divided, with {n} world index higher and {down} lower.",
            "The picture is divided, with {n} world indices higher and {down} lower.",
        ),
    ),
)
CONTRAST = Rule(
    "region.contrast",
    "neutral",
    (
        "Regions part ways: {best} averages {high}, {worst} {low}.",
        "By region, {best} does best ({high} on average) and {worst} worst ({low}).",
        "{best} leads the regions at {high} on average; {worst} trails at {low}.",
    ),
)
LEADERS = Rule(
    "market.leaders",
    "neutral",
    (
        "{best} leads the world indices at {high}; {worst} is last at {low}.",
        "The widest moves: {best} at {high} and {worst} at {low}.",
        "At the top of the table stands {best} ({high}), at its foot {worst} ({low}).",
    ),
)
TREND_BROAD = Rule(
    "breadth.broad",
    "up",
    (
        "{share} of {group} stand above their 200-day average: the trend is broad.",
        "Breadth is solid in {group}: {share} trade above the 200-day average.",
        "The longer trend carries {group}, {share} of them above the 200-day average.",
    ),
)
TREND_NARROW = Rule(
    "breadth.narrow",
    "down",
    (
        "Only {share} of {group} stand above their 200-day average: the trend is narrow.",
        "Breadth is thin in {group}: no more than {share} trade above the 200-day average.",
        "Few of {group} keep the longer trend; {share} are above the 200-day average.",
    ),
)
AGAINST_UP = Rule(
    "breadth.against_gain",
    "warn",
    (
        (
            "{name} is up {change}, yet {n} of {total} among {group} falls.",
            "{name} is up {change}, yet {n} of {total} among {group} fall.",
        ),
        (
            "A gain that few share: {name} adds {change} while {n} of {total} among {group} declines.",
            "A gain that few share: {name} adds {change} while {n} of {total} among {group} decline.",
        ),
        (
            "{name} rises {change} on the back of a few; {n} of {total} among {group} is lower.",
            "{name} rises {change} on the back of a few; {n} of {total} among {group} are lower.",
        ),
    ),
)
AGAINST_DOWN = Rule(
    "breadth.against_loss",
    "warn",
    (
        (
            "{name} is down {change}, yet {n} of {total} among {group} rises.",
            "{name} is down {change}, yet {n} of {total} among {group} rise.",
        ),
        (
            "The index hides the breadth: {name} loses {change} while {n} of {total} among {group} gains.",
            "The index hides the breadth: {name} loses {change} while {n} of {total} among {group} gain.",
        ),
        (
            "{name} slips {change} under the weight of a few; {n} of {total} among {group} is higher.",
            "{name} slips {change} under the weight of a few; {n} of {total} among {group} are higher.",
        ),
    ),
)
EXTREMES = Rule(
    "market.extremes",
    "neutral",
    (
        (
            "{n} instrument is at a 52-week high and {lows} at a 52-week low.",
            "{n} instruments are at a 52-week high and {lows} at a 52-week low.",
        ),
        ("New 52-week extremes: {n} high, {lows} low.", "New 52-week extremes: {n} highs, {lows} low."),
        (
            "{n} new 52-week high against {lows} on the low side.",
            "{n} new 52-week highs against {lows} on the low side.",
        ),
    ),
)
INVERTED = Rule(
    "curve.inverted",
    "warn",
    (
        "The US yield curve is inverted: ten years yield {long}, three months {short}.",
        "Short money costs more than long: US three-month bills yield {short}, ten-year notes {long}.",
        "At {long} the US ten-year yield stands below the three-month rate of {short}, an inverted curve.",
    ),
)
STEEP = Rule(
    "curve.normal",
    "neutral",
    (
        "The US ten-year yield is {long}, {spread} percentage points above three-month bills.",
        "The US curve slopes upward: {short} for three months, {long} for ten years.",
        "US yields run from {short} at three months to {long} at ten years, a spread of {spread} percentage points.",
    ),
)
DONG_WEAKER = Rule(
    "dong.weaker",
    "down",
    (
        "The dollar rises {change} to {price} dong.",
        "The dong loses ground: one dollar costs {price}, {change} more than the day before.",
        "USD/VND goes up {change} to {price}.",
    ),
)
DONG_STRONGER = Rule(
    "dong.stronger",
    "up",
    (
        "The dollar falls {change} to {price} dong.",
        "The dong gains ground: one dollar costs {price}, {change} less than the day before.",
        "USD/VND goes down {change} to {price}.",
    ),
)
DONG_STEADY = Rule(
    "dong.steady",
    "neutral",
    (
        "The dong is steady at {price} to the dollar.",
        "USD/VND hardly moves and stands at {price}.",
        "Little change against the dollar: {price} dong.",
    ),
)


def direction(findings: Findings) -> Iterator[Sentence]:
    """The first sentence of a report: how the world's indices move together."""
    breadth = findings.breadth.get(Group.INDICES)
    if breadth is None or not breadth.total:
        return
    up, down, total = breadth.advancing, breadth.declining, breadth.total
    inputs = {"advancing": up, "declining": down, "total": total}
    if 100 * up >= BROAD * total:
        yield BROAD_GAIN.say(findings.day, "world", inputs, n=up, total=total)
    elif 100 * down >= BROAD * total:
        yield BROAD_LOSS.say(findings.day, "world", inputs, n=down, total=total)
    else:
        yield MIXED.say(findings.day, "world", inputs, n=up, down=down)


def contrast(findings: Findings) -> Iterator[Sentence]:
    """Fires when one region's average is up, another's down, and they are a percent apart."""
    changes: dict[str, array[float]] = {}
    for f in findings.of(Group.INDICES):
        if f.change is not None:
            changes.setdefault(f.instrument.region, array("d")).append(f.change)
    averages = sorted((sum(v) / len(v), key) for key, v in changes.items() if len(v) >= REGION_LEAST)
    if len(averages) < 2:
        return
    (low, worst), (high, best) = averages[0], averages[-1]
    if low < 0 < high and high - low >= 0.75:
        inputs = {"best": best, "high": high, "worst": worst, "low": low}
        yield CONTRAST.say(
            findings.day, "regions", inputs, best=region(best), high=change(high), worst=region(worst), low=change(low)
        )


def leaders(findings: Findings) -> Iterator[Sentence]:
    movers = findings.movers.get(Group.INDICES)
    if movers is None or not movers.top:
        return
    best, worst = findings.get(movers.top[0]), findings.get(movers.bottom[0])
    if best is not None and worst is not None:
        inputs = {"best": best.id, "high": best.change, "worst": worst.id, "low": worst.change}
        yield LEADERS.say(
            findings.day,
            "indices",
            inputs,
            best=name(best),
            high=change(best.change),
            worst=name(worst),
            low=change(worst.change),
        )


def trend(findings: Findings, group: Group, title: object) -> Iterator[Sentence]:
    """Share above the 200-day average; silent between narrow and broad, and for groups of fewer than five."""
    breadth = findings.breadth.get(group)
    if breadth is None or breadth.of200 < 5 or breadth.share200 is None:
        return
    share = breadth.share200
    rule = TREND_BROAD if share >= BROAD else TREND_NARROW if share <= NARROW else None
    if rule is not None:
        yield rule.say(findings.day, group.value, {"share_above_200": share}, share=percent(share), group=title)


def against(findings: Findings, index: str, members: Iterable[Facts], title: object) -> Iterator[Sentence]:
    """The index goes one way, most of its members the other."""
    f = findings.get(index)
    breadth = Breadth.among(m for m in members if m.id != index)
    if f is None or f.change is None or breadth.total < 5 or abs(f.change) < FLAT:
        return
    rule, n = (AGAINST_UP, breadth.declining) if f.change > 0 else (AGAINST_DOWN, breadth.advancing)
    if n * 2 > breadth.total:
        inputs = {"change": f.change, "against": n, "total": breadth.total}
        yield rule.say(
            findings.day, index, inputs, name=name(f), change=size(f.change), n=n, total=breadth.total, group=title
        )


def extremes(findings: Findings) -> Iterator[Sentence]:
    highs = sum(b.highs for b in findings.breadth.values())
    lows = sum(b.lows for b in findings.breadth.values())
    if highs + lows >= 3:
        yield EXTREMES.say(findings.day, "extremes", {"highs": highs, "lows": lows}, n=highs, lows=lows)


def curve(findings: Findings) -> Iterator[Sentence]:
    """Ten years against three months (the tenors that the free sources have for certain)."""
    long, short = findings.get("US10Y"), findings.get("US3M")
    if long is None or short is None or long.price is None or short.price is None:
        return
    spread = long.price - short.price
    rule = INVERTED if spread < 0 else STEEP
    inputs = {"10y": long.price, "3m": short.price, "spread": spread}
    yield rule.say(
        findings.day,
        "US10Y",
        inputs,
        long=level(long, long.price),
        short=level(short, short.price),
        spread=number(spread),
    )


def dong(findings: Findings) -> Iterator[Sentence]:
    f = findings.get("USDVND")
    if f is None or f.change is None:
        return
    rule = DONG_STEADY if abs(f.change) < STEADY else DONG_WEAKER if f.change > 0 else DONG_STRONGER
    yield rule.say(
        findings.day, f.id, {"price": f.price, "change": f.change}, price=level(f, f.price), change=size(f.change)
    )
