from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from evertick.board import embedded, open_embedded
from evertick.board.document import loads

from .quotes import FULL, NOW


def events(logs: list) -> list[str]:
    return [entry["event"] for entry in logs]


async def test_a_restart_begins_with_the_last_good_values(tmp_path: Path):
    file = tmp_path / "data" / "board.json"
    async with open_embedded(file) as board:
        assert await board.load() is None
        await board.save(FULL)
        assert await board.load() is FULL
    async with open_embedded(file) as board:
        assert await board.load() == FULL
    assert os.listdir(file.parent) == ["board.json"]


async def test_without_a_file_nothing_is_written():
    async with open_embedded(None) as board:
        await board.save(FULL)
        await board.ping()
        assert (board.kind, board.connections(), await board.load()) == ("embedded", 0, FULL)


@pytest.mark.parametrize("body", [b"", b"{", b"\x00" * 100, b'{"schema":"other"}'])
async def test_a_damaged_file_counts_as_none_and_is_replaced(tmp_path: Path, body: bytes):
    file = tmp_path / "board.json"
    file.write_bytes(body)
    with capture_logs() as logs:
        async with open_embedded(file) as board:
            assert await board.load() is None
            await board.save(FULL)
    assert events(logs) == ["board file not used"]
    assert loads(file.read_bytes()) == FULL


async def test_a_huge_file_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embedded, "LARGEST", 100)
    (tmp_path / "board.json").write_bytes(b" " * 1000)
    async with open_embedded(tmp_path / "board.json") as board:
        assert await board.load() is None


async def test_a_full_disk_costs_only_the_file_and_is_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "board.json"
    async with open_embedded(file) as board:
        await board.save(FULL)

        def full(fd: int) -> None:
            raise OSError(28, "No space left on device")

        with capture_logs() as logs:
            with monkeypatch.context() as disk:
                disk.setattr(embedded.os, "fsync", full)
                newer = replace(FULL, as_of=NOW + timedelta(minutes=3))
                await board.save(newer)
                await board.save(newer)
            assert await board.load() is newer
            assert loads(file.read_bytes()) == FULL  # the old file is whole
            await board.save(newer)
    assert events(logs) == ["board file not written", "board file written again"]
    assert logs[0]["error"] == "No space left on device"
    assert loads(file.read_bytes()) == newer
    assert os.listdir(tmp_path) == ["board.json"]


async def test_saves_at_once_leave_the_newest_in_the_file(tmp_path: Path):
    file = tmp_path / "board.json"
    async with open_embedded(file) as board:
        snapshots = [replace(FULL, as_of=NOW + timedelta(seconds=n)) for n in range(20)]
        await asyncio.gather(*(board.save(s) for s in snapshots))
        assert await board.load() is snapshots[-1]
    assert loads(file.read_bytes()) == snapshots[-1]


async def test_subscribers_are_told_of_every_save():
    async with open_embedded(None) as board, board.updates() as updates:
        await board.save(FULL)
        assert await anext(updates) == NOW
