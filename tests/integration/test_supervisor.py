"""The supervisor with real processes: who is replaced, when, and how it all ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evertick.process import REPLACE

CHILD = Path(__file__).with_name("supervised.py")


class Supervised:
    def __init__(self, folder: Path, processes: int, ends: list[int | None]) -> None:
        self.folder = folder
        folder.mkdir()
        child = [sys.executable, str(CHILD), json.dumps(ends), str(folder)]
        code = f"import sys; from evertick.supervisor import Supervisor; sys.exit(Supervisor({child!r}, {processes}).run())"
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)

    def born(self) -> list[dict[str, Any]]:
        files = [f for f in self.folder.iterdir() if not f.name.endswith(".part")]
        return [json.loads(f.read_text()) for f in sorted(files, key=lambda f: int(f.name.split("-")[0]))]

    def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 40
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    made: list[Supervised] = []

    def begin(processes: int, *ends: int | None) -> Supervised:
        made.append(Supervised(tmp_path / f"s{len(made)}", processes, list(ends)))
        return made[-1]

    yield begin
    for each in made:
        each.process.kill()
        each.process.wait(10)
        each.until(lambda each=each: not any(alive(child["pid"]) for child in each.born()))


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_who_left_for_its_memory_is_replaced_at_once_and_the_next_one_knows(supervise: Any) -> None:
    found = supervise(1, REPLACE, REPLACE)
    found.until(lambda: len(found.born()) == 3)
    first, second, third = found.born()
    assert first["restarts"] == ""
    assert [len(p["restarts"].split(",")) for p in (second, third)] == [1, 2], "how often within the hour"
    assert third["at"] - second["at"] < 1.0 or second["at"] - first["at"] < 1.0, "without the wait of a failure"


def test_who_was_killed_or_failed_comes_back_after_a_wait_that_doubles(supervise: Any) -> None:
    found = supervise(1, 1, None)
    found.until(lambda: len(found.born()) == 2)
    os.kill(found.born()[1]["pid"], signal.SIGKILL)
    found.until(lambda: len(found.born()) == 3)
    first, second, third = found.born()
    assert second["at"] - first["at"] >= 1.0
    assert third["at"] - second["at"] >= 2.0


def test_a_stop_is_passed_on_and_waited_for(supervise: Any) -> None:
    found = supervise(3)
    found.until(lambda: len(found.born()) == 3)
    found.process.send_signal(signal.SIGTERM)
    assert found.process.wait(20) == 0
    assert not any(alive(child["pid"]) for child in found.born())


def test_wrong_settings_end_all_with_2(supervise: Any) -> None:
    found = supervise(3, None, 2)
    assert found.process.wait(20) == 2
    assert not any(alive(child["pid"]) for child in found.born())


def test_nobody_is_left_when_the_supervisor_itself_is_killed(supervise: Any) -> None:
    found = supervise(2)
    found.until(lambda: len(found.born()) == 2)
    found.process.kill()
    found.until(lambda: not any(alive(child["pid"]) for child in found.born()))


def test_it_imports_nothing_that_works() -> None:
    code = "import evertick.supervisor, sys; print(*{name.split('.')[0] for name in sys.modules} | set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "pydantic",
        "sqlalchemy",
        "saq",
        "psycopg",
        "typer",
        "fastapi",
        "uvloop",
        "evertick.app",
        "evertick.settings",
    }
    assert heavy & set(said) == set()
