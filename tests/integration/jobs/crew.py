"""Worker processes for the tests, started, watched and disbanded; and what their work left in the database."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import text

from evertick.archive import Archive
from evertick.model import Slot, SlotState, SystemClock

WORKER = Path(__file__).with_name("worker.py")
LEASE_S = 2.0


class Worker:
    """A worker process and all it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        self.log = bytearray()
        assert process.stdout is not None
        self._reader = asyncio.create_task(self._read(process.stdout))

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            if line.startswith(b"{"):
                self.said.append(json.loads(line))
            else:
                self.log += line

    def events(self, event: str) -> list[dict[str, Any]]:
        return [said for said in self.said if said["event"] == event]

    async def until(self, true: Callable[[Worker], object]) -> None:
        async with asyncio.timeout(40):
            while not true(self):
                assert self.process.returncode is None, f"ended with {self.process.returncode}: {self.log.decode()}"
                await asyncio.sleep(0.02)

    async def ended(self) -> int:
        async with asyncio.timeout(40):
            code = await self.process.wait()
            await self._reader
        return code

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


class Crew:
    """Processes of ``script``, which is told where the database is, a name, and the rest."""

    def __init__(self, url: str, script: Path = WORKER) -> None:
        self.url = url
        self.script = script
        self.workers: list[Worker] = []

    async def start(self, lease_s: float = LEASE_S, max_run_s: float = 60, every: str = "-") -> Worker:
        return await self.launch(str(lease_s), str(max_run_s), every)

    async def launch(
        self,
        *arguments: str,
        url: str | None = None,
        env: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> Worker:
        process = await asyncio.create_subprocess_exec(
            *within,
            sys.executable, str(self.script), url or self.url, f"w{len(self.workers)}", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={**os.environ, **(env or {})},
        )  # fmt: skip
        worker = Worker(process)
        self.workers.append(worker)
        await worker.until(lambda w: w.events("ready"))
        return worker

    async def disband(self) -> None:
        for worker in self.workers:
            with suppress(ProcessLookupError):  # one that was killed, and whose end was not heard of yet
                if worker.process.returncode is None:
                    worker.signal(signal.SIGCONT)
                    worker.signal(signal.SIGTERM)
        for worker in self.workers:
            await worker.ended()


async def make_effects(archive: Archive) -> None:
    async with archive.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE effects (slot TEXT PRIMARY KEY, token INTEGER, owner TEXT)"))


async def effects(archive: Archive) -> list[tuple[str, int, str]]:
    async with archive.engine.connect() as connection:
        rows = await connection.execute(text("SELECT slot, token, owner FROM effects"))
        return [(row.slot, row.token, row.owner) for row in rows]


async def submit(archive: Archive, **params: Any) -> Slot:
    return await archive.ledger.submit("default", "work", params, SystemClock().now())


async def finished(archive: Archive, slot: Slot) -> Slot:
    async with asyncio.timeout(40):
        while (now := await archive.ledger.get(slot.id)).state in (SlotState.DUE, SlotState.LEASED):
            await asyncio.sleep(0.05)
    return now


def assert_published_once(crew: Crew, more_than: int = 12) -> None:
    """A run comes to publishing twice only where the first was killed before it could write that it had."""
    published = defaultdict(list)
    for worker in crew.workers:
        for said in worker.events("ended"):
            if said["how"] == "published":
                published[said["slot"]].append(worker)
    assert len(published) > more_than
    for workers in published.values():
        assert len(workers) == 1 or workers[0].process.returncode == -signal.SIGKILL


def assert_no_overlap(crew: Crew) -> None:
    """Of the runs that came to their end: none began before the one before it had ended (one clock for all processes)."""
    runs: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for worker in crew.workers:
        for said in worker.said:
            if said["event"] in ("started", "ended"):
                runs[said["slot"], said["token"]][said["event"]] = said["at"]
    spans = sorted((run["started"], run["ended"]) for run in runs.values() if "ended" in run)
    for (_, ended), (started, _) in pairwise(spans):
        assert started >= ended - 0.001
