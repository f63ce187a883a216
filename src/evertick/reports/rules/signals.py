"""Technical signals over all markets: how many there are of each kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evertick.reports.blocks import Sentence
from evertick.reports.findings import Facts, Findings
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
    findings: Findings, crosses: Sequence[Facts], rsi: Sequence[Facts], bands: Sequence[Facts], far: Sequence[Facts]
) -> Iterator[Sentence]:
    """One sentence for each kind of signal that occurs; the members come as the section found them, the strongest first."""
    day = findings.day
    if crosses:
        names = tuple(name(f) for f in crosses[:NAMES_SHOWN])
        yield CROSSES.say(day, "crosses", {"count": len(crosses)}, n=len(crosses), names=names)
    if rsi:
        hot = sum((f.rsi14 or 0) > 50 for f in rsi)
        yield STRENGTH.say(day, "rsi", {"hot": hot, "cold": len(rsi) - hot}, hot=hot, cold=len(rsi) - hot)
    if bands:
        over = sum(f.price is not None and f.band_upper is not None and f.price > f.band_upper for f in bands)
        inputs = {"over": over, "under": len(bands) - over}
        yield BANDS.say(day, "bands", inputs, over=over, under=len(bands) - over)
    if far:
        yield STRETCHED.say(day, "far", {"count": len(far)}, n=len(far), names=(name(far[0]),))
    if not (crosses or rsi or bands or far):
        yield QUIET.say(day, "signals", {})
