"""``evertick soak``: from the options to the verdict, its files and the exit code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import sys
import tempfile
from asyncio import CancelledError, TaskGroup, current_task, get_running_loop
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from evertick import terminal
from evertick.errors import SettingsError, SoakError
from evertick.settings import Settings, load
from evertick.simulator.process import simulator
from evertick.soak import page
from evertick.soak.driver import Beside, Scene, Surroundings, soak
from evertick.soak.plan import DAY_S, START, Plan
from evertick.soak.summary import summary
from evertick.soak.tape import AFTER, BEFORE, Soak, Tape

LONG_DAYS = 3.0
"""From here on the defaults are smaller, so that thirty days fit into a quarter of an hour on two cores."""
LONG_INSTRUMENTS, REQUESTS, LONG_REQUESTS = 60, 5000, 1000
REAL_REFRESH_S, REAL_REPORT_S, REAL_REQUESTS_S = 10.0, 75.0, 0.2
MB = 1 << 20
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh])")


def planned(
    *,
    days: float | None,
    real: str | None,
    seed: int,
    instruments: int | None,
    refreshes: int | None,
    reports: int | None,
    requests: int | None,
    compare: bool,
    faults: bool,
    database: str,
    board: str,
) -> Plan:
    """The plan with what was not said filled in. Raises `SettingsError` for what does not go together."""
    if real is not None:
        if days is not None or compare or faults:
            raise SettingsError("--real plays in real time: leave out --days, --compare and --faults")
        seconds = duration(real)
        return Plan(
            real_s=seconds,
            seed=seed,
            instruments=instruments,
            refreshes=refreshes or max(1, round(seconds / REAL_REFRESH_S)),
            reports=reports or max(1, round(seconds / REAL_REPORT_S)),
            requests=round(seconds / REAL_REQUESTS_S) if requests is None else requests,
            database=database,
            board=board,
        )
    days = 1.0 if days is None else days
    long = days > LONG_DAYS
    return Plan(
        days=days,
        seed=seed,
        instruments=LONG_INSTRUMENTS if instruments is None and long else instruments or None,
        refreshes=refreshes or 480,
        reports=reports or 8,
        requests=(LONG_REQUESTS if long else REQUESTS) if requests is None else requests,
        compare=compare,
        faults=faults,
        database=database,
        board=board,
    )


def duration(text: str) -> float:
    """Seconds.

    >>> duration("10m"), duration("90s"), duration("1.5h")
    (600.0, 90.0, 5400.0)
    """
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or float(found[1]) <= 0:
        raise SettingsError(f"'{text}' is not a duration; write for example 10m, 90s or 1h")
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


async def run_soak(plan: Plan, own: Settings, out: Path, *, quiet: bool) -> Soak:
    """Play it; the server's log is copied to ``out``, which is there, also when the soak fails. Raises `SoakError`."""
    command = shlex.join(["evertick", *sys.argv[1:]])
    async with AsyncExitStack() as stack:
        stack.enter_context(_ended_in_order())
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="evertick-soak-", ignore_cleanup_errors=True))
        )
        bar = stack.enter_context(terminal.progress("Soak", quiet=quiet, lines=True))
        rounds = 3 if plan.compare else 1
        beside: Beside | None = None
        if plan.faults:
            from evertick.soak.injuries import Faults

            beside = await stack.enter_async_context(Faults())
        try:
            done = await soak(
                plan, own, folder, command=command, beside=beside,
                show=lambda scene: bar(scene.stage.now / plan.length_s / rounds, shown(scene)),
                others=twins(plan, folder, bar) if plan.compare else None,
            )  # fmt: skip
        finally:
            with suppress(OSError):
                shutil.copy(folder / "server.log", out / "server.log")
    return done


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """On SIGTERM servers, processes and file systems of the soak end with it. Raises `SoakError` then."""
    task, told = current_task(), []
    assert task is not None

    def end() -> None:
        told.append(True)
        task.cancel()

    get_running_loop().add_signal_handler(signal.SIGTERM, end)
    try:
        yield
    except CancelledError:
        if told:
            task.uncancel()
            raise SoakError("The soak was ended by SIGTERM") from None
        raise
    finally:
        get_running_loop().remove_signal_handler(signal.SIGTERM)


def write(done: Soak, out: Path) -> None:
    """``soak.json`` and ``soak.html``."""
    (out / "soak.json").write_text(json.dumps(done.as_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    page.write(done, out / "soak.html")


def shown(scene: Scene) -> str:
    """One line about the moment: virtual time, memory, what was done.

    ``day 2 14:30 · RSS 98.1 MB, heap 26.4 MB · 771 refreshes, 13 reports, 8,031 requests``
    """
    status, now = scene.stage.status, scene.stage.now
    at = f"day {now // DAY_S + 1:.0f} {now % DAY_S // 3600:02.0f}:{now % 3600 // 60:02.0f}"
    memory = f"RSS {(status.rss or 0) / MB:.1f} MB, heap {(status.heap or 0) / MB:.1f} MB"
    runs = scene.stage.runs
    hurt = f", {len(scene.injuries)} faults" if scene.injuries else ""
    return (
        f"{at} · {memory} · {runs['refresh_indices']:,} refreshes, {runs['save_report']:,} reports, "
        f"{scene.readers.asked:,} requests{hurt}"
    )


Bar = Callable[[float, str], None]

MANNERS = BEFORE, AFTER


def twins(plan: Plan, folder: Path, bar: Bar) -> Callable[[dict[str, Any], Surroundings], Awaitable[dict[str, Tape]]]:
    """Plays the same days in the manner of the flow diagrams, both at a time, each against a simulator of its own that starts anew."""
    from evertick.soak.naive import play

    news: dict[str, Mapping[str, Any]] = {}

    def told(manner: str, now: Mapping[str, Any]) -> None:
        news[manner] = now
        share = sum(one["at"] / one["until"] for one in news.values())
        bar((1 + share) / 3, "the twins: " + "; ".join(_twin(name, news[name]) for name in MANNERS if name in news))

    async def one(number: int, manner: str, settings: dict[str, Any], around: Surroundings) -> Tape:
        universe = Path(settings["universe"]) if "universe" in settings else None
        async with simulator(plan.seed, universe=universe, start=START, speed=0.0) as upstream:
            made = settings | {"data_dir": str(folder / manner)}
            if around.database_url is not None:
                made["database_url"] = await _database(around.database_url, f"evertick_{manner}")
            if around.redis_url is not None:
                made["redis_url"] = around.redis_url.rsplit("/", 1)[0] + f"/{number}"
            return await play(
                manner, load(environ={}, **made), upstream, days=plan.days, start=START, refreshes=plan.refreshes,
                reports=plan.reports, progress=partial(told, manner),
            )  # fmt: skip

    async def both(settings: dict[str, Any], around: Surroundings) -> dict[str, Tape]:
        try:
            async with TaskGroup() as group:
                playing = {m: group.create_task(one(n, m, settings, around)) for n, m in enumerate(MANNERS, 1)}
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        return {manner: task.result() for manner, task in playing.items()}

    return both


def _twin(manner: str, told: Mapping[str, Any]) -> str:
    runs = f"{told['refreshes']:,} refreshes, {told['reports']:,} reports"
    return f"'{manner}' RSS {(told['rss'] or 0) / MB:.1f} MB, {runs}"


async def _database(url: str, name: str) -> str:
    """A database of that name beside the one of ``url``."""
    import psycopg

    try:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
            await connection.execute(f'CREATE DATABASE "{name}"')
    except psycopg.Error as error:
        raise SoakError(f"a database for the naive twin could not be made: {error}") from error
    return url.rsplit("/", 1)[0] + f"/{name}"


def tell(done: Soak, out: Path, *, as_json: bool) -> int:
    """Print it; returns the exit code."""
    if as_json:
        terminal.as_json(done.as_json())
    else:
        terminal.show(*summary(done))
        terminal.say(f"Written: {out / 'soak.html'}, {out / 'soak.json'}, {out / 'server.log'}")
        terminal.say("PASS" if done.passed else "FAIL")
    return 0 if done.passed else 1
