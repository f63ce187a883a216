"""The naive twin of a soak, in a process of its own: the same day, in the manner of the flow diagrams.

``python -m evertick.soak.naive --manner before --days 1 --upstream URL --data DIR --tape FILE`` writes its tape as JSON, and
a line of JSON to its standard output after each run. Its other settings are Evertick's, from the environment. It ends when
nobody reads its lines any more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evertick.errors import EvertickError, SoakError
from evertick.model import SystemClock
from evertick.soak.tape import AFTER, BEFORE, Look, Moment, Tape, thinned

if TYPE_CHECKING:
    from evertick.settings import Settings, SourceSettings

REFRESHES, REPORTS = 480, 8
"""A day."""
LIMIT = 650 << 20
"""Bytes of RSS at which the flow diagrams let their service crash."""
_DAY = 86_400.0
_LINE = 1 << 20

Progress = Callable[[Mapping[str, Any]], None]
"""Told after each run: ``at`` and ``until`` (seconds of virtual time), ``rss``, ``heap``, ``fds``, ``connections``, ``refreshes``, ``reports``."""


class Stepped(SystemClock):
    """Virtual time: it stands still while a run works, and is set before the next one."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        self._now = now


async def play(
    manner: str,
    settings: Settings,
    upstream: str,
    *,
    days: float,
    start: datetime,
    limit: int | None = LIMIT,
    refreshes: int = REFRESHES,
    reports: int = REPORTS,
    progress: Progress | None = None,
) -> Tape:
    """The tape of a twin that was started, watched and ended here.

    ``settings`` are those of the soak, with a data folder and, on PostgreSQL, a database of the twin's own. ``upstream`` is
    the address of a simulator whose clock the twin may set, from ``start`` on. A twin that dies has a tape that says so.
    """
    tape = settings.data_dir / f"{manner}.json"
    await asyncio.to_thread(settings.data_dir.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread(tape.unlink, missing_ok=True)
    command = [
        sys.executable, "-m", "evertick.soak.naive", "--manner", manner, "--days", repr(days), "--upstream", upstream,
        "--data", str(settings.data_dir.resolve()), "--tape", str(tape.resolve()), "--start", start.isoformat(),
        "--refreshes", str(refreshes), "--reports", str(reports), *(["--limit", str(limit)] if limit else []),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=settings.data_dir,  # where no evertick.toml of somebody else lies
        env=_environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    told: list[dict[str, Any]] = []
    said = asyncio.create_task(_end_of(process.stderr))
    try:
        async for line in process.stdout:
            told.append(json.loads(line))
            if progress is not None:
                progress(told[-1])
        code, last = await process.wait(), await said
    finally:
        said.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()
    if await asyncio.to_thread(tape.is_file):
        return Tape.of(json.loads(await asyncio.to_thread(tape.read_text)))
    if not told:
        raise SoakError(f"the naive twin ended with {code} before its first run", hint=last)
    return _of_progress(manner, told, f"ended with {code}{f': {last}' if last else ''}")


async def _end_of(stream: asyncio.StreamReader) -> str:
    last = ""
    async for line in stream:
        last = line.decode(errors="replace").strip() or last
    return last


def _environment(settings: Settings) -> dict[str, str]:
    own = {
        "LOCALES": ",".join(settings.locales),
        "TIMEZONE": settings.timezone,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url.get_secret_value() if settings.redis_url else None,
        "UNIVERSE": str(settings.universe.resolve()) if settings.universe else None,
        "RETENTION__BAR_DAYS": str(settings.retention.bar_days),
        "SOURCES": json.dumps({name: _plain(one) for name, one in settings.sources.items()}),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EVERTICK_")}
    return inherited | {f"EVERTICK_{name}": value for name, value in own.items() if value}


def _plain(source: SourceSettings) -> dict[str, Any]:
    shown = source.model_dump(mode="json", exclude_none=True, exclude={"api_key"})
    return shown if source.api_key is None else shown | {"api_key": source.api_key.get_secret_value()}


def _of_progress(manner: str, told: list[dict[str, Any]], crashed: str) -> Tape:
    """Of a process that was killed: what it had said until then."""
    looks = [Look(one["at"], one["rss"], one["heap"], one["fds"], one["connections"]) for one in told]
    last = told[-1]
    return Tape(
        name=manner,
        days=last["at"] / _DAY,
        seconds=last["seconds"],
        looks=thinned(looks),
        moments=(Moment(last["at"], "crash", crashed),),
        runs={"refresh_indices": {"ok": last["refreshes"]}, "report": {"ok": last["reports"]}},
        start_rss=looks[0].rss,
        peak_rss=max((look.rss or 0 for look in looks), default=None),
        connections_leaked=last["connections"],
        crashed=crashed,
    )


# --- the process of the twin -----------------------------------------------------------------------------------------


def main() -> None:
    from evertick import logs

    logs.configure("console", "error")
    options = argparse.ArgumentParser("python -m evertick.soak.naive", description=__doc__.split("\n")[0])
    options.add_argument("--manner", choices=(BEFORE, AFTER), required=True)
    options.add_argument("--days", type=float, default=1.0)
    options.add_argument("--upstream", required=True, help="address of a simulator; its clock is set")
    options.add_argument("--data", type=Path, required=True, help="an empty folder")
    options.add_argument("--tape", type=Path, required=True)
    options.add_argument(
        "--start", type=datetime.fromisoformat, default=datetime.now(UTC), help="ISO 8601, with a zone"
    )
    options.add_argument("--limit", type=int, help="bytes of RSS at which it counts as killed")
    options.add_argument("--refreshes", type=int, default=REFRESHES, help="a day")
    options.add_argument("--reports", type=int, default=REPORTS, help="a day")
    chosen = options.parse_args()
    try:
        asyncio.run(_live(chosen))
    except EvertickError as error:
        sys.exit(f"evertick: {error.message}")
    except BrokenPipeError:  # nobody reads any more
        os._exit(1)


async def _live(chosen: argparse.Namespace) -> None:
    from evertick.settings import load
    from evertick.soak.naive_work import open_work

    settings = load(None, data_dir=chosen.data)
    settings = settings.model_copy(update={"sources": _asked(settings.sources, chosen.upstream)})
    clock = Stepped(chosen.start)
    async with open_work(settings, clock) as work:
        tape = await _lived(work, clock, chosen, redis=settings.redis_url is not None)
    chosen.tape.write_text(json.dumps(asdict(tape)))


def _asked(given: Mapping[str, SourceSettings], upstream: str) -> dict[str, SourceSettings]:
    """Every source at the simulator, but for those of installed packages that have settings of their own."""
    from evertick.settings import SourceSettings
    from evertick.simulator import base_urls
    from evertick.sources.listing import sources

    played = base_urls(upstream)
    elsewhere = {listed.name: f"{upstream}/{listed.name}" for listed in sources()}  # never its provider
    return {
        name: SourceSettings(base_url=played[name]) if name in played else given.get(name, SourceSettings(base_url=url))
        for name, url in {**elsewhere, **played}.items()
    }


async def _lived(work: Any, clock: Stepped, chosen: argparse.Namespace, *, redis: bool) -> Tape:
    from sqlalchemy.exc import SQLAlchemyError

    from evertick.soak.naive_service import MANNERS, create_tables
    from evertick.soak.naive_tape import OutOfMemory, Recorder

    await create_tables(work)
    recorder = Recorder(chosen.manner, lambda: work.clients() + work.http.open_connections(), chosen.limit)
    service = MANNERS[chosen.manner](work, recorder.run)
    step, until = _DAY / chosen.refreshes, chosen.days * _DAY
    each = max(1, chosen.refreshes // max(1, chosen.reports))
    at, crashed = 0.0, None
    try:
        recorder.look(at)
        for n in range(round(until / step)):
            at = n * step
            clock.set(chosen.start + timedelta(seconds=at))
            now = {"now": clock.now().isoformat(), "speed": 0}
            await work.http.post_json("simulator", f"{chosen.upstream}/control/clock", now)
            with recorder.refresh(at):
                await service.refresh()
            if chosen.reports and n % each == 0:
                with recorder.report(at):
                    await service.iterate()
            _tell(recorder.look(at), until, recorder)
        at = until
    except OutOfMemory as error:
        crashed = str(error)
    except (MemoryError, OSError, EvertickError, SQLAlchemyError) as error:  # Redis' own errors are not OSErrors
        if isinstance(error, BrokenPipeError):
            raise
        crashed = f"{type(error).__name__}: {error}"[:300]
    if crashed is not None:
        recorder.crash(at, crashed)
    leaked = work.clients() if crashed else await work.answering()
    return recorder.tape(at, leaked, crashed, redis=redis)


def _tell(look: Look, until: float, recorder: Any) -> None:
    line = {**look._asdict(), "until": until, "seconds": round(recorder.seconds(), 2), **recorder.counts()}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
