"""What this process holds, each quantity from one source (docs/explanation/memory.md).

Where a source is missing (musl, macOS, a hardened /proc) the quantity is ``None``, never 0. `Gauge.sample` is the one line
that a test replaces.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
DEFAULT_LIMIT = 256 << 20
"""Bytes; where neither a setting nor a cgroup says anything."""


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]  # fmt: skip


class Allocator:
    """glibc's malloc, through ctypes; on another C library every answer is ``None`` and `trim` does nothing."""

    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8

    def __init__(self) -> None:
        self._info = self._trim = self._opt = None
        try:
            libc = ctypes.CDLL(None)
            self._info = libc.mallinfo2
            self._info.restype = _Mallinfo2
            self._trim = libc.malloc_trim
            self._trim.argtypes = [ctypes.c_size_t]
            self._opt = libc.mallopt
        except (OSError, AttributeError):  # no glibc, or one older than 2.33
            self._info = None

    def heap(self) -> int | None:
        """Bytes in use, those in mappings of their own included."""
        return self.both()[0]

    def idle(self) -> int | None:
        """Bytes that were freed and are kept for reuse."""
        return self.both()[1]

    def both(self) -> tuple[int | None, int | None]:
        """`heap` and `idle`. One look of malloc at all its free lists: up to a millisecond once there are many."""
        if self._info is None:
            return None, None
        info = self._info()
        return int(info.uordblks + info.hblkhd), int(info.fordblks)

    def trim(self) -> None:
        """Give free pages back to the system."""
        if self._trim is not None:
            self._trim(0)

    def steady(self) -> None:
        """Fix what glibc otherwise adapts upwards while a process runs: the thresholds and the number of arenas.

        By default freeing one large block raises the mmap threshold for good, so that later large blocks come from the
        heap and fragment it; and every thread opens an arena, each with free pages of its own: 2 MB with the threads of
        SQLite. Threads that allocate without the GIL, which is SQLite's, now wait for one another for nanoseconds.
        """
        if self._opt is not None:
            self._opt(self.M_MMAP_THRESHOLD, 128 << 10)
            self._opt(self.M_TRIM_THRESHOLD, 256 << 10)
            self._opt(self.M_ARENA_MAX, 1)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at this process. Bytes and counts."""

    heap: int | None
    blocks: int
    rss: int | None
    fds: int | None
    tasks: int
    threads: int
    connections: int | None


class Gauge:
    """Reads the quantities of this process.

    ``connections`` counts what the pools of the server have open and checked out; `Gauge` does not know any pool.
    """

    def __init__(self, connections: Callable[[], int] | None = None, allocator: Allocator | None = None) -> None:
        self.allocator = allocator or Allocator()
        self._connections = connections

    def sample(self, heap: int | None = None) -> Sample:
        """``heap``: as the allocator has just said."""
        return Sample(
            heap=self.allocator.heap() if heap is None else heap,
            blocks=sys.getallocatedblocks(),
            rss=rss(),
            fds=descriptors(),
            tasks=_tasks(),
            threads=threading.active_count(),
            connections=self._connections() if self._connections else None,
        )


def rss() -> int | None:
    """Resident bytes, from ``/proc/self/statm``."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(64).split()[1]) * PAGE
    except OSError:
        return None


def peak_rss() -> int | None:
    """The highest RSS since `reset_peak`, from ``VmHWM``."""
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return None


def reset_peak() -> bool:
    """Start the high-water mark anew; False where the system does not let us (then there is no ``peak_rss``)."""
    try:
        with open("/proc/self/clear_refs", "wb", buffering=0) as file:
            file.write(b"5")
    except OSError:
        return False
    return True


def shared_out() -> dict[str, int] | None:
    """``pss`` (proportional) and ``uss`` (private) bytes, from ``smaps_rollup``; dear (60 µs), so never for each job."""
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            fields = {line.split()[0]: int(line.split()[1]) << 10 for line in file if line.endswith(b"kB\n")}
    except OSError:
        return None
    return {"pss": fields[b"Pss:"], "uss": fields[b"Private_Clean:"] + fields[b"Private_Dirty:"]}


def descriptors() -> int | None:
    """Open descriptors, without the one that this count itself needs."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return None


def sockets() -> int | None:
    """How many of the descriptors are sockets."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return None
    count = 0
    for name in names:
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:  # closed since it was listed
            continue
    return count


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no loop runs in this thread
        return 0


def limit(
    setting: int | None, cgroup: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> tuple[int, str]:
    """The budget in bytes and where it comes from: the setting, else the lowest limit of the process's cgroups, else 256 MiB.

    ``own`` names the cgroup of this process below ``cgroup`` (``0::/system.slice/evertick.service``; ``0::/`` in a container).
    """
    if setting is not None:
        return setting, "setting"
    found = [
        int(text)
        for folder in _groups(cgroup, own)
        for name in ("memory.max", "memory.high", "memory/memory.limit_in_bytes")
        if (text := _line(folder / name)).isdigit() and int(text) < 1 << 50  # v1 writes a huge number for "no limit"
    ]
    return (min(found), "cgroup") if found else (DEFAULT_LIMIT, "default")


def _groups(cgroup: Path, own: Path) -> list[Path]:
    """The folders of the process's cgroup and of those above it: each limits what is below."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    mine = next((line[3:] for line in lines if line.startswith("0::")), "/").strip("/")
    parts = [part for part in mine.split("/") if part not in ("", "..")]
    return [cgroup.joinpath(*parts[:n]) for n in range(len(parts), -1, -1)]


def _line(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
