from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evertick.archive.lock import owned
from evertick.errors import ArchiveReadOnly, DataFolderInUse

HOLD = """
import sys
from pathlib import Path
from evertick.archive.lock import owned
with owned(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(lock: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    lock = tmp_path / "data" / "evertick.lock"
    with holder(lock) as other:
        try:
            with pytest.raises(DataFolderInUse, match=rf"process {other.pid}\b.*DATA_DIR"), owned(lock):
                pass
        finally:
            other.kill()


def test_it_ends_with_its_process_also_by_kill_9(tmp_path: Path) -> None:
    lock = tmp_path / "evertick.lock"
    with holder(lock) as other:
        other.kill()
        other.wait()
    with owned(lock):
        assert lock.read_text().strip() == str(os.getpid())


def test_the_same_process_cannot_take_it_twice(tmp_path: Path) -> None:
    lock = tmp_path / "evertick.lock"
    with owned(lock), pytest.raises(DataFolderInUse), owned(lock):
        pass
    with owned(lock):
        pass


def test_it_is_free_again_after_an_error_inside(tmp_path: Path) -> None:
    lock = tmp_path / "evertick.lock"
    with pytest.raises(ZeroDivisionError), owned(lock):
        raise ZeroDivisionError
    with owned(lock):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveReadOnly, match=r"file.*DATA_DIR"), owned(tmp_path / "file" / "evertick.lock"):
        pass


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    lock = tmp_path / "evertick.lock"
    before = len(os.listdir("/proc/self/fd"))
    with owned(lock), pytest.raises(DataFolderInUse), owned(lock):
        pass
    assert len(os.listdir("/proc/self/fd")) == before
