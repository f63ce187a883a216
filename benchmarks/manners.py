"""The flow diagrams' day played by ``evertick soak --compare``: "before", "after" and ours, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from row import Row

GROUP = "manners"
MB, KB = 1 << 20, 1 << 10


def rows(quick: bool) -> Iterator[Row]:
    day = (
        ["--days", "0.25", "--refreshes", "120", "--reports", "16", "--requests", "100", "--instruments", "60"]
        if quick
        else ["--days", "1"]
    )
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "evertick", "soak", *day, "--compare", "--out", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=name, timeout=1_800)
        file = Path(name) / "soak.json"
        if not file.exists():
            raise RuntimeError(((done.stderr or done.stdout).strip().splitlines() or ["the soak said nothing"])[-1])
        soak = json.loads(file.read_text())
    tapes = soak["variants"]
    ours = tapes["evertick"]
    runs = f"{sum(ours['runs']['refresh_indices'].values())} refreshes, {sum(ours['runs']['save_report'].values())} reports"
    growth = () if quick else (("growth a day, market indices", "indices"), ("growth a day, heap", "heap"))
    for manner in ("before", "after"):
        theirs = tapes[manner]
        against = f"the diagrams' “{manner}”"
        crashed = f"; it ended before: {theirs['crashed']}" if theirs["crashed"] else ""
        yield _row("connections leaked", ours, theirs, "connections_leaked", 1, "", against, f"{runs}{crashed}")
        yield _row("kept per report", ours, theirs, "kept_per_report", KB, "KB", against)
        yield _row("peak of a report above steady", ours, theirs, "peak_above_steady", MB, "MiB", against)
        yield _row(
            "steady RSS",
            ours,
            theirs,
            "steady_rss",
            MB,
            "MiB",
            against,
            "" if manner == "after" else "it never is steady",
        )
        for what, key in growth:  # a short look is too short for one
            mine, other = (one[key] and one[key]["per_day"] / KB for one in (ours, theirs))
            ends = ours[key] and f"ours {ours[key]['low'] / KB:.0f} to {ours[key]['high'] / KB:.0f} KB, 95 %"
            yield Row(GROUP, what, mine, other, "KB", against, note=ends or "too short to tell")


def _row(
    what: str,
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    key: str,
    unit: int,
    name: str,
    against: str,
    note: str = "",
) -> Row:
    mine, other = (None if one[key] is None else one[key] / unit for one in (ours, theirs))
    return Row(GROUP, what, mine, other, name, against, note=note)
