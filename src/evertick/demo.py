"""The first minute: simulator and server together, a snapshot and a report at once, nothing left behind."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from evertick import logs, terminal
from evertick.app import run_server
from evertick.errors import EvertickError, SettingsError
from evertick.settings import SourceSettings, load
from evertick.simulator import base_urls
from evertick.web.serve import bind

START_WITHIN_S = 20


async def run_demo(*, port: int | None, data: Path | None, every: str, seed: int, fail: Iterable[str]) -> None:
    async with AsyncExitStack() as stack:
        terminal.say("Evertick demo: a simulated market, on this machine alone. Ctrl-C ends it.\n")
        upstream = await stack.enter_async_context(simulator(seed, fail))
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evertick-demo-")))
        base = load(None, environ={})  # the settings file of the folder is not the demo's
        settings = load(
            data_dir=folder,
            port=free(port if port is not None else base.port, chosen=port is not None),
            indices_every=every,
            report_on_start=True,
            sources={name: SourceSettings(base_url=url) for name, url in base_urls(upstream).items()},
        )
        logs.configure(settings.log_format, settings.log_level)
        await run_server(settings, announce=_announce)
    terminal.say(
        "\nStopped. " + (f"The data is in {folder}." if data else "Nothing is left behind; keep it with --data DIR.")
    )


def _announce(url: str) -> None:
    terminal.say(f"\n  Dashboard  {url}/\n  Reports    {url}/reports\n  API        {url}/docs\n")


def free(port: int, *, chosen: bool) -> int:
    """``port`` if it can be had, else any free one, unless somebody chose it."""
    try:
        bind("127.0.0.1", port).close()
    except SettingsError:
        if chosen:
            raise
        return 0
    return port


@asynccontextmanager
async def simulator(seed: int, fail: Iterable[str]) -> AsyncIterator[str]:
    """The simulator in a process of its own, so that the server's memory is the server's alone. Yields its address.

    It ends when its standard input closes, so also when this process is killed.
    """
    command = [sys.executable, "-m", "evertick", "simulate", "--port", "0", "--seed", str(seed), "--until-stdin-closes"]
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
            process.send_signal(signal.SIGKILL)
            await process.wait()
