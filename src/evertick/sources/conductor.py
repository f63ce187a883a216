"""Asks every source, politely: limits, a second try, rests; one that fails costs nothing but its own quotes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import stamina
import structlog
from aiolimiter import AsyncLimiter

from evertick.errors import SettingsError, SourceError, SourceMalformed, SourceRateLimited, SourceUnavailable
from evertick.model import Bars, Clock, Instrument, Quote, SourceStatus
from evertick.settings import SourceSettings
from evertick.sources.http import Getter
from evertick.sources.judging import assign, on_scale, rest, status
from evertick.sources.listing import Source, sources
from evertick.sources.reading import Answer
from evertick.sources.yahoo import CHART, Yahoo
from evertick.universe import Universe

log = structlog.get_logger()
T = TypeVar("T")

BUDGET_S = 45.0
"""What one source may take of one run, whatever it sends; then the run goes on without the rest of it."""
TRIES = 2


@dataclass(frozen=True, slots=True)
class Fetched:
    quotes: tuple[Quote, ...]
    statuses: tuple[SourceStatus, ...]


class Conductor:
    """Owns no resource: ``http`` belongs to whoever opened it.

    Raises `SettingsError` for settings of a source that does not exist, and for a BASE_URL that is none.
    """

    def __init__(self, http: Getter, universe: Universe, settings: Mapping[str, SourceSettings], clock: Clock) -> None:
        # A second try is no news: a failure is logged once, here, and not with every try by the library.
        stamina.instrumentation.set_on_retry_hooks([])
        self._universe = universe
        self._clock = clock
        chosen = _checked(settings)
        self._seats = {
            source.name: _Seat(
                source(clock, own.base_url, own.api_key.get_secret_value() if own.api_key else None),
                _Courteous(http, None if own.base_url else AsyncLimiter(*source.rate)),
                own=own.base_url is not None,
            )
            for listed in sources()
            if (own := chosen.get(listed.name, SourceSettings())).enabled and (own.api_key or not listed.needs_key)
            for source in [listed.load()]
        }
        self._known: dict[str, tuple[float, int]] = {}
        self._statuses: tuple[SourceStatus, ...] = ()

    @property
    def statuses(self) -> tuple[SourceStatus, ...]:
        """Of the last run; empty before the first."""
        return self._statuses

    async def fetch(self) -> Fetched:
        """Ask all sources at once. Never raises for what a provider does: that is in its status."""
        now = self._clock.now()
        resting = {name for name, seat in self._seats.items() if seat.rests(now)}
        unwell = {name for name, seat in self._seats.items() if seat.failed_runs}
        namespaces = {name: seat.source.namespaces for name, seat in self._seats.items()}
        work = assign(self._universe.instruments, namespaces, unwell, resting)
        answers = await asyncio.gather(*(self._run(seat, work[name], now) for name, seat in self._seats.items()))
        by_name = {seat.source.name: seat.status for seat in self._seats.values()}
        self._statuses = tuple(by_name.get(one.name) or SourceStatus(one.name, "off") for one in sources())
        chosen: dict[str, Quote] = {}
        for quotes in answers:  # the preferred source first: where two answered for one instrument, its price counts
            for quote in quotes:
                chosen.setdefault(quote.id, quote)
        return Fetched(tuple(chosen.values()), self._statuses)

    async def bars(self, instrument: Instrument, since: date) -> Bars:
        """Daily bars from ``since`` on, today's unfinished one included. Raises `SourceError`.

        None where no source that is switched on has bars of the instrument.
        """
        seat = self._seats.get(Yahoo.name)
        if seat is None or not isinstance(seat.source, Yahoo) or Yahoo.name not in instrument.symbols:
            return Bars.empty(instrument.id)
        now = self._clock.now()
        if seat.retry_at is not None and now < seat.retry_at:
            wait = (seat.retry_at - now).total_seconds()
            raise SourceRateLimited(seat.source.name, CHART, f"resting for {wait:.0f} s more", retry_after=wait)
        try:
            return (await seat.source.bars(seat.courteous.begin(), (instrument,), since))[0]
        except SourceRateLimited as error:
            seat.retry_at = rest([error], seat.failed_runs + 1, self._clock.now(), seat.own)
            raise
        except _SURPRISES as error:
            raise _surprise(seat.source.name, CHART, error) from error

    async def _run(self, seat: _Seat, asked: Sequence[Instrument], now: datetime) -> Sequence[Quote]:
        """Ask one source; its status and its rest are kept in its seat."""
        before, name = seat.status, seat.source.name
        if seat.rests(now):
            seat.tell(
                replace(before or SourceStatus(name, "resting"), state="resting", quotes=0, retry_at=seat.retry_at)
            )
            return ()
        if not asked:
            seat.status = SourceStatus(name, "off", last_success=before.last_success if before else None)
            return ()
        began = self._clock.monotonic()
        answer = await _answered(seat, asked)
        answer, self._known = on_scale(answer, self._known)
        ended = self._clock.now()
        new = status(name, asked, answer, before, ended, self._clock.monotonic() - began)
        seat.failed_runs = seat.failed_runs + 1 if new.state == "failing" else 0
        seat.retry_at = rest(answer.failures, seat.failed_runs, ended, seat.own)
        seat.tell(replace(new, retry_at=seat.retry_at))
        return answer.quotes


class _Seat:
    """One source, and what is remembered of it between runs."""

    def __init__(self, source: Source, courteous: _Courteous, own: bool) -> None:
        self.source = source
        self.courteous = courteous
        self.own = own
        """Asked at an address of the user's own, so without limits and without rests but those it asks for."""
        self.status: SourceStatus | None = None
        self.failed_runs = 0
        self.retry_at: datetime | None = None
        self._down = False

    def rests(self, now: datetime) -> bool:
        return self.retry_at is not None and now < self.retry_at

    def tell(self, new: SourceStatus) -> None:
        """Keep the status; log a failure once, and the recovery once."""
        self.status = new
        down = new.state in ("failing", "resting")
        if down and not self._down:
            log.warning("source failing", source=new.name, kind=new.error_kind, error=new.error)
        elif self._down and not down:
            log.info("source recovered", source=new.name, quotes=new.quotes)
        self._down = down


class _Courteous:
    """`Getter` with manners: no faster than the limit, a second try after a moment where it may help, and an end."""

    def __init__(self, http: Getter, limiter: AsyncLimiter | None, deadline: float | None = None) -> None:
        self._http = http
        self._limiter = limiter
        self._deadline = deadline

    def begin(self) -> _Courteous:
        """The same, with the budget of one run counted from now."""
        return _Courteous(self._http, self._limiter, asyncio.get_running_loop().time() + BUDGET_S)

    async def get_json(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        return await self._asked(
            provider, url, lambda: self._http.get_json(provider, url, params, headers, at_most=at_most)
        )

    async def post_json(
        self,
        provider: str,
        url: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        return await self._asked(
            provider, url, lambda: self._http.post_json(provider, url, body, headers, at_most=at_most)
        )

    async def get_text(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        form: Literal["csv", "xml"],
        at_most: int | None = None,
    ) -> bytes:
        return await self._asked(
            provider, url, lambda: self._http.get_text(provider, url, params, headers, form=form, at_most=at_most)
        )

    async def _asked(self, provider: str, url: str, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout_at(self._deadline):
                async for attempt in stamina.retry_context(
                    on=SourceUnavailable, attempts=TRIES, timeout=None, wait_initial=0.2, wait_jitter=0.3, wait_max=1.0
                ):
                    with attempt:
                        if self._limiter is not None:
                            await self._limiter.acquire()
                        return await ask()
        except TimeoutError:
            raise SourceUnavailable(
                provider, urlsplit(url).path, f"no answer within the {BUDGET_S:g} s of a run"
            ) from None
        raise AssertionError("a retry context ends with an answer or an error")


_SURPRISES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What an adapter raises when an answer has a shape that nobody thought of."""


async def _answered(seat: _Seat, asked: Sequence[Instrument]) -> Answer:
    try:
        return await seat.source.fetch(seat.courteous.begin(), asked)
    except SourceError as error:
        return Answer(failures=[error])
    except _SURPRISES as error:
        return Answer(failures=[_surprise(seat.source.name, "", error)])
    except ExceptionGroup as group:  # of a source that asks several things at once
        surprises, others = group.split(_SURPRISES)
        if others is not None or surprises is None:
            raise
        return Answer(failures=[_surprise(seat.source.name, "", surprises.exceptions[0])])


def _surprise(name: str, endpoint: str, error: BaseException) -> SourceMalformed:
    log.error("source adapter failed", source=name, exc_info=error)
    return SourceMalformed(name, endpoint, f"an answer the adapter cannot read ({type(error).__name__})")


def _checked(settings: Mapping[str, SourceSettings]) -> dict[str, SourceSettings]:
    chosen = {name.lower(): one for name, one in settings.items()}
    for name, one in chosen.items():
        if name not in (known := [listed.name for listed in sources()]):
            raise SettingsError(f"SOURCES__{name.upper()} is not a source; they are {', '.join(known)}")
        parts = urlsplit(one.base_url or "http://unset")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"SOURCES__{name.upper()}__BASE_URL is not an address; write http://host:port/path")
    return chosen
