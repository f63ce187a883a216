"""`make bench`: every benchmark in a process of its own, and one table of our figures beside their peers and limits.

    make bench                              all of them; the table says what each group took
    make bench ARGS=--quick                 a short look
    make bench ARGS="--only jobs --only imports --markdown"
    .venv/bin/python benchmarks --json bench.json

Each group is a module with ``rows(quick)``. Long ones are played in their short form unless ``--long`` is given. A group that fails is a
row that says so; the others go on, and the exit code is 1. A ratio that misses its aim is marked and is no failure: on a machine
that has other work, times miss.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from row import Row
from table import as_markdown, as_text


@dataclass(frozen=True)
class Group:
    """``short`` is how the module is played by plain `make bench`: its own quick form where its whole one takes many minutes."""

    name: str
    about: str
    short: bool = False
    quick: bool = True
    """Whether it belongs to ``--quick`` at all."""


GROUPS = (
    Group("imports", "what importing the server costs, and pandas, yfinance and its own libraries bare"),
    Group("manners", "the flow diagrams' day, before and after, and ours"),
    Group("release", "our release, gc.collect() per run, client per run"),
    Group("jobs", "10,000 due jobs, beside APScheduler"),
    Group("sources", "a refresh beside its bare requests, heap under broken answers, a backfill"),
    Group("memory", "receipts, samples, and what thousands of runs leave"),
    Group("serve", "a running server from outside, embedded and with Redis and PostgreSQL", quick=False),
    Group("restarts", "restarts in place under load", quick=False),
    Group("reports", "reports beside QuantStats, whole-string Jinja2 and nginx", short=True, quick=False),
    Group("bodies", "bodies in object storage, beside the database and boto3", quick=False),
    Group("workers", "jobs, reports and takeovers of several workers", short=True, quick=False),
    Group("desks", "a thousand desks", short=True, quick=False),
)
"""In the order of the table."""

PATIENCE_S = 3_600


def main() -> int:
    options = argparse.ArgumentParser(
        "python benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--quick", action="store_true", help="a short look: less of the short groups, none of the long ones"
    )
    options.add_argument("--long", action="store_true", help="the whole form of every group (more than an hour)")
    options.add_argument(
        "--only",
        action="append",
        choices=[g.name for g in GROUPS],
        metavar="GROUP",
        help="repeatable: " + ", ".join(g.name for g in GROUPS),
    )
    options.add_argument("--markdown", action="store_true", help="the table as Markdown")
    options.add_argument("--json", type=Path, metavar="FILE")
    options.add_argument("--child", nargs=2, metavar=("GROUP", "FILE"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then too
    if chosen.quick and chosen.long:
        options.error("choose --quick or --long")
    if chosen.child:
        child(*chosen.child, quick=chosen.quick)
        return 0
    groups = [g for g in GROUPS if (g.name in chosen.only if chosen.only else g.quick or not chosen.quick)]
    rows: list[Row] = []
    took: dict[str, float] = {}
    failed = []
    for group in groups:
        say(f"{group.name}: {group.about} …")
        began = time.monotonic()
        problem = None
        for found in played(group.name, quick=chosen.quick or (group.short and not chosen.long)):
            if isinstance(found, str):
                problem = found
                continue
            rows.append(found)
            say(f"  {found.what}")
        took[group.name] = time.monotonic() - began
        if problem is not None:
            failed.append(group.name)
            rows.append(Row(group.name, "this benchmark failed", None, None, "", "", note=problem))
            say(f"  FAILED: {problem}")
        say(f"  {took[group.name]:.0f} s")
    print((as_markdown if chosen.markdown else as_text)(rows))
    print(f"\n{sum(took.values()):.0f} s: " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in took.items()))
    if failed:
        print(f"Failed: {', '.join(failed)}")
    if chosen.json:
        chosen.json.write_text(json.dumps(document(chosen, rows, took, failed), indent=1, ensure_ascii=False) + "\n")
    return 1 if failed else 0


def document(
    chosen: argparse.Namespace, rows: Sequence[Row], took: dict[str, float], failed: Sequence[str]
) -> dict[str, Any]:
    from evertick import __version__
    from evertick.soak.machine import machine

    return {
        "evertick": __version__,
        "form": "quick" if chosen.quick else "long" if chosen.long else "usual",
        "machine": dict(machine()),
        "load_average": os.getloadavg(),
        "seconds": {name: round(seconds, 1) for name, seconds in took.items()},
        "failed": list(failed),
        "rows": [row.as_json() for row in rows],
    }


def played(name: str, *, quick: bool) -> Iterator[Row | str]:
    """The rows of a group as they come, and why it failed, if it did. What it prints itself is shown on standard error."""
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder) / "rows"
        os.mkfifo(pipe)
        said = Path(folder) / "said"
        command = [
            sys.executable,
            "-u",  # or what it printed would come after its traceback, whose last line is quoted
            str(Path(__file__).resolve().parent),
            "--child",
            name,
            str(pipe),
            *(["--quick"] if quick else []),
        ]
        with said.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out)
        # Opened for both: reading does not wait for a child that died before it opened its end, and ends with the child.
        end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        try:
            yield from _lines(process, end)
            if process.returncode:
                lines = said.read_text(errors="replace").strip().splitlines()
                yield f"exit code {process.returncode}: {(lines or ['it said nothing'])[-1][:200]}"
        finally:
            os.close(end)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # so that it ends its servers
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _lines(process: subprocess.Popen[bytes], end: int) -> Iterator[Row]:
    held = b""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        over = process.poll() is not None  # looked at first: what it wrote before is still read
        try:
            held += os.read(end, 1 << 16)
        except BlockingIOError:
            if over:
                return
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.1)
        *lines, held = held.split(b"\n")
        for line in lines:
            read = json.loads(line)
            yield Row(**{f.name: read[f.name] for f in fields(Row)})


def child(name: str, file: str, *, quick: bool) -> None:
    with Path(file).open("w", encoding="utf-8") as out:
        for row in importlib.import_module(name).rows(quick):
            out.write(json.dumps(row.as_json()) + "\n")
            out.flush()


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
