from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.archive.tables import Instant, metadata

instant = Instant()


@given(st.datetimes(datetime(1900, 1, 1), datetime(9999, 1, 1)))
def test_a_microsecond_is_never_lost(at: datetime) -> None:
    aware = at.replace(tzinfo=UTC)
    stored = instant.process_bind_param(aware, None)  # type: ignore[arg-type]
    assert instant.process_result_value(stored, None) == aware  # type: ignore[arg-type]


def test_another_time_zone_is_the_same_instant() -> None:
    saigon = datetime(2026, 11, 23, 16, 30, tzinfo=timezone(timedelta(hours=7)))
    stored = instant.process_bind_param(saigon, None)  # type: ignore[arg-type]
    assert instant.process_result_value(stored, None) == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)  # type: ignore[arg-type]


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(TypeError):
        instant.process_bind_param(datetime(2026, 11, 23), None)  # type: ignore[arg-type]


def test_nothing_stays_nothing() -> None:
    assert instant.process_bind_param(None, None) is None  # type: ignore[arg-type]
    assert instant.process_result_value(None, None) is None  # type: ignore[arg-type]


def test_every_constraint_has_a_name_so_that_a_migration_can_drop_it() -> None:
    from sqlalchemy.schema import CreateTable

    for table in metadata.sorted_tables:
        text = str(CreateTable(table))
        assert text.count("CONSTRAINT") == text.count("PRIMARY KEY") + text.count("UNIQUE") + text.count("FOREIGN KEY")
