"""Measures the memory keeper: what a receipt and a sample cost, and what thousands of runs leave behind when providers fail.

    .venv/bin/python benchmarks/memory.py                                     14,400 refreshes and 240 reports: 30 days of them
    .venv/bin/python benchmarks/memory.py --refreshes 600 --reports 10        a short look

The server is the real one in this process (SQLite, embedded board), the simulator is a process of its own and fails
10 % of all requests in every way that does not need a time-out. Runs follow one another without a pause: what is counted is
runs, not days. Prints a table and, with ``--json FILE``, the same as JSON; ``--plot FILE`` draws RSS and heap as SVG.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from row import Row

from acceptance.processes import running
from evertick import logs, universe
from evertick.app import Server, open_server
from evertick.memory import Gauge, Keeper, settle
from evertick.memory.account import drifts
from evertick.memory.growth import Point, kept, trend
from evertick.settings import SourceSettings, load
from evertick.simulator import base_urls

KB, MB = 1 << 10, 1 << 20
WARM_UP = (50, 3)
RECEIPT_US, SAMPLE_US = 150, 300
"""The limits: microseconds of one receipt, release included, and of one look of the watch."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--refreshes", type=int, default=14_400)
    options.add_argument("--reports", type=int, default=240)
    options.add_argument("--instruments", type=int, default=60)
    options.add_argument("--fail", type=float, default=0.1, help="share of requests that fail")
    options.add_argument("--json", type=Path)
    options.add_argument("--plot", type=Path)
    chosen = options.parse_args()
    logs.configure(level="critical")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), chosen)
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:,}" if isinstance(value, int | float) else f"{name:<{width}}  {value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


GROUP = "memory"
HEAP_KB, RSS_KB = 64.0, 256.0
"""A day, the bounds of docs/explanation/memory.md."""
REFRESH_B = 32 * 1024 / 480
"""What one of the 480 refreshes of a day may keep, of the 32 KB that they may keep together."""


def rows(quick: bool) -> Iterator[Row]:
    logs.configure(level="critical")
    refreshes, reports = (200, 4) if quick else (2_400, 40)
    chosen = argparse.Namespace(refreshes=refreshes, reports=reports, instruments=60, fail=0.1, plot=None)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), chosen)
    yield Row(GROUP, "a receipt, release included", found["receipt_us"], RECEIPT_US, "µs", "limit", 1.0)
    yield Row(GROUP, "a look of the watch", found["sample_us"], SAMPLE_US, "µs", "limit", 1.0)
    days, runs = (
        refreshes / 480,
        f"{found['refreshes']:,} refreshes, {found['reports']} reports, 10 % of requests failing",
    )
    yield Row(
        GROUP, f"growth of the heap in {days:.3g} days of runs", found["heap_kb_growth"], HEAP_KB * max(1.0, days), "KB", "limit", 1.0,
        note=f"{runs}; the first report of a process adds some",
    )  # fmt: skip
    yield Row(
        GROUP, f"growth of RSS in {days:.3g} days of runs", found["rss_kb_growth"], RSS_KB * max(1.0, days), "KB", "limit", 1.0,
        note=f"RSS {found['rss_mb_before']} → {found['rss_mb_after']} MB",
    )  # fmt: skip
    yield Row(
        GROUP, "kept by a refresh, median", found["kept_by_a_refresh_bytes_median"], REFRESH_B, "bytes", "limit", 1.0
    )
    yield Row(GROUP, "kept by a report, median", found["kept_by_a_report_bytes_median"], 1024, "bytes", "limit", 1.0)
    before, after = (int(n) for n in found["descriptors"].split(" → "))
    yield Row(GROUP, "descriptors after the runs", after, before, "", "before them", 1.0)


def measure(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    fail = ["--fail", f"all=any:{chosen.fail}"] if chosen.fail else []
    with running("simulate", "--port", "0", *fail, cwd=folder / "simulator") as simulator:
        upstream = simulator.address()
        return asyncio.run(served(folder, upstream, chosen))


async def served(folder: Path, upstream: str, chosen: argparse.Namespace) -> dict[str, Any]:
    file = folder / "universe.csv"
    lines = universe.BUILT_IN.read_text().splitlines()
    header = next(line for line in lines if line.startswith("id,"))
    rows = [line for line in lines if line.count(",") >= 8 and not line.startswith(("#", "id,"))]
    step = max(1, len(rows) // chosen.instruments)
    file.write_text("\n".join([header, "-*", *rows[::step][: chosen.instruments]]) + "\n")
    settings = load(
        environ={},
        data_dir=folder / "data",
        universe=file,
        memory_every=1,
        http={"total_timeout": 2, "read_timeout": 1, "connect_timeout": 1},
        sources={name: SourceSettings(base_url=url) for name, url in base_urls(upstream).items()},
    )
    async with open_server(settings, roles=("work",)) as server:
        costs = await cost(server)
        settle(server.keeper.gauge.allocator)
        for n in range(WARM_UP[0]):
            await server.runner.run_now("refresh_indices")
            if n < WARM_UP[1]:
                await server.runner.run_now("report")
        before = server.keeper.gauge.sample()
        began = time.monotonic()
        course, outcomes = await runs(server, chosen)
        after = server.keeper.gauge.sample()
        receipts = [r async for r in server.archive.receipts.figures(server.watch.started)]
    alone = [r for r in receipts if not r.overlapped and r.retained is not None]
    of = lambda job: [r.retained or 0 for r in alone if r.job == job]  # noqa: E731
    per_run = trend([Point(float(n), value) for n, value in course], warm_up_s=0)
    # As if each run came three minutes after the one before it.
    heap_per_day = kept((n * 180.0, value) for n, (_, value) in enumerate(drifts(receipts, 20)["indices"]))
    found = {
        "receipt_us": costs["receipt"],
        "receipt_limit_us": RECEIPT_US,
        "receipt_ratio": round(costs["receipt"] / RECEIPT_US, 2),
        "receipt_with_its_row_us": costs["stored"],
        "sample_us": costs["sample"],
        "sample_limit_us": SAMPLE_US,
        "sample_ratio": round(costs["sample"] / SAMPLE_US, 2),
        "refreshes": outcomes["refresh_indices done"] + outcomes["refresh_indices failed"],
        "reports": outcomes["report done"] + outcomes["report failed"],
        **{f"runs: {name}": count for name, count in sorted(outcomes.items())},
        "seconds": round(time.monotonic() - began, 1),
        "rss_mb_before": round((before.rss or 0) / MB, 2),
        "rss_mb_after": round((after.rss or 0) / MB, 2),
        "rss_kb_growth": round(((after.rss or 0) - (before.rss or 0)) / KB, 1),
        "heap_mb_before": round((before.heap or 0) / MB, 3),
        "heap_mb_after": round((after.heap or 0) / MB, 3),
        "heap_kb_growth": round(((after.heap or 0) - (before.heap or 0)) / KB, 1),
        "descriptors": f"{before.fds} → {after.fds}",
        "tasks": f"{before.tasks} → {after.tasks}",
        "kept_by_a_refresh_bytes_median": int(statistics.median(of("refresh_indices"))),
        "kept_by_a_report_bytes_median": int(statistics.median(of("save_report") or [0])),
    }
    if per_run is not None:
        ends = (per_run.per_day, per_run.low, per_run.high)
        found["rss_kb_per_480_runs (95 %)"] = " ".join(f"{v / 86_400 * 480 / KB:.2f}" for v in ends)
    if heap_per_day is not None:
        ends = (heap_per_day.per_day, heap_per_day.low, heap_per_day.high)
        found["indices_kb_a_day_of_480 (95 %)"] = " ".join(f"{v / KB:.2f}" for v in ends)
    if chosen.plot:
        chosen.plot.write_text(drawn(course, chosen))
    return found


async def cost(server: Server) -> dict[str, float]:
    """Microseconds of a receipt, without and with its row in the database, and of a look of the watch; medians."""
    settle(server.keeper.gauge.allocator)
    receipts: list[float] = []
    stored: list[float] = []
    looks: list[float] = []
    for keeper, times in (
        (Keeper(Gauge()), receipts),
        (Keeper(Gauge(), sink=server.archive.receipts.add), stored),
    ):
        for _ in range(400):
            began = time.perf_counter()
            async with keeper.keep("nothing"):
                pass
            times.append(time.perf_counter() - began)
    for _ in range(400):
        began = time.perf_counter()
        server.watch._seen(server.keeper.gauge.sample())
        looks.append(time.perf_counter() - began)
    return {
        "receipt": round(statistics.median(receipts) * 1e6, 1),
        "stored": round(statistics.median(stored) * 1e6, 1),
        "sample": round(statistics.median(looks) * 1e6, 1),
    }


async def runs(server: Server, chosen: argparse.Namespace) -> tuple[list[tuple[int, float]], Counter[str]]:
    every = max(1, chosen.refreshes // max(1, chosen.reports))
    course: list[tuple[int, float]] = []
    outcomes: Counter[str] = Counter()
    for n in range(chosen.refreshes):
        jobs = ["refresh_indices", *(["report"] if n % every == every - 1 else [])]
        for job in jobs:
            slot = await server.runner.run_now(job)
            outcomes[f"{job} {slot.state}"] += 1
        if n % max(1, chosen.refreshes // 500) == 0:
            course.append((n, float(server.keeper.gauge.sample().rss or 0)))
            with contextlib.suppress(OSError):
                if os.isatty(2):
                    sys.stderr.write(f"\r{n} refreshes, RSS {course[-1][1] / MB:.1f} MB ")
    return course, outcomes


def drawn(course: list[tuple[int, float]], chosen: argparse.Namespace) -> str:
    """RSS over the runs, from zero."""
    width, height, top = 720, 240, 120 * MB
    points = " ".join(
        f"{40 + n / chosen.refreshes * (width - 60):.1f},{height - 30 - v / top * (height - 50):.1f}" for n, v in course
    )
    grid = "".join(
        f'<line x1="40" x2="{width - 20}" y1="{height - 30 - m / 120 * (height - 50):.0f}" y2="{height - 30 - m / 120 * (height - 50):.0f}" '
        f'stroke="#ccc"/><text x="34" y="{height - 26 - m / 120 * (height - 50):.0f}" text-anchor="end">{m}</text>'
        for m in (0, 40, 80, 120)
    )
    title = f"RSS in MB over {chosen.refreshes:,} refreshes and {chosen.reports} reports, {chosen.fail:.0%} of requests failing"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" role="img">'
        f'<title>{title}</title>{grid}<polyline points="{points}" fill="none" stroke="#0b5394" stroke-width="1.5"/>'
        f'<text x="40" y="{height - 8}">{title}</text></svg>\n'
    )  # fmt: skip


if __name__ == "__main__":
    main()
