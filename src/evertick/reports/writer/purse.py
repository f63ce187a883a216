"""What the writer may use up in a day (UTC): tokens, and money where a price is set. Counted over restarts.

Before an answer is asked for, the most it can cost is put aside; what it did not cost is given back afterwards. So neither two
processes nor a kill in between can make a day dearer than its cap. Both count as requests do (`evertick.archive.usage`): tokens
under ``writer:tokens``, money in millionths under ``writer:money``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from math import ceil
from typing import Protocol

from evertick.errors import WriterError
from evertick.model import Clock
from evertick.reports.writer.client import Answer
from evertick.settings import WriterSettings

TOKENS, MONEY = "writer:tokens", "writer:money"
BYTES = 2
"""A token is at least so many bytes of text, by a careful guess where the endpoint does not count."""


class Usage(Protocol):
    """See `evertick.archive.usage`."""

    async def load(self) -> Mapping[str, tuple[date, int]]: ...

    async def add(self, source: str, day: date, requests: int) -> None: ...


class Bill:
    """One answer; ``of`` says what it really took."""

    def __init__(self, tokens_in: int, tokens_out: int) -> None:
        self.most = (tokens_in, tokens_out)
        self.used: tuple[int, int] | None = None

    def of(self, answer: Answer) -> None:
        asked, said = self.most[0], len(answer.text.encode("utf-8", "replace")) // BYTES + 1
        self.used = (
            asked if answer.tokens_in is None else answer.tokens_in,
            said if answer.tokens_out is None else answer.tokens_out,
        )


class Purse:
    def __init__(self, usage: Usage, settings: WriterSettings, clock: Clock) -> None:
        self._usage = usage
        self._settings = settings
        self._clock = clock

    @asynccontextmanager
    async def answer(self, messages: Sequence[Mapping[str, str]]) -> AsyncIterator[Bill]:
        """Around one answer to ``messages``. Raises `WriterError` when the day's allowance does not bear it.

        Nothing is counted for an error that says that the endpoint did not begin.
        """
        asked = sum(len(m["content"].encode()) for m in messages) // BYTES + 16
        bill = Bill(asked, self._settings.max_tokens)
        day = self._clock.now().date()
        most = self._counted(*bill.most)
        await self._add(day, most)
        try:
            await self._refuse_more(day, most)
            yield bill
        except WriterError as error:
            if not error.billed:
                bill.used = (0, 0)
            raise
        finally:
            if bill.used is not None:
                really = self._counted(*bill.used)
                await self._add(day, {name: really[name] - most[name] for name in most})

    def _counted(self, tokens_in: int, tokens_out: int) -> dict[str, int]:
        """Tokens, and money in millionths: a price is for a million tokens."""
        money = ceil(tokens_in * self._settings.price_in + tokens_out * self._settings.price_out)
        return {TOKENS: tokens_in + tokens_out, MONEY: money}

    async def _add(self, day: date, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            if count:
                await self._usage.add(name, day, count)

    async def _refuse_more(self, day: date, most: Mapping[str, int]) -> None:
        known = await self._usage.load()
        used = {name: count for name, (at, count) in known.items() if at == day}
        settings = self._settings
        for name, cap, setting in (
            (TOKENS, settings.per_day, "PER_DAY"),
            (MONEY, settings.daily_cost * 1e6, "DAILY_COST"),
        ):
            if used.get(name, 0) > cap:
                raise WriterError(f"the day's allowance is used up (WRITER__{setting})")
