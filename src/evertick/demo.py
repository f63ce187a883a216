"""The first minute: simulator and server together, a snapshot and a report at once, nothing left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from evertick import logs, terminal
from evertick.app import run_server
from evertick.errors import SettingsError
from evertick.settings import SourceSettings, load
from evertick.simulator import base_urls
from evertick.simulator.process import simulator
from evertick.web.serve import bind


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
