"""Keeps so many processes of one command alive: `evertick worker --processes N`.

It does no work of its own and imports nothing of Evertick that works, so it stays at a tenth of a worker. Each process is
started afresh (spawned, never forked from a loaded one).

* One that left because its memory is used up (`REPLACE`) is replaced at once.
* One that ended in any other way is started again after 1 s, 2 s, 4 s … 30 s; after a minute of life it begins at 1 s.
* Exit code 2 is a matter for people (settings, usage): the others are stopped, and 2 is the answer.
* SIGTERM and SIGINT are passed on, a second time too. Who has not ended `PATIENCE_S` after the longest grace is killed.

If it dies itself, its processes notice by a pipe and stop as after SIGTERM.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from evertick.notify import READY, notify
from evertick.process import REPLACE, RESTARTS, SUPERVISOR

USAGE = 2
WELL = (0, REPLACE, -signal.SIGTERM)
"""How a process may end that was told to stop; the last one had not begun to work."""
FIRST_S, LONGEST_S = 1.0, 30.0
SETTLED_S = 60.0
"""A process that lived for so long starts its row of waits anew."""
GRACE_S = 600.0
"""The longest `STOP_GRACE` that can be set; which one is, the supervisor does not read."""
PATIENCE_S = 30.0


@dataclass(eq=False)
class _Place:
    """One of the N, whoever stands in it now."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    """When the next process is to be started here."""
    wait_s: float = FIRST_S
    replaced: deque[int] = field(default_factory=lambda: deque(maxlen=60))


class Supervisor:
    """``command``: the program and its arguments, told by its environment of `SUPERVISOR` and `RESTARTS`."""

    def __init__(
        self,
        command: Sequence[str],
        processes: int,
        *,
        grace_s: float = GRACE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = list(command)
        self._places = [_Place(number) for number in range(1, processes + 1)]
        self._grace_s = grace_s
        self._clock = clock
        self._stops = 0
        """Signals to stop that came."""
        self._passed = 0
        self._kill_at: float | None = None
        self._code = 0

    def run(self) -> int:
        """Until told to stop and everybody has ended; returns the exit code."""
        held_out, holding = os.pipe()
        woken, waker = os.pipe()
        os.set_blocking(waker, False)
        before = {number: signal.signal(number, self._came) for number in (signal.SIGTERM, signal.SIGINT)}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        before_waker = signal.set_wakeup_fd(waker)
        notify(READY)
        try:
            while not self._step(held_out):
                select.select([woken], [], [], self._nap())
                with contextlib.suppress(BlockingIOError):
                    os.set_blocking(woken, False)
                    os.read(woken, 512)
        finally:
            signal.set_wakeup_fd(before_waker)
            for number, handler in before.items():
                signal.signal(number, handler)
            for each in (held_out, holding, woken, waker):
                os.close(each)
        self._say("stopped", code=self._code)
        return self._code

    def _came(self, number: int, frame: object) -> None:
        self._stops += 1

    def _step(self, pipe: int) -> bool:
        """Collect who has ended, start whose time has come, pass signals on. True: everybody has ended."""
        now = self._clock()
        for place in self._places:
            if place.process is not None and (code := place.process.poll()) is not None:
                self._ended(place, code, now)
        if self._stops > self._passed:
            self._passed = self._stops
            self._kill_at = self._kill_at or now + self._grace_s + PATIENCE_S
            self._pass_on(signal.SIGTERM)
        if self._stops:
            if self._kill_at is not None and now >= self._kill_at:
                self._code = self._code or 1
                self._pass_on(signal.SIGKILL)
            return all(place.process is None for place in self._places)
        for place in self._places:
            if place.process is None and now >= place.start_at:
                self._start(place, pipe, now)
        return False

    def _start(self, place: _Place, pipe: int, now: float) -> None:
        stamps = ",".join(map(str, place.replaced))
        place.process = subprocess.Popen(
            self._command,
            env={**os.environ, SUPERVISOR: str(pipe), RESTARTS: stamps},
            pass_fds=(pipe,),
            process_group=0,  # a terminal's Ctrl-C reaches them by us, once
        )
        place.started = now
        self._say("started", place=place.number, pid=place.process.pid)

    def _ended(self, place: _Place, code: int, now: float) -> None:
        assert place.process is not None
        pid, place.process = place.process.pid, None
        if self._stops:
            if code not in WELL:
                self._code = self._code or 1
            return
        if code == USAGE:
            self._say("its settings are wrong, stopping all", place=place.number, pid=pid)
            self._code = USAGE
            self._stops += 1
            return
        if code == REPLACE:
            place.replaced.append(int(time.time()))
            place.start_at, wait_s = now, 0.0
        else:
            if now - place.started >= SETTLED_S:
                place.wait_s = FIRST_S
            wait_s = place.wait_s
            place.start_at = now + wait_s
            place.wait_s = min(LONGEST_S, wait_s * 2)
        self._say("ended", place=place.number, pid=pid, code=code, again_in_s=wait_s)

    def _pass_on(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.process is not None:
                place.process.send_signal(number)

    def _nap(self) -> float | None:
        """Seconds until something is to be done that no signal tells of."""
        times = [place.start_at for place in self._places if place.process is None and not self._stops]
        if self._kill_at is not None:
            times.append(self._kill_at)
        return max(0.0, min(times) - self._clock()) if times else None

    def _say(self, event: str, **more: object) -> None:
        import structlog

        structlog.get_logger().info(f"worker {event}" if "place" in more else f"supervisor {event}", **more)


__all__ = ["Supervisor"]
