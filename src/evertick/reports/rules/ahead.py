"""Which exchanges trade now and which come next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from evertick.reports.blocks import Name, Sentence
from evertick.reports.rules import Rule

OPEN_NOW = Rule(
    "session.open",
    "neutral",
    (
        "Trading now: {names}.",
        "Open at the time of this report: {names}.",
        "In session at this hour: {names}.",
    ),
)
NONE_OPEN = Rule(
    "session.none",
    "neutral",
    (
        "No stock exchange of the list trades at this hour.",
        "All stock exchanges of the list are closed now.",
        "It is the quiet hour: none of the stock exchanges listed is open.",
    ),
)
NEXT = Rule(
    "session.next",
    "neutral",
    (
        "Next to open: {names}, {time}.",
        "The next session begins {time}: {names}.",
        "{names} will be the next to open, {time}.",
    ),
)


def sessions(day: date, trading: list[Name], opening: list[Name], at: datetime | None) -> Iterator[Sentence]:
    inputs = {"open": len(trading)}
    if trading:
        yield OPEN_NOW.say(day, "open", inputs, names=tuple(trading))
    else:
        yield NONE_OPEN.say(day, "open", inputs)
    if opening and at is not None:
        yield NEXT.say(day, "next", {"at": at.isoformat()}, names=tuple(opening), time=at)
