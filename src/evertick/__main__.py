"""The command line. Exit code 0: done, 1: failed, 2: wrong usage or settings.

The commands are in `evertick.cli`. ``evertick serve`` and ``evertick worker`` with plain options start without it: Typer
and what it draws with are 6 MB that a server would carry for all its life and use once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from evertick.errors import EvertickError, SettingsError
from evertick.lean import start_lean, without_docstrings

SERVERS = {
    "serve": ("--host", "--port", "--data", "--config", "--roles"),
    "worker": ("--processes", "--data", "--config"),
}
MOST_PROCESSES = 256


def main() -> None:
    """Run a command; an error of ours is one clear line, not a traceback."""
    try:
        if (plain := plain_server(sys.argv[1:])) is not None:
            without_docstrings()
            start_lean()
            from evertick.process import run_serve, run_worker

            command, options = plain
            (run_serve if command == "serve" else run_worker)(**options)
            return
        from evertick.cli import cli

        cli()
    except SettingsError as error:
        _complain(error, 2)
    except EvertickError as error:
        _complain(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def plain_server(arguments: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """The command and options of ``serve --option value …`` or ``worker …``, or None where there is anything for Typer to say.

    >>> plain_server(["serve", "--port", "8001"])
    ('serve', {'port': '8001'})
    >>> plain_server(["serve", "--help"]) is plain_server(["demo"]) is None
    True
    """
    if not arguments or arguments[0] not in SERVERS or len(arguments) % 2 == 0:
        return None
    command, names, values = arguments[0], arguments[1::2], arguments[2::2]
    if not all(name in SERVERS[command] for name in names) or any(value.startswith("-") for value in values):
        return None
    options = {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}
    if not all(options[name].isdigit() for name in ("port", "processes") if name in options):
        return None
    return (command, options) if 1 <= int(options.get("processes", 1)) <= MOST_PROCESSES else None


def _complain(error: EvertickError, code: int) -> None:
    sys.stderr.write(f"evertick: {error}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
