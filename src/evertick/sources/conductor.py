"""Asks every source, politely and only for what is due; one that fails costs nothing but its own quotes.

A run goes in rounds. In the first, every instrument that is due is asked of the first source that knows it and may be
asked, all sources at once. Those left without a price are asked of their next source in the second round, and so on.
Nothing is ever asked of two sources at the same time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from urllib.parse import urlsplit

import stamina
import structlog

from evertick.errors import EvertickError, SettingsError, SourceError
from evertick.model import Bars, Clock, Instrument, Quote, Snapshot, SourceStatus
from evertick.settings import SourceSettings
from evertick.sources.courtesy import Usage
from evertick.sources.http import Getter
from evertick.sources.listing import Listed, sources
from evertick.sources.planning import put_off
from evertick.sources.seat import Known, Seat
from evertick.universe import Universe

log = structlog.get_logger()

BUDGET_S = 45.0
"""What a run may take, whatever the sources send; then it ends with what came until then."""
ROUND_SHARE = 0.6
"""Of the time that is left, what one round may take: a silent source leaves some to those that stand in for it."""
SHORTEST_ROUND_S = 1.0
"""A further round that could not take so long is not begun."""
OTHERS = "other sources answer for its instruments"


@dataclass(frozen=True, slots=True)
class Fetched:
    quotes: tuple[Quote, ...]
    statuses: tuple[SourceStatus, ...]


class Conductor:
    """Owns no resource: ``http`` and ``usage`` belong to whoever opened them.

    What it remembers is bounded by instruments times sources. Raises `SettingsError` for settings of a source that does not
    exist, and for a BASE_URL that is none.
    """

    def __init__(
        self,
        http: Getter,
        universe: Universe,
        settings: Mapping[str, SourceSettings],
        clock: Clock,
        usage: Usage | None = None,
    ) -> None:
        # A second try is no news: a failure is logged once, by its seat, and not with every try by the library.
        stamina.instrumentation.set_on_retry_hooks([])
        self._http = http
        self._universe = universe
        self._clock = clock
        self._usage = usage
        self._counted = True
        self._seats: dict[str, Seat] = {}
        self._off: dict[str, SourceStatus] = {}
        chosen = _checked(settings)
        for listed in sources():
            self._seat(listed, chosen.get(listed.name, SourceSettings()))
        self._orders = {i.id: [s for s in self._seats.values() if s.knows(i)] for i in universe}
        self._known: Known = {}
        self._heard: dict[str, datetime] = {}
        self._asked: dict[str, datetime] = {}
        self._statuses: tuple[SourceStatus, ...] = ()
        self._running = asyncio.Lock()

    def _seat(self, listed: Listed, settings: SourceSettings) -> None:
        """Give the source a seat, or note why it has none."""
        variable = f"EVERTICK_SOURCES__{listed.name.upper()}__"
        note = None
        if not settings.enabled:
            note = f"switched off by {variable}ENABLED"
        elif listed.needs_key and settings.api_key is None:
            note = f"no API key; set {variable}API_KEY"
        else:
            try:
                source = listed.load()
                if not source.needs_key or settings.api_key is not None:
                    key = settings.api_key.get_secret_value() if settings.api_key else None
                    made = source(self._clock, settings.base_url, key)
                    self._seats[listed.name] = Seat(listed, made, settings, self._clock)
                    return
                note = f"no API key; set {variable}API_KEY"
            except EvertickError as error:
                log.warning("source not loaded", source=listed.name, error=error.message)
                note = error.message
            except Exception as error:
                log.exception("source not loaded", source=listed.name)
                note = f"its package cannot be loaded ({type(error).__name__}); see the log"
        self._off[listed.name] = SourceStatus(listed.name, "off", title=listed.title, note=note)

    @property
    def statuses(self) -> tuple[SourceStatus, ...]:
        """Of the last run; empty before the first."""
        return self._statuses

    async def fetch(self, previous: Snapshot | None = None, *, hurry: bool = False) -> Fetched:
        """Ask for all that is due. Never raises for what a provider does: that is in its status.

        ``previous`` is what the board has: instruments whose price in it is the last of a closed market are left in peace.
        ``hurry`` asks for the long tail as well; limits, quotas and rests hold all the same.
        """
        async with self._running:
            return await self._fetch(previous, hurry)

    async def _fetch(self, previous: Snapshot | None, hurry: bool) -> Fetched:
        began = asyncio.get_running_loop().time()
        now = self._clock.now()
        self._recall(previous, now)
        await self._restore()
        quotes = {q.id: q for q in previous.quotes} if previous else {}
        reasons: dict[str, str] = {}
        for i in self._universe:
            if why := put_off(i, quotes.get(i.id), self._heard.get(i.id), self._asked.get(i.id), now, hurry=hurry):
                reasons[i.id] = why
        for seat in self._seats.values():
            seat.begin()
        waiting = {i.id: (i, iter(self._orders[i.id])) for i in self._universe if i.id not in reasons}
        self._asked.update(dict.fromkeys(waiting, now))
        chosen: dict[str, Quote] = {}
        within = BUDGET_S * ROUND_SHARE
        while work := self._assigned(waiting, now, reasons):
            answers = await asyncio.gather(*(seat.ask(self._http, those, within, self._known) for seat, those in work))
            for quote in (quote for answer in answers for quote in answer):
                chosen[quote.id] = quote
                del waiting[quote.id]
            within = (BUDGET_S - (asyncio.get_running_loop().time() - began)) * ROUND_SHARE
            if within < SHORTEST_ROUND_S:
                break
        self._heard.update(dict.fromkeys(chosen, self._clock.now()))
        await self._keep()
        self._settle(reasons)
        return Fetched(tuple(chosen.values()), self._statuses)

    def _assigned(
        self, waiting: dict[str, tuple[Instrument, Iterator[Seat]]], now: datetime, reasons: dict[str, str]
    ) -> list[tuple[Seat, list[Instrument]]]:
        """Who is asked for what in the next round. What no source is left for stops waiting."""
        work: dict[str, list[Instrument]] = {}
        for instrument, order in list(waiting.values()):
            seat = next((s for s in order if self._may_ask(s, instrument, now)), None)
            if seat is None:
                del waiting[instrument.id]
            elif seat.has_told(instrument, now):
                del waiting[instrument.id]
                reasons[instrument.id] = f"asked every {_span(seat.source.every_s)}"
            else:
                work.setdefault(seat.name, []).append(instrument)
        return [(self._seats[name], those) for name, those in work.items()]

    @staticmethod
    def _may_ask(seat: Seat, instrument: Instrument, now: datetime) -> bool:
        if seat.spent or seat.retry_at(now) is not None or seat.lacks(instrument, now):
            return False
        return seat.has_told(instrument, now) or seat.manners.ready()

    def _settle(self, reasons: Mapping[str, str]) -> None:
        """Bring the statuses up to date with the run that ends."""
        now = self._clock.now()
        whose: dict[str, Counter[str]] = {name: Counter() for name in self._seats}
        for instrument_id, order in self._orders.items():
            for seat in order:
                whose[seat.name][reasons.get(instrument_id, OTHERS)] += 1
        by_name = {name: seat.settle(now, _idle(whose[name])) for name, seat in self._seats.items()}
        self._statuses = tuple(by_name.get(one.name) or self._off[one.name] for one in sources())

    async def probe(self) -> tuple[SourceStatus, ...]:
        """Ask every source for one instrument, those too that only stand in; the statuses after it."""
        async with self._running:
            for seat in self._seats.values():
                seat.begin()
            first = {seat.name: (seat, i) for i in reversed(self._universe.instruments) for seat in self._orders[i.id]}
            await asyncio.gather(
                *(seat.ask(self._http, [i], BUDGET_S * ROUND_SHARE, self._known) for seat, i in first.values())
            )
            await self._keep()
            self._settle({})
            return self._statuses

    async def bars(self, instruments: Sequence[Instrument], since: date) -> tuple[list[Bars], dict[str, SourceError]]:
        """Daily bars from ``since`` on, today's unfinished one included, of each source in turn until one has some.

        Instruments that failed everywhere are in the second answer, with the first failure; those that no source has bars
        of are in neither. Limits and quotas count as they do for quotes.
        """
        found: list[Bars] = []
        failures: dict[str, SourceError] = {}
        waiting = {i.id: (i, iter(self._with_bars(i))) for i in instruments}
        await self._restore()
        while waiting:
            work: dict[str, list[Instrument]] = {}
            for instrument, order in list(waiting.values()):
                seat = next(order, None)
                if seat is None:
                    del waiting[instrument.id]
                else:
                    work.setdefault(seat.name, []).append(instrument)
            for seat, group in self._in_groups(work):
                got = await seat.bars(self._http, group, since, BUDGET_S, self._known)
                if isinstance(got, SourceError):
                    failures |= {i.id: got for i in group if i.id not in failures}
                    continue
                for bars in got:
                    if len(bars) and bars.instrument in waiting:
                        del waiting[bars.instrument]
                        failures.pop(bars.instrument, None)
                        found.append(replace(bars, source=seat.name))
        await self._keep()
        return found, failures

    def knowing(self, instruments: Iterable[Instrument]) -> set[str]:
        """The sources that may be asked for one of ``instruments``."""
        return {seat.name for instrument in instruments for seat in self._orders.get(instrument.id, ())}

    def batches(self, instruments: Iterable[Instrument]) -> list[list[Instrument]]:
        """``instruments`` in the groups that one call of `bars` takes; those that no source has bars of are left out."""
        work: dict[str, list[Instrument]] = {}
        for instrument in instruments:
            if order := self._with_bars(instrument):
                work.setdefault(order[0].name, []).append(instrument)
        return [group for _, group in self._in_groups(work)]

    def _with_bars(self, instrument: Instrument) -> list[Seat]:
        return [seat for seat in self._orders.get(instrument.id, ()) if hasattr(seat.source, "bars")]

    def _in_groups(self, work: Mapping[str, list[Instrument]]) -> list[tuple[Seat, list[Instrument]]]:
        groups = []
        for name, those in work.items():
            seat = self._seats[name]
            size = max(1, seat.source.bars_at_once)
            groups += [(seat, those[n : n + size]) for n in range(0, len(those), size)]
        return groups

    def _recall(self, previous: Snapshot | None, now: datetime) -> None:
        """What the board says of an earlier process, once."""
        if previous is None or self._statuses:
            return
        for quote in previous.quotes:
            if quote.id in self._orders:
                self._known.setdefault(quote.id, (quote.price, 0))
        for status in previous.sources:
            seat = self._seats.get(status.name)
            if seat is not None and seat.status is None:
                seat.recall(status, now)

    async def _restore(self) -> None:
        """Read what has been counted of the daily quotas, by other processes and before a restart too."""
        if self._usage is None or not any(seat.quota.per_day for seat in self._seats.values()):
            return
        try:
            kept = await self._usage.load()
        except EvertickError as error:
            self._tell_uncounted(error)
            return
        for name, (day, requests) in kept.items():
            if name in self._seats:
                self._seats[name].quota.restore(day, requests)

    async def _keep(self) -> None:
        """Write down the requests that were counted."""
        if self._usage is None:
            return
        try:
            for name, seat in self._seats.items():
                await seat.quota.keep(name, self._usage)
        except EvertickError as error:
            self._tell_uncounted(error)
        else:
            self._counted = True

    def _tell_uncounted(self, error: EvertickError) -> None:
        if self._counted:
            log.warning("requests not counted beyond this process", error=error.message)
        self._counted = False


def _idle(reasons: Counter[str]) -> str:
    """Why a source was asked for nothing, by the reasons of the instruments that it knows."""
    if not reasons:
        return "no instrument of the universe has a symbol for it"
    return OTHERS if OTHERS in reasons else reasons.most_common(1)[0][0]


def _span(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:g} minutes"
    return "hour" if seconds == 3600 else f"{seconds / 3600:g} hours"


def _checked(settings: Mapping[str, SourceSettings]) -> dict[str, SourceSettings]:
    chosen = {name.lower(): one for name, one in settings.items()}
    known = [listed.name for listed in sources()]
    for name, one in chosen.items():
        if name not in known:
            raise SettingsError(f"SOURCES__{name.upper()} is not a source; they are {', '.join(known)}")
        parts = urlsplit(one.base_url or "http://unset")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"SOURCES__{name.upper()}__BASE_URL is not an address; write http://host:port/path")
    return chosen
