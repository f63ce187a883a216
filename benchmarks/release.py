"""Our release after a run beside ``gc.collect()`` after every run, and a client for every run beside one with a pool.

Each way of releasing is tried in a process of its own with the whole server imported, after the same run: 10,000 objects in
cycles and 7 MB of text made and forgotten. A save is the board's: SET and PUBLISH of 60 quotes, on a Redis of its own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from row import Row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from servers import redis_server

GROUP = "release"
WAYS = ("ours", "collect", "collect, frozen", "nothing")
RUNS = 200
MB = 1 << 20


def rows(quick: bool) -> Iterator[Row]:
    found = {way: _child("release", way, 40 if quick else RUNS) for way in WAYS}
    ours = found["ours"]
    for way, against in (
        ("collect", "gc.collect() per run"),
        ("collect, frozen", "gc.freeze() at the start, gc.collect() per run"),
    ):
        yield Row(
            GROUP, "a release after a run that left nothing", ours["idle_ms"], found[way]["idle_ms"], "CPU ms", against
        )
        yield Row(
            GROUP,
            "a release after a run of 7 MB and 10,000 objects in cycles",
            ours["busy_ms"],
            found[way]["busy_ms"],
            "CPU ms",
            against,
        )
        yield Row(GROUP, "RSS after the runs", ours["rss"] / MB, found[way]["rss"] / MB, "MiB", against)
    yield Row(GROUP, "RSS after the runs", ours["rss"] / MB, found["nothing"]["rss"] / MB, "MiB", "nothing released")
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as server:
        saved = _child("save", f"redis://127.0.0.1:{server.port}/0", 200 if quick else 2_000)
    for what in ("made, closed", "made, kept"):
        against = f"a client {what.replace(', ', ' and ')} in every run"
        yield Row(GROUP, "a save of the board", saved["pool"]["ms"], saved[what]["ms"], "ms", against)
        yield Row(
            GROUP,
            "connections that its server counted",
            saved["pool"]["connected"],
            saved[what]["connected"],
            "",
            against,
            note=f"{saved['runs']} saves; still open {saved['pool']['open']} and {saved[what]['open']}",
        )


def _child(*arguments: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- in a process of its own -----------------------------------------------------------------------------------------


class _Linked:
    def __init__(self) -> None:
        self.me = self
        self.text = "x" * 40


def _run() -> None:
    made = [_Linked() for _ in range(10_000)]
    text = ["é" * 50_000 for _ in range(70)]  # 7 MB
    if len(made) + len(text) == 0:
        raise RuntimeError


def _release(way: str, runs: int) -> dict[str, float]:
    import evertick.app
    import evertick.web.app  # noqa: F401
    from evertick.memory.gauge import Allocator, rss
    from evertick.memory.release import release, settle

    allocator = Allocator()
    if way == "ours":
        settle(allocator)
    elif way == "collect, frozen":
        gc.collect()
        gc.freeze()
    after: Callable[[], Any] = {"ours": lambda: release(allocator), "nothing": lambda: None}.get(way, gc.collect)
    times: dict[bool, list[float]] = {False: [], True: []}
    for n in range(2 * runs):
        busy = bool(n % 2)
        if busy:
            _run()
        began = time.thread_time()
        after()
        times[busy].append(time.thread_time() - began)
    return {
        "idle_ms": statistics.median(times[False]) * 1e3,
        "busy_ms": statistics.median(times[True]) * 1e3,
        "rss": float(rss() or 0),
    }


async def _save(url: str, runs: int) -> dict[str, Any]:
    from redis.asyncio import Redis
    from sources import synthetic

    from evertick.board.document import dumps
    from evertick.board.redis import CHANNEL, KEY, open_redis
    from evertick.model import Quote, Snapshot, SystemClock

    now, instruments = SystemClock().now(), synthetic(60)
    snapshot = Snapshot(now, tuple(Quote(i.id, 100.0, now, "yahoo") for i in instruments))
    kept: list[Redis] = []

    async def own(client: Redis) -> None:
        async with client.pipeline(transaction=True) as pipe:
            pipe.set(KEY, dumps(snapshot, instruments))
            pipe.publish(CHANNEL, now.isoformat())
            await pipe.execute()

    async def closed() -> None:
        async with Redis.from_url(url) as client:
            await own(client)

    async def left_open() -> None:
        kept.append(Redis.from_url(url))
        await own(kept[-1])

    found: dict[str, Any] = {"runs": runs}
    async with Redis.from_url(url) as observer, open_redis(url, universe=instruments) as board:
        ways: dict[str, Callable[[], Awaitable[Any]]] = {
            "pool": lambda: board.save(snapshot),
            "made, closed": closed,
            "made, kept": left_open,
        }
        for name, save in ways.items():
            before = await observer.info()
            times = []
            for _ in range(runs):
                began = time.perf_counter()
                await save()
                times.append(time.perf_counter() - began)
            after = await observer.info()
            found[name] = {
                "ms": statistics.median(times) * 1e3,
                "connected": after["total_connections_received"] - before["total_connections_received"],
                "open": after["connected_clients"] - before["connected_clients"],
            }
    for client in kept:
        await client.aclose()
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    what, way, count = sys.argv[1:]
    sys.stdout.write(
        json.dumps(_release(way, int(count)) if what == "release" else asyncio.run(_save(way, int(count))))
    )
