"""On what a soak ran: for whoever compares it with another."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "libc": " ".join(platform.libc_ver()),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "implementation": sys.implementation.name}
    for name in ("uvloop", "fastapi", "sqlalchemy", "httpx2", "redis", "psycopg", "jinja2"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
