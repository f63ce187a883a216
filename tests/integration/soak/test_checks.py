"""The checks of a soak: silent over a sound archive, and each one speaks over one that was damaged on purpose."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evertick.archive import Archive, open_archive
from evertick.archive.migrate import upgrade
from evertick.jobs.schedule import parse
from evertick.model import PartMeta, ReportMeta, Slot, SlotState
from evertick.soak.checks import BOUNDS, LATE, Finding, examined, kept, run_to_end_again, tally
from evertick.soak.evidence import Evidence, Watcher, read

START = datetime(2026, 10, 24, 22, tzinfo=UTC)
NIGHT = timedelta(hours=6)
TIMES = "02:30,03:30,04:30"


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Lived:
    """An archive after a night in which summer time ended in Berlin, as a server leaves it."""

    url: str
    clock: Clock
    archive: Archive

    def found(self, *, put_back: int = 0, known: tuple[str, ...] = ()) -> dict[str, Finding]:
        return examined(self.read(), self.clock.time, put_back=put_back, known=known)

    def read(self) -> Evidence:
        return read(self.url)

    def damage(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as database, database:
            for statement in statements:
                assert database.execute(statement).rowcount > 0, statement

    async def until(self, until: datetime) -> None:
        """Plan and run what is due, three minutes after three minutes."""
        ledger = self.archive.ledger
        while self.clock.time < until:
            self.clock.time += timedelta(minutes=3)
            for job, spec, zone in (("refresh_indices", "every 3m", "UTC"), ("report", TIMES, "Europe/Berlin")):
                schedule = parse(spec, zone)
                await ledger.plan("default", job, str(schedule), schedule, self.clock.time, first_now=True)
                if (slot := await ledger.claim("w", {("default", job): 4}, self.clock.time, 30)) is not None:
                    if job == "report":
                        await self.report(slot)
                    await ledger.finish(slot, SlotState.DONE, self.clock.time)

    async def report(self, slot: Slot) -> None:
        store = self.archive.reports
        report = await store.draft(slot, ["en"], self.clock.time)
        style = (await store.asset("css", b"body{}" * 99)).part("css", "en")
        async with store.writer(report, slot.token, "html", language="en") as part:
            await part.write(slot.id.encode() * 20_000)
        await store.publish(slot, meta(report, slot, self.clock.time, (style, part.meta)))


def meta(id: str, slot: Slot, now: datetime, parts: tuple[PartMeta, ...]) -> ReportMeta:
    return ReportMeta(id, "default", slot.id, now, now, ("en",), parts, {"en": "All well"}, 1, 0.1, {})


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lived through once; every test damages a copy."""
    file = tmp_path_factory.mktemp("night") / "evertick.db"

    async def live() -> None:
        clock = Clock()
        async with open_archive(f"sqlite:///{file}", clock) as archive:
            await Lived(archive.url, clock, archive).until(START + NIGHT)

    upgrade(f"sqlite:///{file}")
    asyncio.run(live())
    return file


@pytest.fixture
async def lived(night: Path, tmp_path: Path) -> AsyncIterator[Lived]:
    url = f"sqlite:///{shutil.copy(night, tmp_path)}"
    clock = Clock()
    clock.time = START + NIGHT
    async with open_archive(url, clock) as archive:
        yield Lived(url, clock, archive)


async def test_a_sound_archive_has_nothing_to_say(lived: Lived) -> None:
    evidence = lived.read()
    assert len([row for row in evidence.slots if row.job == "refresh_indices"]) == 120
    assert len(evidence.reports) == 4  # at once, and 02:30 once in a night that has it twice
    found = lived.found()
    assert set(found) <= set(BOUNDS)
    assert {name: finding for name, finding in found.items() if finding is not True} == {}


async def test_downtime_is_no_loss_as_long_as_it_is_counted(lived: Lived) -> None:
    lived.clock.time += timedelta(hours=5)  # nobody ran: more slots than get rows of their own
    await lived.until(lived.clock.time + timedelta(hours=1))
    assert lived.found()["slots lost"] is True
    lived.damage("UPDATE slots SET coalesced = coalesced - 1 WHERE coalesced > 50")
    assert "refresh_indices has no slot for 2026-10-25 04:0" in str(lived.found()["slots lost"])


async def test_a_clock_that_was_put_back_is_no_loss_when_it_is_known(lived: Lived) -> None:
    lived.clock.time -= timedelta(hours=2, minutes=1)
    await lived.until(lived.clock.time + timedelta(hours=3))
    assert lived.found(put_back=1)["slots lost"] is True
    assert "refresh_indices has no slot" in str(lived.found()["slots lost"])


async def test_rows_of_due_times_that_a_jumping_clock_began_are_told_apart(lived: Lived) -> None:
    """A clock that ran three hours ahead, then right again, lived on until the two rows lie between each other."""
    right = lived.clock.time
    lived.clock.time += timedelta(hours=3)
    await lived.until(lived.clock.time + timedelta(minutes=15))
    lived.clock.time = right + timedelta(minutes=16, seconds=7)
    await lived.until(right + timedelta(hours=3))
    assert lived.found()["slots lost"] is True  # the first row goes on beyond now


SOME = "(SELECT id FROM slots WHERE job = 'refresh_indices' ORDER BY due LIMIT 1 OFFSET 40)"
NEWEST = "(SELECT id FROM reports ORDER BY id DESC LIMIT 1)"


@pytest.mark.parametrize(
    ("damage", "name", "says"),
    [
        (f"DELETE FROM slots WHERE id = {SOME}", "slots lost", "refresh_indices has no slot for 2026-10-25 00:0"),
        (f"UPDATE slots SET state = 'failed' WHERE id = {SOME}", "slots lost", "failed without a reason"),
        ("UPDATE schedules SET next_due = next_due - 600000000 WHERE job = 'refresh_indices'", "slots lost", "planned"),
        ("DELETE FROM schedules WHERE job = 'report'", "slots lost", "report has slots and no schedule"),
        (f"UPDATE slots SET state = 'leased', lease_until = 0 WHERE id = {SOME}", "slots stuck", "is still leased"),
        (f"UPDATE slots SET state = 'due' WHERE id = {SOME}", "slots stuck", "is still due since 2026-10-25 00:0"),
        (f"UPDATE reports SET slot = (SELECT min(slot) FROM reports) WHERE id = {NEWEST}", "slots run twice", "has 2 reports"),
        (f"UPDATE reports SET token = token + 1 WHERE id = {NEWEST}", "slots run twice", "token 2, which"),
        (f"DELETE FROM report_parts WHERE report = {NEWEST} AND seq = 0", "half reports visible", "html has 0 of"),
        ("DELETE FROM assets", "half reports visible", "css has 0 of"),
        (f"UPDATE report_parts SET seq = 7 WHERE report = {NEWEST}", "half reports visible", "with a gap"),
        (f"UPDATE reports SET meta = '{{}}' WHERE id = {NEWEST}", "half reports visible", "has no metadata"),
        (
            f"UPDATE report_parts SET body = CAST(substr(body, 1, 50) || 'x' || substr(body, 52) AS BLOB) WHERE report = {NEWEST}",
            "reports damaged",
            "html is not what was stored",
        ),
        ("UPDATE assets SET body = CAST(substr(body, 1, length(body) - 1) || 'x' AS BLOB)", "reports damaged", "css is not"),
        (f"DELETE FROM reports WHERE id = {NEWEST}", "reports gone", "gone: report 20261025T03"),
        (f"DELETE FROM reports WHERE id = {NEWEST}", "drafts left behind", "which is no report"),
        (f"UPDATE reports SET state = 'draft', created = 0 WHERE id = {NEWEST}", "drafts left behind", "left behind: draft 2026"),
    ],
)  # fmt: skip
async def test_each_check_speaks_over_its_damage(lived: Lived, damage: str, name: str, says: str) -> None:
    lived.damage(damage)
    assert says in str(lived.found()[name])
    assert tally([lived.found(), lived.found()])[name] == 2


async def test_a_report_that_was_seen_before_may_not_vanish_with_its_slot(lived: Lived) -> None:
    newest = max(report.id for report in lived.read().reports)
    assert lived.found(known=(newest,))["reports gone"] is True
    lived.damage(f"DELETE FROM reports WHERE id = '{newest}'", "DELETE FROM slots WHERE job = 'report'")
    assert newest in str(lived.found(known=(newest,))["reports gone"])


async def test_pruning_the_oldest_is_no_loss(lived: Lived) -> None:
    known = tuple(report.id for report in lived.read().reports)
    await lived.archive.reports.prune(2, START)
    assert len(lived.read().reports) == 2
    assert lived.found(known=known)["reports gone"] is True


async def test_a_file_that_is_broken_is_said_by_the_database_itself(lived: Lived) -> None:
    with closing(sqlite3.connect(lived.url.removeprefix("sqlite:///"))) as database, database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET rootpage = 3 WHERE name = 'ix_slots_due'")
    assert "the database reports damage" in str(lived.found()["databases damaged"])


async def test_sound_reports_are_not_read_again(lived: Lived) -> None:
    ids = {report.id for report in lived.read().reports}
    assert all(report.parts is None for report in read(lived.url, sound=ids).reports)
    lived.damage("UPDATE report_parts SET body = x'00'")
    assert examined(read(lived.url, sound=ids), lived.clock.time)["half reports visible"] is True


async def test_what_runs_and_waits_is_seen_from_outside(lived: Lived) -> None:
    ledger, now = lived.archive.ledger, lived.clock.time
    with Watcher(lived.url) as watcher:
        assert watcher.state_of("report") is None
        assert watcher.waiting(now) == []
        submitted = await ledger.submit("default", "report", {}, now)
        assert watcher.waiting(now) == [submitted.id]
        slot = await ledger.claim("w", {("default", "report"): 4}, now, 30)
        assert slot is not None
        assert watcher.state_of("report") == "leased"
        assert watcher.waiting(now) == [slot.id]
        report = await lived.archive.reports.draft(slot, ["en"], now)
        await lived.archive.reports.write(report, slot.token, "html", 0, b"some")
        assert watcher.state_of("report") == "draft"


async def test_a_run_that_was_done_again_is_counted_and_allowed(lived: Lived) -> None:
    evidence = lived.read()
    assert run_to_end_again(evidence) == 0
    again = Evidence(evidence.slots, evidence.schedules, evidence.reports, {}, ran_to_end={("report", "a"): 2})
    assert run_to_end_again(again) == 1


@dataclass
class Process:
    heap: int | None = 50 << 20
    fds: int | None = 20
    tasks: int = 12
    doing: Sequence[str] = ("runner", "scheduler")
    threads: int = 6
    connections: int | None = 3


@pytest.mark.parametrize(
    ("now", "name", "says"),
    [
        (Process(fds=60), "descriptors kept", "40 more descriptors"),
        (
            Process(tasks=13, doing=("runner", "runner", "scheduler")),
            "tasks kept",
            "1 more tasks than after the warm-up (12, now 13): runner",
        ),
        (Process(threads=20), "tasks kept", "14 more threads"),
        (Process(connections=30), "connections kept", "27 more connections"),
        (Process(heap=90 << 20), "memory kept", "more bytes of heap"),
    ],
)
def test_what_a_process_keeps_is_said(now: Process, name: str, says: str) -> None:
    found = kept(Process(), now)
    assert says in str(found.pop(name))
    assert set(found.values()) == {True}


def test_a_process_may_breathe_and_what_is_not_measured_is_no_finding() -> None:
    assert set(kept(Process(), Process(heap=51 << 20, fds=25)).values()) == {True}
    assert set(kept(Process(), Process(tasks=13, doing=("memory diagnosis", "runner", "scheduler"))).values()) == {True}
    assert set(kept(Process(), Process(heap=None, fds=None, connections=None)).values()) == {True}


def test_a_slot_may_wait_a_moment() -> None:
    assert timedelta(seconds=30) < LATE < timedelta(minutes=3)
