"""Every migration, up and down, with rows in the tables, on both databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from evertick.archive.database import HEAD, WRITES, sync_engine
from evertick.archive.migrate import current, downgrade, upgrade
from evertick.archive.tables import metadata
from evertick.errors import ArchiveLocked, SchemaMismatch

ROWS: dict[str, dict[str, Any]] = {
    "slots": {
        "id": "report.default.20261123T093000.000000", "desk": "default", "job": "report", "due": 1_795_426_200_000_000,
        "state": "leased", "trigger": "schedule", "params": '{"a": 1}', "attempts": 1, "token": 3, "owner": "host:1",
        "coalesced": 2, "progress": None, "result": None, "error": "máy chủ bận",
    },
    "schedules": {"desk": "default", "job": "report", "spec": "3h..6h", "anchor": 1, "next_due": 2},
    "reports": {
        "id": "20261123T093000-1bdac559", "desk": "default", "slot": "report.default.20261123T093000.000000", "token": 3,
        "state": "published", "created": 1, "published": 2, "size": 3_000_000_000, "stored": 5, "meta": '{"vi": "Yên"}',
    },
    "body_places": {"base": "s3://bucket", "location": "s3://bucket/5f0c", "since": 1_795_426_200_000_000},
    "report_parts": {"report": "20261123T093000-1bdac559", "token": 3, "part": "html", "seq": 0, "body": b"\x1f\x8b\x00"},
    "assets": {"hash": "a" * 64, "kind": "css", "size": 10, "created": 1, "body": b"\x00\xff"},
    "bars": {"instrument": "SPX", "year": 2026, "updated": 1, "body": b"B1"},
    "bar_series": {"instrument": "SPX", "source": "yahoo", "since": 739_500, "checked": 1},
    "quote_log": {"at": 1_795_426_200_000_000, "body": b"R1"},
    "quotes": {"day": 739_943, "instrument": "SPX", "body": b"Q1"},
    "source_usage": {"source": "twelvedata", "day": 739_943, "requests": 799},
    "receipts": {
        "job": "report", "component": "save", "started": 1, "duration_s": 0.5, "outcome": "ok", "blocks_before": 1,
        "blocks_after": 2, "tasks_delta": 0, "overlapped": False, "release_s": 0.1, "pid": 7,
        "heap_before": 8_000_000_000,
    },
    "memory_samples": {
        "step_s": 10, "at": 1, "process": "host/7/1", "rss": 8_000_000_000, "blocks": 1, "threads": 1, "tasks": 1,
        "budget": 268_435_456,
    },
    "web_receipts": {
        "minute": 1, "process": "host/7/1", "route": "/", "requests": 1, "failed": 0, "cancelled": 0, "duration_s": 0.1,
        "longest_s": 0.1, "alone": 1, "retained": -8_000_000_000, "open": 0, "tasks": 1,
    },
    "diagnoses": {"at": 1, "process": "host/7/1", "body": "{}"},
}  # fmt: skip
"""One row of every table, as of the newest schema: a migration that changes a table changes it here too."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_database")
    return found


FIRST = ("slots", "schedules", "reports", "report_parts", "assets", "bars", "receipts")
"""The tables of revision 0001."""


def fill(url: str, *names: str) -> None:
    with sync_engine(url).connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        for name in names or ROWS:
            row = ROWS[name]
            columns = ", ".join(row)
            marks = ", ".join(f":{column}" for column in row)
            connection.execute(text(f"INSERT INTO {name} ({columns}) VALUES ({marks})"), row)


def ask(url: str, question: Any) -> Any:
    with sync_engine(url).connect() as connection:
        return question(connection)


def tables(url: str) -> set[str]:
    found: set[str] = ask(url, lambda connection: set(inspect(connection).get_table_names()))
    return found


def test_up_makes_every_table_and_says_where_it_is(url: str) -> None:
    assert current(url) is None
    assert upgrade(url) == HEAD
    assert current(url) == HEAD
    assert tables(url) == {*metadata.tables, "alembic_version"}


def test_the_migrations_end_where_the_tables_are(url: str) -> None:
    """Whoever changes tables.py without a migration, or the other way round, hears of it here."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    upgrade(url)

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    assert ask(url, differences) == []


def test_constraints_and_indexes_are_the_tables_too(url: str) -> None:
    """What Alembic does not compare: primary keys, and the condition of the index that keeps jobs from overlapping."""
    upgrade(url)

    def found(connection: Connection) -> dict[str, Any]:
        inspector = inspect(connection)
        return {
            name: (
                inspector.get_pk_constraint(name)["constrained_columns"],
                inspector.get_pk_constraint(name)["name"],
                {u["name"] for u in inspector.get_unique_constraints(name)},
                {f["name"] for f in inspector.get_foreign_keys(name)},
            )
            for name in metadata.tables
        }

    shapes = ask(url, found)
    for name, table in metadata.tables.items():
        key, key_name, uniques, foreign = shapes[name]
        assert key == [column.name for column in table.primary_key.columns]
        assert key_name == table.primary_key.name
        assert uniques == {c.name for c in table.constraints if type(c).__name__ == "UniqueConstraint"}
        assert foreign == {c.name for c in table.constraints if type(c).__name__ == "ForeignKeyConstraint"}
    fill(url)
    with pytest.raises(Exception, match=r"(?i)unique"):
        _lease_again(url)


def _lease_again(url: str) -> None:
    row = ROWS["slots"] | {"id": "other", "due": 9}
    with sync_engine(url).connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        marks = ", ".join(f":{column}" for column in row)
        connection.execute(text(f"INSERT INTO slots ({', '.join(row)}) VALUES ({marks})"), row)


def test_up_again_changes_nothing(url: str) -> None:
    upgrade(url)
    fill(url)
    assert upgrade(url) == HEAD
    assert ask(url, lambda c: c.scalar(text("SELECT error FROM slots"))) == "máy chủ bận"


def test_there_is_a_row_for_every_table() -> None:
    assert set(ROWS) == set(metadata.tables)


def test_down_and_up_with_rows_in_every_table(url: str) -> None:
    upgrade(url)
    fill(url)
    assert downgrade(url, "base") is None
    assert current(url) is None
    assert tables(url) <= {"alembic_version"}
    assert upgrade(url) == HEAD
    fill(url)
    assert ask(url, lambda c: c.scalar(text("SELECT size FROM reports"))) == 3_000_000_000


def test_one_revision_at_a_time_with_rows(url: str) -> None:
    """Each migration's way down leaves what its way up needs."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from evertick.archive import migrations

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    upgrade(url)
    fill(url)
    for revision in [*revisions[1:], "base"]:
        downgrade(url, revision)
        assert current(url) == (None if revision == "base" else revision)
    for revision in reversed(revisions):
        assert upgrade(url, revision) == revision


def test_history_keeps_every_row_of_the_first_tables(url: str) -> None:
    """0002, both ways: a server that was upgraded has what it had, and knows when its bars were last looked at."""

    def held(connection: Connection) -> dict[str, list[Any]]:
        return {name: [tuple(row) for row in connection.execute(text(f"SELECT * FROM {name}"))] for name in FIRST}

    upgrade(url, "0001")
    fill(url, *FIRST)
    before = ask(url, held)
    assert all(len(rows) == 1 for rows in before.values())
    assert upgrade(url, "0002") == "0002"
    assert ask(url, held) == before
    series = ask(url, lambda c: c.execute(text("SELECT instrument, source, since, checked FROM bar_series")).all())
    assert [tuple(row) for row in series] == [("SPX", None, None, 1)]
    downgrade(url, "0001")
    assert ask(url, held) == before
    assert tables(url) == {*FIRST, "alembic_version"}


def test_a_newer_schema_is_not_touched(url: str) -> None:
    upgrade(url)
    with sync_engine(url).connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="newer"):
        upgrade(url)
    with pytest.raises(SchemaMismatch):
        downgrade(url, "base")
    assert tables(url) == {*metadata.tables, "alembic_version"}


def test_an_unknown_revision_is_one_clear_error(url: str) -> None:
    upgrade(url)
    with pytest.raises(SchemaMismatch, match="0815"):
        upgrade(url, "0815")


def test_several_processes_may_upgrade_at_once(url: str) -> None:
    code = "import sys; from evertick.archive.migrate import upgrade; print(upgrade(sys.argv[1]))"
    running = [
        subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in running:
        said, complained = process.communicate(timeout=60)
        assert (process.returncode, said.strip()) == (0, HEAD), complained
    assert tables(url) == {*metadata.tables, "alembic_version"}


def test_a_failing_migration_leaves_nothing_half_made(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.operations import Operations

    make = Operations.create_table

    def fail_late(self: Any, name: str, *args: Any, **options: Any) -> Any:
        if name == "receipts":
            raise RuntimeError("power cut")
        return make(self, name, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_table", fail_late)
        with pytest.raises(RuntimeError, match="power cut"):
            upgrade(url)
    assert tables(url) == set()
    assert upgrade(url) == HEAD


def test_the_folder_of_a_sqlite_database_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'folder' / 'evertick.db'}"
    assert upgrade(url) == HEAD


def test_a_percent_in_the_path_is_no_interpolation(tmp_path: Path) -> None:
    assert upgrade(f"sqlite:///{tmp_path / '100%' / 'evertick.db'}") == HEAD


def test_a_new_sqlite_database_gives_space_back_and_lets_readers_read(sqlite_url: str) -> None:
    upgrade(sqlite_url)
    assert ask(sqlite_url, lambda c: c.exec_driver_sql("PRAGMA auto_vacuum").scalar()) == 2
    assert ask(sqlite_url, lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"


def test_a_locked_database_is_said_not_waited_for_ever(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3
    from contextlib import closing

    monkeypatch.setattr("evertick.archive.database.BUSY_TIMEOUT_S", 0.2)
    upgrade(sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ArchiveLocked):
            upgrade(sqlite_url)
