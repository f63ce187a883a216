"""Measures the sources and the history: a refresh against its bare requests, heap under broken answers, a backfill.

    .venv/bin/python benchmarks/sources.py                              all three, one table
    .venv/bin/python benchmarks/sources.py --only refresh --repeats 10  a short look at one of them
    .venv/bin/python benchmarks/sources.py --only heap --refreshes 1000

The upstream is the bundled simulator in a process of its own. Prints a table and, with ``--json FILE``, the same as JSON.

refresh   `poll` of 60 and of 1,000 synthetic instruments of several providers, saved to Redis, against the same requests by
          a bare httpx2 client all at once plus the same SET and PUBLISH by one bare redis pipeline; the two take turns.
heap      so many refreshes of 60 instruments while 30 % of all answers are broken in every way the simulator knows (the
          slow ones excepted); the clock jumps 200 s from one to the next. Heap, blocks and RSS after the warm-up and at the end.
history   `evertick db backfill` of the built-in universe for two years, again with nothing left to do, then a day of quotes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from evertick import universe as universes
from evertick.model import Group, Instrument, Quote
from evertick.settings import SourceSettings, load
from evertick.simulator import base_urls
from evertick.universe import Universe
from servers import redis_server

NAMES = ("refresh", "heap", "history")
STEP = timedelta(seconds=200)
"""From one refresh to the next: no source says that it asks less often."""
WARM_UP = 500
KB, MB = 1 << 10, 1 << 20


def synthetic(count: int) -> Universe:
    """Instruments of three providers that always trade: of ten, six of Yahoo, two of Binance, two of CoinGecko."""
    made = []
    for n in range(count):
        place = n % 10
        if place < 6:
            one = (Group.INDICES, {"yahoo": f"X{n:04}"})
        elif place < 8:
            one = (Group.CRYPTO, {"binance": f"X{n:04}USDT", "okx": f"X{n:04}-USDT"})
        else:
            one = (Group.CRYPTO, {"coingecko": f"coin-{n:04}"})
        made.append(Instrument(f"X{n:04}", f"Synthetic {n}", one[0], "world", "USD", "24/7", 2, one[1]))
    return Universe.of(made)


class Jumping:
    """A clock that goes on, and jumps ahead when told to."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Recording:
    """A getter that notes what was asked through it."""

    def __init__(self, http: Any) -> None:
        self.http = http
        self.asked: list[tuple[str, str, Any, Any, Any]] = []

    async def get_json(self, provider: str, url: str, params: Any = None, headers: Any = None, **more: Any) -> Any:
        self.asked.append(("GET", url, params, headers, None))
        return await self.http.get_json(provider, url, params, headers, **more)

    async def post_json(self, provider: str, url: str, body: Any, headers: Any = None, **more: Any) -> Any:
        self.asked.append(("POST", url, None, headers, body))
        return await self.http.post_json(provider, url, body, headers, **more)

    async def get_text(self, provider: str, url: str, params: Any = None, headers: Any = None, **more: Any) -> bytes:
        self.asked.append(("GET", url, params, headers, None))
        return await self.http.get_text(provider, url, params, headers, **more)


@contextlib.contextmanager
def simulated(*arguments: str) -> Iterator[str]:
    """The address of a simulator in a process of its own; ``arguments`` are those of `main`'s hidden way in."""
    command = [sys.executable, __file__, "--simulate", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise RuntimeError("the simulator did not start")
        yield found[0]
    finally:
        process.terminate()
        process.wait(10)


def simulate(count: str, *fail: str) -> None:
    from evertick.simulator.serve import run

    instruments = universes.load(None) if count == "all" else synthetic(int(count))
    run(instruments, fail=fail, ready=lambda url: print(url, flush=True))


def chosen_sources(address: str) -> Mapping[str, SourceSettings]:
    return {name: SourceSettings(base_url=url) for name, url in base_urls(address).items()}


# --- one refresh -----------------------------------------------------------------------------------------------------


async def refresh(count: int, repeats: int, redis_url: str) -> dict[str, Any]:
    import httpx2
    import redis.asyncio as redis

    from evertick.board.poll import poll
    from evertick.board.redis import CHANNEL, KEY, open_redis
    from evertick.sources.conductor import Conductor
    from evertick.sources.http import open_http

    instruments, clock, settings = synthetic(count), Jumping(), load(environ={})
    with simulated(str(count)) as address:
        async with (
            open_http(settings.http) as http,
            open_redis(redis_url, universe=instruments) as board,
            httpx2.AsyncClient(
                limits=httpx2.Limits(max_connections=settings.http.connections), headers={"accept-encoding": "gzip"}
            ) as client,
            redis.Redis.from_url(redis_url) as bare,
        ):
            recording = Recording(http)
            conductor = Conductor(recording, instruments, chosen_sources(address), clock)

            async def ours() -> int:
                clock.ahead += STEP
                recording.asked.clear()
                return len((await poll(conductor.fetch, board, instruments, clock)).quotes)

            async def theirs(asked: Sequence[tuple[str, str, Any, Any, Any]], body: bytes, decode: bool) -> None:
                async def one(method: str, url: str, params: Any, headers: Any, sent: Any) -> None:
                    answer = await client.request(method, url, params=params, headers=headers, json=sent)
                    if decode and "json" in answer.headers["content-type"]:
                        answer.json()

                await asyncio.gather(*(one(*each) for each in asked))
                async with bare.pipeline(transaction=True) as pipe:
                    pipe.set(KEY, body)
                    pipe.publish(CHANNEL, "now")
                    await pipe.execute()

            for _ in range(3):
                quotes = await ours()
            asked, body = list(recording.asked), await bare.get(KEY)
            await theirs(asked, body, False)
            spent: dict[str, list[float]] = {"ours": [], "bare": [], "decoded": []}
            cpu = dict.fromkeys(spent, 0.0)
            for _ in range(repeats):
                for name in spent:
                    began, busy = time.perf_counter(), time.process_time()
                    if name == "ours":
                        await ours()
                    else:
                        await theirs(asked, body, name == "decoded")
                    spent[name].append(time.perf_counter() - began)
                    cpu[name] += time.process_time() - busy
            first, last = (Counter(urlsplit(each[1]).path for each in one) for one in (asked, recording.asked))
            if first != last:
                raise RuntimeError(f"no comparison: the first refresh asked {first}, the last one {last}")
    median = {name: statistics.median(times) for name, times in spent.items()}
    ratios = [mine / plain for mine, plain in zip(spent["ours"], spent["bare"], strict=True)]
    return {
        "instruments": count,
        "quotes": quotes,
        "requests": len(asked),
        "ms": round(median["ours"] * 1000, 1),
        "bare_ms": round(median["bare"] * 1000, 1),
        "bare_with_json_decoded_ms": round(median["decoded"] * 1000, 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_with_json_decoded": round(median["ours"] / median["decoded"], 3),
        "cpu_ms": {name: round(total / repeats * 1000, 1) for name, total in cpu.items()},
    }


# --- heap under broken answers ---------------------------------------------------------------------------------------


async def heap(refreshes: int, redis_url: str) -> dict[str, Any]:
    import httpx2
    import stamina

    from evertick.board.poll import poll
    from evertick.board.redis import open_redis
    from evertick.memory.gauge import Allocator
    from evertick.memory.release import release, settle
    from evertick.sources.conductor import Conductor
    from evertick.sources.http import open_http

    stamina.set_testing(True, attempts=2, cap=True)  # a second try at once: the wait before it holds no memory
    logging.disable(logging.CRITICAL)
    silence()
    allocator, clock, instruments, settings = Allocator(), Jumping(), synthetic(60), load(environ={})
    marks: dict[int, tuple[int, int, int]] = {}
    empty = 0
    with simulated("60", "all=any:0.3") as address:
        async with (
            open_http(settings.http) as http,
            open_redis(redis_url, universe=instruments) as board,
            httpx2.AsyncClient() as control,
        ):
            conductor = Conductor(http, instruments, chosen_sources(address), clock)
            began = time.perf_counter()
            for n in range(1, refreshes + 1):
                clock.ahead += STEP
                await control.post(f"{address}/control/clock", json={"now": clock.now().isoformat()})
                snapshot = await poll(conductor.fetch, board, instruments, clock)
                empty += not any(s.quotes for s in snapshot.sources)
                del snapshot
                release(allocator)
                if n == min(WARM_UP, refreshes // 2):
                    settle(allocator)
                if n in (min(WARM_UP, refreshes // 2), refreshes // 4, refreshes // 2, refreshes * 3 // 4, refreshes):
                    marks[n] = (allocator.heap() or 0, sys.getallocatedblocks(), rss())
                if n % 500 == 0 and sys.stderr.isatty():
                    sys.stderr.write(f"\r{n} refreshes ")
            seconds = time.perf_counter() - began
            stats = (await control.get(f"{address}/control/stats")).json()
    first, last = marks[min(WARM_UP, refreshes // 2)], marks[refreshes]
    asked = sum(stats["requests"].values()) if isinstance(stats.get("requests"), dict) else stats.get("requests")
    return {
        "refreshes": refreshes,
        "after_a_warm_up_of": min(WARM_UP, refreshes // 2),
        "requests": asked,
        "broken": total(stats.get("faults")),
        "refreshes_without_a_quote": empty,
        "heap_kept_kb": round((last[0] - first[0]) / KB, 1),
        "blocks_kept": last[1] - first[1],
        "rss_growth_kb": round((last[2] - first[2]) / KB),
        "heap_kb_on_the_way": {n: round((mark[0] - first[0]) / KB, 1) for n, mark in sorted(marks.items())},
        "seconds": round(seconds, 1),
    }


def silence() -> None:
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def total(found: Any) -> int:
    """The sum of all numbers in nested counts."""
    if isinstance(found, Mapping):
        return sum(map(total, found.values()))
    return int(found) if isinstance(found, int) else 0


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- history ---------------------------------------------------------------------------------------------------------


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


# --- all of it -------------------------------------------------------------------------------------------------------


def main() -> None:
    if sys.argv[1:2] == ["--simulate"]:
        simulate(*sys.argv[2:])
        return
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=NAMES, action="append", help="one of the three; repeatable")
    options.add_argument("--repeats", type=int, default=40, help="refreshes that are timed, of each kind")
    options.add_argument("--refreshes", type=int, default=10_000, help="refreshes with broken answers")
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    import uvloop

    figures: dict[str, Any] = {}
    wanted = chosen.only or NAMES
    silence()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "history" in wanted:
            figures["history"] = history(folder) | {"a day of quotes": uvloop.run(quotes(folder))}
        if "refresh" in wanted or "heap" in wanted:
            with redis_server(folder) as server:
                url = f"redis://127.0.0.1:{server.port}/0"
                if "refresh" in wanted:
                    for count in (60, 1000):
                        figures[f"refresh of {count}"] = uvloop.run(refresh(count, chosen.repeats, url))
                if "heap" in wanted:
                    figures["heap"] = uvloop.run(heap(chosen.refreshes, url))
    show(figures)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def show(figures: Mapping[Any, Any], before: str = "") -> None:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            show(value, f"{before}{name}: ")
        else:
            print(f"{f'{before}{name}':<52}  {value:,}")


if __name__ == "__main__":
    main()
