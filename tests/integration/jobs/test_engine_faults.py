"""A deployment loses its database, its network, its clocks: afterwards nothing is lost and nothing was done twice.

Each says how long it took to recover; ``-s`` shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from evertick.archive import Archive, open_archive
from evertick.archive.migrate import upgrade
from evertick.errors import ArchiveError
from evertick.model import Slot, SlotState, SystemClock
from evertick.soak.proxy import Proxy
from integration.jobs.crew import Crew, Worker, effects, finished, make_effects, submit
from servers import Server, find, postgres_server

SCRIPT = Path(__file__).with_name("engine_worker.py")
LEASE_S = 6.0
LOAD = {"every": "1s", "jobs": 3, "seconds": 0.3, "lease_s": LEASE_S, "grace_s": 5.0}
"""Four jobs a second, of which some run at any moment."""

pytestmark = pytest.mark.long


@pytest.fixture
def postgres() -> Iterator[Server]:
    """One of our own, that may be killed."""
    with tempfile.TemporaryDirectory(prefix="evertick-postgres-") as folder, postgres_server(Path(folder)) as server:
        yield server


@pytest.fixture
def url(postgres: Server) -> str:
    with psycopg.connect(address(postgres.port, "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE evertick")
    upgrade(address(postgres.port))
    return address(postgres.port)


def address(port: int, name: str = "evertick", host: str = "127.0.0.1") -> str:
    return f"postgresql://evertick@{host}:{port}/{name}"


@pytest.fixture
async def archive(url: str) -> AsyncIterator[Archive]:
    async with open_archive(url, SystemClock()) as archive:
        await make_effects(archive)
        yield archive


class Deployment(Crew):
    async def begin(
        self, schedulers: int = 2, workers: int = 2, url: str | None = None, **more: Any
    ) -> tuple[list[Worker], list[Worker]]:
        given = {
            role: [
                await self.launch(json.dumps({**LOAD, "roles": [role], **more}), url=url)
                for _ in range(schedulers if role == "schedule" else workers)
            ]
            for role in ("schedule", "work")
        }
        return given["schedule"], given["work"]

    async def until_published(self, more: int) -> None:
        """Until so many more runs than now have published."""

        def published() -> int:
            return sum(said["how"] == "published" for w in self.workers for said in w.events("ended"))

        aim = published() + more
        async with asyncio.timeout(120):
            while published() < aim:
                assert all(w.process.returncode is None for w in self.workers)
                await asyncio.sleep(0.05)

    async def recovered(self, since: float, what: str) -> float:
        await self.until_published(1)
        took = time.monotonic() - since
        print(f"\n{what}: the first job was done {took:.1f} s later")
        return took


@pytest.fixture
async def crew(url: str, archive: Archive) -> AsyncIterator[Deployment]:
    crew = Deployment(url, SCRIPT)
    yield crew
    await crew.disband()


async def all_slots(archive: Archive) -> list[Slot]:
    found, cursor = [], None
    while True:
        page = await archive.ledger.list(500, cursor)
        found += page.items
        if page.next is None:
            return found
        cursor = page.next


async def assert_whole(archive: Archive, crew: Deployment, schedulers: list[Worker], manual: list[Slot]) -> None:
    """Every due time has its slot, every slot has ended, what a person asked for is done, and no run published twice."""
    for scheduler in schedulers[1:]:
        scheduler.process.terminate()
        assert await scheduler.ended() == 0
    for slot in manual:
        assert (await finished(archive, slot)).state == SlotState.DONE
    async with asyncio.timeout(60):
        while len([s for s in await all_slots(archive) if s.state in (SlotState.DUE, SlotState.LEASED)]) > 4:
            await asyncio.sleep(0.1)  # the last scheduler goes on: one slot of each job may be under way
    slots = await all_slots(archive)
    by_job: dict[str, list[Slot]] = defaultdict(list)
    for slot in slots:
        if slot.trigger == "schedule":
            by_job[slot.job].append(slot)
    assert len(by_job) == 4
    for job, owned in by_job.items():
        owned.sort(key=lambda slot: slot.due)
        steps = [round((b.due - a.due).total_seconds(), 3) for a, b in pairwise(owned)]
        assert min(steps) == 1.0, f"{job}: a due time is twice"
        # Of a long downtime the newest 50 get rows, and all are counted in the one that runs.
        assert sum(step - 1 for step in steps) <= max(s.coalesced for s in owned), f"{job}: a due time is missing"
        # A failed attempt that waits gives way to the next slot, which does its work.
        failed = [slot for slot in owned if slot.state == SlotState.FAILED]
        done = [slot.due for slot in owned if slot.state == SlotState.DONE]
        assert all(slot.attempts and slot.due < done[-1] for slot in failed)
    published: dict[str, int] = defaultdict(int)
    for worker in crew.workers:
        for said in worker.events("ended"):
            published[said["slot"]] += said["how"] == "published"
    assert max(published.values()) == 1, "a run was published, and then its slot was run again"
    recorded = {slot for slot, _, _ in await effects(archive)}
    assert {slot.id for slot in slots if slot.state == SlotState.DONE} <= recorded


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_postgres_is_killed_or_restarted_under_load(
    postgres: Server, archive: Archive, crew: Deployment, how: str
) -> None:
    schedulers, _ = await crew.begin()
    manual = [await submit(archive, seconds=0.2) for _ in range(6)]
    await crew.until_published(8)
    getattr(postgres, how)()
    await asyncio.sleep(1)
    postgres.start()
    took = await crew.recovered(time.monotonic(), f"PostgreSQL after {how}")
    assert took < 30
    await crew.until_published(12)
    await assert_whole(archive, crew, schedulers, manual)


async def test_postgres_is_away_for_a_minute(postgres: Server, archive: Archive, crew: Deployment) -> None:
    """Ten leases long: those who work renew before anybody takes over."""
    schedulers, _ = await crew.begin()
    manual = [await submit(archive, seconds=2) for _ in range(4)]
    await crew.until_published(8)
    postgres.kill()
    await asyncio.sleep(60)
    postgres.start()
    took = await crew.recovered(time.monotonic(), "PostgreSQL away for 60 s")
    assert took < 30
    await crew.until_published(12)
    await assert_whole(archive, crew, schedulers, manual)
    assert any(slot.coalesced >= 50 for slot in await all_slots(archive)), "what came due meanwhile is counted"


async def test_the_network_to_postgres_swallows_everything_for_a_minute(
    postgres: Server, archive: Archive, crew: Deployment
) -> None:
    """Connections stay open and nothing comes through: no error tells anybody, only time."""
    async with Proxy(postgres.port) as proxy:
        schedulers, _ = await crew.begin(url=address(proxy.port))
        manual = [await submit(archive, seconds=2) for _ in range(4)]
        await crew.until_published(8)
        proxy.stall()
        await asyncio.sleep(60)
        proxy.heal()
        took = await crew.recovered(time.monotonic(), "network stalled for 60 s")
        assert took < 45
        await crew.until_published(12)
        await assert_whole(archive, crew, schedulers, manual)
        await crew.disband()


# --- clocks ----------------------------------------------------------------------------------------------------------


async def test_the_clocks_of_two_hosts_differ_by_90_seconds(archive: Archive, crew: Deployment) -> None:
    """Several leases apart: nobody believes another's lease to be over, and no due time comes early, late or twice."""
    schedulers, workers = [], []
    for off in (-45, 45):
        one, other = await crew.begin(1, 1, clock_off=off)
        schedulers += one
        workers += other
    long = await submit(archive, seconds=3 * LEASE_S)
    await crew.until_published(40)
    assert (await finished(archive, long)).attempts == 1, "a healthy long job was run twice"
    assert all(worker.events("ended") for worker in workers), "one of the hosts did no work"
    now = SystemClock().now()
    assert max(s.due for s in await all_slots(archive)) <= now
    killed = await submit(archive, first=600)
    async with asyncio.timeout(60):
        while not (holder := [w for w in workers if any(e["slot"] == killed.id for e in w.events("started"))]):
            await asyncio.sleep(0.05)
    began = time.monotonic()
    holder[0].process.kill()
    done = await finished(archive, killed)
    print(f"\nclocks 90 s apart: taken over {time.monotonic() - began:.1f} s after kill -9")
    assert (done.state, done.attempts) == (SlotState.DONE, 2)
    await assert_whole(archive, crew, schedulers, [long])


# --- a machine whose network is cut ----------------------------------------------------------------------------------


class Host:
    """A network namespace, joined to this machine by a cable that can be pulled."""

    def __init__(self, number: int) -> None:
        self.name = f"evertick-{os.getpid()}-{number}"
        self.cable = f"evt{os.getpid() % 10_000}x{number}"
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"

    def ip(self, *arguments: str) -> None:
        subprocess.run([find("ip", also="/usr/sbin/ip"), *arguments], check=True, capture_output=True)

    def make(self) -> None:
        self.ip("netns", "add", self.name)
        self.ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        self.ip("addr", "add", f"{self.here}/24", "dev", self.cable)
        self.ip("link", "set", self.cable, "up")
        for command in (
            ("addr", "add", f"{self.there}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            self.ip("-n", self.name, *command)

    def cut(self) -> None:
        self.ip("link", "set", self.cable, "down")

    def join(self) -> None:
        self.ip("link", "set", self.cable, "up")

    def remove(self) -> None:
        for command in (("link", "del", self.cable), ("netns", "del", self.name)):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.ip(*command)


@pytest.fixture
def host() -> Iterator[Host]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    host = Host(7)
    try:
        host.make()
        yield host
    finally:
        host.remove()


@contextlib.asynccontextmanager
async def relay(host: str, port: int) -> AsyncIterator[int]:
    """What the database listens on towards a host: its connections stay open while the cable is out."""
    open_: set[asyncio.StreamWriter] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        open_.update((writer, back))
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(join, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_:
            writer.transport.abort()
        await asyncio.sleep(0.1)


async def test_a_worker_is_cut_off_from_the_database(
    postgres: Server, archive: Archive, crew: Deployment, host: Host
) -> None:
    """It works on without knowing; another takes over; when the cable is back it is fenced, and takes new work."""
    async with relay(host.here, postgres.port) as port:
        await crew.launch(json.dumps({"roles": ["schedule"], "lease_s": LEASE_S}))
        options = json.dumps({"roles": ["work"], "lease_s": LEASE_S})
        far = await crew.launch(options, url=address(port, host=host.here), within=("ip", "netns", "exec", host.name))
        slot = await submit(archive, first=60)
        await far.until(lambda w: w.events("started"))
        near = await crew.launch(options)
        host.cut()
        began = time.monotonic()
        done = await finished(archive, slot)
        print(f"\nnetwork cut: taken over and done {time.monotonic() - began:.1f} s later")
        assert (done.state, done.attempts, done.result) == (SlotState.DONE, 2, {"by": "w2"})
        assert time.monotonic() - began < 30
        await asyncio.sleep(25)  # beyond what TCP is given to notice
        host.join()
        began = time.monotonic()
        await far.until(lambda w: w.events("ended"))
        assert far.events("ended")[0]["how"] == "CancelledError"
        print(f"network back: the old run was fenced {time.monotonic() - began:.1f} s later")
        assert await effects(archive) == [(slot.id, 2, "w2")]
        near.process.terminate()
        assert await near.ended() == 0
        later = await submit(archive)
        assert (await finished(archive, later)).result == {"by": "w1"}, "it did not come back to work"
        await crew.disband()


async def test_a_ledger_that_cannot_be_read_is_no_reason_to_end(
    postgres: Server, archive: Archive, crew: Deployment
) -> None:
    """Nobody's process ends while the database is away, idle or not."""
    schedulers, workers = await crew.begin(1, 1)
    await crew.until_published(2)
    postgres.kill()
    await asyncio.sleep(8)
    assert all(w.process.returncode is None for w in (*schedulers, *workers))
    with pytest.raises(ArchiveError):
        await archive.ledger.list()
    postgres.start()
    await crew.until_published(4)
