"""What importing the server costs: beside its own libraries bare, and beside pandas and yfinance (`make .venv/peers`).

Each in a process of its own, after a collection and a trim. Private memory is what no other process shares (``smaps_rollup``).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from row import Row
from serve import IMPORTS

from evertick.lean import BARE

PEERS = Path(__file__).resolve().parent.parent / ".venv" / "peers" / "bin" / "python"
GROUP = "imports"
OURS = (
    "from evertick.lean import start_lean; start_lean(); "
    "import evertick.app, evertick.web.app, evertick.web.serve, evertick.embedded, evertick.web.connection, uvloop, aiosqlite"
)
"""As ``evertick serve`` does it; with `BARE`."""
MB = 1 << 20

CODE = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{code}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
import ctypes, gc, json, sys
gc.collect(); ctypes.CDLL(None).malloc_trim(0)
lines = [l.split() for l in open("/proc/self/smaps_rollup")]
size = {{l[0]: int(l[1]) << 10 for l in lines if l[-1] == "kB"}}
print(json.dumps({{"rss": size["Rss:"], "private": size["Private_Clean:"] + size["Private_Dirty:"], "wall": wall, "cpu": cpu,
                  "modules": len(sys.modules)}}))
"""


def imported(python: str, code: str, times: int, *options: str) -> dict[str, Any]:
    """Medians of so many processes, after one that fills the file cache."""
    command = [python, *options, "-c", CODE.format(code=code)]
    found = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
        for _ in range(times + 1)
    ][1:]
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def rows(quick: bool) -> Iterator[Row]:
    times = 1 if quick else 7
    ours = imported(sys.executable, OURS, times, BARE)
    bare = imported(sys.executable, IMPORTS, times)
    note = f"{ours['modules']:.0f} modules, of them {ours['modules'] - bare['modules']:.0f} more than bare"
    yield Row(
        GROUP,
        "RSS after importing the server",
        ours["rss"] / MB,
        bare["rss"] / MB,
        "MiB",
        "the same libraries bare",
        1.1,
        note=note,
    )
    yield Row(
        GROUP, "private memory", ours["private"] / MB, bare["private"] / MB, "MiB", "the same libraries bare", 1.1
    )
    yield Row(GROUP, "time to import", ours["cpu"], bare["cpu"], "CPU s", "the same libraries bare")
    if not PEERS.exists():
        yield Row(
            GROUP, "RSS after importing the server", None, None, "MiB", "pandas, yfinance", note="run: make .venv/peers"
        )
        return
    for name in ("pandas", "yfinance"):
        theirs = imported(str(PEERS), f"import {name}", times)
        against = f"import {name}, and nothing else"
        yield Row(GROUP, "RSS after importing the server", ours["rss"] / MB, theirs["rss"] / MB, "MiB", against)
        yield Row(GROUP, "private memory", ours["private"] / MB, theirs["private"] / MB, "MiB", against)
        yield Row(GROUP, "time to import", ours["cpu"], theirs["cpu"], "CPU s", against)
