"""The ledger's side of an engine that hands slots to workers: what is ready to be handed out, and leasing exactly that.

A slot is named together with its token: what the engine delivers a second time, late, or beside a worker that already has
it, names a token that is past, and leases nothing. On PostgreSQL only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from evertick.archive.connection import Engine
from evertick.archive.ledger import _given_up, _slot
from evertick.archive.tables import slots
from evertick.model import Slot, SlotState

_AT = bindparam("at", type_=slots.c.due.type)


class Handout:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ready(self, now: datetime, *, over: bool = True, job: tuple[str, str] | None = None) -> Sequence[Slot]:
        """The oldest slot of each job that is due and free, and with ``over`` those whose lease ran out; oldest first.

        ``job``: of that ``(desk, job)`` only.
        """
        first = _FIRST if job is None else _FIRST.where(slots.c.desk == job[0], slots.c.job == job[1])
        async with self._engine.connect() as connection:
            found = [_slot(row) for row in await connection.execute(first, {"at": now})]
            if over and job is None:
                found += [_slot(row) for row in await connection.execute(_OVER, {"at": now})]
        return sorted(found, key=lambda slot: (slot.due, slot.id))

    async def take(self, owner: str, slot: str, token: int, allowed: int, now: datetime, lease_s: float) -> Slot | None:
        """Lease this slot if it still has this token and its job is free. ``None``: it is no longer to be had so.

        One that had its ``allowed`` attempts (its processes died) becomes failed here.
        """
        values = {"me": owner, "slot": slot, "seen": token, "at": now, "until": now + timedelta(seconds=lease_s)}
        try:
            async with self._engine.begin() as connection:
                row = (await connection.execute(_TAKE, values)).first()
                if row is None:
                    return None
                taken = _slot(row)
                if taken.attempts <= allowed:
                    return taken
                given_up = update(slots).where(slots.c.id == taken.id).values(**_given_up(taken, now))
                await connection.execute(given_up)
        except IntegrityError:
            pass  # another slot of the same job was leased this moment
        return None


_running = slots.alias("running")
_BUSY = exists().where(
    _running.c.desk == slots.c.desk, _running.c.job == slots.c.job, _running.c.state == SlotState.LEASED
)
_ready = (
    select(
        slots.c.id,
        func.row_number()
        .over(partition_by=(slots.c.desk, slots.c.job), order_by=(slots.c.due, slots.c.id))
        .label("nth"),
    )
    .where(
        slots.c.state == SlotState.DUE,
        slots.c.due <= _AT,
        or_(slots.c.not_before.is_(None), slots.c.not_before <= _AT),
        ~_BUSY,
    )
    .subquery()
)
_FIRST = select(slots).join(_ready, slots.c.id == _ready.c.id).where(_ready.c.nth == 1)
_OVER = select(slots).where(slots.c.state == SlotState.LEASED, slots.c.lease_until < _AT)
_TAKE = (
    update(slots)
    .where(
        slots.c.id == bindparam("slot"),
        slots.c.token == bindparam("seen"),
        or_(
            and_(slots.c.state == SlotState.DUE, ~_BUSY),
            and_(slots.c.state == SlotState.LEASED, slots.c.lease_until < _AT),
        ),
    )
    .values(
        state=SlotState.LEASED,
        owner=bindparam("me", type_=slots.c.owner.type),
        token=slots.c.token + 1,
        attempts=slots.c.attempts + 1,
        lease_until=bindparam("until", type_=slots.c.due.type),
        started=_AT,
        not_before=None,
        progress=None,
    )
    .returning(slots)
)
