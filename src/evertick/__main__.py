"""The command line. Exit code 0: done, 1: failed, 2: wrong usage or settings.

The commands are in `evertick.cli`. ``evertick serve`` with plain options starts without it: Typer and what it draws with are
6 MB that a server would carry for all its life and use once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evertick.errors import EvertickError, SettingsError

SERVE_OPTIONS = ("--host", "--port", "--data", "--config")


def main() -> None:
    """Run a command; an error of ours is one clear line, not a traceback."""
    try:
        if (options := plain_serve(sys.argv[1:])) is not None:
            _without_rich()
            from evertick.process import run_serve

            run_serve(**options)
            return
        from evertick.cli import cli

        cli()
    except SettingsError as error:
        _complain(error, 2)
    except EvertickError as error:
        _complain(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def plain_serve(arguments: Sequence[str]) -> dict[str, str] | None:
    """The options of ``serve --option value …``, or None where there is anything for Typer to say.

    >>> plain_serve(["serve", "--port", "8001"])
    {'port': '8001'}
    >>> plain_serve(["serve", "--help"]) is plain_serve(["demo"]) is None
    True
    """
    if arguments[:1] != ["serve"] or len(arguments) % 2 == 0:
        return None
    names, values = arguments[1::2], arguments[2::2]
    if not all(name in SERVE_OPTIONS for name in names) or any(value.startswith("-") for value in values):
        return None
    options = {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}
    return options if options.get("port", "0").isdigit() else None


def _without_rich() -> None:
    """structlog imports Rich where it is installed, for tracebacks that we do not draw: 3 MB. Afterwards it can be imported."""
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]
        import structlog  # noqa: F401

        del sys.modules["rich"]


def _complain(error: EvertickError, code: int) -> None:
    sys.stderr.write(f"evertick: {error}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
