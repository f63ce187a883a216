"""What a process runs: an event loop, and the server in it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any


def run_serve(
    host: str | None = None,
    port: int | str | None = None,
    data: Path | str | None = None,
    config: Path | str | None = None,
) -> None:
    from evertick import logs, settings
    from evertick.app import run_server

    chosen = settings.load(Path(config) if config else None, host=host, port=port, data_dir=data)
    logs.configure(chosen.log_format, chosen.log_level)
    run(run_server(chosen))


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)
