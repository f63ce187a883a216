"""The measured server: what ``evertick serve`` runs, in a process of its own, on a clock that its parent moves.

Started by `evertick.soak.stage` with the name of a file, and as ``evertick serve`` is without what a server has no use for. The file
holds JSON: ``settings`` (of `evertick.settings`), ``start`` (ISO 8601; null: the system's clock), ``at`` (seconds
after ``start`` at which this process begins) and ``poll_s``. Orders come as lines of JSON on the standard input and are
answered by one line each on the standard output; the first line, without an order, says that the server is ready, and again
after the order to restart in place. When the input closes, the server stops.

The parts of the server are all the real ones. Nothing of the soak's readers, tapes and faults is in this process.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from socket import socket
from typing import Any

from evertick import logs, settings
from evertick.app import Server, run_server
from evertick.memory.gauge import peak_rss
from evertick.soak.clock import VirtualClock
from evertick.web.serve import hand_over

LOOPS = frozenset({"memory watch", "runner", "scheduler"})
"""The tasks of the server that sleep by the clock when there is nothing to do; each run is awaited beside them."""
SETTLE_WITHIN_S = 1200.0
"""Real seconds: a run may take as long as it may take, and not for ever."""


class Child:
    def __init__(self, given: dict[str, Any]) -> None:
        self.settings = settings.load(environ={}, **given["settings"])
        self.poll_s = float(given["poll_s"])
        self.clock: VirtualClock | None = None
        if given["start"] is not None:
            self.clock = VirtualClock(datetime.fromisoformat(given["start"]) + timedelta(seconds=given["at"]))
        self.behind = float(given["at"])
        self.server: Server | None = None
        self.url = ""
        self.orders: asyncio.Task[None] | None = None
        self.restart = asyncio.Event()

    async def run(self) -> socket | None:
        """Returns the socket, which still listens, when the server is to begin anew in this process."""
        listening = await run_server(
            self.settings, clock=self.clock, poll_s=self.poll_s, announce=self.ready, opened=self.opened,
            restart=self.restart,
        )  # fmt: skip
        if self.orders is not None:
            self.orders.cancel()
        return listening

    def opened(self, server: Server) -> None:
        self.server = server

    def ready(self, url: str) -> None:
        self.url = url
        self.orders = asyncio.create_task(self._obey(), name="soak: orders")

    async def _obey(self) -> None:
        lines = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        # a copy, which is closed with the loop: the program that takes this one's place still has its orders to hear
        orders = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), orders)
        _say({"url": self.url, "pid": os.getpid(), **self.status()})
        async for line in lines:
            order = json.loads(line)
            try:
                if order["do"] == "advance":
                    await self._advance(order["to"] - self.behind)
                elif order["do"] == "shift" and self.clock is not None:
                    self.clock.shift(order["by"])
                elif order["do"] == "restart":
                    self.restart.set()
                    return
            except TimeoutError:
                _say({"error": f"not at rest within {SETTLE_WITHIN_S:g} s", "waiting": sorted(self._awaited())})
                continue
            _say({"at": self.passed} if order.get("brief") else self.status())
        os.kill(os.getpid(), signal.SIGTERM)

    async def _advance(self, to: float) -> None:
        clock = self.clock
        if clock is None:
            return
        while clock.passed < to:
            async with asyncio.timeout(SETTLE_WITHIN_S):
                await clock.quiet(self._awaited)
            due = clock.next_waking()
            clock.jump(to if due is None else min(due, to))

    def _awaited(self) -> set[str]:
        assert self.server is not None
        return {*LOOPS, *(slot.id for slot in self.server.runner.running)}

    @property
    def passed(self) -> float:
        """Seconds since the soak began."""
        assert self.server is not None
        if self.clock is not None:
            return self.behind + self.clock.passed
        return self.behind + (self.server.clock.now() - self.server.watch.started).total_seconds()

    def status(self) -> dict[str, Any]:
        """Bytes and counts; ``at`` in seconds since the soak began."""
        assert self.server is not None
        server = self.server
        sample = server.keeper.gauge.sample()
        runs: dict[str, dict[str, int]] = {}
        for (job, outcome), count in server.keeper.runs.items():
            runs.setdefault(job, {})[outcome] = count
        return {
            "at": self.passed,
            "rss": sample.rss,
            "peak": peak_rss(),
            "heap": sample.heap,
            "fds": sample.fds,
            "tasks": sample.tasks,
            "doing": sorted(map(_named, asyncio.all_tasks())),
            "threads": sample.threads,
            "connections": sample.connections,
            "budget": str(server.watch.budget.state),
            "runs": runs,
        }


def _named(task: asyncio.Task[Any]) -> str:
    """As its maker has named it, else the coroutine that it runs."""
    name, coroutine = task.get_name(), task.get_coro()
    return getattr(coroutine, "__qualname__", name) if name.startswith("Task-") else name


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """A soak that is killed cannot close the input of a server that is busy: the kernel ends it (prctl(2), Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(file: str) -> None:
    import uvloop

    _end_with_parent()
    given = json.loads(Path(file).read_text())
    child = Child(given)
    logs.configure(child.settings.log_format, child.settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        listening = runner.run(child.run())
    if listening is not None:
        Path(file).write_text(json.dumps({**given, "at": child.passed}))
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **hand_over(listening)})
