"""What a process that lives long does without. Imports nothing but the standard library."""

from __future__ import annotations

import sys


def without_rich() -> None:
    """structlog imports Rich where it is installed, for tracebacks that we do not draw: 3 MB. Afterwards it can be imported.

    To be called before anything imports structlog.
    """
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]
        import structlog  # noqa: F401

        del sys.modules["rich"]
