"""The options that commands share, and the way to the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from evertick import logs, remote
from evertick.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for pipes.")]
Data = Annotated[Path | None, typer.Option("--data", help="The data folder (DATA_DIR).", show_default=False)]
Config = Annotated[Path | None, typer.Option("--config", help="The settings file.", show_default="evertick.toml")]
Roles = Annotated[
    str | None, typer.Option(help="What this process does (ROLES): web, schedule, work.", show_default=False)
]
OfDesk = Annotated[str | None, typer.Option("--desk", help="The id of a desk.", show_default="the first, or all")]
Host = Annotated[str | None, typer.Option(help="The address to listen on (HOST).", show_default=False)]
Port = Annotated[int | None, typer.Option(help="The port to listen on (PORT); 0 takes a free one.", show_default=False)]


@asynccontextmanager
async def api(settings: Settings) -> AsyncIterator[remote.Remote]:
    """The API of the server that runs on this data folder; where none runs, of one opened in here for this command."""
    if url := remote.find(settings):
        async with remote.connect(settings, url) as client:
            yield client
        return
    from evertick.app import open_server
    from evertick.web.app import create_app

    logs.configure(settings.log_format, "warning")
    # On several machines the workers do what a command asks for.
    roles = ("work",) if settings.mode == "embedded" else ()
    async with open_server(settings, roles=roles) as server:
        app = create_app(server.services())
        async with app.state.web.feed.watching(), remote.inside(app, settings) as client:
            yield client
