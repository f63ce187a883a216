"""The latest quotes and their sources."""

from __future__ import annotations

from typing import Any

import typer

from evertick import terminal
from evertick.cli.options import Config, Data, Json, OfDesk, api
from evertick.process import run
from evertick.settings import load

commands = typer.Typer()


@commands.command()
def poll(as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """Fetch the markets now, save the snapshot to the board and show what was saved."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await client.post("/api/v1/indices/refresh")

    document = run(work())
    terminal.as_json(document) if as_json else terminal.indices(document)
    asked = [s["state"] for s in document["sources"] if s["state"] not in ("idle", "off")]
    if asked and not any(state in ("ok", "partial") for state in asked):
        raise typer.Exit(1)


@commands.command()
def board(desk: OfDesk = None, as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """Show the latest quotes as they stand on the board, without asking any provider."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await client.get("/api/v1/indices", desk=desk)

    document = run(work())
    terminal.as_json(document) if as_json else terminal.indices(document)


@commands.command()
def sources(as_json: Json = False, data: Data = None, config: Config = None) -> None:
    """Show every source: its state, last success, requests left today and last error, as of the last run."""

    async def work() -> dict[str, Any]:
        async with api(load(config, data_dir=data)) as client:
            return await client.get("/api/v1/sources")

    found = run(work())
    terminal.as_json(found) if as_json else terminal.sources(found["items"])
