"""What a process that lives long does without. Imports nothing but the standard library; `start_lean` what it trims.

A plain ``evertick serve`` or ``worker`` begins with `without_docstrings`, then `start_lean`; nothing else does.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

BARE = "-OO"
"""Python's option to load code without docstrings, and without ``assert``: 4.5 MB of 80."""


def without_docstrings() -> None:
    """Put the same command with `BARE` in the place of this process, if that is of use; else come back.

    Its number, its descriptors and its environment stay, so that systemd and a supervisor see one process. What the API's
    reference says of each route is in docstrings: it is written by a process of its own (`evertick.web.description`).
    """
    if sys.flags.optimize < 2 and hasattr(os, "execv") and bytecode_is_kept():
        os.execv(sys.executable, [sys.executable, BARE, *sys.orig_argv[1:]])


def bytecode_is_kept() -> bool:
    """Whether bytecode of that kind is there or can be stored, of Python's own modules and of the libraries.

    If not, every start would compile a thousand modules: a second, and as much memory as is to be spared.
    """
    for name in ("json", "sqlalchemy", "evertick.process"):
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            return False
        stored = Path(importlib.util.cache_from_source(found.origin, optimization=2))
        if not stored.exists() and (sys.dont_write_bytecode or not os.access(_there(stored.parent), os.W_OK)):
            return False
    return True


def _there(folder: Path) -> Path:
    return folder if folder.is_dir() else folder.parent


def start_lean() -> None:
    """To be called before anything else is imported."""
    without_rich()
    without_command_of_uvicorn()
    without_checks_of_openapi()


def without_rich() -> None:
    """structlog imports Rich where it is installed, for tracebacks that we do not draw: 3 MB. Afterwards it can be imported.

    To be called before anything imports structlog.
    """
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]
        import structlog  # noqa: F401

        del sys.modules["rich"]


def without_command_of_uvicorn() -> None:
    """uvicorn imports its own command line, and with it Click and multiprocessing: 1.3 MB. `uvicorn.server` is what serves.

    Afterwards ``uvicorn.main`` can be imported.
    """
    if "uvicorn" not in sys.modules:
        sys.modules["uvicorn.main"] = stand_in = ModuleType("uvicorn.main")
        names = ("Server", "main", "run")
        for name in names:
            setattr(stand_in, name, None)
        import uvicorn

        del sys.modules["uvicorn.main"]
        for name in names:
            delattr(uvicorn, name)


def without_checks_of_openapi() -> None:
    """What the OpenAPI document is made of has 36 models, which check nothing while no document is made: 1.3 MB.

    One that is used after all is built then (pydantic's ``defer_build``).
    """
    if "fastapi" not in sys.modules:
        from pydantic import BaseModel

        BaseModel.model_config["defer_build"] = True  # what a model inherits when it is defined
        try:
            import fastapi.openapi.models  # noqa: F401
        finally:
            del BaseModel.model_config["defer_build"]
