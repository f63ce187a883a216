"""Where the memory of a server's imports goes: step by step, package by package, and the files that are mapped.

    .venv/bin/python -OO benchmarks/import_steps.py                  as a server imports them
    .venv/bin/python benchmarks/import_steps.py --servers            with docstrings, with Redis and PostgreSQL

A module's own share is what RSS rose by while it ran, less what the modules took that it imported. RSS rises in pages and arenas,
so small shares are rough. The first run compiles; what a second one prints counts.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.machinery
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

STEPS = {
    "logs": ["evertick.logs"],
    "settings": ["evertick.settings"],
    "everything below the pages": ["evertick.app", "evertick.embedded"],
    "the pages": ["evertick.web.app", "evertick.web.serve"],
    "the HTTP server": ["evertick.web.connection", "uvicorn.server", "uvloop"],
    "SQLite and the HTTP client": ["aiosqlite", "httpcore2"],
}
SERVERS = {"Redis": ["redis.asyncio"], "PostgreSQL": ["psycopg", "sqlalchemy.dialects.postgresql.psycopg"]}
SHOWN = 30
MB = 1 << 20


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def watch_imports() -> Counter[str]:
    """Counts from now on what the modules of each package take."""
    taken: Counter[str] = Counter()
    inner: list[int] = []

    def watched(loader: Any) -> None:
        plain = loader.exec_module

        def exec_module(self: Any, module: ModuleType) -> None:
            before = rss()
            inner.append(0)
            try:
                plain(self, module)
            finally:
                whole = rss() - before
                taken[module.__name__.partition(".")[0]] += whole - inner.pop()
                if inner:
                    inner[-1] += whole

        loader.exec_module = exec_module

    watched(importlib.machinery.SourceFileLoader)
    watched(importlib.machinery.ExtensionFileLoader)
    return taken


def mapped() -> tuple[Counter[str], int]:
    """Resident bytes of each file, and those that no file is behind."""
    files: Counter[str] = Counter()
    anonymous = 0
    name = ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        fields = line.split()
        if "-" in fields[0] and not fields[0].endswith(":"):
            name = Path(fields[5]).name if len(fields) > 5 else ""
        elif fields[0] == "Rss:":
            files[name] += int(fields[1]) << 10
        elif fields[0] == "Anonymous:":
            files[name] -= int(fields[1]) << 10
            anonymous += int(fields[1]) << 10
    return files, anonymous


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", action="store_true", help="with Redis and PostgreSQL")
    chosen = options.parse_args()
    from evertick.lean import start_lean

    taken = watch_imports()
    at = rss()
    print(f"{at / MB:6.1f} MiB        Python, and this script")

    def step(name: str) -> None:
        nonlocal at
        before, at = at, rss()
        print(f"{at / MB:6.1f} MiB  +{(at - before) / MB:4.1f}  {name}")

    start_lean()
    step("asyncio, structlog, and what the HTTP server cannot do without")
    for name, modules in (STEPS | SERVERS if chosen.servers else STEPS).items():
        for module in modules:
            importlib.import_module(module)
        step(name)
    files, anonymous = mapped()
    print(
        f"\n{len(sys.modules)} modules; {anonymous / MB:.1f} MiB are private, {sum(files.values()) / MB:.1f} are pages of files:"
    )
    for name, size in files.most_common(8):
        print(f"{size / MB:6.1f}  {name}")
    print("\nBy package, MiB:")
    for name, size in taken.most_common(SHOWN):
        print(f"{size / MB:6.1f}  {name}")


if __name__ == "__main__":
    main()
