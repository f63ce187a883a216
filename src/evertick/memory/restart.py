"""What the budget does: holds jobs back, and asks for a restart in place when what runs has come to its end.

The restart itself belongs to whoever serves (`evertick.process`): the listening socket stays, so that nobody is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

import structlog

from evertick.memory.budget import Budget, State
from evertick.memory.watch import Watch
from evertick.model import Clock

log = structlog.get_logger()

WAIT_S = 120.0
"""Runs that take longer are handed back to their slots, for the process that comes after this one."""
_LOOK_S = 0.2


class Restart:
    """``asked`` is set when the process may restart; ``running`` counts the runs under way.

    ``reports`` names the jobs that wait while memory is tight. Where nobody can restart (``asked`` is None) an exhausted
    budget only releases and holds reports back.
    """

    def __init__(
        self,
        watch: Watch,
        asked: asyncio.Event | None,
        running: Callable[[], int],
        clock: Clock,
        reports: Collection[str] = ("report",),
    ) -> None:
        self._watch, self._asked, self._running, self._clock = watch, asked, running, clock
        self._reports = frozenset(reports)
        self._waiting: asyncio.Task[None] | None = None

    def gate(self, job: str) -> str | None:
        """Why ``job`` is not to be started now; ``None``: it may."""
        budget = self._watch.budget
        if self._asked is not None and (self._asked.is_set() or not budget.takes_jobs):
            return "the server restarts to free its memory"
        if job in self._reports and not budget.takes_reports:
            return f"memory is {budget.state}"
        return None

    async def changed(self, budget: Budget) -> None:
        """To be called when the state of the budget has changed."""
        if self._asked is not None and budget.state is State.OVER and budget.restart_due and self._waiting is None:
            self._waiting = asyncio.create_task(self._when_idle(self._asked), name="memory restart")

    async def close(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            with suppress(asyncio.CancelledError):
                await self._waiting

    async def _when_idle(self, asked: asyncio.Event) -> None:
        until = self._clock.monotonic() + WAIT_S
        try:
            while self._running() and self._clock.monotonic() < until:
                await self._clock.sleep(_LOOK_S)
                if not self._watch.budget.restart_due:
                    log.info("memory fell before a restart was needed", reason=self._watch.budget.reason)
                    return
            log.warning("restarting in place", reason=self._watch.budget.reason, runs_left=self._running())
            asked.set()
        finally:
            self._waiting = None
