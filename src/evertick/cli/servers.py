"""Commands that go on: the server, workers, the demo, the simulator."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from evertick import logs, terminal
from evertick.cli.options import Config, Data, Host, Port, Roles
from evertick.process import run, run_serve, run_worker

commands = typer.Typer()


@commands.command()
def serve(host: Host = None, port: Port = None, data: Data = None, config: Config = None, roles: Roles = None) -> None:
    """Run the server: schedulers, jobs and pages, until Ctrl-C or SIGTERM."""
    run_serve(host=host, port=port, data=data, config=config, roles=roles)


@commands.command()
def worker(
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="So many processes, each replaced when it ends.", show_default="this one"),
    ] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Run the jobs of a deployment on several machines (MODE=distributed), until Ctrl-C or SIGTERM.

    Ends with 75 when its memory is used up and another is to be started in its place.
    """
    run_worker(data=data, config=config, processes=processes)


@commands.command()
def demo(
    port: Port = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Keep the data in this folder; else it is gone afterwards.")
    ] = None,
    every: Annotated[str, typer.Option(help="How often the quotes are fetched.")] = "3m",
    seed: Annotated[int, typer.Option(help="Another seed is another market.")] = 7,
    fail: Annotated[list[str] | None, typer.Option(help="Let a source fail, for example yahoo=429:0.3.")] = None,
) -> None:
    """Run the main job against the bundled simulator: no server, key or internet needed."""
    from evertick.demo import run_demo

    run(run_demo(port=port, data=data, every=every, seed=seed, fail=fail or ()))


@commands.command()
def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.")] = 8900,
    seed: Annotated[int, typer.Option(help="Another seed is another market.")] = 7,
    speed: Annotated[float, typer.Option(help="Simulated seconds per second.")] = 1.0,
    start: Annotated[str | None, typer.Option(help="Begin at this instant, ISO 8601; default: now.")] = None,
    fail: Annotated[
        list[str] | None,
        typer.Option(
            help="SOURCE[/PART]=KIND[:SHARE][:TIME], for example yahoo=429:0.3, yahoo/chart=500:60s or all=any:0.1; "
            "repeatable. An unknown kind lists them all."
        ),
    ] = None,
    universe: Annotated[
        Path | None,
        typer.Option(help="A file of instruments, as EVERTICK_UNIVERSE names it; default: the built-in ones."),
    ] = None,
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run the simulator alone: it speaks the providers' own protocols on loopback, and their failures."""
    from evertick.simulator import serve_forever
    from evertick.universe import load

    logs.configure()

    try:
        begin = datetime.fromisoformat(start) if start else None
    except ValueError:
        raise typer.BadParameter(f"'{start}' is not an instant; write for example 2026-11-23T09:00:00Z") from None

    async def serving() -> None:
        work = asyncio.ensure_future(
            serve_forever(
                load(universe), host=host, port=port, seed=seed, start=begin, speed=speed, fail=fail or (),
                ready=lambda url: terminal.say(f"Simulator ready at {url} (which says how to point a server at it)"),
            )
        )  # fmt: skip
        if until_stdin_closes:  # whoever started us is gone when its end of the pipe is
            threading.Thread(target=_wait_for_end, args=(asyncio.get_running_loop(), work), daemon=True).start()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    run(serving())


def _wait_for_end(loop: asyncio.AbstractEventLoop, work: asyncio.Future[None]) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(work.cancel)
