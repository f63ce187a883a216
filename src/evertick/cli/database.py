"""The database: upgrade, backfill, backup, restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from evertick import logs, remote, terminal
from evertick.cli.options import Config, Data, Json
from evertick.errors import EvertickError
from evertick.process import run
from evertick.settings import load

db = typer.Typer(no_args_is_help=True, help="The database: upgrade, backfill, backup, restore.")


@db.command("upgrade")
def db_upgrade(data: Data = None, config: Config = None) -> None:
    """Bring the schema of the database to the one of this version."""
    from evertick.archive.migrate import upgrade

    settings = load(config, data_dir=data)
    terminal.say(f"schema {upgrade(settings.database_url_or_default)}")


@db.command("backfill")
def db_backfill(
    years: Annotated[float, typer.Option(min=0.1, max=50, help="How far back.")] = 2,
    as_json: Json = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Fetch the daily bars that are missing; stopped at any time, it goes on from there. The server must not run."""
    from evertick.backfill import backfill

    settings = load(config, data_dir=data)
    logs.configure(settings.log_format, "error")

    async def work() -> dict[str, Any]:
        with terminal.progress("Daily bars", quiet=as_json, lines=True) as show:

            async def step(done: int, of: int) -> None:
                show(done / of, f"{done} of {of} instruments")

            return await backfill(settings, years, step)

    done = run(work())
    terminal.as_json(done) if as_json else terminal.backfilled(done)
    if done["failed"]:
        raise typer.Exit(1)


@db.command("backup")
def db_backup(
    to: Annotated[Path, typer.Argument(help="The file to write.")], data: Data = None, config: Config = None
) -> None:
    """Write a consistent copy of the database to a file; the server may run meanwhile."""
    from evertick.archive.backup import backup, elsewhere

    url = load(config, data_dir=data).database_url_or_default
    backup(url, to)
    terminal.say(f"{to}: {to.stat().st_size:,} bytes")
    for location, count in elsewhere(url).items():
        terminal.say(f"not in it: the bodies of {count:,} reports in {location}; copy that place too")


@db.command("restore")
def db_restore(
    source: Annotated[Path, typer.Argument(help="A file made by backup.")], data: Data = None, config: Config = None
) -> None:
    """Put a backup in the place of the database; the server must not run."""
    from evertick.archive.backup import restore

    settings = load(config, data_dir=data)
    if url := remote.find(settings):
        raise EvertickError(f"a server runs on this data folder at {url}", hint="Stop it first.")
    restore(settings.database_url_or_default, source, owner_lock=remote.lock_file(settings))
    terminal.say(f"restored from {source}")
