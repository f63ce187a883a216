"""Holds eight job engines against what a desk needs of one: `docs/decisions/` quotes the table that this prints.

    make bench-engines                                 all of them, about 15 minutes
    make bench-engines ARGS="--only saq --only celery"

For each engine, on a Redis and a PostgreSQL of its own: RSS of an idle worker (with its child processes); no-op jobs a second,
enqueued and run; seconds until a job of five seconds whose worker was killed with -9 runs again on the other worker; and the restart
of its database or broker under 200 jobs: how many were lost, ran more than once, and whether the workers live on.
A last trial lets a healthy job run three times as long as a silent worker is given: does it run twice?
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evertick.soak.servers import Server, postgres_server, redis_server

ENGINES = ("saq", "celery", "taskiq", "dramatiq", "procrastinate", "pgqueuer", "streaq", "dbos")
ON_REDIS = frozenset({"celery", "taskiq", "dramatiq", "streaq"})
ADAPTERS = Path(__file__).with_name("adapters.py")
PATIENCE_S = 60.0
NO_OPS, UNDER_RESTART = 300, 200


class Bench:
    """One engine with its servers; its workers and what its jobs wrote down."""

    def __init__(self, python: str, engine: str, folder: Path, redis: Server, postgres: Server) -> None:
        self.command = [python, str(ADAPTERS), engine]
        self.store = redis if engine in ON_REDIS else postgres
        self.log = folder / "jobs.txt"
        self.log.touch()
        self.said = folder / "workers.txt"
        self.environment = {
            **os.environ,
            "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "DATABASE_URL": f"postgresql://evertick@127.0.0.1:{postgres.port}/postgres",
            "TRIAL_LOG": str(self.log),
        }
        self.next = 0

    @contextlib.contextmanager
    def worker(self, number: int) -> Iterator[subprocess.Popen[bytes]]:
        with self.said.open("ab") as out:
            process = subprocess.Popen(
                [*self.command, "worker"],
                env={**self.environment, "TRIAL_WORKER": str(number)},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            kill(process)

    def setup(self) -> None:
        subprocess.run([*self.command, "setup"], env=self.environment, capture_output=True, timeout=60)

    def enqueue(self, count: int, seconds: float) -> range:
        """Hand in jobs that take so long; returns their numbers."""
        numbers = range(self.next, self.next + count)
        self.next += count
        arguments = [*self.command, "enqueue", str(numbers.start), str(count), str(seconds)]
        subprocess.run(arguments, env=self.environment, check=True, capture_output=True, timeout=PATIENCE_S)
        return numbers

    def events(self, what: str) -> list[tuple[int, int, float]]:
        """``(job, process, time)`` of every beginning or end."""
        lines = (line.split() for line in self.log.read_text().splitlines())
        return [(int(number), int(pid), float(at)) for kind, number, pid, at in lines if kind == what]

    def wait(self, found: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if answer := found():
                return answer
            time.sleep(0.05)
        return None

    def ended(self, numbers: Sequence[int]) -> bool:
        return set(numbers) <= {number for number, _, _ in self.events("ended")}


def kill(process: subprocess.Popen[bytes]) -> None:
    """With all its children, as the kernel or a power cut would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def rss_of_tree(pid: int) -> int:
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
    return total


def trial(python: str, engine: str, folder: Path) -> dict[str, Any]:
    with redis_server(folder) as redis, postgres_server(folder) as postgres:
        redis.stop()
        redis.command += ["--appendonly", "yes"]  # a broker that is restarted has to know its jobs
        redis.start()
        bench = Bench(python, engine, folder, redis, postgres)
        bench.setup()
        found: dict[str, Any] = {"engine": engine, "store": "Redis" if engine in ON_REDIS else "PostgreSQL"}
        with bench.worker(1) as first:
            time.sleep(3)
            one = bench.enqueue(1, 0)
            if not bench.wait(lambda: bench.ended(one)):
                return found | {"problem": bench.said.read_text(errors="replace")[-400:] or "its first job never ran"}
            time.sleep(3)
            found["idle_rss_mb"] = round(rss_of_tree(first.pid) / (1 << 20), 1)
            began = time.monotonic()
            numbers = bench.enqueue(NO_OPS, 0)
            done = bench.wait(lambda: bench.ended(numbers))
            found["no_ops_a_second"] = round(NO_OPS / (time.monotonic() - began)) if done else None
        found |= taken_over(bench)
        found |= restarted(bench)
        found |= long_job(bench)
    return found


def taken_over(bench: Bench) -> dict[str, Any]:
    with bench.worker(2) as first:
        time.sleep(3)
        numbers = bench.enqueue(1, 5.0)
        if not bench.wait(lambda: [e for e in bench.events("began") if e[0] in numbers]):
            return {"takeover_s": None}
        with bench.worker(3):
            time.sleep(3)
            killed = time.time()
            kill(first)
            begun = lambda: [e for e in bench.events("began") if e[0] in numbers and e[2] > killed]  # noqa: E731
            again = bench.wait(begun)
            bench.wait(lambda: bench.ended(numbers), 15)
            return {"takeover_s": round(again[0][2] - killed, 1) if again else None}


def restarted(bench: Bench) -> dict[str, Any]:
    with bench.worker(4) as first, bench.worker(5) as second:
        time.sleep(3)
        numbers = bench.enqueue(UNDER_RESTART, 0.1)
        time.sleep(1)
        bench.store.stop()
        time.sleep(1)
        bench.store.start()
        bench.wait(lambda: bench.ended(numbers), 45)
        alive = sum(process.poll() is None for process in (first, second))
    begun = Counter(number for number, _, _ in bench.events("began") if number in numbers)
    finished = {number for number, _, _ in bench.events("ended")}
    return {
        "restart_lost": sum(number not in finished for number in numbers),
        "restart_twice": sum(count > 1 for count in begun.values()),
        "restart_workers_alive": f"{alive}/2",
    }


def long_job(bench: Bench) -> dict[str, Any]:
    with bench.worker(6), bench.worker(7):
        time.sleep(3)
        numbers = bench.enqueue(1, 30.0)
        bench.wait(lambda: bench.ended(numbers), 50)
        runs = len([e for e in bench.events("began") if e[0] in numbers])
    return {"long_job_runs": runs}


COLUMNS = {
    "engine": "engine",
    "store": "on",
    "idle_rss_mb": "idle RSS, MiB",
    "no_ops_a_second": "no-ops a second",
    "takeover_s": "runs again after kill -9, s",
    "restart_lost": "lost in a restart",
    "restart_twice": "begun more than once",
    "restart_workers_alive": "workers alive after",
    "long_job_runs": "runs of a healthy job of 30 s",
    "problem": "",
}


def table(rows: Sequence[dict[str, Any]]) -> str:
    names = [name for name in COLUMNS if any(name in row for row in rows)]
    lines = ["| " + " | ".join(COLUMNS[name] for name in names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        cells = ["never" if name in row and row[name] is None else str(row.get(name, "")) for name in names]
        lines.append("| " + " | ".join(cell.replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--python", default=".venv/engines/bin/python", help="the environment of the engines")
    options.add_argument("--only", action="append", choices=ENGINES)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    rows = []
    for engine in chosen.only or ENGINES:
        with tempfile.TemporaryDirectory(prefix="evertick-engines-") as folder:
            Path(folder).chmod(0o755)
            rows.append(trial(chosen.python, engine, Path(folder)))
        print(json.dumps(rows[-1]), file=sys.stderr)
    print(table(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
