"""A market of any size in an archive of its own, and one report of it: what benchmarks/reports.py measures.

The first 407 instruments are those of the built-in universe, with the walks of the tests; the others are copies of them under
other ids, so that a report of 40,000 has the same mix as one of 407. All with two years of daily bars.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from evertick import universe as universes
from evertick.archive import Archive, open_archive, packing
from evertick.archive.migrate import upgrade
from evertick.archive.tables import bars as bars_table
from evertick.memory.gauge import Allocator
from evertick.memory.release import release, settle
from evertick.model import Bars, Instrument, ReportMeta, Slot, SlotState, Snapshot
from evertick.reports.catalogue import Catalogue
from evertick.reports.render import Renderer
from evertick.reports.workflow import make_report
from evertick.universe import Universe
from unit.reports import samples

ZONE = "Asia/Ho_Chi_Minh"
ROWS_AT_ONCE = 1_000
WARM_UP = 1_100


class Clock:
    """The moment of the sample market; only durations pass."""

    def now(self) -> datetime:
        return samples.NOW

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def market(count: int) -> Universe:
    """The built-in universe, cut or lengthened to ``count`` by copies of its instruments."""
    known = tuple(universes.load())
    made = []
    for n in range(count):
        lap, place = divmod(n, len(known))
        one = known[place]
        made.append(replace(one, id=f"{one.id}.{lap}", name=f"{one.name} {lap}") if lap else one)
    return Universe.of(made)


def snapshot(instruments: Universe) -> Snapshot:
    """One quote each, as the board holds them."""
    known = {i.id: samples.quote(i) for i in universes.load()}
    quotes = tuple(
        replace(known[i.id.partition(".")[0]] if i.id not in known else known[i.id], id=i.id) for i in instruments
    )
    return Snapshot(samples.AS_OF, quotes, samples.SOURCES)


async def prepare(folder: Path, count: int) -> None:
    """Makes the database with the bars of `market`."""
    url = f"sqlite:///{folder / 'evertick.db'}"
    upgrade(url)
    packed: dict[str, list[tuple[int, bytes]]] = {}
    for instrument in universes.load():
        bars = samples.make_bars(instrument, samples.LONGEST)
        packed[instrument.id] = (
            [(year, packing.pack(part)) for year, part in packing.by_year(bars)] if len(bars) else []
        )
    rows: list[dict[str, Any]] = []
    async with open_archive(url, Clock()) as archive:

        async def write() -> None:
            async with archive.engine.begin() as connection:
                await connection.execute(bars_table.insert(), rows)
            rows.clear()

        for instrument in market(count):
            base = instrument.id if instrument.id in packed else instrument.id.partition(".")[0]
            for year, body in packed[base]:
                rows.append({"instrument": instrument.id, "year": year, "updated": samples.NOW, "body": body})
            if len(rows) >= ROWS_AT_ONCE:
                await write()
        if rows:
            await write()


async def report(
    archive: Archive,
    instruments: Universe,
    shot: Snapshot,
    renderers: Mapping[str, Renderer],
    nth: int,
    folder: Path | None = None,
) -> ReportMeta:
    """One report by the real workflow, under a lease of its own."""
    due = samples.NOW - timedelta(seconds=nth)
    slot = await leased(archive, due)
    since = (samples.NOW - timedelta(days=730)).date()

    stored = archive.bars.in_turn([i.id for i in instruments], since)

    async def bars(instrument: Instrument) -> Bars:
        return await stored.load(instrument.id)

    meta = await make_report(
        slot,
        snapshot=shot,
        bars=bars,
        store=archive.reports,
        renderers=renderers,
        universe=instruments.instruments,
        clock=Clock(),
        timezone=ZONE,
        intraday=archive.quotes.load,
        scratch=folder,
    )
    await archive.ledger.finish(slot, SlotState.DONE, samples.NOW)
    return meta


async def leased(archive: Archive, due: datetime) -> Slot:
    await archive.ledger.submit("default", "report", {}, due)
    slot = await archive.ledger.claim("bench", {("default", "report"): 9}, samples.NOW + timedelta(seconds=1), 86_400.0)
    assert slot is not None
    return slot


def status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise KeyError(name)


@dataclass
class Stalls:
    """How long the event loop was held between two of its turns: by the clock, and by the CPU time of its thread, which
    others on a busy machine do not lengthen."""

    longest: float = 0.0
    longest_cpu: float = 0.0
    over: list[float] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Stalls]:
        task = asyncio.ensure_future(self._look())
        try:
            yield self
        finally:
            task.cancel()

    async def _look(self) -> None:
        at, cpu = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0)
            now, busy = time.perf_counter(), time.thread_time()
            self.longest = max(self.longest, now - at)
            if busy - cpu > self.longest_cpu:
                self.longest_cpu = busy - cpu
            at, cpu = now, busy


async def made(folder: Path, count: int, runs: int, stalls: bool) -> dict[str, Any]:
    """What one process measures that makes ``runs`` reports of ``count`` instruments, after one of `WARM_UP` that warms it up."""
    instruments = market(count)
    shot = snapshot(instruments)
    few = Universe.of(instruments.instruments[:WARM_UP])
    renderers = {name: Renderer(name, Catalogue.load(name), ZONE) for name in ("vi", "en")}
    allocator = Allocator()
    allocator.steady()  # as every server does before it has threads
    samples._walk.cache_clear()
    samples._market.cache_clear()
    found: dict[str, Any] = {"instruments": count, "runs": []}
    async with open_archive(f"sqlite:///{folder / 'evertick.db'}", Clock()) as archive:
        await report(archive, few, Snapshot(shot.as_of, shot.quotes[:WARM_UP], shot.sources), renderers, 0)
        settle(allocator)
        for nth in range(1, runs + 1):
            release(allocator)
            steady = status("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")
            began, cpu, thread = time.perf_counter(), time.process_time(), time.thread_time()
            meta = await report(archive, instruments, shot, renderers, nth)
            seconds, cpu, thread = time.perf_counter() - began, time.process_time() - cpu, time.thread_time() - thread
            peak = status("VmHWM")
            release(allocator)
            html = [p for p in meta.parts if p.part.startswith("html")]
            found["runs"].append(
                {
                    "seconds": seconds,
                    "cpu": cpu,
                    "loop_cpu": thread,
                    "steady": steady,
                    "peak": peak - steady,
                    "kept": status("VmRSS") - steady,
                    "html": sum(p.size for p in html),
                    "stored": meta.stored,
                    "parts": {p.part: [p.size, p.stored, p.sha256] for p in (*meta.parts, meta.facts) if p},
                    "stages": dict(meta.stages_s),
                    "id": meta.id,
                }
            )
        if stalls:
            async with Stalls().watching() as seen:
                await report(archive, instruments, shot, renderers, runs + 1)
            found["stall"], found["stall_cpu"] = seen.longest, seen.longest_cpu
    return found


def main() -> None:
    """``market.py prepare FOLDER COUNT`` or ``market.py make FOLDER COUNT RUNS [stalls]``: the processes of benchmarks/reports.py."""
    import uvloop

    what, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if what == "prepare":
        uvloop.run(prepare(folder, count))
    else:
        sys.stdout.write(json.dumps(uvloop.run(made(folder, count, int(sys.argv[4]), "stalls" in sys.argv))))


if __name__ == "__main__":
    main()
