"""The simulator in a process of its own, so that the server's memory is the server's alone."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from evertick.errors import EvertickError

START_WITHIN_S = 20


@asynccontextmanager
async def simulator(
    seed: int,
    fail: Iterable[str] = (),
    *,
    universe: Path | None = None,
    start: datetime | None = None,
    speed: float = 1.0,
) -> AsyncIterator[str]:
    """Yields its address. It ends when its standard input closes, so also when this process is killed."""
    command = [sys.executable, "-m", "evertick", "simulate", "--port", "0", "--seed", str(seed), "--until-stdin-closes",
               "--speed", str(speed)]  # fmt: skip
    if start is not None:
        command += ["--start", start.isoformat()]
    if universe is not None:
        command += ["--universe", str(universe)]
    for fault in fail:
        command += ["--fail", fault]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_WITHIN_S):
            async for line in process.stdout:
                if (at := line.find(b"http://")) >= 0:
                    break
            else:
                raise EvertickError(f"the simulator ended with {await process.wait()} before it was ready")
        yield line[at:].split()[0].decode().rstrip("/")
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 1)
        except TimeoutError:
            with suppress(ProcessLookupError):  # it has ended this very moment
                process.send_signal(signal.SIGKILL)
            await process.wait()
