"""Measures reports: memory by size, seconds, stalls, templates rendered whole, and stored pages served beside nginx.

    .venv/bin/python benchmarks/reports.py                          everything, about 25 minutes
    .venv/bin/python benchmarks/reports.py --quick                  a short look at all but the large sizes
    .venv/bin/python benchmarks/reports.py --only serving           one part of it: making, peers, serving, latency

making    reports of 407, 4,000 and 40,000 instruments with two years of bars (benchmarks/market.py) by the real workflow into SQLite,
          in a process of its own that made one report before; peak from VmHWM. Seconds are CPU seconds of that process, threads included.
peers     QuantStats' ``reports.html`` for one asset (in .venv/peers), and the same blocks by the same templates rendered whole by Jinja2.
latency   ``GET /api/v1/indices`` at a running server while it makes a report, and while it rests.
serving   stored pages from ``evertick serve`` and from nginx with ``gzip_static`` (one worker), the same bytes, keep-alive, by
          the same load: ``wrk`` where it is installed (``apt-get install wrk``), else threads of Python, which measure less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import report_serving
from row import Row

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".venv" / "peers" / "bin" / "python"
MB = 1 << 20
SIZES = (407, 4_000, 40_000)
PEAK_MB, STALL_MS, SECONDS = 5.0, 10.0, 1.0
GROUP = "reports"
PARTS = ("making", "peers", "latency", "serving")


def rows(quick: bool, only: str | None = None) -> Iterator[Row]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if only in (None, "making", "peers", "serving"):
            found = made(folder, SIZES[0], 2 if quick else 5, "stalls", keep=True)
        if only in (None, "making"):
            yield from making(folder, found, quick)
        if only in (None, "peers"):
            yield from peers(folder, found, quick)
        if only in (None, "latency"):
            yield from report_serving.latency(folder, quick)
        if only in (None, "serving"):
            yield from report_serving.serving(folder / str(SIZES[0]), [run["id"] for run in found["runs"]], quick)


# --- making ----------------------------------------------------------------------------------------------------------


def made(folder: Path, count: int, runs: int, *more: str, keep: bool = False) -> dict[str, Any]:
    place = folder / str(count)
    place.mkdir()
    market("prepare", place, count)
    found: dict[str, Any] = json.loads(market("make", place, count, runs, *more))
    if not keep:
        (place / "evertick.db").unlink()
    return found


def market(*arguments: Any) -> str:
    command = [sys.executable, str(HERE / "market.py"), *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def median(found: dict[str, Any], name: str) -> float:
    return statistics.median(run[name] for run in found["runs"])


def making(folder: Path, first: dict[str, Any], quick: bool) -> Iterator[Row]:
    html = median(first, "html")
    seconds = median(first, "cpu") * 7e6 / html
    yield Row(
        GROUP, "making 7 MB of HTML, analytics included", round(seconds, 2), SECONDS, "CPU s", "limit", 1.0,
        note=f"{html / 1e6:.2f} MB in {median(first, 'cpu'):.2f} CPU s, {median(first, 'seconds'):.2f} s of the clock",
    )  # fmt: skip
    yield Row(
        GROUP, "longest stall of the event loop", round(first["stall_cpu"] * 1000, 1), STALL_MS, "ms", "limit", 1.0,
        note=f"CPU time of its thread; {first['stall'] * 1000:.1f} ms by the clock",
    )  # fmt: skip
    stored = median(first, "stored")
    yield Row(
        GROUP, "stored by a report", round(stored / 1e6, 2), round(html / 1e6, 2), "MB", "its HTML, uncompressed",
        note="both languages and the facts; " + ", ".join(f"{n} {s / 1e6:.2f}" for n, (_, s, _) in first["runs"][0]["parts"].items()),
    )  # fmt: skip
    peaks = []
    for size in SIZES[:1] if quick else SIZES:
        found = first if size == SIZES[0] else made(folder, size, 2 if size < 10_000 else 1)
        peak = max(run["peak"] for run in found["runs"]) / MB
        peaks.append(peak)
        yield Row(
            GROUP, f"peak RSS above steady, {found['runs'][0]['html'] / 1e6:.0f} MB of HTML", round(peak, 2), PEAK_MB, "MiB", "limit", 1.0,
            note=f"{size:,} instruments, {median(found, 'cpu'):.1f} CPU s",
        )  # fmt: skip
    if len(peaks) > 1:
        yield Row(
            GROUP, "peak of the largest report", round(peaks[-1], 2), round(peaks[0], 2), "MiB", "of the smallest"
        )


# --- peers -----------------------------------------------------------------------------------------------------------

QUANTSTATS = """
import resource, time, warnings
warnings.filterwarnings("ignore")
import matplotlib
matplotlib.use("Agg")
import numpy as np, pandas as pd
import quantstats as qs
days = pd.bdate_range(end="2026-11-23", periods=520)
rng = np.random.default_rng(7)
returns = pd.Series(rng.normal(0.0004, 0.011, 520), index=days, name="SPX")
times = []
for n in range({runs}):
    began = time.process_time()
    qs.reports.html(returns, output="{output}", title="one asset")
    times.append(time.process_time() - began)
print(sorted(times[1:] or times)[len(times[1:] or times) // 2], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peers(folder: Path, found: dict[str, Any], quick: bool) -> Iterator[Row]:
    ours = median(found, "cpu")
    if PEERS.exists():
        code = QUANTSTATS.format(runs=2 if quick else 4, output=folder / "quantstats.html")
        told = subprocess.run([PEERS, "-c", code], capture_output=True, text=True, check=False)
        if told.returncode:
            yield Row(
                GROUP, "a report", None, None, "CPU s", "QuantStats", note=told.stderr.strip().splitlines()[-1][:100]
            )
        else:
            seconds, peak = told.stdout.split()[-2:]
            whole = (max(run["peak"] for run in found["runs"]) + found["runs"][0]["steady"]) / MB
            yield Row(
                GROUP, "a report of 407 instruments in two languages", round(ours, 2), round(float(seconds), 2), "CPU s",
                "QuantStats' reports.html of one asset", 1.0,
            )  # fmt: skip
            yield Row(
                GROUP, "memory of the whole process", round(whole, 1), round(int(peak) / 1024, 1), "MiB",
                "QuantStats' reports.html of one asset",
            )  # fmt: skip
    else:
        yield Row(GROUP, "a report", None, None, "s", "QuantStats", note="run: make .venv/peers")
    streamed, whole_, size = json.loads(
        subprocess.run(
            [sys.executable, str(HERE / "report_whole.py"), "3" if quick else "7"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
    )
    against, note = (
        "the same templates rendered whole by Jinja2",
        f"{size / 1e6:.2f} MB, one language, cards made before",
    )
    (seconds_here, peak_here), (seconds_whole, peak_whole) = streamed, whole_
    rates = [round(size / 1e6 / s, 2) for s in (seconds_here, seconds_whole)]
    yield Row(GROUP, "rendering", *rates, "MB/s", against, 0.9, True, note)
    tops = [round(peak / MB, 2) for peak in (peak_here, peak_whole)]
    yield Row(GROUP, "peak RSS while rendering", *tops, "MiB", against, 0.5, note=note)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--only", choices=PARTS)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    found = []
    began = time.monotonic()
    for row in rows(chosen.quick, chosen.only):
        found.append(row)
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else "–"
        met = {True: "met", False: "MISSED", None: ""}[row.met]
        print(
            f"{row.what:<52} {row.ours!s:>9} {row.unit:<6} {row.theirs!s:>9} {row.against:<44} {ratio:>6} {met:<7} {row.note}"
        )
    print(f"{time.monotonic() - began:.0f} s")
    if chosen.json:
        chosen.json.write_text(json.dumps([row.as_json() for row in found], indent=2) + "\n")


if __name__ == "__main__":
    main()
