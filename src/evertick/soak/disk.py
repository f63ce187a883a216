"""A disk that can be full: a small file system of its own where one may be mounted, else a limit on the size of files.

``tmpfs``: a mount of root's, shrunk to what it holds, so that the next page finds no room (ENOSPC), as on any full disk.
``file size limit``: RLIMIT_FSIZE of the server's process; a write beyond it fails (EFBIG), which SQLite meets as a disk that
fails. It needs no rights, and reaches only files of that process: for a database in another process there is no such way.
"""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path
from typing import Self

SIZE = 4 << 30
ROOM = 16 << 10
"""Bytes that are left on a full disk."""
FILE_ROOM = 64 << 10
TRIES = 50


class Disk:
    """``limits_files``: a process, whose `pid` is told before it is filled, writes the files itself."""

    def __init__(self, folder: Path, *, limits_files: bool) -> None:
        self.folder = folder
        self.pid = 0
        self.way = ""
        """``tmpfs``, ``file size limit``, or nothing: a full disk is not possible here, and `why` says why."""
        self.why = ""
        self._limits_files = limits_files

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        said = _mount("-t", "tmpfs", "-o", f"size={SIZE},mode=755", "evertick-soak", str(self.folder))
        if not said:
            self.way = "tmpfs"
        elif self._limits_files and hasattr(resource, "prlimit"):
            self.way = "file size limit"
        else:
            self.why = said
        return self

    def __exit__(self, *exc: object) -> None:
        if self.way == "tmpfs":
            # lazily: whoever still has a file open there keeps it until then
            subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)

    def fill(self) -> None:
        if self.way == "tmpfs":
            self._shrink()
        elif self.pid:
            _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (FILE_ROOM, most))

    def empty(self) -> None:
        if self.way == "tmpfs":
            self._resize(SIZE)
        elif self.pid:
            _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most, most))

    def _shrink(self) -> None:
        """A size below what is held is refused, and whoever writes may have gone on since it was asked: try again."""
        for left in reversed(range(TRIES)):
            held = os.statvfs(self.folder)
            used = (held.f_blocks - held.f_bfree) * held.f_frsize
            try:
                self._resize(used + ROOM)
                break
            except OSError:
                if not left:
                    raise

    def _resize(self, size: int) -> None:
        said = _mount("-o", f"remount,size={size}", str(self.folder))
        if said:
            raise OSError(said)


def _mount(*arguments: str) -> str:
    """Nothing, or why it could not be done."""
    try:
        done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    except OSError as error:
        return f"mount: {error.strerror}"
    return "" if done.returncode == 0 else (" ".join(done.stderr.split()) or f"mount ended with {done.returncode}")
