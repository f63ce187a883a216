"""Manners towards one provider: a rate, a little jitter, a daily quota, a second try where it may help, and an end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

import stamina
from aiolimiter import AsyncLimiter

from evertick.errors import EvertickError, SourceRateLimited, SourceUnavailable
from evertick.model import Clock
from evertick.sources.http import Getter

T = TypeVar("T")

TRIES = 2
SOON_S = 5.0
"""A source that may be sent a request every few seconds is waited for; a slower one is passed over meanwhile."""
JITTER_S = 0.5
"""A request to a public provider waits up to so long first: batches do not come at one moment, nor from all of us."""


class Usage(Protocol):
    """Keeps the requests counted a day beyond a restart. Raises `EvertickError`; what was not added is added later."""

    async def load(self) -> Mapping[str, tuple[date, int]]:
        """For every source its newest day (UTC) and the requests counted on it."""

    async def add(self, source: str, day: date, requests: int) -> None:
        """Count ``requests`` more on that day."""


class Quota:
    """Requests of one source a day, which begins at midnight UTC."""

    def __init__(self, per_day: int | None, clock: Clock) -> None:
        self.per_day = per_day
        self._clock = clock
        self._day = clock.now().astimezone(UTC).date()
        self._kept = 0
        self._pending: dict[date, int] = {}

    def left(self) -> int | None:
        """``None``: no limit."""
        if self.per_day is None:
            return None
        today = self._today()
        return max(0, self.per_day - self._kept - self._pending.get(today, 0))

    def take(self) -> bool:
        """Count one request, if it is still granted."""
        if self.left() == 0:
            return False
        if self.per_day is not None:
            today = self._today()
            self._pending[today] = self._pending.get(today, 0) + 1
        return True

    def again_at(self) -> datetime:
        """When the next day begins."""
        return datetime.combine(self._today() + timedelta(days=1), time(), UTC)

    def used_up(self, provider: str, endpoint: str) -> SourceRateLimited:
        wait = (self.again_at() - self._clock.now()).total_seconds()
        came = f"the {self.per_day} requests of today are used up"
        return SourceRateLimited(provider, endpoint, came, retry_after=max(1.0, wait))

    def restore(self, day: date, requests: int) -> None:
        """What the store has counted, by whichever process."""
        if day == self._today():
            self._kept = requests

    async def keep(self, source: str, usage: Usage) -> None:
        """Add what was counted since to the store; what cannot be added stays to be added."""
        for day in list(self._pending):
            counted = self._pending.pop(day, 0)
            if day == self._today():
                self._kept += counted
            try:
                await usage.add(source, day, counted)
            except EvertickError:
                if day == self._today():
                    self._kept -= counted
                    self._pending[day] = self._pending.get(day, 0) + counted
                raise

    def _today(self) -> date:
        today = self._clock.now().astimezone(UTC).date()
        if today != self._day:
            self._day, self._kept = today, 0
            self._pending.clear()
        return today


class Manners:
    """How one provider is asked. ``rate``: at most so many requests in so many seconds; ``None``: at any speed."""

    def __init__(self, rate: tuple[int, float] | None, quota: Quota) -> None:
        self.quota = quota
        self._limiter = AsyncLimiter(*rate) if rate is not None else None
        self._pace_s = rate[1] / rate[0] if rate is not None else 0.0

    def ready(self) -> bool:
        """Whether a request could be sent within a few seconds."""
        return self._limiter is None or self._pace_s <= SOON_S or self._limiter.has_capacity()

    async def turn(self, provider: str, url: str) -> None:
        """Wait until a request may be sent, and count it. Raises `SourceRateLimited` when the day's are used up."""
        if self._limiter is not None:
            await asyncio.sleep(random.uniform(0, JITTER_S))
            await self._limiter.acquire()
        if not self.quota.take():
            raise self.quota.used_up(provider, urlsplit(url).path)


class Courteous:
    """`Getter` with manners, for one run that ends ``budget_s`` seconds from now; ``tries``: of a request that fails."""

    def __init__(self, http: Getter, manners: Manners, budget_s: float, tries: int = TRIES) -> None:
        self._http = http
        self._manners = manners
        self._budget_s = budget_s
        self._deadline = asyncio.get_running_loop().time() + budget_s
        self._tries = tries

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

    def _worth_a_second_try(self, error: Exception) -> bool:
        # One that the rate puts off for long would only hide why the first one failed.
        return isinstance(error, SourceUnavailable) and self._manners.ready()

    async def _asked(self, provider: str, url: str, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout_at(self._deadline):
                async for attempt in stamina.retry_context(
                    on=self._worth_a_second_try,
                    attempts=self._tries,
                    timeout=None,
                    wait_initial=0.2,
                    wait_jitter=0.3,
                    wait_max=1.0,
                ):
                    with attempt:
                        await self._manners.turn(provider, url)
                        return await ask()
        except TimeoutError:
            raise SourceUnavailable(
                provider, urlsplit(url).path, f"no answer within the {self._budget_s:.3g} s of a round"
            ) from None
        raise AssertionError("a retry context ends with an answer or an error")
