from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from evertick.terminal_memory import diagnosis, plot, screen

MB = 1 << 20
UNTIL = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=1)


def course(*levels: float, marks: tuple[tuple[float, str], ...] = ()) -> dict[str, Any]:
    step = timedelta(days=1) / max(1, len(levels))
    samples = [{"at": (SINCE + step * n).isoformat(), "rss_max": int(level * MB)} for n, level in enumerate(levels)]
    return {
        "since": SINCE.isoformat(), "until": UNTIL.isoformat(), "samples": samples,
        "marks": [{"at": (SINCE + timedelta(hours=hours)).isoformat(), "kind": kind} for hours, kind in marks],
    }  # fmt: skip


def test_a_flat_line_is_flat_and_begins_at_zero() -> None:
    lines = plot(course(*[80.0] * 48), width=24, height=8)
    rows = [line[9:] for line in lines[:8]]
    assert rows[-1] == "█" * 24
    assert all(len(set(row)) == 1 for row in rows)
    assert lines[8].startswith("      0 └")
    assert lines[0].startswith("    160 ┤")


def test_growth_climbs() -> None:
    heights = []
    lines = plot(course(*[10.0 * n for n in range(1, 25)]), width=24, height=8)
    for column in range(24):
        heights.append(sum(line[9 + column] != " " for line in lines[:8]))
    assert heights == sorted(heights)
    assert heights[0] == 1
    assert heights[-1] >= 6


def test_a_gap_stays_empty_and_marks_stand_below_their_time() -> None:
    marks = ((0, "restart"), (12, "report"), (12.1, "refresh"), (23.9, "refresh"))
    found = course(80, marks=marks)
    lines = plot(found, width=24, height=4)
    assert lines[3][9:].rstrip() == "█"
    assert lines[5][9:] == "|" + " " * 11 + "R" + " " * 10 + "·"


def test_nothing_measured_is_said() -> None:
    assert plot(course()) == ["nothing was measured in this time"]


def printed(*what: Any) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(*what, sep="\n")
    console.file.close()
    return console.export_text()


def test_the_screen_begins_with_the_verdict() -> None:
    trend = {"per_day": 1000.0, "low": None, "high": 2000.0, "span_s": 80000.0, "points": 240, "steps": []}
    statement = {
        "verdict": {"state": "flat", "text": "flat: +0.02 MB a day, at most 0.06, over 26 h"},
        "budget": {"state": "ok", "reason": "85 MB of 256 MB are in use"},
        "rows": [
            {"what": "Kept per report", "before": "about 7 MB", "after": "about 100 KB", "aim": "1 KB at most",
             "measured": 200.0, "high": None, "unit": "bytes", "met": True},
            {"what": "All, growth a day", "before": "about 200 MB", "after": "about 20 MB", "aim": "64 KB",
             "measured": None, "high": None, "unit": "bytes a day", "met": None},
        ],
        "components": [
            {"title": "Market-indices scheduler", "runs": 480, "measured": 470, "kept": -3, "per_day": trend,
             "peak": 2 * MB, "connections": 0, "descriptors": 0},
            {"title": "Web", "runs": 0, "measured": 0, "kept": None, "per_day": None, "peak": None, "connections": 0,
             "descriptors": 0},
        ],
    }  # fmt: skip
    receipt = {
        "started": "2026-11-23T12:00:00Z", "job": "report", "outcome": "ok", "duration_s": 2.5, "rss_after": 90 * MB,
        "retained": 120, "freed": MB, "overlapped": False,
    }  # fmt: skip
    now = {"heap": 20 * MB, "rss": 85 * MB, "fds": None, "tasks": 12, "connections": 3}
    text = printed(screen(now, statement, course(80, 81), [receipt]))
    assert text.splitlines()[0].startswith("flat: +0.02 MB a day")
    for expected in ("too early", "0.2KB", "1.0KB (? … 2.0KB)", "🧹 Receipts", "budget ok: 85 MB of 256 MB"):
        assert expected in text
    assert "Web" not in text


def test_a_diagnosis_says_what_it_cost() -> None:
    grown = {"what": "evertick/board/poll.py:71", "count": 12, "size": 4096}
    found = {
        "at": "2026-11-23T12:00:00Z", "runs": 5, "complete": False, "duration_s": 900.0, "heap_delta": 6000,
        "lines": [grown], "types": [], "descriptors": [], "tasks": [], "tracer_bytes": 2 * MB, "tracer_s": 0.2,
    }  # fmt: skip
    text = printed(*diagnosis(found))
    assert "its time was up before the runs were done" in text
    assert "The tracing held 2.0MB and stopped the server for 0.20 s" in text
    assert "poll.py:71" in text
    assert "Nothing grew." in printed(*diagnosis({**found, "lines": []}))
