"""Slots and their leases: what the runner and the scheduler need of the ledger, and the decisions that need no database.

::

    due ──claim──▶ leased ──finish──▶ done | failed
     ▲                │
     ├── retry ───────┤  (a failed attempt, not before a while)
     └── release ─────┘  (handed back on shutdown; the attempt does not count)

    leased, lease over ──claim by another──▶ leased, token + 1   (takeover)
    due, but a newer slot of the schedule came ──▶ missed         (counted in the newer one)

Every lease raises the slot's token. Whatever a worker writes about its slot names the token, so a worker that slept
through its lease writes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Protocol

from evertick.errors import AssetsMissing, EvertickError, Fenced, JobRefused, SettingsError
from evertick.jobs.schedule import Schedule
from evertick.model import Page, Slot, SlotState

TERMINAL = frozenset({SlotState.DONE, SlotState.FAILED, SlotState.MISSED})
RESULT_LIMIT = 4096
"""Bytes of JSON that a run may leave in its slot, and that parameters may have."""
ERROR_LIMIT = 500

Held = tuple[str, int]
"""The id of a slot and the token under which it is held."""
Job = tuple[str, str]
"""Desk and job."""


class Renewals(Protocol):
    """The heartbeat's side of the ledger: called from its thread, on a connection of its own."""

    def open(self) -> None:
        """Connect now. Otherwise the first renewal does."""

    def renew(self, held: Collection[Held], until: datetime) -> set[Held]:
        """Move the end of these leases; returns those that are held no longer."""

    def close(self) -> None: ...


class Ledger(Protocol):
    """Where slots live. Each call is one short transaction, safe from any number of processes at once."""

    async def plan(
        self, desk: str, job: str, spec: str, schedule: Schedule, now: datetime, *, first_now: bool = False
    ) -> Sequence[Slot]:
        """Write what the schedule owes at ``now``; returns the slots this call made. Repeating it changes nothing."""

    async def submit(
        self, desk: str, job: str, params: Mapping[str, Any], now: datetime, trigger: str = "manual"
    ) -> Slot:
        """A slot that is due now. Raises `JobRefused` where too many of the job wait already."""

    async def claim(self, owner: str, jobs: Mapping[Job, int], now: datetime, lease_s: float) -> Slot | None:
        """The oldest slot of ``jobs`` that is due and free, or whose lease of another owner ran out; now leased.

        ``jobs`` maps to how many attempts each may have: a slot that had them all becomes failed instead. The same mapping
        handed in again and again costs no more than a small one; it must not be changed meanwhile.
        """

    async def progress(self, slot: Slot, progress: Mapping[str, Any]) -> None:
        """Raises `Fenced`, as do the next two, when the slot is no longer held under this token."""

    async def finish(
        self,
        slot: Slot,
        state: SlotState,
        now: datetime,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
        retry_at: datetime | None = None,
    ) -> Slot: ...

    async def release(self, slot: Slot) -> Slot: ...

    async def disown(self, owner: str, held: Sequence[str]) -> int:
        """Hand back what ``owner`` has leased beside ``held``: a claim whose answer never came."""

    async def reclaim(self, now: datetime) -> int:
        """Free every lease. Only for the one owner of a data folder, at its start: nobody else can be alive."""

    async def get(self, slot: str) -> Slot:
        """Raises `NotFound`."""

    async def list(
        self, limit: int = 20, cursor: str | None = None, job: str | None = None, state: SlotState | None = None
    ) -> Page[Slot]: ...

    async def outlook(self, now: datetime) -> tuple[Sequence[Job], datetime | None]:
        """The schedules that are due at ``now``, and when the next of the others is: cheap, however many there are."""

    async def standing(self) -> Mapping[Job, tuple[str, datetime, datetime]]:
        """Every schedule with its ``(spec, anchor, next_due)``."""

    async def next_due(self) -> Sequence[tuple[str, str, str, datetime]]:
        """``(desk, job, spec, next_due)`` of every schedule."""

    async def keep_schedules(self, jobs: Collection[Job]) -> int:
        """Forget the schedules of all other jobs: they were taken out of the settings."""

    async def prune(self, older_than: datetime) -> int: ...

    def renewals(self) -> Renewals: ...


# --- decisions -------------------------------------------------------------------------------------------------------


def backoff(slot: Slot, *, base_s: float = 5.0, most_s: float = 600.0) -> timedelta:
    """How long after its ``attempts``-th failure a slot waits: doubling, between half and all of it by a hash of the slot.

    5 s, 10 s, 20 s … 10 min at most. The hash spreads slots that failed together; it is no chance, so a test can name it.
    """
    whole = min(most_s, base_s * 2 ** min(max(slot.attempts - 1, 0), 30))
    share = int.from_bytes(blake2b(f"{slot.id}|{slot.attempts}".encode(), digest_size=4).digest()) / 0xFFFFFFFF
    return timedelta(seconds=whole * (0.5 + 0.5 * share))


def retries(slot: Slot, attempts: int, error: BaseException) -> bool:
    """Whether a failed attempt is worth another.

    Not where only a person can help, not where another worker has done it (`Fenced`), nor beyond the allowed number.
    """
    return slot.attempts < attempts and not isinstance(error, SettingsError | AssetsMissing | Fenced)


_SECRETS = (
    (re.compile(r"(?i)((?:api[_-]?key|access[_-]?key|token|secret|passw(?:or)?d|authorization|cg_\w*key)\W{1,5}(?:(?:bearer|basic)\s+)?)[^\s&,;\"']+"), r"\1…"),
    (re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@"), r"\1:…@"),
)  # fmt: skip


def plain(error: BaseException) -> str:
    """An error as one short line for the slot: its message if it is ours, else with its type; never a secret."""
    text = str(error) if isinstance(error, EvertickError) else f"{type(error).__name__}: {error}".rstrip(": ")
    # What a database cannot keep must not stop a failure from being written.
    text = " ".join(text.replace("\0", "").encode("utf-8", "replace").decode().split())
    for pattern, put in _SECRETS:
        text = pattern.sub(put, text)
    return text if len(text) <= ERROR_LIMIT else text[: ERROR_LIMIT - 1] + "…"


def bounded(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A result as it is kept: what is larger than `RESULT_LIMIT`, or no JSON, is replaced by a note that says so."""
    if value is None:
        return None
    try:
        size = len(json.dumps(dict(value), allow_nan=False).encode())
    except (TypeError, ValueError) as error:
        return {"unkept": f"the result is not JSON: {error}"[:200]}
    return (
        dict(value) if size <= RESULT_LIMIT else {"unkept": f"the result has {size:,} bytes, {RESULT_LIMIT:,} are kept"}
    )


def accepted(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Parameters of a submitted job. Raises `JobRefused` for what is not JSON or too large to keep."""
    kept = bounded(params or {}) or {}
    if "unkept" in kept and "unkept" not in (params or {}):
        raise JobRefused(f"parameters refused: {str(kept['unkept']).replace('result', 'value')}")
    return kept
