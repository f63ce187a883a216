"""Renewing leases on a blocking connection of its own, over both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from evertick.archive import database
from evertick.archive.ledger import Ledger
from evertick.archive.migrate import upgrade
from evertick.archive.renewals import Renewals
from evertick.errors import ArchiveLocked, ArchiveUnavailable
from evertick.model import Slot

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def renewals(ledger: Ledger) -> Iterator[Renewals]:
    renewals = ledger.renewals()
    yield renewals
    renewals.close()


async def claimed(ledger: Ledger, job: str, owner: str = "a", at: datetime = NOW) -> Slot:
    slot = await ledger.claim(owner, {("default", job): 3}, at, 30)
    assert slot is not None
    return slot


async def test_what_is_held_is_renewed_and_what_is_lost_is_named(ledger: Ledger, renewals: Renewals) -> None:
    for job in ("refresh", "report"):
        await ledger.submit("default", job, {}, NOW)
    kept, lost = await claimed(ledger, "refresh"), await claimed(ledger, "report")
    renewals.open()
    held = [(kept.id, kept.token), (lost.id, lost.token)]
    assert renewals.renew(held, NOW + 2 * MINUTE) == set()
    await claimed(ledger, "report", "b", NOW + 5 * MINUTE)
    assert renewals.renew(held, NOW + 7 * MINUTE) == {(lost.id, lost.token)}
    assert renewals.renew([], NOW) == set()
    assert (await ledger.get(kept.id)).lease_until == NOW + 7 * MINUTE
    assert await ledger.claim("b", {("default", "refresh"): 3}, NOW + 6 * MINUTE, 30) is None


async def test_a_slot_that_ended_is_held_no_longer(ledger: Ledger, renewals: Renewals) -> None:
    await ledger.submit("default", "refresh", {}, NOW)
    slot = await claimed(ledger, "refresh")
    await ledger.release(slot)
    assert renewals.renew([(slot.id, slot.token)], NOW + MINUTE) == {(slot.id, slot.token)}


async def test_a_cut_connection_is_made_anew(ledger: Ledger, renewals: Renewals) -> None:
    await ledger.submit("default", "refresh", {}, NOW)
    slot = await claimed(ledger, "refresh")
    renewals.open()
    assert renewals._connection is not None
    renewals._connection.connection.driver_connection.close()  # type: ignore[union-attr]
    assert renewals.renew([(slot.id, slot.token)], NOW + 2 * MINUTE) == set()
    assert (await ledger.get(slot.id)).lease_until == NOW + 2 * MINUTE


def test_a_locked_file_is_named_as_such_and_renewed_when_free(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    upgrade(sqlite_url)
    renewals = Renewals(sqlite_url)
    other = sqlite3.connect(database.sqlite_path(sqlite_url), isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ArchiveLocked):
            renewals.renew([("refresh.default.x", 1)], NOW)
        other.execute("ROLLBACK")
        assert renewals.renew([("refresh.default.x", 1)], NOW) == {("refresh.default.x", 1)}
    finally:
        other.close()
        renewals.close()


def test_a_server_that_is_not_there_is_an_error_of_ours_without_the_password() -> None:
    renewals = Renewals("postgresql://evertick:hunter22@127.0.0.1:1/none")
    with pytest.raises(ArchiveUnavailable) as raised:
        renewals.open()
    assert "hunter22" not in str(raised.value)
    renewals.close()
