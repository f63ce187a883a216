"""`evertick.memory` in a service that is not Evertick."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from evertick.memory import default_keeper, keep
from evertick.model import Outcome

EXAMPLE = Path(__file__).parents[3] / "examples" / "flat_memory.py"


def python(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_brings_no_web_server_no_database_and_no_settings() -> None:
    found = python(
        "-c",
        "import sys, evertick.memory; from evertick.memory import growth, budget, watch, account, diagnose, restart; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))",
    )
    foreign = {
        "fastapi",
        "starlette",
        "uvicorn",
        "sqlalchemy",
        "pydantic",
        "pydantic_settings",
        "redis",
        "httpx2",
        "jinja2",
    }
    assert foreign.isdisjoint(found.split())


def test_the_example_of_the_how_to_runs_and_its_runs_keep_nothing() -> None:
    lines = python(str(EXAMPLE), "6").splitlines()
    assert sum("🧹 memory released" in line and "job=import_orders" in line for line in lines) == 6
    kept = json.loads(lines[-1].partition(": ")[2])
    assert all(abs(count) < 4096 for count in kept[3:])


def test_the_how_to_shows_the_example_as_it_is() -> None:
    guide = (EXAMPLE.parents[1] / "docs" / "how-to" / "keep-memory-flat.md").read_text()
    for line in EXAMPLE.read_text().splitlines():
        assert line in guide


async def test_keep_needs_no_keeper_of_ones_own() -> None:
    async with keep("orders") as run:
        pass
    assert run.receipt is not None
    assert (run.receipt.job, run.receipt.outcome) == ("orders", Outcome.OK)
    assert default_keeper().recent[-1] is run.receipt
