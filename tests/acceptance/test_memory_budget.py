"""A server whose memory is used up restarts in place: nobody is refused, nothing that was accepted is lost."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

from acceptance import leaking
from acceptance.load import load
from acceptance.processes import fetch, get, running

RESTARTS = 2
"""``benchmarks/restarts.py`` shows ten."""


def test_a_leaking_source_costs_restarts_and_no_request(folder: Path) -> None:
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
        with load(url, ["/api/v1/indices", "/", "/healthz", "/memory"]) as clients:
            server.until(lambda: server.output.count("restarting in place") >= RESTARTS, "restarts")
            server.until(lambda: server.output.count(" ready ") > RESTARTS, "return after the last restart")
        assert clients.failed == []
        assert clients.answered > 50
        assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.output
    assert len(set(re.findall(r"http://127\.0\.0\.1:\d+", server.output))) == 1, "the address stays"
    assert "above 90%" in server.output

    with running("serve", cwd=folder, env={**environment, "EVERTICK_MEMORY_RESTARTS": "0"}) as server:
        url = server.address()
        slots = get(f"{url}/api/v1/slots?job=refresh_indices&limit=100")["items"]
        assert {s["state"] for s in slots} <= {"done", "due", "leased", "missed"}
        assert sum(s["state"] == "done" for s in slots) >= 3 * RESTARTS
        assert all(s["attempts"] <= 1 for s in slots if s["state"] == "done"), "nothing ran twice"
        server.until(lambda: "memory over" in server.output, "the budget's end")
        status, _, body = fetch(f"{url}/readyz")
        checks = {c["name"]: c for c in json.loads(body)["checks"]}
        assert (status, checks["memory"]["ok"]) == (503, False)
        assert "raise MEMORY_LIMIT, or restart the server" in checks["memory"]["detail"]
        assert "restarting in place" not in server.output
