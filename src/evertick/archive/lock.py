"""One Evertick for one data folder.

A lock of the operating system (``flock``), not a file that is there or not: it ends with its process, also after
``kill -9`` or a power cut, so nothing stale is ever to be removed by hand.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evertick.errors import ArchiveReadOnly, DataFolderInUse


@contextmanager
def owned(lock: Path) -> Iterator[None]:
    """Hold ``lock`` (made if missing, with our pid in it). Raises `DataFolderInUse` naming who holds it."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        wrong = "is not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else "may not be written"
        raise ArchiveReadOnly(
            f"The data folder {lock.parent} {wrong} ({error.strerror}).",
            hint="Choose another with DATA_DIR, or give this user the right to write there",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            who = f"process {holder}" if holder.isdecimal() else "another process"
            raise DataFolderInUse(
                f"The data folder {lock.parent} is in use by {who}, another Evertick.",
                hint="Stop that one, or give this one its own folder with DATA_DIR",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)  # and with it the lock
