"""Months of the last year: which were good, which were bad, and how the current one goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from evertick.reports.blocks import Name, Sentence
from evertick.reports.findings import Facts, Findings, Series
from evertick.reports.rules import Rule
from evertick.reports.values import change, name, size

MONTHS = (
    Name("January"),
    Name("February"),
    Name("March"),
    Name("April"),
    Name("May"),
    Name("June"),
    Name("July"),
    Name("August"),
    Name("September"),
    Name("October"),
    Name("November"),
    Name("December"),
)
LEAST = 6
"""Months that a best and a worst one need."""

RANGE = Rule(
    "months.range",
    "neutral",
    (
        "The best month of {name} within a year was {best} ({high}), the worst {worst} ({low}).",
        "For {name} the year's months run from {worst} ({low}) to {best} ({high}).",
        "{name} did best in {best} ({high}) and worst in {worst} ({low}).",
    ),
)
RISEN = Rule(
    "months.risen",
    "neutral",
    (
        (
            "{name} has risen in {n} of the last {total} months.",
            "{name} has risen in {n} of the last {total} months.",
        ),
        ("Of {total} months {name} closed {n} higher.", "Of {total} months {name} closed {n} higher."),
        (
            "{n} of the last {total} months was a good one for {name}.",
            "{n} of the last {total} months were good ones for {name}.",
        ),
    ),
)
SO_FAR_UP = Rule(
    "months.so_far_up",
    "up",
    (
        "So far in {month}, {name} is up {change}.",
        "{name} has gained {change} in {month} so far.",
        "In {month} to date {name} stands {change} higher.",
    ),
)
SO_FAR_DOWN = Rule(
    "months.so_far_down",
    "down",
    (
        "So far in {month}, {name} is down {change}.",
        "{name} has lost {change} in {month} so far.",
        "In {month} to date {name} stands {change} lower.",
    ),
)


YEAR_AGO_UP = Rule(
    "months.year_ago_up",
    "up",
    (
        "In {month} of last year {name} gained {change}.",
        "A year ago {month} brought {name} a gain of {change}.",
        "Last year {name} rose {change} in {month}.",
    ),
)
YEAR_AGO_DOWN = Rule(
    "months.year_ago_down",
    "down",
    (
        "In {month} of last year {name} lost {change}.",
        "A year ago {month} brought {name} a loss of {change}.",
        "Last year {name} fell {change} in {month}.",
    ),
)


def month(day: int) -> Name:
    return MONTHS[date.fromordinal(day).month - 1]


def year(findings: Findings, f: Facts, series: Series) -> Iterator[Sentence]:
    """The best and the worst month, and how many rose."""
    known = [(value, day) for day, value in zip(series.day, series.values, strict=True) if value == value]
    if len(known) < LEAST:
        return
    (low, worst), (high, best) = min(known), max(known)
    inputs = {"best": date.fromordinal(best), "high": high, "worst": date.fromordinal(worst), "low": low}
    values = {"best": month(best), "high": change(high), "worst": month(worst), "low": change(low)}
    yield RANGE.say(findings.day, f.id, inputs, name=name(f), **values)
    risen = sum(value > 0 for value, _ in known)
    yield RISEN.say(findings.day, f.id, {"risen": risen, "months": len(known)}, name=name(f), n=risen, total=len(known))


def so_far(findings: Findings, f: Facts, series: Series) -> Iterator[Sentence]:
    """The month that is not over."""
    day, value = series.day[-1], series.values[-1]
    today = date.fromordinal(day)
    if value == value and value != 0 and (today.year, today.month) == (findings.day.year, findings.day.month):
        rule = SO_FAR_UP if value > 0 else SO_FAR_DOWN
        inputs = {"month": today, "return": value}
        yield rule.say(findings.day, f.id, inputs, name=name(f), month=month(day), change=size(value))


def year_ago(findings: Findings, f: Facts, series: Series) -> Iterator[Sentence]:
    """The same month of the year before."""
    for day, value in zip(series.day, series.values, strict=True):
        then = date.fromordinal(day)
        if then.year == findings.day.year - 1 and value == value and value != 0:
            rule = YEAR_AGO_UP if value > 0 else YEAR_AGO_DOWN
            inputs = {"month": then, "return": value}
            yield rule.say(findings.day, f.id, inputs, name=name(f), month=month(day), change=size(value))
