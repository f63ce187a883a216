"""Counts what clients notice while a leaking server restarts in place again and again.

.venv/bin/python benchmarks/restarts.py               ten restarts under load
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from acceptance import leaking
from acceptance.load import load
from acceptance.processes import get, running


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--restarts", type=int, default=10)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
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
            with load(url, ["/api/v1/indices", "/", "/healthz", "/memory"], clients=chosen.clients) as clients:
                for n in range(1, chosen.restarts + 1):
                    server.until(lambda n=n: server.output.count(" ready ") > n, f"return after restart {n}")
            figures = {
                "restarts": server.output.count("restarting in place"),
                "seconds": round(time.monotonic() - began, 1),
                "clients": chosen.clients,
                "requests_answered": clients.answered,
                "requests_failed": len(clients.failed),
                "failures": clients.failed[:5],
            }
    for key, value in figures.items():
        print(f"{key:<20}  {value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
