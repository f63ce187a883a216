"""What a process runs: an event loop, and the server in it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any

_RESTARTS = "_EVERTICK_RESTARTS"


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
    restarts = _restarts()
    listening = run(run_server(chosen, may_restart=chosen.memory_restarts > 0, restarts=restarts))
    if listening is not None:
        _again(listening, restarts)


def _restarts() -> list[datetime]:
    """When this server restarted itself within the last hour, as the process before this one left it."""
    stamps = os.environ.pop(_RESTARTS, "").split(",")
    return [datetime.fromtimestamp(int(stamp), UTC) for stamp in stamps if stamp.isdigit()]


def _again(listening: socket, restarts: Sequence[datetime]) -> None:
    """Put a fresh process of the same command in the place of this one; clients that wait are not sent away."""
    from evertick.web.serve import hand_over

    stamps = [int(at.timestamp()) for at in (*restarts, datetime.now(UTC))][-60:]
    environment = {**os.environ, **hand_over(listening), _RESTARTS: ",".join(map(str, stamps))}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)
