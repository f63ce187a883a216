"""The commands and their options, a module for each subject."""

from __future__ import annotations

from typing import Annotated

import typer

from evertick import __version__, terminal
from evertick.cli import database, operator, quotes, reports, servers

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        terminal.say(f"evertick {__version__}")
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Evertick: a market-report server that runs around the clock in the memory it started with."""


for one in (servers.commands, quotes.commands, operator.commands):
    cli.add_typer(one)
cli.add_typer(reports.report, name="report")
cli.add_typer(operator.schedule, name="schedule")
cli.add_typer(operator.memory, name="memory")
cli.add_typer(operator.desk, name="desk")
cli.add_typer(database.db, name="db")
