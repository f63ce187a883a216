"""The heartbeat's hand on the ledger: renews leases from a thread, while the event loop may hang."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import bindparam, update
from sqlalchemy.exc import SQLAlchemyError

from evertick.archive.connection import WRITES
from evertick.archive.database import shown, sync_engine, translate
from evertick.archive.tables import slots
from evertick.errors import ArchiveError
from evertick.model import SlotState

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

_RENEW = (
    update(slots)
    .where(slots.c.id == bindparam("slot"), slots.c.token == bindparam("held"), slots.c.state == SlotState.LEASED)
    .values(lease_until=bindparam("until", type_=slots.c.due.type))
)


class Renewals:
    """Renews leases from the heartbeat's thread, on a blocking connection that nobody else uses."""

    def __init__(self, url: str) -> None:
        self._name = shown(url)
        self._engine = sync_engine(url)
        self._connection: Connection | None = None

    def open(self) -> None:
        """Connect now, so that the first job is not billed for it. Raises `ArchiveError`."""
        self._try(lambda connection: None)

    def renew(self, held: Collection[tuple[str, int]], until: datetime) -> set[tuple[str, int]]:
        """Move the end of these leases to ``until``; returns those that are held no longer. Raises `ArchiveError`."""
        if not held:
            return set()

        def work(connection: Connection) -> set[tuple[str, int]]:
            lost = set()
            with connection.begin():
                for id, token in held:
                    if not connection.execute(_RENEW, {"slot": id, "held": token, "until": until}).rowcount:
                        lost.add((id, token))
            return lost

        fresh = self._connection is None
        try:
            return self._try(work)
        except (ArchiveError, SQLAlchemyError):
            if fresh:
                raise
        return self._try(work)  # a connection that lay idle may have been cut: once more on a new one

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()

    def _try(self, work: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._engine.connect().execution_options(**{WRITES: True})
            return work(self._connection)
        except (SQLAlchemyError, OSError) as error:
            if self._connection is not None:
                self._connection.invalidate()
                self._connection.close()
                self._connection = None
            raise translate(error, self._name) or error from error
