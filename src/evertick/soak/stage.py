"""The measured server as its parent has it: started, moved through time, killed and started again at the same instant.

async with Stage(folder, settings, start=START) as stage:
    status = await stage.advance(180)       # three minutes later, as soon as nothing is under way
    await stage.kill()
    await stage.start()                     # the same port, the same data, the same instant
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from evertick.errors import ServerEnded
from evertick.lean import BARE, bytecode_is_kept

POLL_S = 60.0
"""How often a server on a virtual clock asks the ledger by itself: twice while a slot may wait, not every second."""
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 40.0
START = "import sys; from evertick.lean import start_lean; start_lean(); from evertick.soak.child import main; main(sys.argv[1])"
_LINE = 1 << 20


@dataclass(frozen=True)
class Status:
    """The server at one moment. Bytes and counts; ``at`` in seconds since the soak began."""

    at: float
    rss: int | None = None
    peak: int | None = None
    """The highest RSS since the newest run began."""
    heap: int | None = None
    fds: int | None = None
    tasks: int = 0
    doing: Sequence[str] = ()
    """What each task is."""
    threads: int = 0
    connections: int | None = None
    budget: str = "ok"
    runs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of this process: job to outcome to count."""


_STATUS = frozenset(f.name for f in fields(Status))


class Stage:
    """``settings`` as `evertick.settings.load` takes them, values that JSON can hold. ``start`` is the virtual instant at which
    all begins; ``None``: the server runs by the system's clock, and `advance` only asks how it is. ``at``: so many seconds later it comes in."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        start: datetime | None,
        at: float = 0.0,
        poll_s: float = POLL_S,
    ) -> None:
        self.folder, self.start_at = folder, start
        self.url = ""
        self.pid = 0
        self.status = Status(0.0)
        self.starts = 0
        self.settings = dict(settings)
        self._poll_s = poll_s
        self._reached = at
        """No process of this stage has been further: the next one begins there."""
        self._began: float | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._earlier: Counter[str] = Counter()

    @property
    def now(self) -> float:
        """Seconds since the soak began."""
        return max(self.status.at, self._reached)

    @property
    def instant(self) -> datetime | None:
        """The virtual wall clock; ``None`` on the system's."""
        return None if self.start_at is None else self.start_at + timedelta(seconds=self.now)

    @property
    def runs(self) -> Counter[str]:
        """Ended so far by all processes, by job; those that ended just before a process was killed are missing."""
        return self._earlier + _counted(self.status)

    @property
    def elapsed(self) -> float:
        """Real seconds since the first start began."""
        return 0.0 if self._began is None else asyncio.get_running_loop().time() - self._began

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self.alive:
            await self.stop()

    async def start(self) -> Status:
        """Raises `ServerEnded` if it does not come up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
        given = {
            "settings": self.settings,
            "start": self.start_at.isoformat() if self.start_at is not None else None,
            "at": self.now if self.start_at is not None else self.elapsed,
            "poll_s": self._poll_s if self.start_at is not None else 1.0,
        }
        file = self.folder / "server.json"
        file.write_text(json.dumps(given))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("EVERTICK_")}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *([BARE] if bytecode_is_kept() else []), "-c", START, str(file.resolve()),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, limit=_LINE,
                cwd=self.folder, env=environment, start_new_session=True,
            )  # fmt: skip
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                ready = await self._answer()
        except TimeoutError:
            await self.kill()
            raise ServerEnded(f"the server was not ready within {READY_WITHIN_S:g} s; see {self.log}") from None
        self.url, self.pid = ready["url"], ready["pid"]
        self.settings["port"] = int(self.url.rsplit(":", 1)[1])
        self.starts += 1
        self._earlier += _counted(self.status)
        return self._seen(ready)

    async def advance(self, to: float, *, brief: bool = False) -> Status:
        """Let the server live until ``to`` seconds since the soak began. ``brief``: without a look at it, which takes it a
        millisecond; the status stays the last one, at another time. Raises `ServerEnded`."""
        self._reached = max(self._reached, to) if self.start_at is not None else 0.0
        return await self._told({"do": "advance", "to": to, "brief": brief})

    async def look(self) -> Status:
        return await self._told({"do": "look"})

    async def shift(self, by: float) -> Status:
        """Set the server's wall clock, and nothing else, by so many seconds. Undone by a start."""
        return await self._told({"do": "shift", "by": by})

    async def renew(self) -> Status:
        """Let it restart in place: the same process id, port and orders; a fresh program. Raises `ServerEnded`."""
        self.starts += 1
        ended = _counted(await self.look())
        async with asyncio.timeout(READY_WITHIN_S):
            fresh = await self._told({"do": "restart"})
        self._earlier += ended
        return fresh

    async def stop(self) -> int:
        """As SIGTERM does; returns the exit code."""
        process = self._process
        assert process is not None
        with suppress(ProcessLookupError):
            process.terminate()
        return await self._gone(STOP_WITHIN_S)

    async def kill(self, number: int = signal.SIGKILL) -> int:
        """End it without a goodbye, whatever it does; an `advance` under way raises `ServerEnded`."""
        process = self._process
        assert process is not None
        with suppress(ProcessLookupError):
            process.send_signal(number)
        return await self._gone(STOP_WITHIN_S)

    async def restart(self, number: int = signal.SIGKILL) -> Status:
        """Kill it and start it at the same instant."""
        await self.kill(number)
        return await self.start()

    async def _gone(self, within_s: float) -> int:
        process = self._process
        assert process is not None
        try:
            async with asyncio.timeout(within_s):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return code

    async def _told(self, order: Mapping[str, Any]) -> Status:
        async with self._turn:
            process = self._process
            assert process is not None
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(order).encode() + b"\n")
                await process.stdin.drain()
            except (ConnectionError, RuntimeError):  # RuntimeError: a pipe that was closed
                raise await self._end(process) from None
            return self._seen(await self._answer())

    async def _answer(self) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        while line := await process.stdout.readline():
            if line.startswith(b"{"):
                answer: dict[str, Any] = json.loads(line)
                if "error" in answer:
                    raise ServerEnded(f"the server is stuck: {answer['error']} ({', '.join(answer['waiting'])})")
                return answer
        raise await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> ServerEnded:
        code = await process.wait()
        return ServerEnded(f"the server ended with {code}; its log is {self.log}")

    def _seen(self, answer: Mapping[str, Any]) -> Status:
        given = {k: v for k, v in answer.items() if k in _STATUS}
        self.status = replace(self.status, **given) if given.keys() == {"at"} else Status(**given)
        return self.status


def _counted(status: Status) -> Counter[str]:
    return Counter({job: sum(outcomes.values()) for job, outcomes in status.runs.items()})
