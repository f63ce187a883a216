"""The database's time, between two answers of the database, with an engine that is scripted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from structlog.testing import capture_logs

from evertick.archive.clock import DatabaseClock

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Counter:
    def __init__(self) -> None:
        self.at = 5_000_000

    def __call__(self) -> int:
        return self.at


class Engine:
    """Answers with a time; the answer takes ``way`` microseconds in all."""

    def __init__(self, counter: Counter, time: datetime, way: int = 0) -> None:
        self.counter, self.time, self.way = counter, time, way

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Engine]:
        yield self

    async def scalar(self, statement: Any) -> int:
        self.counter.at += self.way
        return int(self.time.timestamp() * 1_000_000)


async def test_it_goes_on_from_what_the_database_said() -> None:
    counter = Counter()
    clock = DatabaseClock(counter)
    await clock.ask(Engine(counter, NOON))  # type: ignore[arg-type]
    assert clock.now() == NOON
    counter.at += 1_500_000
    assert clock.now() == NOON + timedelta(seconds=1.5)


async def test_half_of_the_way_is_taken_off() -> None:
    counter = Counter()
    clock = DatabaseClock(counter)
    await clock.ask(Engine(counter, NOON, way=80_000))  # type: ignore[arg-type]
    assert clock.now() == NOON + timedelta(milliseconds=40)


async def test_a_machine_that_is_off_is_told_once() -> None:
    counter = Counter()
    clock = DatabaseClock(counter)
    with capture_logs() as logs:
        for _ in range(2):
            await clock.ask(Engine(counter, datetime.now(UTC) + timedelta(seconds=90)))  # type: ignore[arg-type]
    assert [(entry["event"], round(entry["seconds"])) for entry in logs] == [
        ("the clock of this machine is off, that of the database counts", -90)
    ]


def test_before_it_was_asked_it_is_the_clock_of_the_machine() -> None:
    assert abs(DatabaseClock().now() - datetime.now(UTC)) < timedelta(seconds=5)
