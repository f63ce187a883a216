"""The tape of made-up looks and receipts: the warm-up is left out, what overlapped is, and each figure is the one it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import sin
from typing import Any

import pytest

from evertick.model import Outcome, Page, Receipt
from evertick.soak.recorder import Recorder, reach
from evertick.soak.stage import Status
from evertick.soak.tape import Tape

START = datetime(2026, 10, 12, tzinfo=UTC)
KB, MB = 1 << 10, 1 << 20
HOUR = 3600.0


def receipt(at: float, job: str = "refresh_indices", kept: int = 0, peak: int = MB, **more: Any) -> Receipt:
    given = {"outcome": Outcome.OK, "overlapped": False, "heap_before": 20 * MB, "slot": f"{job}.{at}"} | more
    return Receipt(
        job=job, component={"report": "auto_report", "save_report": "save"}.get(job, "indices"),
        started=START + timedelta(seconds=at), duration_s=0.1, heap_after=given["heap_before"] + kept, blocks_before=1,
        blocks_after=1, rss_before=80 * MB, rss_after=80 * MB, peak_rss=80 * MB + peak, freed=5, fds_delta=0, tasks_delta=0,
        connections_delta=0, release_s=0.001, **given,
    )  # fmt: skip


class Stored:
    """Receipts as the archive hands them out: newest first, page by page."""

    def __init__(self, receipts: list[Receipt]) -> None:
        self.receipts = receipts

    async def recent(self, limit: int = 50, cursor: str | None = None, job: str | None = None) -> Page[Receipt]:
        newest = sorted(self.receipts, key=lambda r: r.started, reverse=True)
        first = int(cursor or 0)
        rest = first + limit < len(newest)
        return Page(newest[first : first + limit], str(first + limit) if rest else None)


async def recorded(receipts: list[Receipt], connections: list[int], heap: float = 0.0) -> Tape:
    """A day with a look every quarter of an hour; ``heap``: bytes that it grows in an hour."""
    recorder = Recorder(START)
    for n in range(97):
        at = n * 900.0
        now = Status(
            at,
            80 * MB,
            81 * MB,
            int(20 * MB + heap * at / HOUR),
            30,
            connections=connections[n * len(connections) // 97],
        )
        recorder.look(now, 1)
    await recorder.collect(Stored(receipts))
    await recorder.collect(Stored(receipts))
    return recorder.tape(days=1, seconds=60, requests={"pages": 3}, crashed=None, notes=())


async def test_what_is_kept_is_the_median_after_the_warm_up_of_runs_that_were_alone() -> None:
    kept = [MB, 50 * KB, 9 * KB, 100, 300, 200, 400, 500, 600]
    receipts = []
    for n, bytes_ in enumerate(kept):
        slot = f"report.{n}"
        receipts += [
            receipt(n * 3 * HOUR, "save_report", bytes_, slot=slot),
            receipt(n * 3 * HOUR - 0.1, "report", bytes_ + 64, 2 * MB, slot=slot),
        ]
    receipts += [receipt(10 * HOUR, "save_report", 5 * MB, overlapped=True), receipt(11 * HOUR, "save_report", MB, outcome=Outcome.FAILED)]  # fmt: skip
    tape = await recorded(receipts, [4])
    assert tape.warm_up_s == 6 * HOUR
    assert tape.kept_per_report == 350
    assert tape.kept_per_report_95 == (100, 600)
    assert tape.kept_per_iteration == 64
    assert tape.peak_above_steady == 2 * MB
    assert tape.runs["save_report"] == {"failed": 1, "ok": 10}
    assert tape.receipts["save_report"]["overlapped"] == 1
    assert len([m for m in tape.moments if m.kind == "report"]) == 10


async def test_connections_that_pools_open_at_first_are_no_leak_and_one_more_each_hour_is() -> None:
    assert (await recorded([], [2, 8, 8, 7, 8, 8])).connections_leaked == 0
    assert (await recorded([], [8 + hour for hour in range(24)])).connections_leaked == 14


async def test_growth_is_what_the_heap_gains_a_day_after_the_warm_up() -> None:
    grown = (await recorded([], [4], heap=100 * KB)).heap
    assert grown is not None
    assert grown.per_day == pytest.approx(2400 * KB, rel=0.01)
    assert grown.low > 64 * KB


async def test_a_leak_whose_line_bends_slowly_has_an_interval_too() -> None:
    recorder = Recorder(START)
    for n in range(200):
        at = n * 180.0
        recorder.look(Status(at, 80 * MB, 81 * MB, 20 * MB + n * MB + round(3 * MB * sin(n / 30)), 30, 6, 5, 4), 1)
    grown = recorder.tape(days=0.4, seconds=60, requests={}, crashed=None, notes=()).heap
    assert grown is not None
    assert 400 * MB < grown.low < grown.per_day < grown.high < 560 * MB


async def test_growth_of_the_indices_is_told_by_the_heap_from_run_to_run() -> None:
    receipts = [receipt(n * 180.0, heap_before=20 * MB + n * KB) for n in range(480)]
    grown = (await recorded(receipts, [4])).indices
    assert grown is not None
    assert grown.per_day == pytest.approx(480 * KB, rel=0.02)


async def test_a_receipt_that_is_read_twice_counts_once() -> None:
    tape = await recorded([receipt(n * 180.0) for n in range(480)], [4])
    assert tape.runs == {"refresh_indices": {"ok": 480}}


def test_the_interval_of_a_median_needs_six_values_and_narrows_with_more() -> None:
    assert reach([1, 2, 3, 4, 5]) is None
    assert reach(range(1, 7)) == (1, 6)
    low, high = reach(range(1, 102)) or (0, 0)
    assert (low, high) == (41, 61)


async def test_a_process_that_was_killed_warms_up_anew() -> None:
    recorder = Recorder(START)
    for n in range(97):
        recorder.look(Status(n * 900.0, 80 * MB, 81 * MB, 20 * MB, 30), 1 if n < 48 else 2)
    kept = {1: [MB, MB, MB, 10, 20], 2: [MB, MB, MB, 30, 40]}
    receipts = [
        receipt(12 * HOUR * (process - 1) + (n + 1) * HOUR, job, bytes_, slot=f"report.{process}.{n}")
        for process, those in kept.items()
        for n, bytes_ in enumerate(those)
        for job in ("save_report", "report")
    ]
    await recorder.collect(Stored(receipts))
    tape = recorder.tape(days=1, seconds=60, requests={}, crashed=None, notes=())
    assert tape.kept_per_report == 25


async def test_a_receipt_of_a_clock_that_ran_ahead_hides_none_that_come_after_it() -> None:
    recorder = Recorder(START)
    recorder.look(Status(12 * HOUR, 80 * MB, 81 * MB, 20 * MB, 30), 1)
    ahead = [receipt(38 * HOUR, slot="ahead")]
    await recorder.collect(Stored(ahead))
    after = [receipt(12 * HOUR + n * 180, slot=f"after.{n}") for n in range(300)]
    await recorder.collect(Stored([*ahead, *after]))
    assert len(recorder.receipts) == 301
