"""Counts what clients notice while a leaking server restarts in place again and again.

.venv/bin/python benchmarks/restarts.py               ten restarts under load
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from row import Row

from acceptance import leaking
from acceptance.load import load
from acceptance.processes import get, running


def rows(quick: bool) -> Iterator[Row]:
    found = measure(2 if quick else 10, 8)
    note = f"{found['restarts']} restarts in {found['seconds']} s, {found['clients']} clients"
    yield Row(
        "restarts", "requests that failed while it restarts in place", found["requests_failed"], found["requests_answered"], "",
        "requests answered", 0.0, note=note,
    )  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--restarts", type=int, default=10)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    figures = measure(chosen.restarts, chosen.clients)
    for key, value in figures.items():
        print(f"{key:<20}  {value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(restarts: int, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **leaking.install(folder, megabytes=12),
            "EVERTICK_INDICES_EVERY": "1s",
            "EVERTICK_MEMORY_LIMIT": "160M",
            "EVERTICK_MEMORY_EVERY": "0.25",
            "EVERTICK_MEMORY_RESTARTS": "60",
        }
        with running("serve", cwd=folder, env=environment) as server:
            url = server.address()
            server.until(lambda: get(f"{url}/api/v1/indices")["quotes"], "quotes")
            began = time.monotonic()
            with load(url, ["/api/v1/indices", "/", "/healthz", "/memory"], clients=count) as clients:
                for n in range(1, restarts + 1):
                    server.until(lambda n=n: server.output.count(" ready ") > n, f"return after restart {n}")
            figures = {
                "restarts": server.output.count("restarting in place"),
                "seconds": round(time.monotonic() - began, 1),
                "clients": count,
                "requests_answered": clients.answered,
                "requests_failed": len(clients.failed),
                "failures": clients.failed[:5],
            }
    return figures


if __name__ == "__main__":
    main()
