"""What two years of bars and a day of quotes cost: the history part of benchmarks/sources.py."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sources import KB, MB, simulated

from evertick.model import Quote
from evertick.simulator import base_urls


def history(folder: Path) -> dict[str, Any]:
    with simulated("all") as address:
        urls = {f"EVERTICK_SOURCES__{name.upper()}__BASE_URL": url for name, url in base_urls(address).items()}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("EVERTICK_")} | urls
        first, seconds, peak = command(environment, folder)
        again, seconds_again, peak_again = command(environment, folder)
    file = folder / "evertick-data" / "evertick.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        packed = database.execute("SELECT sum(length(body)) FROM bars").fetchone()[0]
    return {
        "instruments": first["instruments"],
        "fetched": first["fetched"],
        "bars": first["bars"],
        "failed": len(first["failed"]),
        "seconds": round(seconds, 1),
        "peak_rss_mb": round(peak / MB, 1),
        "again_fetched": again["fetched"],
        "again_seconds": round(seconds_again, 1),
        "again_peak_rss_mb": round(peak_again / MB, 1),
        "database_mb": round(file.stat().st_size / MB, 2),
        "bytes_a_bar_packed": round(packed / first["bars"], 1),
        "bytes_a_bar_of_the_file": round(file.stat().st_size / first["bars"], 1),
    }


def command(environment: Mapping[str, str], folder: Path) -> tuple[dict[str, Any], float, int]:
    """What ``evertick db backfill`` answers, its seconds, and its peak RSS in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "evertick", "db", "backfill", "--json"],
        env=environment, cwd=folder, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return json.loads(said), time.perf_counter() - began, usage.ru_maxrss * KB


async def quotes(folder: Path) -> dict[str, Any]:
    """A day of 400 instruments every three minutes: what writing, moving and reading costs."""
    from evertick.archive import open_archive
    from evertick.archive.migrate import upgrade
    from evertick.model import SystemClock

    url = f"sqlite:///{folder / 'quotes.db'}"
    upgrade(url)
    dice, start = random.Random(7), datetime(2026, 11, 23, tzinfo=UTC)
    places = [dice.choice((2, 2, 2, 4, 6)) for _ in range(400)]
    levels = [10 ** dice.uniform(0, 5) for _ in range(400)]
    writes, moves = [], []
    async with open_archive(url, SystemClock()) as archive:
        before = (folder / "quotes.db").stat().st_size
        logged = 0
        for n in range(480):
            at = start + timedelta(minutes=3 * n)
            levels = [level * (1 + dice.gauss(0, 0.0005)) for level in levels]
            snapshot = [
                Quote(f"X{i:03}", round(level, places[i]), at - timedelta(seconds=dice.randrange(120)), "yahoo")
                for i, level in enumerate(levels)
            ]
            began = time.perf_counter()
            logged += await archive.quotes.add(at, snapshot)
            writes.append(time.perf_counter() - began)
            if (n + 1) % 120 == 0:
                began = time.perf_counter()
                await archive.quotes.compact()
                moves.append(time.perf_counter() - began)
        began = time.perf_counter()
        times, _ = await archive.quotes.load("X007", start, start + timedelta(days=1))
        read = time.perf_counter() - began
        async with archive.engine.connect() as connection:
            packed = (await connection.exec_driver_sql("SELECT sum(length(body)) FROM quotes")).scalar_one()
            free = (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one()
    size = (folder / "quotes.db").stat().st_size - before - free * 4096
    return {
        "quotes": logged,
        "write_ms_a_refresh": round(statistics.median(writes) * 1000, 2),
        "move_ms_six_hours": round(statistics.median(moves) * 1000, 1),
        "read_ms_a_day": round(read * 1000, 2),
        "read_points": len(times),
        "bytes_a_quote_packed": round(packed / logged, 2),
        "bytes_a_quote_of_the_file": round(size / logged, 2),
    }
