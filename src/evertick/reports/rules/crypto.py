"""The crypto market: its size, who dominates it, and the mood."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.model import Group
from evertick.reports.blocks import Number, Sentence, Text
from evertick.reports.findings import Findings
from evertick.reports.rules import Rule
from evertick.reports.values import FLAT, change, compact, name, percent, size

BANDS = (
    (25.0, Text("extreme fear")),
    (45.0, Text("fear")),
    (55.0, Text("neutral mood")),
    (75.0, Text("greed")),
    (100.0, Text("extreme greed")),
)
"""Upper ends (exclusive, but for the last) as alternative.me draws them."""

CAP_UP = Rule(
    "crypto.cap_up",
    "up",
    (
        "The crypto market is worth {cap}, {change} more than a day ago.",
        "Total crypto capitalisation rises {change} to {cap}.",
        "All coins together come to {cap} after a gain of {change}.",
    ),
)
CAP_DOWN = Rule(
    "crypto.cap_down",
    "down",
    (
        "The crypto market is worth {cap}, {change} less than a day ago.",
        "Total crypto capitalisation falls {change} to {cap}.",
        "All coins together come to {cap} after a loss of {change}.",
    ),
)
CAP_FLAT = Rule(
    "crypto.cap_flat",
    "neutral",
    (
        "The crypto market is worth {cap}, about as much as a day ago ({change}).",
        "Total crypto capitalisation is little changed at {cap} ({change}).",
        "All coins together come to {cap}, hardly different from yesterday ({change}).",
    ),
)
DOMINANCE = Rule(
    "crypto.dominance",
    "neutral",
    (
        "Bitcoin makes up {btc} of it, ether {eth}.",
        "Bitcoin's share is {btc}, that of ether {eth}.",
        "{btc} of the value is in bitcoin and {eth} in ether.",
    ),
)
COINS = Rule(
    "crypto.breadth",
    "neutral",
    (
        ("{n} of {total} coins is up over 24 hours.", "{n} of {total} coins are up over 24 hours."),
        ("Among {total} coins {n} gains on the day.", "Among {total} coins {n} gain on the day."),
        ("Over a day {n} coin rises and {down} fall.", "Over a day {n} coins rise and {down} fall."),
    ),
)
BEST_WORST = Rule(
    "crypto.leaders",
    "neutral",
    (
        "Strongest is {best} ({high}), weakest {worst} ({low}).",
        "{best} leads with {high}; {worst} is at the end with {low}.",
        "The day belongs to {best} ({high}), while {worst} ({low}) has nothing to celebrate.",
    ),
)
MOOD = Rule(
    "sentiment.band",
    "neutral",
    (
        "The Fear & Greed index reads {value}: {band}.",
        "Mood among crypto investors: {band}, with the Fear & Greed index at {value}.",
        "Fear & Greed stands at {value}, which means {band}.",
    ),
)
MOOD_CHANGED = Rule(
    "sentiment.changed",
    "warn",
    (
        "The mood turns from {before} to {band}: Fear & Greed at {value}.",
        "Fear & Greed moves to {value}, from {before} into {band}.",
        "Yesterday {before}, today {band}: the Fear & Greed index reads {value}.",
    ),
)


def band(value: float) -> Text:
    return next((text for end, text in BANDS if value < end), BANDS[-1][1])


def capitalisation(findings: Findings) -> Iterator[Sentence]:
    f = findings.get("CRYPTO_CAP")
    if f is None or f.change is None:
        return
    inputs = {"cap": f.price, "change": f.change}
    cap = compact(f.price, f.instrument.currency)
    if abs(f.change) < FLAT:
        yield CAP_FLAT.say(findings.day, f.id, inputs, cap=cap, change=change(f.change))
    else:
        yield (CAP_UP if f.change > 0 else CAP_DOWN).say(findings.day, f.id, inputs, cap=cap, change=size(f.change))


def dominance(findings: Findings) -> Iterator[Sentence]:
    btc, eth = findings.get("BTC_DOM"), findings.get("ETH_DOM")
    if btc is not None and eth is not None:
        inputs = {"btc": btc.price, "eth": eth.price}
        yield DOMINANCE.say(findings.day, "dominance", inputs, btc=percent(btc.price), eth=percent(eth.price))


def breadth(findings: Findings) -> Iterator[Sentence]:
    coins = findings.breadth.get(Group.CRYPTO)
    if coins is not None and coins.total >= 5:
        inputs = {"advancing": coins.advancing, "declining": coins.declining}
        yield COINS.say(findings.day, "coins", inputs, n=coins.advancing, total=coins.total, down=coins.declining)


def leaders(findings: Findings) -> Iterator[Sentence]:
    movers = findings.movers.get(Group.CRYPTO)
    if movers is None or not movers.top:
        return
    best, worst = findings.get(movers.top[0]), findings.get(movers.bottom[0])
    if best is not None and worst is not None:
        inputs = {"best": best.id, "high": best.change, "worst": worst.id, "low": worst.change}
        values = {"best": name(best), "high": change(best.change), "worst": name(worst), "low": change(worst.change)}
        yield BEST_WORST.say(findings.day, "coins", inputs, **values)


def mood(findings: Findings) -> Iterator[Sentence]:
    """The band of the Fear & Greed index, and when it differs from yesterday's, that it changed."""
    f = findings.get("FNG")
    if f is None or f.price is None:
        return
    now = band(f.price)
    history = list(f.spark)
    inputs: dict[str, object] = {"value": f.price}
    value = Number(f.price, "integer")
    if len(history) >= 2 and (before := band(history[-2])) is not now:
        inputs["before"] = round(history[-2], 2)
        yield MOOD_CHANGED.say(findings.day, f.id, inputs, value=value, band=now, before=before)
    else:
        yield MOOD.say(findings.day, f.id, inputs, value=value, band=now)
