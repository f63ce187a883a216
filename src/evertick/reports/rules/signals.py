"""Technical signals over all markets: how many there are of each kind."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.reports.blocks import Sentence
from evertick.reports.findings import Findings, Some
from evertick.reports.rules import Rule
from evertick.reports.values import name

NAMES_SHOWN = 4

CROSSES = Rule(
    "signals.crosses",
    "neutral",
    (
        (
            "{n} market has a fresh crossing of its 50- and 200-day averages: {names}.",
            "{n} markets have a fresh crossing of their 50- and 200-day averages, among them {names}.",
        ),
        (
            "The 50-day average has crossed the 200-day one in {n} market: {names}.",
            "The 50-day average has crossed the 200-day one in {n} markets, {names} among them.",
        ),
        (
            "A golden or death cross appears in {n} market: {names}.",
            "Golden and death crosses appear in {n} markets, such as {names}.",
        ),
    ),
)
STRENGTH = Rule(
    "signals.rsi",
    "neutral",
    (
        "By RSI {hot} markets are overbought and {cold} oversold.",
        "The RSI calls {hot} markets overbought, {cold} oversold.",
        "Overbought by RSI: {hot} markets; oversold: {cold}.",
    ),
)
BANDS = Rule(
    "signals.bands",
    "neutral",
    (
        "{over} markets stand above their Bollinger bands, {under} below.",
        "Outside their Bollinger bands: {over} above, {under} below.",
        "Bollinger bands are broken upward by {over} markets and downward by {under}.",
    ),
)
STRETCHED = Rule(
    "signals.stretched",
    "warn",
    (
        (
            "{n} market is more than two standard deviations from its 60-day mean, furthest {names}.",
            "{n} markets are more than two standard deviations from their 60-day means, furthest {names}.",
        ),
        (
            "Stretched beyond two standard deviations: {n} market, {names} the most.",
            "Stretched beyond two standard deviations: {n} markets, {names} the most.",
        ),
        (
            "Unusually far from its 60-day mean is {n} market, above all {names}.",
            "Unusually far from their 60-day means are {n} markets, above all {names}.",
        ),
    ),
)
QUIET = Rule(
    "signals.none",
    "neutral",
    (
        "No market gives a technical signal today.",
        "Technically a quiet day: no signal in any market.",
        "None of the usual technical marks is crossed.",
    ),
)


def summary(
    findings: Findings, crosses: Some, rsi: Some, hot: int, bands: Some, over: int, far: Some
) -> Iterator[Sentence]:
    """One sentence for each kind of signal that occurs; the members come as the section found them, the strongest first."""
    day = findings.day
    if crosses.count:
        names = tuple(name(f) for f in crosses.first[:NAMES_SHOWN])
        yield CROSSES.say(day, "crosses", {"count": crosses.count}, n=crosses.count, names=names)
    if rsi.count:
        cold = rsi.count - hot
        yield STRENGTH.say(day, "rsi", {"hot": hot, "cold": cold}, hot=hot, cold=cold)
    if bands.count:
        under = bands.count - over
        yield BANDS.say(day, "bands", {"over": over, "under": under}, over=over, under=under)
    if far.count:
        yield STRETCHED.say(day, "far", {"count": far.count}, n=far.count, names=(name(far.first[0]),))
    if not (crosses.count or rsi.count or bands.count or far.count):
        yield QUIET.say(day, "signals", {})
