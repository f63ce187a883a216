"""Measures bodies in object storage against bodies in the database: memory, time, and what the client costs.

    .venv/bin/python benchmarks/bodies.py            one table
    .venv/bin/python benchmarks/bodies.py --quick    a part of 7 MB instead of 70

The store is moto's S3 server on loopback, in a process of its own (``make .venv/s3``); each way runs in a process of its own
too. Peak is the high-water mark of RSS (``VmHWM``) while the part is written or read, above what the process had before, when
it had already written and read a small one. Seconds are wall-clock on loopback: a store across a network adds its round trips.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from row import Row

MB = 1 << 20
PEER = Path(__file__).resolve().parent.parent / ".venv" / "s3" / "bin" / "python"


def rows(quick: bool) -> Iterator[Row]:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from servers import s3_server

    size = 7 if quick else 70
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name)) as server:
        endpoint = f"http://127.0.0.1:{server.port}"
        request = urllib.request.Request(f"{endpoint}/reports", method="PUT")
        urllib.request.urlopen(request, timeout=20).close()
        database = _child(sys.executable, "part", "", endpoint, size)
        bucket = _child(sys.executable, "part", "s3://reports/bench", endpoint, size)
        ours = _child(sys.executable, "obstore", "", endpoint, 0)
        theirs = _child(str(PEER), "boto3", "", endpoint, 0)
    stored = f"{size} MB of HTML, {bucket['stored'] / MB:.1f} MB as gzip"
    for what, note in (("write", "two chunks of 5 MiB in flight"), ("read", "ranges of 256 KiB")):
        yield Row(
            "bodies", f"peak RSS to {what} {stored}", bucket[f"{what}_peak"] / MB, database[f"{what}_peak"] / MB, "MB",
            "SQLite, rows of 64 KB", note=note,
        )  # fmt: skip
        yield Row(
            "bodies",
            f"time to {what} {stored}",
            bucket[f"{what}_s"],
            database[f"{what}_s"],
            "s",
            "SQLite, rows of 64 KB",
        )
    yield Row(
        "bodies", "private memory of the client, used once", ours["private"] / MB, theirs["private"] / MB, "MB",
        f"boto3 {theirs['version']}", 1.0, note="smaps_rollup, above the bare interpreter",
    )  # fmt: skip
    yield Row("bodies", "time to import and use it once", ours["seconds"], theirs["seconds"], "s", "boto3", 1.0)


def _child(python: str, *arguments: Any) -> dict[str, Any]:
    command = [python, __file__, "--child", *(str(a) for a in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- in a process of its own -----------------------------------------------------------------------------------------


def _private() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


@contextmanager
def _peak(found: dict[str, Any], name: str) -> Iterator[None]:
    def status(key: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))

    Path("/proc/self/clear_refs").write_text("5")
    before, started = status("VmRSS"), time.perf_counter()
    yield
    found[f"{name}_s"] = time.perf_counter() - started
    found[f"{name}_peak"] = max(0, status("VmHWM") - before)


def _html(size: int) -> Iterator[bytes]:
    """Rows of a table with numbers: about as compressible as a report."""
    made = number = 0
    while made < size:
        lines = []
        for _ in range(200):
            number += 1
            digits = blake2b(number.to_bytes(8, "big"), digest_size=6).hexdigest()
            lines.append(
                f'<tr class="row"><td class="name">Instrument {number:07}</td><td class="num">{digits}</td></tr>\n'
            )
        piece = "".join(lines).encode()
        made += len(piece)
        yield piece


async def _part(bodies: str, endpoint: str, size: int) -> dict[str, Any]:
    from pydantic import SecretStr
    from sqlalchemy import insert

    from evertick.archive import open_archive
    from evertick.archive.migrate import upgrade
    from evertick.archive.tables import slots
    from evertick.model import ReportMeta, Slot, SystemClock, slot_id
    from evertick.settings import ArchiveSettings

    secret = SecretStr("benchmark")
    settings = ArchiveSettings(
        bodies=bodies or None, endpoint=endpoint, region="us-east-1", access_key_id=secret, secret_access_key=secret
    )
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{name}/evertick.db"
        upgrade(url)
        async with open_archive(url, SystemClock(), settings=settings) as archive:

            async def make(day: int, length: int) -> ReportMeta:
                due = datetime(2026, 11, day, tzinfo=UTC)
                slot = Slot(slot_id("default", f"report{day}", due), "default", f"report{day}", due, token=1)
                async with archive.engine.begin() as connection:
                    row = {"id": slot.id, "desk": slot.desk, "job": slot.job, "due": due, "state": "leased"}
                    await connection.execute(insert(slots).values(**row, trigger="manual", params={}, token=1))
                id = await archive.reports.draft(slot, ("en",), due)
                async with archive.reports.writer(id, 1, "html") as part:
                    for piece in _html(length):
                        await part.write(piece)
                meta = ReportMeta(id, "default", slot.id, due, due, ("en",), (part.meta,), {}, 0, 0.0, {})
                await archive.reports.publish(slot, meta)
                return meta

            async def read(meta: ReportMeta) -> None:
                async for _ in archive.reports.part(meta.id, "html"):
                    pass

            await read(await make(1, MB))
            with _peak(found, "write"):
                meta = await make(2, size * MB)
            with _peak(found, "read"):
                await read(meta)
            found["stored"] = meta.stored
    return found


def _client(name: str, endpoint: str) -> dict[str, Any]:
    before, started = _private(), time.perf_counter()
    if name == "boto3":
        import boto3

        keys = {"aws_access_key_id": "benchmark", "aws_secret_access_key": "benchmark", "region_name": "us-east-1"}
        s3 = boto3.client("s3", endpoint_url=endpoint, **keys)
        s3.put_object(Bucket="reports", Key="peer", Body=b"x")
        s3.get_object(Bucket="reports", Key="peer")["Body"].read()
        version = boto3.__version__
    else:
        import obstore
        from obstore.store import S3Store

        keys = {"access_key_id": "benchmark", "secret_access_key": "benchmark", "region": "us-east-1"}
        store = S3Store("reports", config={"endpoint": endpoint, **keys}, client_options={"allow_http": True})
        obstore.put(store, "ours", b"x")
        obstore.get(store, "ours").bytes()
        version = obstore.__version__
    return {"private": _private() - before, "seconds": time.perf_counter() - started, "version": version}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--child", nargs=4, metavar=("KIND", "BODIES", "ENDPOINT", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, bodies, endpoint, size = arguments.child
        found = asyncio.run(_part(bodies, endpoint, int(size))) if kind == "part" else _client(kind, endpoint)
        print(json.dumps(found))
        return
    made = list(rows(arguments.quick))
    for row in made:
        print(f"{row.what:70} {row.ours:8.2f} {row.unit:2} against {row.theirs:8.2f} ({row.against}) {row.note}")
    if arguments.json:
        arguments.json.write_text(json.dumps([row.as_json() for row in made], indent=1))


if __name__ == "__main__":
    main()
