"""Sources that answer as a test says, in seats of a conductor."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from evertick.model import Bars, Group, Instrument, Quote, Snapshot, SourceStatus
from evertick.settings import SourceSettings
from evertick.sources import conductor as conducting
from evertick.sources.conductor import Conductor, Fetched
from evertick.sources.http import Getter
from evertick.sources.listing import Listed
from evertick.sources.reading import Answer
from evertick.universe import Universe

from .fakes import FakeHttp, FixedClock

TUESDAY = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
"""New York trades, and everything else that is open in the afternoon."""


def instrument(id_: str, *known: str, exchange: str = "24/7", core: bool = True) -> Instrument:
    """One that the sources in ``known`` have under its own id."""
    return Instrument(id_, id_, Group.INDICES, "world", "USD", exchange, 2, dict.fromkeys(known, id_), core)


@dataclass
class Script:
    """What a source is like and what it does; ``asked`` keeps the ids of each call."""

    name: str
    clock: FixedClock
    answer: Callable[[Sequence[Instrument]], Answer | Exception] | None = None
    """Without it: a price of 100, of now, for each."""
    bars: Callable[[Sequence[Instrument]], Sequence[Bars] | Exception] | None = None
    requests: int = 1
    """HTTP requests that one call makes."""
    every_s: float = 0.0
    per_day: int | None = None
    rate: tuple[int, float] = (1000, 1.0)
    needs_key: bool = False

    def __post_init__(self) -> None:
        self.asked: list[list[str]] = []
        self.asked_bars: list[list[str]] = []

    def good(self, instruments: Sequence[Instrument], price: float = 100.0) -> Answer:
        return Answer([Quote(i.id, price, self.clock.now(), self.name) for i in instruments])

    def listed(self) -> Listed:
        return Listed(self.name, self.name.title(), self.needs_key, point=_Point(self.source()))

    def source(script) -> type:
        class Source:
            name, title = script.name, script.name.title()
            namespaces = (script.name,)
            rate, per_day, every_s, needs_key = script.rate, script.per_day, script.every_s, script.needs_key

            def __init__(self, clock: Any, base_url: str | None = None, api_key: str | None = None) -> None: ...

            async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
                script.asked.append([i.id for i in instruments])
                for _ in range(script.requests):
                    await http.get_json(script.name, f"http://{script.name}/quotes")
                answer = script.answer(instruments) if script.answer else script.good(instruments)
                if isinstance(answer, Exception):
                    raise answer
                return answer

        if script.bars is None:
            return Source

        class History(Source):
            bars_at_once = 2

            async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
                script.asked_bars.append([i.id for i in instruments])
                await http.get_json(script.name, f"http://{script.name}/bars")
                assert script.bars is not None
                answer = script.bars(instruments)
                if isinstance(answer, Exception):
                    raise answer
                return answer

        return History


@dataclass
class _Point:
    source: type

    def load(self) -> type:
        return self.source


class Bench:
    """A conductor of ``scripts``, at addresses of their own unless ``public``, and the board it works with."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        scripts: Sequence[Script],
        instruments: Sequence[Instrument],
        clock: FixedClock,
        *,
        public: bool = False,
        settings: Mapping[str, SourceSettings] | None = None,
        usage: Any = None,
    ) -> None:
        listed = tuple(script.listed() for script in scripts)
        monkeypatch.setattr(conducting, "sources", lambda: listed)
        own = {s.name: SourceSettings(base_url="http://127.0.0.1:1") for s in scripts} if not public else {}
        self.http = FakeHttp(lambda url, params: {})
        self.clock = clock
        self.universe = Universe.of(instruments)
        self.conductor = Conductor(self.http, self.universe, own | dict(settings or {}), clock, usage)
        self.board: dict[str, Quote] = {}
        self.statuses: tuple[SourceStatus, ...] = ()

    async def run(self, *, after: float = 0.0, hurry: bool = False) -> Fetched:
        """A run, ``after`` so many seconds, merged into the board as `evertick.board.poll` does."""
        self.clock.pass_(after)
        previous = Snapshot(self.clock.now(), tuple(self.board.values()), self.statuses) if self.statuses else None
        fetched = await self.conductor.fetch(previous, hurry=hurry)
        self.board |= {q.id: q for q in fetched.quotes}
        self.statuses = fetched.statuses
        return fetched

    def status(self, name: str) -> SourceStatus:
        return next(s for s in self.statuses if s.name == name)

    def requests(self, name: str) -> int:
        return len([url for url, _, _ in self.http.asked if f"//{name}/" in url])


def some_bars(instrument_id: str, closes: Sequence[float] = (100.0, 101.0)) -> Bars:
    first = (TUESDAY - timedelta(days=len(closes))).toordinal()
    column = array("d", closes)
    days = array("i", range(first, first + len(closes)))
    return Bars(instrument_id, days, column, column, column, column, column)
