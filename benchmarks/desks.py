"""Measures a thousand desks: reports per second by workers, what a report costs the servers, and what idle desks cost.

    .venv/bin/python benchmarks/desks.py                              1,000 desks; 1, 2 and 4 workers, 240 reports each
    .venv/bin/python benchmarks/desks.py --reports 24 --workers 1 2 --idle 10     a short look

Everything is real: PostgreSQL and Redis of their own, `evertick serve --roles schedule` and `evertick worker` as processes,
the simulator for quotes and bars. Each desk follows 40 of 120 instruments and has its reports in one language. The reports
of many desks are due at once and the workers work them off; the rate is that from the end of the first tenth to the end of
the last. What a report costs PostgreSQL and Redis is what their own counters say of that time. Idle desks are those of a plain
`evertick serve` on SQLite, beside a server with one desk.

Other work on the machine changes the rates; processor seconds per report hold better. ``--json FILE`` writes all figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from row import Row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from acceptance.processes import Running, children, running

DESKS, EACH, AMONG = 1_000, 40, 120
HOURLY = DESKS / 3600
"""Reports a second of a thousand desks with a report each per hour."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
BODY_TABLES = ("report_parts", "reports", "slots", "receipts", "schedules")


def rows(quick: bool) -> Iterator[Row]:
    found = measure((1, 2) if quick else (1, 2, 4), 16 if quick else 240, 10 if quick else 60)
    one = found["workers"]["1"]
    yield Row(
        "desks", "reports a second, 1 worker", one["per_s"], HOURLY, "1/s", "1,000 desks, a report each per hour", 1.0,
        more_is_better=True, note=f"{one['cpu_s']:.2f} s of processor a report",
    )  # fmt: skip
    for count, figures in list(found["workers"].items())[1:]:
        cores = min(int(count), os.cpu_count() or 1)
        yield Row(
            "desks", f"reports a second, {count} workers", figures["per_s"], one["per_s"], "1/s", "1 worker",
            0.75 * cores, more_is_better=True, note=f"{os.cpu_count()} processors, databases and all on them",
        )  # fmt: skip
    many, single = found["idle"][str(DESKS)], found["idle"]["1"]
    yield Row(
        "desks",
        "idle server, processor",
        many["cpu_ms_a_minute"],
        single["cpu_ms_a_minute"],
        "ms a minute",
        "1 desk",
        1.5,
    )
    each = (many["rss_kb"] - single["rss_kb"]) / (DESKS - 1)
    yield Row(
        "desks", "RSS of a desk", each, 10.0, "KB", "limit of ours", 1.0, note=f"{many['rss_kb'] / 1024:.0f} MB in all"
    )


def measure(workers: Sequence[int], reports: int, idle_s: float) -> dict[str, Any]:
    from evertick import logs

    logs.configure(level="critical")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        found: dict[str, Any] = {"idle": {str(n): idle(folder / f"idle-{n}", n, idle_s) for n in (1, DESKS)}}
        from servers import postgres_server, redis_server

        simulator = stack.enter_context(running("simulate", "--port", "0", cwd=folder / "simulator"))
        postgres = stack.enter_context(postgres_server(folder))
        redis = stack.enter_context(redis_server(folder))
        assert postgres.process is not None
        stage = Stage(folder, simulator.address(), postgres.port, redis.port)
        stage.postmaster = postgres.process.pid
        stage.prepare()
        found["workers"] = {str(n): stage.run(n, reports, n * reports) for n in workers}
        found["stored"] = stage.stored()
        return found


def desks_file(folder: Path, count: int) -> Path:
    """``count`` desks in files of a hundred, each of 40 instruments and one language, in two time zones."""
    from evertick import universe

    instruments = [i.id for i in universe.load() if "yahoo" in i.symbols][:AMONG]
    folder.mkdir(parents=True)
    for start in range(0, count, 100):
        tables = [
            f'[[desk]]\nid = "desk-{n:04d}"\nlocales = ["{("en", "vi")[n % 2]}"]\nreport_every = "24h"\n'
            f'timezone = "{("UTC", "Asia/Ho_Chi_Minh")[n // 2 % 2]}"\n'
            f"instruments = {json.dumps([instruments[(n * 7 + k) % len(instruments)] for k in range(EACH)])}\n"
            for n in range(start, min(start + 100, count))
        ]
        (folder / f"{start:04d}.toml").write_text("".join(tables))
    return folder


class Stage:
    """The servers, and what to tell each process of ours about them."""

    def __init__(self, folder: Path, simulator: str, postgres: int, redis: int) -> None:
        import psycopg

        admin = f"postgresql://evertick@127.0.0.1:{postgres}"
        psycopg.connect(f"{admin}/postgres", autocommit=True).execute("CREATE DATABASE desks").connection.close()
        self.url, self.redis_port, self.folder = f"{admin}/desks", redis, folder
        self._asked = 0
        """Transactions of this program itself, which are none of a report's."""
        self._connection: Any = None
        self.postmaster = 0
        from evertick.simulator import base_urls

        self.environment = {
            "EVERTICK_MODE": "distributed", "EVERTICK_DATABASE_URL": self.url,
            "EVERTICK_REDIS_URL": f"redis://127.0.0.1:{redis}/0", "EVERTICK_DESKS": str(desks_file(folder / "desks.d", DESKS)),
            "EVERTICK_INDICES_EVERY": "12h", "EVERTICK_LOG_LEVEL": "warning", "EVERTICK_LOG_FORMAT": "json",
        } | {f"EVERTICK_SOURCES__{name.upper()}__BASE_URL": url for name, url in base_urls(simulator).items()}  # fmt: skip

    def prepare(self) -> None:
        """Quotes on the board and bars in the archive, as after a day, so that reports ask nobody."""
        from evertick.app import open_server
        from evertick.settings import load

        settings = load(environ={}, data_dir=self.folder / "seed", memory_limit=8 << 30, **self._given())

        async def fill() -> None:
            async with open_server(settings, roles=("work",)) as server:
                await server.runner.run_now("refresh_indices")
                while (await server.runner.run_now("update_bars")).result["asked"]:  # type: ignore[index]
                    pass

        asyncio.run(fill())

    def _given(self) -> dict[str, Any]:
        own = {k.removeprefix("EVERTICK_").lower(): v for k, v in self.environment.items()}
        sources = {
            name.removeprefix("sources__").removesuffix("__base_url"): {"base_url": own.pop(name)}
            for name in [n for n in own if n.startswith("sources__")]
        }
        return own | {"mode": "embedded", "sources": sources, "log_level": "error"}

    def run(self, workers: int, reports: int, start: int) -> dict[str, Any]:
        """``reports`` reports of as many desks, by so many workers."""
        with ExitStack() as stack:
            scheduler = self._process(stack, "scheduler", "serve", "--roles", "schedule")
            crew = [self._process(stack, f"worker-{n}", "worker") for n in range(workers)]
            for each in (scheduler, *crew):
                each.until(lambda each=each: "ready" in each.output or self._idle(each), "a start")
            time.sleep(3)
            due = datetime.now(UTC)
            ids = asyncio.run(self._submit([f"desk-{(start + n) % DESKS:04d}" for n in range(reports)], due))
            done, before, cpu = 0, None, 0.0
            while done < reports:
                time.sleep(0.2)
                self._asked += 1
                done, failed, last = self._done(ids)
                if failed:
                    raise SystemExit(f"a report failed: {failed}\n{crew[0].output[-2000:]}")
                if before is None and done >= max(1, reports // 10):
                    before = (done, last, self._counters(), sum(seconds(c.process.pid) for c in crew))
            assert before is not None
            cpu = sum(seconds(c.process.pid) for c in crew) - before[3]
            self._asked += 2
            _, _, last = self._done(ids)
            rss = sorted(resident_kb(c.process.pid) for c in crew)
            connections = self._one("SELECT count(*) FROM pg_stat_activity WHERE datname = 'desks'") - 1
            time.sleep(1.5)  # the databases' counters come a second late
            counted = reports - before[0]
            took = (last - before[1]) / 1e6
            after = self._counters()
            idle = self._idle_counters(10)
            each = {name: (after[name] - before[2][name] - idle[name] * (took + 1.5)) / counted for name in after}
            return {
                "per_s": counted / took, "cpu_s": cpu / counted, "rss_mb": rss[-1] / 1024, "reports": counted, "seconds": took,
                "connections": connections, "per_report": each, "idle_per_s": idle,
            }  # fmt: skip

    def _process(self, stack: ExitStack, name: str, *command: str) -> Running:
        data = self.folder / f"{name}-{time.monotonic_ns()}"
        return stack.enter_context(running(*command, "--data", str(data), cwd=data, env=self.environment))

    @staticmethod
    def _idle(each: Running) -> bool:
        """Started and at rest: a log at ``warning`` says nothing of it."""
        begun = seconds(each.process.pid)
        time.sleep(0.5)
        return begun > 0.5 and seconds(each.process.pid) - begun < 0.1

    async def _submit(self, desks: Sequence[str], due: datetime) -> list[str]:
        from evertick.archive import open_archive
        from evertick.model import SystemClock

        async with open_archive(self.url, SystemClock()) as archive:
            return [(await archive.ledger.submit(desk, "report", {}, due)).id for desk in desks]

    def _done(self, ids: Sequence[str]) -> tuple[int, str | None, int]:
        query = (
            "SELECT count(*) FILTER (WHERE state = 'done'), max(error) FILTER (WHERE state = 'failed'), max(finished) "
            "FROM slots WHERE id = ANY(%s)"
        )
        return self._row(query, [list(ids)])  # type: ignore[return-value]

    def _counters(self) -> dict[str, float]:
        self._asked += 3
        xacts = (
            self._one("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'desks'") - self._asked
        )
        inserted, updated, deleted = self._row(
            "SELECT sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del) FROM pg_stat_user_tables"
        )
        wal = self._one("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        import redis

        self._asked += 1
        with contextlib.closing(redis.Redis(port=self.redis_port)) as client:
            stats: Mapping[str, Any] = client.info("stats")  # type: ignore[assignment]
        return {
            "transactions": xacts, "rows_inserted": float(inserted), "rows_updated": float(updated), "rows_deleted": float(deleted),
            "wal_bytes": float(wal), "redis_commands": stats["total_commands_processed"] - 1,
            "redis_bytes_out": stats["total_net_output_bytes"],
            "postgres_cpu_ms": 1000 * sum(seconds(pid) for pid in (self.postmaster, *children(self.postmaster))),
        }  # fmt: skip

    def _idle_counters(self, for_s: float) -> dict[str, float]:
        """What the same processes cost a second while nothing is to be done."""
        before = self._counters()
        time.sleep(for_s)
        after = self._counters()
        return {name: (after[name] - before[name]) / for_s for name in after}

    def stored(self) -> dict[str, float]:
        reports, size, stored, pieces = self._row(
            "SELECT count(*), avg(size), avg(stored), (SELECT count(*) FROM report_parts) FROM reports WHERE state = 'published'"
        )
        tables = {name: self._one(f"SELECT pg_total_relation_size('{name}')") / reports for name in BODY_TABLES}
        return {
            "reports": reports, "html_bytes": float(size), "stored_bytes": float(stored), "pieces": pieces / reports,
            **{f"{name}_bytes_a_report": value for name, value in tables.items()},
        }  # fmt: skip

    def _row(self, query: str, given: Any = None) -> tuple[Any, ...]:
        import psycopg

        if self._connection is None:
            self._connection = psycopg.connect(self.url, autocommit=True)
        return self._connection.execute(query, given).fetchone() or ()

    def _one(self, query: str) -> Any:
        return self._row(query)[0]


def idle(folder: Path, count: int, for_s: float) -> dict[str, float]:
    """A plain server on SQLite with ``count`` desks of which no report is due."""
    environment = {"EVERTICK_DESKS": str(desks_file(folder / "desks.d", count)), "EVERTICK_INDICES_EVERY": "12h",
                   "EVERTICK_LOG_LEVEL": "warning"}  # fmt: skip
    from evertick.sources.listing import sources

    environment |= {f"EVERTICK_SOURCES__{s.name.upper()}__ENABLED": "false" for s in sources()}
    with running("serve", "--port", "0", "--data", str(folder / "data"), cwd=folder, env=environment) as server:
        server.until(lambda: (folder / "data" / "server.json").exists(), "a start")
        began = time.monotonic()
        while time.monotonic() - began < 60:  # the schedules of a first start are written
            before = seconds(server.process.pid)
            time.sleep(3)
            if seconds(server.process.pid) - before < 0.1:
                break
        before, at = seconds(server.process.pid), time.monotonic()
        time.sleep(for_s)
        spent = seconds(server.process.pid) - before
        return {
            "cpu_ms_a_minute": spent * 60_000 / (time.monotonic() - at),
            "rss_kb": resident_kb(server.process.pid),
        }


def seconds(pid: int) -> float:
    """Processor time of a process, its own and the system's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--reports", type=int, default=240)
    options.add_argument("--idle", type=float, default=60, help="seconds")
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    found = measure(chosen.workers, chosen.reports, chosen.idle)
    for count, figures in found["workers"].items():
        print(
            f"{count:>2} workers  {figures['per_s']:6.2f} reports/s  {figures['cpu_s']:5.2f} s of processor a report  "
            f"{figures['rss_mb']:5.0f} MB the largest  {figures['connections']:3} connections  "
            f"({figures['per_s'] * 3600:,.0f} an hour)"
        )
    last = next(reversed(found["workers"].values()))
    for what, each in last["per_report"].items():
        print(f"{what:<20} {each:12,.1f} a report  {last['idle_per_s'][what]:10,.1f} a second at rest")
    for what, value in found["stored"].items():
        print(f"{what:<30} {value:12,.1f}")
    for count, figures in found["idle"].items():
        print(
            f"{count:>5} desks at rest  {figures['cpu_ms_a_minute']:8.0f} ms a minute  {figures['rss_kb'] / 1024:6.1f} MB"
        )
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
