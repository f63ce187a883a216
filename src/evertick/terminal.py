"""What the commands print: tables for people, JSON for pipes. Rich is imported only when something is drawn."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any


def say(text: str) -> None:
    """One line for people, on the standard output; all of it, however slowly it is read.

    With PYTHONUNBUFFERED, as containers set it, Python's own ``write`` takes what a pipe has room for and forgets the rest.
    """
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # replaced by something that only takes text
        sys.stdout.write(text + "\n")
    else:
        sys.stdout.flush()
        rest = memoryview((text + "\n").encode(sys.stdout.encoding or "utf-8", "replace"))
        while rest:
            rest = rest[buffer.write(rest) :]
    sys.stdout.flush()


def as_json(value: Any) -> None:
    say(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[int] = ()) -> None:
    show(drawn(title, columns, rows, right=right))


def show(*what: Any) -> None:
    """Print Rich renderables."""
    from rich.console import Console

    Console().print(*what, sep="\n")


def drawn(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[int] = ()) -> Any:
    """A Rich table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for n, column in enumerate(columns):
        made.add_column(column, justify="right" if n in right else "left", no_wrap=n == 0)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text("–" if cell is None else str(cell)) for cell in row))
    return made


def change(value: float | None) -> Any:
    """A change in percent with its sign and arrow; the colour says nothing that the sign does not."""
    from rich.text import Text

    if value is None:
        return Text("–")
    arrow = "▲" if value > 0 else "▼" if value < 0 else " "
    return Text(f"{arrow} {value:+.2f} %", style="green" if value > 0 else "red" if value < 0 else "")


def age(seconds: float | None) -> str:
    """Seconds as people say them: ``42 s``, ``3 min``, ``5 h``, ``2 d``."""
    if seconds is None:
        return "–"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def when(value: str | datetime | None) -> str:
    """An instant in the local time of this machine, to the second."""
    if value is None:
        return "–"
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return instant.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def progress(text: str, *, quiet: bool = False, lines: bool = False) -> Iterator[Callable[[float, str], None]]:
    """A bar on the standard error while something long runs; call it with the share done and the stage.

    Where that is no terminal there is nothing, or with ``lines`` a line for every tenth.
    """
    if quiet or not (lines or sys.stderr.isatty()):
        yield lambda share, stage: None
        return
    if not sys.stderr.isatty():
        yield _tenths(text)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn(text),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        task = bars.add_task("", total=1.0)
        yield lambda share, stage: bars.update(task, completed=share, description=stage)


def _tenths(text: str) -> Callable[[float, str], None]:
    told = 0

    def show(share: float, stage: str) -> None:
        nonlocal told
        if int(share * 10) > told:
            told = int(share * 10)
            sys.stderr.write(f"{text}: {stage}\n")
            sys.stderr.flush()

    return show


def backfilled(done: Mapping[str, Any]) -> None:
    """What `evertick db backfill` did, in a few lines, each failure with its reason."""
    say(
        f"{done['bars']:,} daily bars of {done['fetched']} instruments fetched in {done['seconds']:g} s, "
        f"{done['days']} days back; {done['already']} instruments had theirs"
    )
    if done["replaced"]:
        say(f"whole series replaced, the scale had changed: {', '.join(done['replaced'])}")
    if done["without_bars"]:
        say(f"their sources have no bars of: {', '.join(done['without_bars'])}")
    if done["without_a_source"]:
        say(f"no source that is switched on has bars of: {', '.join(done['without_a_source'])}")
    for id, why in done["failed"].items():
        say(f"failed: {id}: {why}")
    if done["failed"]:
        say(f"{len(done['failed'])} instruments failed; run the same again to fetch them")


def indices(document: Mapping[str, Any]) -> None:
    """The document of ``GET /api/v1/indices`` as a table."""
    rows = [
        (q["id"], q["name"], f"{q['price']:,.6g}", change(q["change_pct"]), q["currency"], age(q["age_s"]),
         q["session"] if q["fresh"] else f"{q['session']}, stale", q["source"])
        for q in document["quotes"]
    ]  # fmt: skip
    table(
        f"Latest quotes, as of {when(document['as_of'])}",
        ("id", "name", "price", "1D", "unit", "age", "session", "source"),
        rows,
        right=(2, 3, 5),
    )
    for source in document["sources"]:
        if source["state"] != "off":
            why = source.get("error") or source.get("note")
            say(f"{source['name']}: {source['state']}, {source['quotes']} quotes{': ' + why if why else ''}")


def sources(items: Sequence[Mapping[str, Any]]) -> None:
    """The items of ``GET /api/v1/sources`` as a table; below it the newest error of each."""
    if not items:
        say("No source was asked yet; ask them with: evertick poll")
        return
    rows = [
        (s["name"], s["state"], s["quotes"], when(s["last_success"]),
         None if s["state"] == "off" else "no limit" if s["quota"] is None else f"{s['quota_left']:,} of {s['quota']:,}",
         f"asked again at {when(s['retry_at'])}" if s["retry_at"] else s["note"] or "")
        for s in items
    ]  # fmt: skip
    table(
        "Sources, as of the last run",
        ("source", "state", "quotes", "last success", "left today", ""),
        rows,
        right=(2, 4),
    )
    for s in items:
        if s["last_error"]:
            say(f"{s['name']}, {when(s['last_error_at'])}: {s['last_error']}")
