"""`evertick demo`, as in the first minute of the README."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from acceptance.processes import children, fetch, get, running


def test_the_demo_makes_a_snapshot_and_a_report_and_ends_cleanly(tmp_path: Path) -> None:
    with running("demo", "--port", "0", cwd=tmp_path) as demo:
        url = demo.address()
        document = demo.until(
            lambda: get(f"{url}/api/v1/indices")["quotes"] and get(f"{url}/api/v1/indices"), "snapshot"
        )
        assert len(document["quotes"]) >= 120
        assert {s["state"] for s in document["sources"]} <= {"ok", "idle", "off"}
        page = demo.until(lambda: get(f"{url}/api/v1/reports")["items"], "report")
        assert page[0]["languages"] == ["vi", "en"]
        assert {p["part"] for p in page[0]["parts"]} == {"html", "css", "js", "html_en", "js_en"}
        status, headers, body = fetch(f"{url}/reports/{page[0]['id']}/vi")
        assert status == 200
        assert b'lang="vi"' in body
        assert "text/html" in headers["content-type"]
        upstreams = children(demo.process.pid)
        assert len(upstreams) == 1

        began = time.monotonic()
        assert demo.stop(signal.SIGINT) == 0, demo.output
        took = time.monotonic() - began
    assert "Traceback" not in demo.output
    assert "🧹 memory released" in demo.output
    assert "Stopped." in demo.output
    assert not any(Path(f"/proc/{pid}").exists() for pid in upstreams), "the simulator outlived the demo"
    assert not list(tmp_path.glob("evertick-*")), "the demo left data behind"
    print(f"stopped in {took:.2f} s")


def test_the_simulator_ends_when_the_demo_is_killed(tmp_path: Path) -> None:
    with running("demo", "--port", "0", "--data", "kept", cwd=tmp_path) as demo:
        url = demo.address()
        demo.until(lambda: get(f"{url}/healthz"), "server")
        [upstream] = children(demo.process.pid)
        os.kill(demo.process.pid, signal.SIGKILL)
        demo.process.wait(10)
        deadline = time.monotonic() + 20
        while Path(f"/proc/{upstream}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path(f"/proc/{upstream}").exists()
