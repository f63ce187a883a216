"""`evertick memory` in a terminal: the verdict, the timeline as a plot of characters, the components, the receipts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from evertick.memory import size

MB = 1 << 20
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_MARKS = {"refresh": "·", "report": "R", "restart": "|"}
_COLOURS = {"flat": "green", "shrinking": "green", "growing": "bold red", "unclear": "yellow", "early": "dim"}
_STATES = {"ok": "green", "tight": "yellow", "over": "bold red"}


def plot(course: Mapping[str, Any], width: int = 72, height: int = 8) -> list[str]:
    """The highest RSS of every span of time as columns of blocks from zero, with the marks below. At least 20 columns."""
    width = max(width, 20)
    since, until = _instant(course["since"]), _instant(course["until"])
    columns: list[float | None] = [None] * width
    for sample in course["samples"]:
        if sample["rss_max"] is None:
            continue
        n = _column(_instant(sample["at"]), since, until, width)
        columns[n] = max(columns[n] or 0.0, sample["rss_max"] / MB)
    known = [c for c in columns if c is not None]
    if not known:
        return ["nothing was measured in this time"]
    top = _round_up(max(known) * 1.15)
    lines = []
    for row in range(height, 0, -1):
        label = f"{top * row / height:7.0f} ┤" if row % 2 == 0 else "        │"
        lines.append(label + "".join(_cell(c, row, height, top) for c in columns))
    lines.append("      0 └" + "─" * width)
    lines.append("         " + _marks(course["marks"], since, until, width))
    local = [at.astimezone() for at in (since, since + (until - since) / 2, until)]
    form = "%H:%M" if (until - since).total_seconds() <= 86_400 else "%d %b %H:%M"
    left, middle, right = (at.strftime(form) for at in local)
    lines.append("         " + left + middle.center(width - len(left) - len(right)) + right)
    return lines


def screen(
    now: Mapping[str, Any],
    statement: Mapping[str, Any],
    course: Mapping[str, Any],
    receipts: Sequence[Mapping[str, Any]],
) -> Any:
    """Everything as one Rich renderable."""
    from rich.console import Group
    from rich.text import Text

    verdict, budget = statement["verdict"], statement["budget"]
    head = Text.assemble(
        (verdict["text"], _COLOURS[verdict["state"]]), "\n",
        ("budget ", "dim"), (budget["state"], _STATES[budget["state"]]), f": {budget['reason']}\n",
        ("heap ", "dim"), f"{size(now['heap'])}   ", ("rss ", "dim"), f"{size(now['rss'])}   ",
        ("descriptors ", "dim"), f"{_count(now['fds'])}   ", ("tasks ", "dim"), f"{now['tasks']}   ",
        ("connections ", "dim"), f"{_count(now['connections'])}\n",
    )  # fmt: skip
    body = Text("\n".join(plot(course)) + "\n")
    legend = Text("         RSS in MB, the highest of each column;  · refresh  R report  | restart\n", style="dim")
    return Group(head, body, legend, *_tables(statement, receipts))


def _tables(statement: Mapping[str, Any], receipts: Sequence[Mapping[str, Any]]) -> list[Any]:
    from evertick.terminal import drawn, when

    words = {True: "yes", False: "NO", None: "–"}
    rows = [
        (r["what"], r["before"], r["after"], r["aim"], _measured(r), words[r["met"]])
        for r in statement["rows"]
    ]  # fmt: skip
    components = [
        (c["title"], c["runs"], c["measured"], size(c["kept"]) if c["measured"] else "–", _daily(c["per_day"]),
         size(c["peak"]) if c["peak"] is not None else "–", c["connections"], c["descriptors"])
        for c in statement["components"] if c["runs"]
    ]  # fmt: skip
    newest = [
        (when(r["started"]), r["job"], r["outcome"], f"{r['duration_s']:.2f} s", size(r["rss_after"]), size(r["retained"]),
         size(r["freed"]), "overlapped" if r["overlapped"] else "")
        for r in receipts
    ]  # fmt: skip
    return [
        drawn("Without care, with care, and here", ("", "before", "after", "aim", "this server", "met"), rows),
        drawn(
            "Components, the last 24 hours",
            ("component", "runs", "measured", "kept by a run", "a day (95 %)", "peak", "connections", "descriptors"),
            components, right=(1, 2, 3, 4, 5, 6, 7),
        ),
        drawn(
            "🧹 Receipts", ("started", "job", "outcome", "took", "rss", "retained", "freed", ""), newest, right=(3, 4, 5, 6)
        ),
    ]  # fmt: skip


def diagnosis(found: Mapping[str, Any]) -> list[Any]:
    """What a diagnosis found, as Rich renderables."""
    from rich.text import Text

    from evertick.terminal import drawn, when

    ended = "" if found["complete"] else ", its time was up before the runs were done"
    head = (
        f"{when(found['at'])}: {found['runs']} runs in {found['duration_s']:.0f} s{ended}; heap {size(found['heap_delta'])} more. "
        f"The tracing held {size(found['tracer_bytes'])} and stopped the server for {found['tracer_s']:.2f} s.\n"
    )
    tables: list[Any] = [Text(head)]
    for title, key in (("Lines", "lines"), ("Types", "types"), ("Descriptors", "descriptors"), ("Tasks", "tasks")):
        rows = [(one["what"], f"{one['count']:+d}", size(one["size"]) if one["size"] else "") for one in found[key]]
        if rows:
            tables.append(drawn(f"{title} that grew", ("what", "count", "bytes"), rows, right=(1, 2)))
    if len(tables) == 1:
        tables.append(Text("Nothing grew.\n"))
    return tables


def _cell(value: float | None, row: int, height: int, top: float) -> str:
    if value is None:
        return " "
    filled = value / top * height - (row - 1)
    return _EIGHTHS[max(0, min(8, round(filled * 8)))]


def _marks(marks: Sequence[Mapping[str, Any]], since: datetime, until: datetime, width: int) -> str:
    line = [" "] * width
    for kind in _MARKS:  # the rarest last: it covers the others
        for mark in marks:
            if mark["kind"] == kind:
                line[_column(_instant(mark["at"]), since, until, width)] = _MARKS[kind]
    return "".join(line)


def _column(at: datetime, since: datetime, until: datetime, width: int) -> int:
    share = (at - since).total_seconds() / (until - since).total_seconds()
    return max(0, min(width - 1, int(share * width)))


def _instant(text: str | datetime) -> datetime:
    return text if isinstance(text, datetime) else datetime.fromisoformat(text)


def _round_up(value: float) -> float:
    for step in (10, 20, 40, 80, 160, 240, 320, 480, 640, 800, 1600, 3200):
        if value <= step:
            return step
    return value


def _measured(row: Mapping[str, Any]) -> str:
    if row["measured"] is None:
        return "too early"
    if row["unit"] == "count":
        return f"{row['measured']:.0f}"
    high = f", at most {size(int(row['high']))}" if row["high"] is not None else ""
    return size(int(row["measured"])) + high


def _daily(trend: Mapping[str, Any] | None) -> str:
    if trend is None:
        return "too early"
    low, high = (size(int(trend[end])) if trend[end] is not None else "?" for end in ("low", "high"))
    return f"{size(int(trend['per_day']))} ({low} … {high})"


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)
