"""Keeps the daily bars of the archive up to date: asks only for what is missing, a few instruments at a time.

Three ways in: `History.missing` before a report (what nobody asked for yet), `History.due` every few minutes (instruments
whose market has ended its day since they were last looked at, not all of them in the same minute), and
`History.backfill` for a command. Bars of two sources are never mixed on two scales: see `verdict`.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import blake2b
from statistics import median
from typing import Literal, Protocol

import structlog

from evertick import sessions
from evertick.errors import SourceError
from evertick.model import Bars, Clock, Instrument, Session
from evertick.sources.reading import leapt

log = structlog.get_logger()

Step = Callable[[int, int], Awaitable[None]]
"""Told after each instrument: how many are done, of how many."""

SETTLE = timedelta(days=7)
"""Before the newest bar, asked for again: providers correct the last bars afterwards, and the scales are compared there."""
AFTER_CLOSE = timedelta(minutes=10), timedelta(minutes=70)
"""When the bars of a day are asked for: each instrument at its own moment of this span after the close."""
ASK_AGAIN = timedelta(hours=1)
"""After a failure; a provider that rests is not asked about 400 instruments every few minutes."""
AHEAD = timedelta(minutes=5)
"""A look noted so far in the future was noted by a clock that ran ahead: nobody knows when it was."""
LOOK_AGAIN = timedelta(days=1)
"""After an answer without any bars."""
FRESH = timedelta(hours=12)
"""Bars looked at within this are not asked for again by a backfill."""
PER_RUN = 40
"""Instruments that one run of the job asks for."""
AT_ONCE = 4
"""Batches in memory at the same time."""
SAME_SCALE = 0.03
"""Settled closes of two sources, or of one before and after a split, differ by less than this or are not the same series."""
OUTDATED = timedelta(days=14)
"""Stored bars this old do not keep new ones on another scale out any more."""

_TICK = timedelta(microseconds=1)


class BarSource(Protocol):
    """`evertick.sources.conductor.Conductor`."""

    def batches(self, instruments: Sequence[Instrument]) -> Iterable[Sequence[Instrument]]:
        """Those that some source has bars of, in lots that are asked for together."""

    async def bars(
        self, instruments: Sequence[Instrument], since: date
    ) -> tuple[Sequence[Bars], Mapping[str, SourceError]]:
        """The bars of one lot, and by instrument why there are none."""


class Known(Protocol):
    """What the store knows of one instrument: `evertick.archive.bars.Series`."""

    @property
    def last(self) -> date | None: ...
    @property
    def checked(self) -> datetime: ...
    @property
    def since(self) -> date | None: ...


class BarStore(Protocol):
    async def save(self, bars: Bars, *, since: date | None = None, whole: bool = False) -> None: ...

    async def load(self, instrument: str, since: date | None = None) -> Bars: ...

    async def series(self) -> Mapping[str, Known]: ...


@dataclass(slots=True)
class Outcome:
    """What came of a run, in instruments unless it says otherwise."""

    asked: int = 0
    already: int = 0
    """Had what was wanted before."""
    bars: int = 0
    """Daily bars that were saved."""
    replaced: list[str] = field(default_factory=list)
    """Whose whole series was put in place of one on another scale."""
    empty: list[str] = field(default_factory=list)
    """Of which the sources said that they have no bars."""
    without: list[str] = field(default_factory=list)
    """No source that is switched on has bars of them."""
    failed: dict[str, str] = field(default_factory=dict)
    """Instrument to why, in plain words."""


class History:
    """One for the life of the server: it remembers what failed lately. Owns no resource; ``days`` are kept."""

    def __init__(
        self, instruments: Iterable[Instrument], source: BarSource, store: BarStore, clock: Clock, days: int
    ) -> None:
        self._instruments = tuple(instruments)
        self._source = source
        self._store = store
        self._clock = clock
        self._days = days
        self._not_before: dict[str, datetime] = {}
        self._had: set[str] = set()
        """Whose bars were in the store at the last look."""
        self._turn = asyncio.Lock()

    async def missing(self, step: Step | None = None, of: Collection[Instrument] | None = None) -> Outcome:
        """Fetch the bars of those instruments (``of`` these) that were never asked for; what is there stays as it is.

        Asks the store for nothing where all of them were seen to have bars: thousands of reports an hour ask here.
        """
        if self._had.issuperset(i.id for i in of or self._instruments):
            return Outcome()
        async with self._turn:
            start = self._start(self._days)
            known = await self._store.series()
            self._had = {id for id, series in known.items() if series.last is not None}
            work = [(i, start) for i in self._awake(of) if i.id not in known or self._long_empty(known[i.id])]
            return await self._fetch(work, start, step)

    async def due(self, at_most: int = PER_RUN) -> Outcome:
        """Fetch the new bars of up to ``at_most`` instruments whose market has ended its day, or that have none yet."""
        async with self._turn:
            start, now = self._start(self._days), self._clock.now()
            known = await self._store.series()
            waiting: list[tuple[datetime, int, Instrument, date]] = []
            for place, instrument in enumerate(self._awake()):
                series = known.get(instrument.id)
                if series is None or series.last is None:
                    if series is None or self._long_empty(series):
                        waiting.append((datetime.min.replace(tzinfo=now.tzinfo), place, instrument, start))
                elif is_due(instrument, series.checked, now):
                    waiting.append((series.checked, place, instrument, max(start, series.last - SETTLE)))
            waiting.sort(key=lambda row: row[:2])
            return await self._fetch([row[2:] for row in waiting], start, None, at_most)

    async def backfill(self, days: int, step: Step | None = None) -> Outcome:
        """Fetch what is missing of the last ``days`` days. What is there, also of an interrupted run, is not fetched again."""
        async with self._turn:
            start, now = self._start(days), self._clock.now()
            known = await self._store.series()
            work = [(i, since) for i in self._instruments if (since := wanted_since(known.get(i.id), start, now))]
            outcome = await self._fetch(work, start, step)
            outcome.already = len(self._instruments) - len(work)
            return outcome

    def _start(self, days: int) -> date:
        return (self._clock.now() - timedelta(days=days)).date()

    def _awake(self, of: Collection[Instrument] | None = None) -> Iterator[Instrument]:
        now = self._clock.now()
        return (i for i in of or self._instruments if not now < self._not_before.get(i.id, now) <= now + ASK_AGAIN)

    def _long_empty(self, series: Known) -> bool:
        return series.last is None and not _within(LOOK_AGAIN, series.checked, self._clock.now())

    async def _fetch(
        self, work: Sequence[tuple[Instrument, date]], start: date, step: Step | None, at_most: int | None = None
    ) -> Outcome:
        outcome = Outcome()
        since = {instrument.id: day for instrument, day in work}
        batches = list(self._source.batches([instrument for instrument, _ in work]))
        offered = {i.id for batch in batches for i in batch}
        outcome.without = [id for id in since if id not in offered]
        chosen = _bounded(batches, at_most)
        count = sum(map(len, chosen))
        queue = iter(chosen)

        async def worker() -> None:
            for batch in queue:
                await self._lot(batch, min(since[i.id] for i in batch), start, outcome)
                outcome.asked += len(batch)
                if step is not None:
                    await step(outcome.asked, count)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(chosen))):
                    group.create_task(worker())
        except ExceptionGroup as several:  # the store failed; each worker says the same
            raise several.exceptions[0] from None
        if outcome.failed:
            log.warning(
                "bars missing", instruments=len(outcome.failed), of=count, first=next(iter(outcome.failed.values()))
            )
        return outcome

    async def _lot(self, batch: Sequence[Instrument], since: date, start: date, outcome: Outcome) -> None:
        """Fetch and save one lot; it is forgotten before the next one comes."""
        found, errors = await self._source.bars(batch, since)
        wanted = {i.id: i for i in batch}
        for bars in found:
            instrument = wanted.pop(bars.instrument, None)
            if instrument is not None and bars.instrument not in errors:
                await self._put(instrument, bars, since, start, outcome)
        for id, error in errors.items():
            if wanted.pop(id, None) is not None:
                self._fail(id, str(error), outcome)
        for id in wanted:  # an answer in which they are not
            await self._store.save(Bars.empty(id), since=since)
            outcome.empty.append(id)

    async def _put(self, instrument: Instrument, new: Bars, since: date, start: date, outcome: Outcome) -> None:
        id = instrument.id
        stored = await self._store.load(id, since)
        found = verdict(stored, new)
        if since > start and (found == "other" or (found == "leap" and self._outdated(stored))):
            again, errors = await self._source.bars([instrument], start)
            new = next((bars for bars in again if bars.instrument == id), Bars.empty(id))
            if id in errors or not len(new):
                self._fail(id, str(errors.get(id, "no bars when asked for all of them")), outcome)
                return
            since, found = start, verdict(stored, new)
        if found == "leap" and not self._outdated(stored):
            self._fail(id, f"bars on another scale than those stored{_by(new)}; not taken", outcome)
            return
        if not len(new):
            outcome.empty.append(id)
        if found != "fits":
            outcome.replaced.append(id)
            log.info("series replaced", instrument=id, source=new.source or None, why=found)
        await self._store.save(new, since=since, whole=found != "fits")
        self._not_before.pop(id, None)
        outcome.bars += len(new)

    def _outdated(self, stored: Bars) -> bool:
        return self._clock.now().date() - stored.dates()[-1] > OUTDATED

    def _fail(self, id: str, why: str, outcome: Outcome) -> None:
        outcome.failed[id] = why
        self._not_before[id] = self._clock.now() + ASK_AGAIN


# --- pure ------------------------------------------------------------------------------------------------------------


def wanted_since(known: Known | None, start: date, now: datetime) -> date | None:
    """From which day on a backfill that goes back to ``start`` asks; ``None`` where the archive has it all."""
    if known is None or known.since is None or known.since > start + SETTLE:
        return start
    if known.last is None:
        return None if _within(LOOK_AGAIN, known.checked, now) else start
    return None if _within(FRESH, known.checked, now) else max(start, known.last - SETTLE)


def is_due(instrument: Instrument, checked: datetime, now: datetime) -> bool:
    """Whether the market of ``instrument`` ended a day since ``checked``, and the instrument's moment after it has come."""
    at = day_end(instrument.exchange, now) + stagger(instrument.id)
    return at <= now and not at <= checked <= now + AHEAD


def _within(span: timedelta, checked: datetime, now: datetime) -> bool:
    """Whether it was looked at lately."""
    return -AHEAD <= now - checked < span


def stagger(id: str) -> timedelta:
    """How long after the close an instrument is asked for: always the same, spread evenly over `AFTER_CLOSE`."""
    first, last = AFTER_CLOSE
    share = int.from_bytes(blake2b(id.encode(), digest_size=4).digest(), "big") / 2**32
    return first + (last - first) * share


def day_end(exchange: str, now: datetime) -> datetime:
    """When the last trading day before ``now`` ended; a lunch break ends none.

    Midnight UTC for what always trades, and for what trades on through it with short pauses (currencies, futures).
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if sessions.session(exchange, now) is Session.ALWAYS:
        return midnight
    closed = sessions.last_close(exchange, now)
    for _ in range(3):  # two breaks a day at most
        if sessions.session(exchange, closed) is not Session.BREAK:
            break
        closed = sessions.last_close(exchange, closed - _TICK)
    through = sessions.session(exchange, midnight - timedelta(minutes=1)) is Session.OPEN
    return max(closed, midnight) if through and now - closed > timedelta(days=1) else closed


def verdict(stored: Bars, new: Bars) -> Literal["fits", "other", "leap"]:
    """Whether ``new`` continues ``stored``, by the closes of the days that both have, the newest stored one left out
    (it may not have been over).

    ``other``: off by `SAME_SCALE` or more, as after a split or from a source with another contract: only the whole series
    may be taken from there. ``leap``: on another scale (×1,000), which no market does.
    """
    if not len(stored) or not len(new):
        return "fits"
    pairs = [pair for pair in _common(stored, new) if pair[0] > 0 and pair[1] > 0]
    if not pairs:
        i = min(bisect_left(new.day, stored.day[-1]), len(new) - 1)
        return "leap" if leapt(new.close[i], stored.close[-1]) else "fits"
    settled = pairs[:-1] or pairs
    ratio = median(now / before for before, now in settled)
    if leapt(ratio, 1.0):
        return "leap"
    if len(pairs) > 1 and abs(ratio - 1) >= SAME_SCALE:
        return "other"
    return "fits"


def _common(stored: Bars, new: Bars) -> Iterator[tuple[float, float]]:
    """Closes of the days that both have, oldest first: stored and new."""
    places = {day: i for i, day in enumerate(new.day)}
    for day, close in zip(stored.day, stored.close, strict=True):
        if day in places:
            yield close, new.close[places[day]]


def _bounded(batches: Sequence[Sequence[Instrument]], at_most: int | None) -> list[Sequence[Instrument]]:
    """The first batches up to ``at_most`` instruments, one batch at least."""
    chosen: list[Sequence[Instrument]] = []
    count = 0
    for batch in batches:
        if at_most is not None and chosen and count + len(batch) > at_most:
            break
        chosen.append(batch)
        count += len(batch)
    return chosen


def _by(bars: Bars) -> str:
    return f" ({bars.source})" if bars.source else ""
