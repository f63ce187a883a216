"""The decisions about leases that need no database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from evertick.errors import (
    ArchiveUnavailable,
    AssetsMissing,
    Fenced,
    JobRefused,
    JobTimedOut,
    ReportRejected,
    SettingsError,
    SourceUnavailable,
)
from evertick.jobs.slots import ERROR_LIMIT, RESULT_LIMIT, accepted, backoff, bounded, plain, retries
from evertick.model import Slot, slot_id

DUE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def slot(attempts: int, n: int = 0) -> Slot:
    due = DUE.replace(microsecond=n)
    return Slot(slot_id("default", "report", due), "default", "report", due, attempts=attempts)


def test_the_wait_doubles_is_capped_and_spread() -> None:
    for attempts, whole in [(1, 5), (2, 10), (3, 20), (4, 40), (8, 600), (1000, 600)]:
        waits = [backoff(slot(attempts, n)).total_seconds() for n in range(200)]
        assert all(whole / 2 <= wait <= whole for wait in waits)
        assert max(waits) - min(waits) > whole / 4
    assert backoff(slot(3)) == backoff(slot(3))
    assert backoff(slot(1), base_s=1).total_seconds() <= 1


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (SourceUnavailable("yahoo", "/x", "no answer"), True),
        (ArchiveUnavailable("away"), True),
        (ReportRejected(["stale"]), True),
        (JobTimedOut("long"), True),
        (ValueError("a mistake"), True),
        (SettingsError("wrong"), False),
        (AssetsMissing("not built"), False),
        (Fenced("gone"), False),
    ],
)
def test_what_a_repetition_may_mend_is_repeated(error: Exception, again: bool) -> None:
    assert retries(slot(1), 4, error) is again
    assert retries(slot(4), 4, error) is False


def test_an_error_is_one_short_line_without_secrets() -> None:
    assert plain(SettingsError("wrong\n  here.", hint="do this")) == "wrong here. do this"
    assert plain(ValueError("x")) == "ValueError: x"
    assert plain(ValueError()) == "ValueError"
    assert len(plain(ValueError("y" * 5000))) == ERROR_LIMIT
    for secret in (
        "GET /q?apikey=hunter22&a=1",
        "x-cg-demo-api-key: hunter22",
        "token=hunter22",
        "Authorization: hunter22",
        "authorization: Bearer hunter22",
        "postgresql://me:hunter22@host/db",
        "{'api_key': 'hunter22'}",
    ):
        assert "hunter22" not in plain(ValueError(secret))
    assert "a=1" in plain(ValueError("GET /q?apikey=hunter22&a=1"))


def test_an_error_holds_nothing_a_database_cannot_keep() -> None:
    assert plain(ValueError("a\0b\ud800c")) == "ValueError: ab?c"


def test_a_result_is_kept_if_it_is_small_and_json() -> None:
    assert bounded(None) is None
    assert bounded({"a": [1, 2]}) == {"a": [1, 2]}
    assert "bytes" in bounded({"a": "x" * RESULT_LIMIT})["unkept"]  # type: ignore[index]
    assert "JSON" in bounded({"a": object()})["unkept"]  # type: ignore[index]
    assert "JSON" in bounded({"a": float("nan")})["unkept"]  # type: ignore[index]


def test_parameters_that_cannot_be_kept_are_refused() -> None:
    assert accepted(None) == {}
    assert accepted({"languages": ["vi"]}) == {"languages": ["vi"]}
    with pytest.raises(JobRefused, match="bytes"):
        accepted({"a": "x" * RESULT_LIMIT})
    with pytest.raises(JobRefused, match="JSON"):
        accepted({"a": DUE})
