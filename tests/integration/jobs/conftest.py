"""One ledger over SQLite and one over PostgreSQL: every test of this folder that asks for `url` runs over both."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from evertick.archive import Archive, open_archive
from evertick.archive.ledger import Ledger
from evertick.archive.migrate import upgrade
from evertick.model import SystemClock


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_database")
    upgrade(found)
    return found


@pytest.fixture
async def archive(url: str) -> AsyncIterator[Archive]:
    async with open_archive(url, SystemClock()) as archive:
        yield archive
        assert archive.connections() == 0, "connections left checked out"


@pytest.fixture
def ledger(archive: Archive) -> Ledger:
    return archive.ledger
