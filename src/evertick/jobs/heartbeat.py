"""Renews the leases of this process from a thread of its own, whatever the event loop is doing.

* A blocking call on the loop does not cost the lease: the thread has its own connection.
* A lease that went to another worker (this process was stopped, or the machine slept) cancels the run it belongs to.
* A run that has not ended long after it was cancelled, because its loop hangs or it will not listen, ends the process
  with `HUNG`, for the supervisor to start it again; the slot is taken over from there.

The thread measures hangs by the system's monotonic clock and writes leases by the injected one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

import structlog

from evertick.jobs.slots import Held, Renewals
from evertick.jobs.waiting import Health
from evertick.model import Clock, Slot

log = structlog.get_logger()

HUNG = 70
"""Exit code: EX_SOFTWARE of sysexits.h."""


@dataclass(slots=True)
class _Hold:
    lost: Callable[[], None]
    left_s: float | None
    """Seconds after which the run counts as hung, less what the thread saw go by; ``None``: it has ended."""


def end_process(code: int) -> None:
    """Ends at once, without the finally blocks that a hung loop would never reach."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a full disk must not keep a hung process alive
            stream.flush()
    os._exit(code)


class Heartbeat:
    """``async with`` it around the runner. ``grace_s`` is what a run may take to end after it was cancelled."""

    def __init__(
        self,
        renewals: Renewals,
        clock: Clock,
        lease_s: float = 30.0,
        *,
        grace_s: float = 20.0,
        end: Callable[[int], None] = end_process,
    ) -> None:
        self.lease_s = lease_s
        self._renewals = renewals
        self._clock = clock
        self._grace_s = grace_s
        self._end = end
        self._every_s = lease_s / 3
        self._held: dict[Held, _Hold] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._health = Health("renewing leases")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Heartbeat:
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._stopped = self._loop.create_future()
        # daemon: if the main thread dies without a goodbye, nothing may keep its leases alive
        self._thread = threading.Thread(target=self._work, name="heartbeat", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        assert self._thread is not None
        try:
            await asyncio.shield(self._stopped)  # it may be waiting for the database, which the loop need not
        finally:
            self._thread.join(timeout=1)
            self._thread = None

    def hold(self, slot: Slot, max_run_s: float, lost: Callable[[], None]) -> None:
        """Renew this lease from now on. ``lost`` is called on the event loop, once, when another worker has it."""
        with self._changed:
            self._held[slot.id, slot.token] = _Hold(lost, max_run_s + self._grace_s)
            self._changed.notify()

    def rest(self, slot: Slot) -> None:
        """The run has ended; its lease is still renewed until what became of it is written."""
        with self._changed:
            if hold := self._held.get((slot.id, slot.token)):
                hold.left_s = None

    def drop(self, slot: Slot) -> None:
        with self._changed:
            self._held.pop((slot.id, slot.token), None)
            self._changed.notify()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        self._connect()
        seen = next_beat = time.monotonic()
        while True:
            with self._changed:
                if not self._held and not self._stopping:
                    self._changed.wait()  # idle: no timer runs
                    seen = time.monotonic()
                    next_beat = seen + self._every_s
                if not self._stopping:
                    self._changed.wait(max(0.0, min(next_beat, seen + self._every_s) - time.monotonic()))
                if self._stopping:
                    break
                now = time.monotonic()
                self._check_hung(now - seen)
                seen = now
                held = tuple(self._held)
            if held and now >= next_beat:
                well = self._attempt(held)
                next_beat = time.monotonic() + (self._every_s if well else self._every_s / 4)
        self._renewals.close()
        self._on_loop(self._say_stopped)

    def _connect(self) -> None:
        """Before the first job, so that no receipt is charged for the connection."""
        try:
            self._renewals.open()
        except Exception as error:  # noqa: BLE001 - the first renewal tries again
            self._health.failed(error)

    def _check_hung(self, passed_s: float) -> None:
        # A thread that was itself away for long (SIGSTOP, a suspended machine) has seen no hang: the loop was away too.
        counted = passed_s if passed_s < 2 * self._every_s + 1 else 0.0
        for (slot, _), hold in self._held.items():
            if hold.left_s is None:
                continue
            hold.left_s -= counted
            if hold.left_s <= 0:
                log.critical("job hangs, ending the process for a restart", slot=slot, code=HUNG)
                self._end(HUNG)

    def _attempt(self, held: tuple[Held, ...]) -> bool:
        try:
            lost = self._renewals.renew(held, self._clock.now() + timedelta(seconds=self.lease_s))
        except Exception as error:  # noqa: BLE001 - this thread must outlive every failure of the database
            self._health.failed(error)
            return False
        self._health.well()
        for key in lost:
            with self._changed:
                hold = self._held.pop(key, None)
            if hold is not None:
                self._on_loop(hold.lost)
        return True

    def _on_loop(self, call: Callable[[], None]) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    def _say_stopped(self) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)
