from __future__ import annotations

import asyncio
import json
import tracemalloc
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evertick.errors import JobRefused
from evertick.memory.diagnose import LINES, Diagnosis, diagnose


class Hoard:
    def __init__(self, secret: str) -> None:
        self.secret = [secret]


def now() -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC)


async def sound() -> None:
    await asyncio.sleep(0)
    _ = ["forgotten"] * 50_000


async def test_it_names_the_line_the_type_the_file_and_the_task_that_grow(tmp_path: Path) -> None:
    kept: list[Hoard] = []
    tasks: list[asyncio.Task[None]] = []
    (tmp_path / "left-open.txt").write_text("x")

    async def forever() -> None:
        await asyncio.Event().wait()

    with ExitStack() as stack:

        async def leaking() -> None:
            await asyncio.sleep(0)
            kept.extend(Hoard("hunter2-" + "x" * 20_000 + str(n)) for n in range(10))  # the line
            stack.enter_context((tmp_path / "left-open.txt").open())
            tasks.append(asyncio.create_task(forever()))

        found = await diagnose(leaking, now, runs=4, pools=lambda: {"database": 2})
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (found.runs, found.complete) == (4, True)
    here = Path(__file__).name
    number = next(n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if "# the line" in line)
    top = found.lines[0]
    assert top.what.endswith(f"{here}:{number}")
    assert top.size is not None
    assert 4 * 10 * 20_000 <= top.size < 5 * 10 * 20_000
    assert ("Hoard", 40) in {(one.what, one.count) for one in found.types}
    assert {(one.what, one.count) for one in found.descriptors} == {("left-open.txt", 4)}
    assert any(one.what.endswith("forever") and one.count == 4 for one in found.tasks)
    assert found.pools == {"database": 2}
    if found.heap_delta is not None:
        assert 800_000 < found.heap_delta < 1_200_000
    assert found.tracer_bytes > 0
    assert found.tracer_s > 0


async def test_it_tells_no_value_and_no_folder(tmp_path: Path) -> None:
    kept: list[str] = []

    async def leaking() -> None:
        await asyncio.sleep(0)
        kept.append("hunter2" * 5000)

    text = json.dumps(asdict(await diagnose(leaking, now, runs=3)), default=str)
    assert "hunter2" not in text
    assert str(Path.home()) not in text
    assert str(tmp_path) not in text


async def test_what_does_not_leak_shows_nothing_of_its_own() -> None:
    found = await diagnose(sound, now, runs=5)
    here = Path(__file__).name
    assert all((one.size or 0) < 20_000 for one in found.lines if here in one.what)
    assert len(found.lines) <= LINES
    assert found.descriptors == found.tasks == ()


async def test_it_ends_when_its_time_is_up() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    found = await diagnose(never, now, runs=3, at_most_s=0.05)
    assert isinstance(found, Diagnosis)
    assert (found.runs, found.complete, found.heap_delta) == (0, False, None)
    assert not tracemalloc.is_tracing()


async def test_tracing_ends_with_a_failure_and_with_a_cancellation() -> None:
    async def failing() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await diagnose(failing, now)
    assert not tracemalloc.is_tracing()
    task = asyncio.create_task(diagnose(asyncio.Event().wait, now))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert tracemalloc.is_tracing()
    with pytest.raises(JobRefused, match="already"):
        await diagnose(sound, now)
    assert tracemalloc.is_tracing(), "the first one goes on"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not tracemalloc.is_tracing()
