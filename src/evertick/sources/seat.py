"""One source that is switched on, and what is remembered of it between runs."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import structlog

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited
from evertick.model import Bars, Clock, Instrument, Quote, SourceStatus
from evertick.settings import SourceSettings
from evertick.sources.courtesy import TRIES, Courteous, Manners, Quota
from evertick.sources.http import Getter
from evertick.sources.judging import Breaker, advice, check_bars, failed, in_force, on_scale, sound, status
from evertick.sources.listing import Listed
from evertick.sources.reading import Answer, symbol_of

log = structlog.get_logger()
T = TypeVar("T")

ABSENT_RUNS = 3
"""So often in a row a source may answer without an instrument, before it is taken at its word for `ABSENT`."""
ABSENT = timedelta(hours=1)

Known = dict[str, tuple[float, int]]
"""Instrument id to its last believed price, and how often in a row another scale was seen."""


@dataclass(slots=True)
class _Part:
    """What one run has asked of a source and got so far."""

    began: float
    asked: list[Instrument] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    failures: list[SourceError] = field(default_factory=list)

    def add(self, asked: Sequence[Instrument], answer: Answer) -> None:
        self.asked += asked
        self.quotes += answer.quotes
        self.refused |= answer.refused
        self.failures += answer.failures

    def answer(self) -> Answer:
        return Answer(self.quotes, self.refused, self.failures)


class Seat:
    """Raises `SettingsError` or anything else that the class of a source raises when it is made."""

    def __init__(self, listed: Listed, source: Any, settings: SourceSettings, clock: Clock) -> None:
        self.source = source
        self.name = listed.name
        self.title: str = source.title
        own = settings.base_url is not None
        # At an address of the user's own there are no limits but those that the user sets.
        per_day = settings.per_day if settings.per_day is not None else None if own else source.per_day
        rate = settings.rate if settings.rate is not None else None if own else source.rate
        self.quota = Quota(per_day, clock)
        self.manners = Manners(rate, self.quota)
        self.quotes, self.history = Breaker(own), Breaker(own)
        self.status: SourceStatus | None = None
        self._clock = clock
        self._key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._heard: dict[str, datetime] = {}
        self._absent: dict[str, tuple[int, datetime]] = {}
        self._part: _Part | None = None
        self._down = False
        self._stumbled: str | None = None
        self._asked_to_wait: datetime | None = None
        """By an answer to a request for bars: that is meant for all requests."""

    def knows(self, instrument: Instrument) -> bool:
        return symbol_of(instrument, self.source.namespaces) is not None

    def retry_at(self, now: datetime) -> datetime | None:
        """Until when it is not asked for quotes; ``None``: it may be asked."""
        if rests := [at for at in (self.quotes.retry_at, self._asked_to_wait) if at is not None and in_force(at, now)]:
            return max(rests)
        return self.quota.again_at() if self.quota.left() == 0 else None

    def lacks(self, instrument: Instrument, now: datetime) -> bool:
        """Whether it said again and again, and lately, that it does not have it."""
        times, until = self._absent.get(instrument.id, (0, now))
        return times >= ABSENT_RUNS and now < until

    def has_told(self, instrument: Instrument, now: datetime) -> bool:
        """Whether what it last said of it cannot have changed yet."""
        heard = self._heard.get(instrument.id)
        return heard is not None and 0 <= (now - heard).total_seconds() < self.source.every_s

    def begin(self) -> None:
        """A new run begins."""
        self._part = None

    @property
    def spent(self) -> bool:
        """Whether something failed in this run already: then it is not asked for more."""
        return self._part is not None and bool(self._part.failures)

    async def ask(
        self, http: Getter, instruments: Sequence[Instrument], budget_s: float, known: Known
    ) -> Sequence[Quote]:
        """The prices that can be believed; ``known`` is brought up to date with them. Raises nothing that a source does.

        After a rest one instrument is asked for first: only if that goes well the others are.
        """
        part = self._part = self._part or _Part(self._clock.monotonic())
        probing = self.quotes.half_open(self._clock.now())
        taken: list[Quote] = []
        for batch in (instruments[:1], instruments[1:]) if probing else (instruments,):
            if not batch:
                break
            answer = await self._answered(http, batch, budget_s, known, 1 if probing and not taken else TRIES)
            asked = _asked(batch, answer)
            part.add(asked, answer)
            taken += answer.quotes
            if failed(asked, answer) or answer.failures:
                break
        return taken

    async def _answered(
        self, http: Getter, batch: Sequence[Instrument], budget_s: float, known: Known, tries: int
    ) -> Answer:
        getter = Courteous(http, self.manners, budget_s, tries)
        got = await self._guarded(self._fetched(getter, batch, known))
        answer = Answer(failures=[got]) if isinstance(got, SourceError) else got
        self._remember(_asked(batch, answer), answer, self._clock.now())
        return answer

    async def _fetched(self, getter: Getter, batch: Sequence[Instrument], known: Known) -> Answer:
        answer = sound(await self.source.fetch(getter, batch), {i.id for i in batch}, self._clock.now())
        answer, after = on_scale(answer, known)
        known.update(after)
        return answer

    def _remember(self, batch: Sequence[Instrument], answer: Answer, now: datetime) -> None:
        there = {q.id for q in answer.quotes}
        if self.source.every_s > 0:
            self._heard.update(dict.fromkeys(there, now))
        for instrument in batch:
            if instrument.id in there:
                self._absent.pop(instrument.id, None)
            elif not answer.failures and instrument.id not in answer.refused:
                times, _ = self._absent.get(instrument.id, (0, now))
                self._absent[instrument.id] = (times + 1, now + ABSENT)

    async def bars(
        self, http: Getter, instruments: Sequence[Instrument], since: date, budget_s: float, known: Known
    ) -> Sequence[Bars] | SourceError:
        """Daily bars of those it has some of, or why there are none."""
        now = self._clock.now()
        if (resting := self._rests_from_bars(now)) is not None:
            return resting
        getter = Courteous(http, self.manners, budget_s, 1 if self.history.half_open(now) else TRIES)
        got = await self._guarded(self._bars(getter, instruments, since, known))
        errors = [got] if isinstance(got, SourceError) else []
        # That one symbol is not known, or its bars are damaged, says nothing of the others.
        self.history.told(bool(errors) and not isinstance(got, SourceMalformed), errors, self._clock.now())
        if isinstance(got, SourceRateLimited):
            self._asked_to_wait = self.history.retry_at
        return got

    async def _bars(
        self, getter: Getter, instruments: Sequence[Instrument], since: date, known: Known
    ) -> Sequence[Bars]:
        wanted = {i.id for i in instruments}
        got = [bars for bars in await self.source.bars(getter, instruments, since) if bars.instrument in wanted]
        for bars in got:
            check_bars(self.name, bars, known)
        return [replace(bars, source=bars.source or self.name) for bars in got]

    def _rests_from_bars(self, now: datetime) -> SourceRateLimited | None:
        if self.quota.left() == 0:
            return self.quota.used_up(self.name, "daily bars")
        for breaker in (self.history, self.quotes):
            if breaker.retry_at is not None and breaker.open(now):
                wait = (breaker.retry_at - now).total_seconds()
                return SourceRateLimited(self.name, "daily bars", f"resting for {wait:.0f} s more", retry_after=wait)
        return None

    async def _guarded(self, asked: Awaitable[T]) -> T | SourceError:
        """What ``asked`` gives, or its error without what hangs on it; one that no adapter should raise is logged once."""
        try:
            return await asked
        except SourceError as error:
            return _bare(error)
        except Exception as error:
            kind = type(error.exceptions[0] if isinstance(error, ExceptionGroup) else error).__name__
            if kind != self._stumbled:
                log.exception("source adapter failed", source=self.name)
            self._stumbled = kind
            return SourceMalformed(self.name, "", f"an answer the adapter cannot read ({kind})")

    def settle(self, now: datetime, idle: str) -> SourceStatus:
        """Its status after a run; ``idle`` says why it was not asked, if it was not and is well."""
        part, self._part = self._part, None
        before = self.status
        if part is not None and not part.asked and not part.failures:
            part, idle = None, "its turn comes later, to keep within its quota"
        if part is not None:
            self.quotes.told(failed(part.asked, part.answer()), part.failures, now)
        until = self.retry_at(now)
        if part is not None:
            answer = part.answer()
            hint = advice(self.name, answer, bool(self._key))
            new = status(self.name, part.asked, answer, before, now, self._clock.monotonic() - part.began, hint)
        elif until is not None:
            new = replace(before or SourceStatus(self.name, "resting"), state="resting", quotes=0, note=None)
        else:
            kept = before or SourceStatus(self.name, "idle")
            new = replace(kept, state="idle", quotes=0, error=None, error_kind=None, duration_s=None, note=idle)
        self.status = self._unlocked(
            replace(new, title=self.title, retry_at=until, quota=self.quota.per_day, quota_left=self.quota.left())
        )
        self._tell(self.status)
        return self.status

    def recall(self, before: SourceStatus, now: datetime) -> None:
        """What an earlier process knew of it: a rest that the provider asked for lasts beyond a restart."""
        self.status = replace(before, state="idle", quotes=0)
        asked_for = before.error_kind == SourceRateLimited.kind and before.quota_left != 0
        if asked_for and in_force(before.retry_at, now):
            self.quotes.retry_at = before.retry_at

    def forget(self, ids: Mapping[str, Any]) -> None:
        """Keep nothing of instruments that are not among ``ids``."""
        self._heard = {k: v for k, v in self._heard.items() if k in ids}
        self._absent = {k: v for k, v in self._absent.items() if k in ids}

    def _unlocked(self, new: SourceStatus) -> SourceStatus:
        """``new`` without the key, should a provider have repeated it."""
        if not self._key:
            return new
        error, last = (text.replace(self._key, "…") if text else text for text in (new.error, new.last_error))
        return replace(new, error=error, last_error=last)

    def _tell(self, new: SourceStatus) -> None:
        """Log a failure once, and the recovery once."""
        down = new.state in ("failing", "resting")
        if down and not self._down:
            log.warning("source failing", source=new.name, kind=new.error_kind, error=new.error)
        elif self._down and new.state in ("ok", "partial"):
            log.info("source recovered", source=new.name, quotes=new.quotes)
        self._down = down or (self._down and new.state == "idle")


def _asked(batch: Sequence[Instrument], answer: Answer) -> list[Instrument]:
    """Whom a source did ask for, of those that it was given."""
    return [i for i in batch if i.id not in answer.later]


def _bare(error: SourceError) -> SourceError:
    """``error`` without its traceback and causes, whose frames hold whole answers."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error
