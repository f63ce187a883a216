from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from evertick.errors import ArchiveUnavailable
from evertick.model import Bars, Instrument, Snapshot
from evertick.reports import landmarks
from evertick.reports.collect import collect
from unit.reports import samples


async def test_every_instrument_of_the_universe_is_there_in_its_order() -> None:
    rows = samples.instruments()
    quotes = tuple(reversed(samples.snapshot().quotes[:50]))
    collected = await collect(Snapshot(samples.AS_OF, quotes), samples.bars, rows, samples.NOW)
    assert [f.id for f in collected.facts] == [r.id for r in rows]
    assert sum(f.price is not None for f in collected.facts) == 50


async def test_it_finds_what_the_samples_find() -> None:
    collected = await collect(samples.snapshot(), samples.bars, samples.instruments(), samples.NOW)
    assert [f.values.tobytes() for f in collected.facts] == [f.values.tobytes() for f in samples.findings().facts]
    assert set(collected.kept) <= landmarks.KEPT
    assert len(collected.kept) >= 12


class Counting:
    """Hands out bars and watches how many of them are alive."""

    def __init__(self) -> None:
        self.alive: list[weakref.ref[Bars]] = []
        self.most = 0

    async def __call__(self, instrument: Instrument) -> Bars:
        self.most = max(self.most, sum(ref() is not None for ref in self.alive))
        b = samples.make_bars(instrument, 60)
        made = _Watched(b.instrument, b.day, b.open, b.high, b.low, b.close, b.volume)
        self.alive = [ref for ref in self.alive if ref() is not None] + [weakref.ref(made)]
        return made


class _Watched(Bars):
    """Bars with a place for weak references."""


async def test_the_bars_of_one_instrument_are_gone_before_the_next_are_read() -> None:
    gc.disable()  # references alone must free them
    try:
        reader = Counting()
        await collect(samples.snapshot(), reader, samples.instruments(), samples.NOW)
    finally:
        gc.enable()
    assert reader.most == 0


async def test_the_loop_gets_a_turn_after_every_instrument() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    rows = samples.instruments()[:40]
    await collect(samples.snapshot(), samples.bars, rows, samples.NOW)
    task.cancel()
    assert turns >= len(rows)


async def test_progress_is_told_after_each_instrument() -> None:
    told: list[tuple[int, int]] = []
    rows = samples.instruments()[:5]
    await collect(samples.snapshot(), samples.bars, rows, samples.NOW, lambda done, total: told.append((done, total)))
    assert told == [(n, 5) for n in range(1, 6)]


async def test_a_failing_archive_is_not_hidden() -> None:
    async def broken(instrument: Instrument) -> Bars:
        raise ArchiveUnavailable("the database is gone")

    with pytest.raises(ArchiveUnavailable):
        await collect(samples.snapshot(), broken, samples.instruments(), samples.NOW)


async def test_freshness_and_session_come_from_the_exchange() -> None:
    collected = await collect(samples.snapshot(), samples.bars, samples.instruments(), samples.NOW)
    by_id = {f.id: f for f in collected.facts}
    assert by_id["BTC"].session == "always"
    assert by_id["SPX"].session == "closed"
    assert by_id["FTSE"].session == "open"
    assert not by_id["NATGAS"].fresh
    old = replace(
        samples.quote(next(i for i in samples.instruments() if i.id == "BTC")), as_of=samples.NOW.replace(hour=1)
    )
    again = await collect(Snapshot(samples.AS_OF, (old,)), samples.bars, samples.instruments()[:100], samples.NOW)
    assert next(f for f in again.facts if f.id == "BTC").fresh is False


# --- the line of a session


class Quotes:
    """A history of quotes: ``count`` prices of each, three minutes apart, up to the end of what is asked for."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count = count
        self.error = error
        self.asked: list[tuple[str, datetime, datetime]] = []

    async def __call__(
        self, instrument: str, since: datetime, until: datetime
    ) -> tuple[Sequence[int], Sequence[float]]:
        self.asked.append((instrument, since, until))
        if self.error is not None:
            raise self.error
        last = int(until.timestamp())
        return [last - 180 * n for n in reversed(range(self.count))], [1650.0 + n for n in range(self.count)]


async def test_the_line_is_of_the_exchanges_own_day() -> None:
    quotes = Quotes(60)
    collected = await collect(samples.snapshot(), samples.bars, samples.instruments(), samples.NOW, intraday=quotes)
    line = collected.intraday
    assert line is not None
    assert (line.id, len(line.day), line.values[-1]) == ("VNINDEX", 60, 1709.0)
    ((_, since, until),) = quotes.asked
    assert f"{since:%Y-%m-%d %H:%M %z}" == "2026-11-23 00:00 +0700"
    assert until <= samples.AS_OF


@pytest.mark.parametrize("quotes", [Quotes(3), Quotes(60, ArchiveUnavailable("locked"))])
async def test_without_a_history_there_is_no_line(quotes: Quotes) -> None:
    collected = await collect(samples.snapshot(), samples.bars, samples.instruments(), samples.NOW, intraday=quotes)
    assert collected.intraday is None
    assert [asked[0] for asked in quotes.asked] == ["VNINDEX", "VN30"]
