"""The board: where the latest quotes are kept, one snapshot for all who read.

A poll writes it; pages and the API read it; a read never calls a provider and never writes. Two kinds: embedded in the
process, or one document in Redis that several processes (and any other program) share.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from evertick.board.embedded import open_embedded
from evertick.model import Snapshot

__all__ = ["Board", "open_embedded"]


class Board(Protocol):
    @property
    def kind(self) -> str:
        """``embedded`` or ``redis``."""

    async def load(self) -> Snapshot | None:
        """The newest snapshot; ``None`` before the first. Raises `BoardUnavailable`."""

    async def save(self, snapshot: Snapshot) -> None:
        """Put ``snapshot`` in the place of the one before it and tell the subscribers. Raises `BoardUnavailable`."""

    def updates(self) -> AbstractAsyncContextManager[AsyncIterator[datetime]]:
        """The ``as_of`` of every snapshot saved from now on, by whichever process.

        A subscriber that is slow sees only the newest. Entering and iterating raise `BoardUnavailable` when the board is
        lost; whoever still wants updates then subscribes again.
        """

    async def ping(self) -> None:
        """Return if the board can be reached, else raise `BoardUnavailable`."""

    def connections(self) -> int:
        """Open connections to the board's server, idle ones too; 0 for a board in the process."""
