"""How fresh the report's numbers are, and whose answers are missing."""

from __future__ import annotations

from collections.abc import Iterator

from evertick.reports.blocks import Sentence
from evertick.reports.findings import Findings, Some
from evertick.reports.rules import Rule
from evertick.reports.values import name, provider

NAMES_SHOWN = 5

FRESH = Rule(
    "sources.fresh",
    "neutral",
    (
        (
            "The source answered and all {quotes} quotes are fresh.",
            "All {n} sources answered and all {quotes} quotes are fresh.",
        ),
        ("All {quotes} quotes are fresh; the source works.", "All {quotes} quotes are fresh; all {n} sources work."),
        (
            "Data check: one source, {quotes} quotes, nothing stale.",
            "Data check: {n} sources, {quotes} quotes, nothing stale.",
        ),
    ),
)
FAILING = Rule(
    "source.failing",
    "warn",
    (
        "{source} has not answered since {since}; its last good values are shown with their age.",
        "No answer from {source} since {since}: the values below are the last good ones.",
        "{source} has been silent since {since}. Until it returns, the report shows its last good values.",
    ),
)
NEVER = Rule(
    "source.never",
    "warn",
    (
        "{source} has not answered yet; what only it provides is missing.",
        "No answer from {source} so far, so its instruments are missing.",
        "{source} has been silent from the start; its part of the market is missing here.",
    ),
)
PARTIAL = Rule(
    "source.partial",
    "warn",
    (
        "{source} left out some instruments; their last good values are shown.",
        "The answer of {source} is incomplete: what is missing keeps its last good value.",
        "{source} answered only in part. Older values stand in for the rest.",
    ),
)
STALE = Rule(
    "quotes.stale",
    "warn",
    (
        (
            "{n} quote is older than it should be: {names}.",
            "{n} quotes are older than they should be, among them {names}.",
        ),
        ("Stale: {names}, {n} quote in all.", "Stale quotes: {n}, among them {names}."),
        (
            "{names} has not moved on: {n} quote is past its time.",
            "{n} quotes are past their time, {names} among them.",
        ),
    ),
)
FALLBACK = Rule(
    "quotes.fallback",
    "neutral",
    (
        ("{n} quote comes from a second source: {names}.", "{n} quotes come from a second source, among them {names}."),
        (
            "A second source stands in for {n} quote: {names}.",
            "A second source stands in for {n} quotes, such as {names}.",
        ),
        (
            "For {names} the second source was used ({n} quote).",
            "The second source was used {n} times, for {names} among others.",
        ),
    ),
)
MISSING = Rule(
    "quotes.missing",
    "warn",
    (
        ("{n} instrument has no quote at all: {names}.", "{n} instruments have no quote at all, among them {names}."),
        ("Without a quote: {names} ({n} instrument).", "Without a quote: {n} instruments, such as {names}."),
        ("{n} instrument is missing: {names}.", "{n} instruments are missing, {names} among them."),
    ),
)


def freshness(findings: Findings) -> Iterator[Sentence]:
    """What the banner says: one sentence when all is well, else one for each trouble."""
    day = findings.day
    trouble = False
    for source in findings.sources:
        inputs = {"source": source.name, "state": source.state}
        if source.state in ("failing", "resting"):
            trouble = True
            if source.last_success is None:
                yield NEVER.say(day, source.name, inputs, source=provider(source.name, findings.sources))
            else:
                inputs["last_success"] = source.last_success.isoformat()
                yield FAILING.say(
                    day, source.name, inputs, source=provider(source.name, findings.sources), since=source.last_success
                )
        elif source.state == "partial":
            trouble = True
            yield PARTIAL.say(day, source.name, inputs, source=provider(source.name, findings.sources))
    missing = Some.of(f for f in findings.facts if f.price is None)
    stale = Some.of(f for f in findings.facts if f.price is not None and not f.fresh)
    second = Some.of(f for f in findings.facts if f.price is not None and f.fallback)
    for rule, some in ((MISSING, missing), (STALE, stale), (FALLBACK, second)):
        if some.count:
            trouble = trouble or rule is not FALLBACK
            names = tuple(name(f) for f in some.first[:NAMES_SHOWN])
            yield rule.say(day, rule.id, {"count": some.count}, n=some.count, names=names)
    if not trouble:
        n = sum(source.state == "ok" for source in findings.sources)
        quotes = findings.quoted
        yield FRESH.say(day, "sources", {"sources": n, "quotes": quotes}, n=n, quotes=quotes)
