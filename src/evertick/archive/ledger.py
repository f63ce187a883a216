"""The ledger of slots in the database: who runs what, once, on any number of processes.

Every method is one short transaction. Three rules of the database itself keep the promise, whatever the callers do:

* ``(desk, job, due)`` is unique: two schedulers cannot make two slots of one occasion;
* at most one leased slot for a job of a desk (a partial unique index): no job overlaps itself;
* whatever is written about a held slot names its token: a worker that lost its lease writes nothing.

PostgreSQL's claimers skip each other's rows (``FOR UPDATE SKIP LOCKED``); SQLite's wait for each other.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import (
    Text,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from evertick.archive.connection import Engine
from evertick.archive.renewals import Renewals
from evertick.archive.tables import schedules, slots
from evertick.errors import Fenced, JobRefused, NotFound
from evertick.model import Page, Slot, SlotState, slot_id

if TYPE_CHECKING:
    from sqlalchemy import Row

    from evertick.archive.connection import Connection

WAITING_LIMIT = 20
"""Submitted slots of one job that may wait; one more is refused."""
PRUNE_STEP = 500
_TRIES = 8
_BETWEEN, _APART = "\x1f", "\x1e"
_MICROSECOND = timedelta(microseconds=1)
_CUT_SHORT = "the process that ran it ended before its time, and a newer slot has taken its place"
_OVER = (SlotState.DONE, SlotState.FAILED, SlotState.MISSED)


class Planned(Protocol):
    """What a schedule wants written; see `evertick.jobs.schedule.Plan`."""

    @property
    def newest(self) -> datetime | None: ...
    @property
    def missed(self) -> Sequence[datetime]: ...
    @property
    def coalesced(self) -> int: ...
    @property
    def anchor(self) -> datetime: ...
    @property
    def next_due(self) -> datetime: ...


class Schedule(Protocol):
    def plan(
        self, known: tuple[str, datetime, datetime] | None, now: datetime, *, seed: str = "", first_now: bool = False
    ) -> Planned | None: ...


class Ledger:
    """Slots and schedules in the database of ``engine``; ``url`` is for the heartbeat's own connection."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self._url = url
        self._postgres = engine.dialect.name == "postgresql"
        self._claimable: tuple[Mapping[tuple[str, str], int], tuple[list[str], str]] | None = None

    # --- what is due -------------------------------------------------------------------------------------------------

    async def plan(
        self, desk: str, job: str, spec: str, schedule: Schedule, now: datetime, *, first_now: bool = False
    ) -> list[Slot]:
        """Write what ``schedule`` owes at ``now``; returns the slots this call made, oldest first.

        Idempotent from any number of processes: the row of the schedule moves on once, whoever moves it writes the
        slots in the same transaction. Missed slots are written as such; the newest counts them, together with slots
        of the schedule that nobody had come to run.
        """
        mine = and_(schedules.c.desk == desk, schedules.c.job == job)
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(schedules).where(mine))).first()
        known = None if row is None else (row.spec, row.anchor, row.next_due)
        plan = schedule.plan(known, now, seed=f"{desk}.{job}", first_now=first_now)
        if plan is None:
            return []
        async with self._engine.begin() as connection:
            stand = {"spec": spec, "anchor": plan.anchor, "next_due": plan.next_due}
            if row is None:
                written = await self._insert(connection, schedules, {"desk": desk, "job": job, **stand})
            else:
                unmoved = and_(mine, schedules.c.spec == row.spec, schedules.c.next_due == row.next_due)
                moved = await connection.execute(update(schedules).where(unmoved).values(**stand))
                written = bool(moved.rowcount)
            if not written:
                return []  # another process was faster and wrote the slots
            return await self._write_plan(connection, desk, job, plan, now)

    async def _write_plan(
        self, connection: Connection, desk: str, job: str, plan: Planned, now: datetime
    ) -> list[Slot]:
        if plan.newest is None:
            return []
        waiting = and_(
            slots.c.desk == desk,
            slots.c.job == job,
            slots.c.state == SlotState.DUE,
            slots.c.trigger == "schedule",
            slots.c.due < plan.newest,
        )
        # Older ones nobody ran are covered by the newest; one that failed and waited for a retry has failed.
        await connection.execute(
            update(slots)
            .where(waiting, slots.c.attempts > 0)
            .values(state=SlotState.FAILED, finished=now, error=func.coalesce(slots.c.error, _CUT_SHORT))
        )
        passed = await connection.execute(
            update(slots).where(waiting).values(state=SlotState.MISSED, finished=now).returning(slots.c.coalesced)
        )
        coalesced = plan.coalesced + sum(count + 1 for (count,) in passed)
        made = [Slot(slot_id(desk, job, due), desk, job, due, SlotState.MISSED, finished=now) for due in plan.missed]
        newest = Slot(slot_id(desk, job, plan.newest), desk, job, plan.newest, coalesced=coalesced)
        written = [slot for slot in made if await self._insert(connection, slots, _values(slot))]
        if await self._insert(connection, slots, _values(newest)) or await self._revive(connection, newest):
            written.append(newest)
        return written

    async def _revive(self, connection: Connection, slot: Slot) -> bool:
        """A clock that ran ahead has called the slot missed before its time; now its time has come."""
        missed = and_(slots.c.id == slot.id, slots.c.state == SlotState.MISSED)
        values = {"state": SlotState.DUE, "finished": None, "coalesced": slot.coalesced}
        return bool((await connection.execute(update(slots).where(missed).values(**values))).rowcount)

    async def submit(
        self, desk: str, job: str, params: Mapping[str, Any], now: datetime, trigger: str = "manual"
    ) -> Slot:
        """A slot of its own that is due now (some microseconds later if that moment is taken).

        Raises `JobRefused` when `WAITING_LIMIT` submitted slots of the job wait already.
        """
        waiting = select(func.count()).where(
            slots.c.desk == desk, slots.c.job == job, slots.c.state == SlotState.DUE, slots.c.trigger != "schedule"
        )
        async with self._engine.begin() as connection:
            if await connection.scalar(waiting) >= WAITING_LIMIT:
                raise JobRefused(
                    f"{WAITING_LIMIT} submitted runs of '{job}' wait already.", hint="Try again when some are done"
                )
            due = now
            while True:
                slot = Slot(slot_id(desk, job, due), desk, job, due, trigger=trigger, params=dict(params))
                if await self._insert(connection, slots, _values(slot)):
                    return slot
                due += _MICROSECOND

    async def _insert(self, connection: Connection, table: Any, values: Mapping[str, Any]) -> bool:
        """False where a row of the same key is there already."""
        if self._postgres:
            from sqlalchemy.dialects.postgresql import insert as into
        else:
            from sqlalchemy.dialects.sqlite import insert as into  # type: ignore[assignment]
        key = next(iter(table.primary_key))
        fresh = into(table).values(**values).on_conflict_do_nothing().returning(key)
        return (await connection.execute(fresh)).first() is not None

    # --- leases ------------------------------------------------------------------------------------------------------

    async def claim(
        self, owner: str, jobs: Mapping[tuple[str, str], int], now: datetime, lease_s: float
    ) -> Slot | None:
        """Lease the oldest slot that is due and free, or whose lease of another owner ran out; ``None``: there is none.

        ``jobs`` maps ``(desk, job)`` to the number of attempts a slot may have; one that had them all (its processes
        died) becomes failed here. An owner never takes over from itself: it is alive and knows what it runs.
        """
        if not jobs:
            return None
        names, listed = self._written(jobs)
        looked = {"me": owner, "at": now, "names": names}
        values = {"me": owner, "at": now, "until": now + timedelta(seconds=lease_s), "jobs": listed}
        claim = _CLAIM_POSTGRES if self._postgres else _CLAIM_SQLITE
        for _ in range(_TRIES):
            if not await self._anything(looked):
                return None  # only a reader looks every second: SQLite's writers queue, and PostgreSQL is sent no long list
            try:
                async with self._engine.begin() as connection:
                    row = (await connection.execute(claim, values)).first()
                    if row is None:
                        return None
                    slot = _slot(row)
                    allowed = jobs[slot.desk, slot.job]
                    if slot.attempts <= allowed:
                        return slot
                    await connection.execute(update(slots).where(slots.c.id == slot.id).values(**_given_up(slot, now)))
            except IntegrityError:
                continue  # another slot of the same job was leased this moment; look again
        return None

    async def _anything(self, values: Mapping[str, Any]) -> bool:
        return bool(await self._engine.look(_OPEN_SLOT, values))

    def _written(self, jobs: Mapping[tuple[str, str], int]) -> tuple[list[str], str]:
        """The names of ``jobs``, and all of them as one text. The same mapping comes with every look, and may be long."""
        if self._claimable is None or self._claimable[0] is not jobs:
            keys = sorted(desk + _BETWEEN + job for desk, job in jobs)
            text = _APART.join(keys) if self._postgres else json.dumps(keys)
            self._claimable = jobs, (sorted({job for _, job in jobs}), text)
        return self._claimable[1]

    def renewals(self) -> Renewals:
        return Renewals(self._url)

    async def progress(self, slot: Slot, progress: Mapping[str, Any]) -> None:
        await self._write(slot, {"progress": dict(progress)})

    async def finish(
        self,
        slot: Slot,
        state: SlotState,
        now: datetime,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
        retry_at: datetime | None = None,
    ) -> Slot:
        """End the lease with ``state``, or with ``retry_at`` make the slot due again from then on. Raises `Fenced`."""
        values: dict[str, Any] = {"owner": None, "lease_until": None, "error": error}
        if retry_at is None:
            values |= {"state": state, "finished": now, "result": None if result is None else dict(result)}
        else:
            values |= {"state": SlotState.DUE, "not_before": retry_at}
        return await self._write(slot, values)

    async def release(self, slot: Slot) -> Slot:
        """Hand a slot back on shutdown: due again at once, and the attempt does not count. Raises `Fenced`."""
        values = {"state": SlotState.DUE, "owner": None, "lease_until": None, "attempts": slots.c.attempts - 1,
                  "progress": None}  # fmt: skip
        return await self._write(slot, values)

    async def disown(self, owner: str, held: Sequence[str]) -> int:
        """Hand back what ``owner`` leased without knowing: its claim was committed, and the connection broke before the
        answer came. ``held`` are the slots that it does run. Returns how many there were."""
        freed = {"state": SlotState.DUE, "owner": None, "lease_until": None, "attempts": slots.c.attempts - 1}
        mine = and_(slots.c.state == SlotState.LEASED, slots.c.owner == owner, slots.c.id.not_in(held))
        async with self._engine.begin() as connection:
            return int((await connection.execute(update(slots).where(mine).values(**freed))).rowcount)

    async def reclaim(self, now: datetime) -> int:
        """Make every leased slot due again, the attempt counted; returns how many.

        Only for the one owner of a data folder, at its start: its lock proves that no other process lives.
        """
        freed = {"state": SlotState.DUE, "owner": None, "lease_until": None, "progress": None}
        async with self._engine.begin() as connection:
            result = await connection.execute(update(slots).where(slots.c.state == SlotState.LEASED).values(**freed))
            return int(result.rowcount)

    async def _write(self, slot: Slot, values: Mapping[str, Any]) -> Slot:
        held = and_(slots.c.id == slot.id, slots.c.token == slot.token, slots.c.state == SlotState.LEASED)
        async with self._engine.begin() as connection:
            row = (await connection.execute(update(slots).where(held).values(**values).returning(slots))).first()
        if row is None:
            raise Fenced(f"the lease of {slot.id} (token {slot.token}) went to another worker")
        return _slot(row)

    # --- reading -----------------------------------------------------------------------------------------------------

    async def get(self, id: str) -> Slot:
        """Raises `NotFound`."""
        row = next(iter(await self._engine.look(select(slots).where(slots.c.id == id))), None)
        if row is None:
            raise NotFound(f"there is no job '{id}'", hint="Jobs that ended long ago are pruned")
        return _slot(row)

    async def list(
        self,
        limit: int = 20,
        cursor: str | None = None,
        job: str | None = None,
        state: str | None = None,
        desk: str | None = None,
    ) -> Page[Slot]:
        """Newest due first. Raises ``ValueError`` for a cursor that did not come from here."""
        query = select(slots).order_by(slots.c.due.desc(), slots.c.id.desc()).limit(limit + 1)
        if job is not None:
            query = query.where(slots.c.job == job)
        if state is not None:
            query = query.where(slots.c.state == state)
        if desk is not None:
            query = query.where(slots.c.desk == desk)
        if cursor is not None:
            due, id = _from_cursor(cursor)
            query = query.where(or_(slots.c.due < due, and_(slots.c.due == due, slots.c.id < id)))
        found = [_slot(row) for row in await self._engine.look(query)]
        more = found[limit - 1] if len(found) > limit else None
        return Page(found[:limit], None if more is None else _cursor(more))

    async def outlook(self, now: datetime) -> tuple[Sequence[tuple[str, str]], datetime | None]:
        """The schedules that are due at ``now``, ``(desk, job)``, and when the next of the others is."""
        rows = await self._engine.look(_OUTLOOK, {"now": now})
        due = sorted((row.next_due, row.desk, row.job) for row in rows if row.desk is not None)
        following = next((row.next_due for row in rows if row.desk is None), None)
        return [(desk, job) for _, desk, job in due], following

    async def standing(self) -> Mapping[tuple[str, str], tuple[str, datetime, datetime]]:
        """``(desk, job)`` of every schedule to its ``(spec, anchor, next_due)``."""
        rows = await self._engine.look(select(schedules))
        return {(row.desk, row.job): (row.spec, row.anchor, row.next_due) for row in rows}

    async def next_due(self, desks: Collection[str] | None = None) -> Sequence[tuple[str, str, str, datetime]]:
        """``(desk, job, spec, next_due)`` of every schedule (of these desks), the soonest first."""
        query = select(schedules.c.desk, schedules.c.job, schedules.c.spec, schedules.c.next_due)
        if desks is not None:
            query = query.where(schedules.c.desk.in_(sorted(desks)))
        rows = await self._engine.look(query.order_by(schedules.c.next_due, schedules.c.desk, schedules.c.job))
        return [(row.desk, row.job, row.spec, row.next_due) for row in rows]

    # --- housekeeping ------------------------------------------------------------------------------------------------

    async def keep_schedules(self, jobs: Collection[tuple[str, str]]) -> int:
        """Forget the schedules of all but these ``(desk, job)``; returns how many."""
        others = delete(schedules)
        if jobs:
            others = others.where(tuple_(schedules.c.desk, schedules.c.job).not_in(sorted(jobs)))
        async with self._engine.begin() as connection:
            return int((await connection.execute(others)).rowcount)

    async def prune(self, older_than: datetime) -> int:
        """Delete slots that ended and were due before ``older_than``, in small steps; returns how many."""
        old = select(slots.c.id).where(slots.c.due < older_than, slots.c.state.in_(_OVER)).limit(PRUNE_STEP)
        gone = 0
        while True:
            async with self._engine.begin() as connection:
                step = int((await connection.execute(delete(slots).where(slots.c.id.in_(old)))).rowcount)
            gone += step
            if step < PRUNE_STEP:
                return gone


# --- statements ------------------------------------------------------------------------------------------------------


_OPEN: tuple[Any, ...] = (literal_column("'due'"), literal_column("'leased'"))
"""Written out, not bound: only so do the planners see that the partial index `ix_slots_state_due` answers."""


def _over(slot: Any, now: Any) -> Any:
    """Leased by another whose lease is over."""
    me = bindparam("me", type_=slots.c.owner.type)
    return and_(slot.c.state == SlotState.LEASED, slot.c.lease_until < now, slot.c.owner != me)


def _due(slot: Any, now: Any) -> Any:
    waits = or_(slot.c.not_before.is_(None), slot.c.not_before <= now)
    return and_(slot.c.state == SlotState.DUE, slot.c.due <= now, waits)


def _open_slot() -> Any:
    """Whether there may be something to lease: a look at few rows, whatever the number of desks."""
    now = bindparam("at", type_=slots.c.due.type)
    names = slots.c.job.in_(bindparam("names", expanding=True))
    return select(slots.c.id).where(slots.c.state.in_(_OPEN), names, or_(_due(slots, now), _over(slots, now))).limit(1)


def _candidate(listed: Any) -> Any:
    """The id of the slot to lease next, of the jobs that the subquery ``listed`` names: due and its job free, or its lease
    over."""
    slot, running = slots.alias("slot"), slots.alias("running")
    now = bindparam("at", type_=slots.c.due.type)
    free = ~exists().where(
        running.c.desk == slot.c.desk, running.c.job == slot.c.job, running.c.state == SlotState.LEASED
    )
    return (
        select(slot.c.id)
        .where(
            slot.c.state.in_(_OPEN),
            # As one text, so that no planner takes the index of (desk, job, due), which holds all that ever ran; and
            # compared with true, so that PostgreSQL looks the names up in a hash instead of joining.
            (slot.c.desk + _BETWEEN + slot.c.job).in_(listed).is_(true()),
            or_(and_(_due(slot, now), free), _over(slot, now)),
        )
        .order_by(slot.c.due, slot.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=slot)
    )


def _claim(candidate: Any) -> Any:
    return (
        update(slots)
        .where(slots.c.id == candidate.scalar_subquery())
        .values(
            state=SlotState.LEASED,
            owner=bindparam("me", type_=slots.c.owner.type),
            token=slots.c.token + 1,
            attempts=slots.c.attempts + 1,
            lease_until=bindparam("until", type_=slots.c.due.type),
            started=bindparam("at", type_=slots.c.due.type),
            not_before=None,
            progress=None,
        )
        .returning(slots)
    )


_JOBS = bindparam("jobs", type_=Text)
"""One text, however many jobs there are: thousands of parameters would cost more than the claim."""
_OPEN_SLOT = _open_slot()
_CANDIDATE_SQLITE = _candidate(select(func.json_each(_JOBS).table_valued("value").c.value))
_CANDIDATE_POSTGRES = _candidate(select(func.unnest(func.string_to_array(_JOBS, _APART))))
_CLAIM_SQLITE, _CLAIM_POSTGRES = _claim(_CANDIDATE_SQLITE), _claim(_CANDIDATE_POSTGRES)


def _outlook() -> Any:
    """The schedules that are due, and in a row without a name when the next of the others is."""
    now = bindparam("now", type_=schedules.c.next_due.type)
    due = select(schedules.c.desk, schedules.c.job, schedules.c.next_due).where(schedules.c.next_due <= now)
    others = select(null(), null(), func.min(schedules.c.next_due)).where(schedules.c.next_due > now)
    return due.union_all(others)


_OUTLOOK = _outlook()


def _given_up(slot: Slot, now: datetime) -> dict[str, Any]:
    tried = slot.attempts - 1
    return {
        "state": SlotState.FAILED,
        "attempts": tried,
        "owner": None,
        "lease_until": None,
        "finished": now,
        "error": slot.error or f"given up: the process that ran it ended before its time, {tried} times",
    }


# --- rows ------------------------------------------------------------------------------------------------------------


def _values(slot: Slot) -> dict[str, Any]:
    return {
        "id": slot.id,
        "desk": slot.desk,
        "job": slot.job,
        "due": slot.due,
        "state": slot.state,
        "trigger": slot.trigger,
        "params": dict(slot.params),
        "coalesced": slot.coalesced,
        "finished": slot.finished,
    }


def _slot(row: Row[Any]) -> Slot:
    values = dict(row._mapping)
    values["state"] = SlotState(values["state"])
    return Slot(**values)


def _cursor(slot: Slot) -> str:
    text = json.dumps([slot.due.isoformat(), slot.id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _from_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        due, id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        when = datetime.fromisoformat(due)
        if not isinstance(id, str) or when.tzinfo is None:
            raise ValueError(cursor)
    except (ValueError, TypeError, binascii.Error) as error:
        raise ValueError("the cursor is not one of a page of slots; start without one") from error
    return when, id
