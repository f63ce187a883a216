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

from evertick.errors import SettingsError

REPLACE = 75
"""Exit code of a worker that left because its memory is used up: EX_TEMPFAIL of sysexits.h, start another in its place."""
SUPERVISOR = "_EVERTICK_SUPERVISOR"
"""Names the descriptor of a pipe whose other end the supervisor holds."""
RESTARTS = "_EVERTICK_RESTARTS"
"""When the processes before this one restarted or were replaced: seconds since 1970."""


def run_serve(
    host: str | None = None,
    port: int | str | None = None,
    data: Path | str | None = None,
    config: Path | str | None = None,
    roles: str | None = None,
) -> None:
    """The roles of this process: with pages, or without where ``web`` is not among them."""
    from evertick import logs, settings
    from evertick.app import run_headless, run_server

    chosen = settings.load(Path(config) if config else None, host=host, port=port, data_dir=data, roles=roles)
    logs.configure(chosen.log_format, chosen.log_level)
    restarts = _restarts()
    may = chosen.memory_restarts > 0
    if "web" not in chosen.roles:
        if run(run_headless(chosen, roles=chosen.roles, may_leave=may, restarts=restarts)):
            _again(None, restarts)
        return
    listening = run(run_server(chosen, may_restart=may, restarts=restarts))
    if listening is not None:
        _again(listening, restarts)


def run_worker(
    data: Path | str | None = None, config: Path | str | None = None, processes: int | str | None = None
) -> None:
    """Run jobs and nothing else; with ``processes`` so many of them, each replaced when it ends. Ends the process."""
    if processes is not None:
        from evertick import logs
        from evertick.supervisor import Supervisor

        logs.configure("json" if os.environ.get("EVERTICK_LOG_FORMAT") == "json" else "console")
        command = [sys.executable, "-m", "evertick", "worker"]
        for name, value in (("--data", data), ("--config", config)):
            command += [name, str(value)] if value else []
        sys.exit(Supervisor(command, int(processes)).run())
    from evertick import logs, settings
    from evertick.app import run_headless

    chosen = settings.load(Path(config) if config else None, data_dir=data)
    if chosen.mode != "distributed":
        raise SettingsError(
            "evertick worker is for several machines: set MODE=distributed, DATABASE_URL and REDIS_URL; "
            "on one machine evertick serve runs the jobs itself"
        )
    logs.configure(chosen.log_format, chosen.log_level)

    async def work() -> bool:
        return await run_headless(
            chosen,
            roles=("work",),
            may_leave=chosen.memory_restarts > 0,
            restarts=_restarts(),
            until=_orphaned(),
        )

    sys.exit(REPLACE if run(work()) else 0)


def _restarts() -> list[datetime]:
    """When this server restarted itself, or was replaced, within the last hour, as the process before this one left it."""
    stamps = os.environ.pop(RESTARTS, "").split(",")
    return [datetime.fromtimestamp(int(stamp), UTC) for stamp in stamps if stamp.isdigit()]


async def _orphaned() -> None:
    """Comes back when the supervisor is gone: its end of the pipe is closed then. Never without a supervisor."""
    pipe = os.environ.get(SUPERVISOR, "")
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    if pipe.isdecimal():
        loop.add_reader(int(pipe), gone.set)
    try:
        await gone.wait()
    finally:
        if pipe.isdecimal():
            loop.remove_reader(int(pipe))


def _again(listening: socket | None, restarts: Sequence[datetime]) -> None:
    """Put a fresh process of the same command in the place of this one; clients that wait are not sent away."""
    from evertick.web.serve import hand_over

    stamps = [int(at.timestamp()) for at in (*restarts, datetime.now(UTC))][-60:]
    environment = {
        **os.environ,
        **(hand_over(listening) if listening is not None else {}),
        RESTARTS: ",".join(map(str, stamps)),
    }
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)
