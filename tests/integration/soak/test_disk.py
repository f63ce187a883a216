"""The disk that can be full, both ways, met by another process that writes there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evertick.soak import disk as disks
from evertick.soak.disk import FILE_ROOM, Disk

WRITER = f"""
import os, sys
for line in sys.stdin:
    try:
        with open(line.strip(), "ab") as file:
            for _ in range(20):
                file.write(bytes({FILE_ROOM // 10}))
                file.flush()
        print("well", flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""


@pytest.fixture
def writer() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield process
        process.stdin.close()


def write(writer: subprocess.Popen[str], file: Path) -> str:
    writer.stdin.write(f"{file}\n")
    writer.stdin.flush()
    return writer.stdout.readline().strip()


def filled_and_emptied(disk: Disk, writer: subprocess.Popen[str], full: int) -> None:
    disk.pid = writer.pid
    assert write(writer, disk.folder / "a") == "well"
    disk.fill()
    assert write(writer, disk.folder / "a") == str(full)
    disk.empty()
    assert write(writer, disk.folder / "a") == "well"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts: run it as root")
def test_a_file_system_of_its_own_has_no_room_left(tmp_path: Path, writer: subprocess.Popen[str]) -> None:
    with Disk(tmp_path / "data", limits_files=False) as disk:
        assert disk.way == "tmpfs"
        filled_and_emptied(disk, writer, errno.ENOSPC)
    assert list((tmp_path / "data").iterdir()) == []  # and it is gone


GROWING = """
import sys, time
with open(sys.argv[1], "ab", buffering=0) as file:
    print("begun", flush=True)
    try:
        while True:
            for _ in range(20):
                file.write(bytes(8192))
            time.sleep(0.003)
    except OSError as error:
        print(error.errno, flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts: run it as root")
def test_it_is_filled_though_somebody_writes_meanwhile(tmp_path: Path) -> None:
    with Disk(tmp_path / "data", limits_files=False) as disk:
        given = [sys.executable, "-c", GROWING, str(disk.folder / "a")]
        with subprocess.Popen(given, stdout=subprocess.PIPE, text=True) as growing:
            assert growing.stdout.readline() == "begun\n"
            disk.fill()
            assert growing.stdout.readline() == f"{errno.ENOSPC}\n"


def refuse(*arguments: str) -> str:
    return "mount: only root can do that"


def test_without_the_right_to_mount_files_may_not_grow(
    tmp_path: Path, writer: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "_mount", refuse)
    with Disk(tmp_path / "data", limits_files=True) as disk:
        assert disk.way == "file size limit"
        filled_and_emptied(disk, writer, errno.EFBIG)


def test_where_neither_is_possible_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "_mount", refuse)
    with Disk(tmp_path / "data", limits_files=False) as disk:
        assert (disk.way, disk.why) == ("", "mount: only root can do that")
