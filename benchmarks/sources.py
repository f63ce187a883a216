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
import re
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
from row import Row

from evertick import universe as universes
from evertick.model import Group, Instrument
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
                limits=httpx2.Limits(max_connections=settings.http.connections),
                headers={"accept-encoding": "gzip"},
                timeout=300,  # hundreds of requests wait for a connection; ours wait too
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


# --- rows ------------------------------------------------------------------------------------------------------------

GROUP = "sources"
OVERHEAD = 1.25
"""How much longer than its bare requests a refresh may take."""
HEAP_KB = 64.0
"""The bound of memory.md for a day, here for all the refreshes."""


def rows(quick: bool) -> Iterator[Row]:
    import uvloop
    from history import history, quotes

    silence()
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        for count in (60,) if quick else (60, 1_000):
            one = uvloop.run(refresh(count, 10 if quick else 40, url))
            what, note = f"a refresh of {count:,} instruments", f"{one['requests']} requests"
            against = "the same requests by bare httpx2 and one Redis pipeline"
            yield Row(GROUP, what, one["ms"], one["bare_ms"], "ms", against, OVERHEAD, note=note)
            yield Row(
                GROUP, what, one["ms"], one["bare_with_json_decoded_ms"], "ms", f"{against}, JSON decoded", OVERHEAD
            )
            yield Row(GROUP, what, one["cpu_ms"]["ours"], one["cpu_ms"]["bare"], "CPU ms", against)
        broken = uvloop.run(heap(300 if quick else 1_500, url))
        what = f"heap kept by {broken['refreshes'] - broken['after_a_warm_up_of']:,} refreshes, 30 % of answers broken"
        yield Row(
            GROUP,
            what,
            broken["heap_kept_kb"],
            HEAP_KB,
            "KB",
            "limit of a day",
            1.0,
            note=f"{broken['broken']:,} answers broken",
        )
        if quick:
            return
        filled = history(Path(name)) | uvloop.run(quotes(Path(name)))
        note = f"{filled['instruments']} instruments, {filled['bars']:,} bars, {filled['seconds']} s, database {filled['database_mb']} MB"
        yield Row(
            GROUP,
            "a daily bar in the database",
            filled["bytes_a_bar_of_the_file"],
            48.0,
            "bytes",
            "six plain numbers of 8 bytes",
            1.0,
            note=note,
        )
        yield Row(
            GROUP,
            "a quote in the database",
            filled["bytes_a_quote_of_the_file"],
            16.0,
            "bytes",
            "a time and a price of 8 bytes",
            1.0,
        )
        yield Row(
            GROUP,
            "the backfill again, nothing left to fetch",
            filled["again_seconds"],
            filled["seconds"],
            "s",
            "the first time",
            1.0,
        )


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
    from history import history, quotes

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
