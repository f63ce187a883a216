"""Runs the command line as a user does: in a process of its own, in a folder of its own, seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

PATIENCE_S = 60
"""How long a test waits before it calls something hung; no test asserts a speed."""


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("EVERTICK_")}
    return kept | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200", "TZ": "UTC"} | more


def evertick(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "evertick", *arguments],
        cwd=cwd, env=environment(**(env or {})), capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


class Running:
    """A command that goes on. Its output is in ``log``."""

    def __init__(self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        cwd.mkdir(parents=True, exist_ok=True)
        self.log = cwd / f"log-{time.monotonic_ns()}.txt"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "evertick", *arguments],
                cwd=cwd, env=environment(**(env or {})), stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self.log.read_text()

    def until(self, found: Callable[[], Any], what: str) -> Any:
        """Wait until ``found()`` is true; a process that ended, or waits too long, shows its output."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                if answer := found():
                    return answer
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode} before {what}:\n{self.output}")
            time.sleep(0.05)
        raise AssertionError(f"no {what} within {PATIENCE_S} s:\n{self.output}")

    def address(self) -> str:
        found = self.until(lambda: re.search(r"http://127\.0\.0\.1:\d+", self.output), "address")
        return str(found[0])

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def running(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    command = Running(*arguments, cwd=cwd, env=env)
    try:
        yield command
    finally:
        command.kill()


def get(url: str, **headers: str) -> Any:
    """The JSON at ``url``."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return json.load(answer)


def post(url: str, **headers: str) -> Any:
    request = urllib.request.Request(
        url, method="POST", data=b"{}", headers={"Content-Type": "application/json"} | headers
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def fetch(url: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def descriptors(pid: int) -> list[str]:
    """What the descriptors of a process lead to, without those that come and go by themselves."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return found


def children(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
