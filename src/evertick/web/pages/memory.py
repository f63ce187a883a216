"""``/memory``: whether memory grows, in words; its timeline, components, requests, diagnoses and receipts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, log2
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from evertick.errors import ArchiveError
from evertick.model import Page, WebReceipt
from evertick.web.auth import Writer
from evertick.web.pages import format
from evertick.web.pages.dashboard import JOBS
from evertick.web.pages.timeline import drawing
from evertick.web.problems import Problem
from evertick.web.replies import back_to
from evertick.web.routes.memory import SPANS, Diagnose, Range
from evertick.web.state import Web, web_of

router = APIRouter(include_in_schema=False)

RECEIPTS = 50
DAY: Range = "24h"
KB, MB = 1 << 10, 1 << 20

STATES = {
    "flat": "Flat",
    "shrinking": "Shrinking",
    "growing": "Growing",
    "unclear": "Not settled",
    "early": "Too early to say",
}
_SAID_TWICE = ("flat: ", "shrinking: ", "growing ", "not settled: ", "too early to say: ")
RANGES = {
    "1h": "1 hour", "6h": "6 hours", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"
}  # fmt: skip
PROMISES: tuple[tuple[str, str, str, str, int, int], ...] = (
    ("indices", "Market-indices scheduler", "Indices, growth a day", "a day", 50 * MB, 5 * MB),
    ("save", "Report generation and save", "Kept per report", "kept per report", 7 * MB, 100 * KB),
    ("auto_report", "Auto-report scheduler", "Auto report, per iteration", "kept per iteration", 10 * MB, MB),
    ("", "All together", "All, growth a day", "a day", 200 * MB, 20 * MB),
)
"""Component, title, its row in the statement, the unit in words, and the sizes of the flow diagrams: before and after."""
AXIS = ((1 * KB, "1 KB"), (10 * KB, "10"), (100 * KB, "100"), (MB, "1 MB"), (10 * MB, "10"), (100 * MB, "100 MB"))


@dataclass(frozen=True, slots=True)
class Bar:
    kind: str
    label: str
    width: float
    """Percent of the scale."""
    value: str
    reach: tuple[float, float] | None = None
    """The ends of the 95 % interval, percent of the scale."""


@dataclass(frozen=True, slots=True)
class Block:
    """One component beside what the flow diagrams say of it."""

    title: str
    unit: str
    bars: Sequence[Bar]
    note: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests of one route."""

    receipt: WebReceipt
    mean_s: float
    kept: int | None
    """Bytes by one request, of those that were alone in the process."""


@router.head("/memory")
@router.get("/memory")
async def memory(
    request: Request,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
    job: Annotated[str | None, Query(max_length=32)] = None,
    span: Annotated[Range, Query(alias="range")] = DAY,
) -> Response:
    web = web_of(request)
    try:
        page = await web.services.receipts.recent(limit=RECEIPTS, cursor=cursor, job=job or None)
        found, problem = await _account(web, span), ""
    except ValueError as error:
        raise Problem(400, str(error)) from error
    except ArchiveError as error:
        page, found, problem = Page((), None), {"statement": None, "course": None, "growth": ()}, str(error)
    return await web.pages.send(
        request,
        "memory.html",
        memory=web.services.memory.now(),
        budget=web.services.account.budget,
        asking_since=web.services.inquiry.since,
        receipts=page.items,
        next=page.next,
        first=cursor is None,
        job=job or "",
        jobs=JOBS,
        span=span,
        ranges=RANGES,
        problem=problem,
        address=lambda **changed: address({"job": job, "range": span} | changed),
        memory_css=web.assets.address("memory.css"),
        memory_js=web.assets.address("memory.js"),
        **found,
    )


@router.post("/memory/diagnose", dependencies=[Writer])
async def diagnose(request: Request) -> Response:
    """The button of the page; programs use ``POST /api/v1/memory/diagnose``."""
    asked = Diagnose()
    web_of(request).services.inquiry.start(asked.runs, asked.at_most_s)
    return back_to("/memory#diagnoses")


async def _account(web: Web, span: Range) -> dict[str, Any]:
    services = web.services
    statement = await services.account.statement()
    await asyncio.sleep(0)  # some milliseconds of work lie behind, and before: others first
    course = drawing(await services.account.course(SPANS[span]), ZoneInfo(services.settings.timezone))
    now = services.clock.now()
    return {
        "statement": statement,
        "course": course,
        "word": STATES.get(statement.verdict.state, statement.verdict.state),
        "sentence": sentence(statement),
        "growth": [
            ("RSS, growth a day", growth(statement.rss.trend)),
            ("Heap, growth a day", growth(statement.heap.trend)),
        ],
        "blocks": blocks(statement),
        "axis": [(share(size), label) for size, label in AXIS],
        "components": [(one, growth(one.per_day)) for one in statement.components],
        "rows": [(row, measured(row)) for row in statement.rows],
        "requests": traffic(await services.timeline.web(now - SPANS[span], now)),
        "diagnoses": await services.timeline.diagnoses(5),
    }


def address(wanted: Mapping[str, str | None]) -> str:
    """The page with these parameters, those that say nothing left out."""
    given = {k: v for k, v in wanted.items() if v and (k, v) != ("range", DAY)}
    order = sorted(given, key=lambda name: name != "cursor")
    return "/memory" + (f"?{urlencode({k: given[k] for k in order})}" if given else "")


def sentence(statement: Any) -> str:
    """The verdict's text without the word that stands above it, and of which quantity it is."""
    verdict = statement.verdict
    text: str = verdict.text
    for said in _SAID_TWICE:
        text = text.removeprefix(said)
    if verdict.state == "early":
        return f"{text} measured after the first 15 minutes, an hour is needed"
    return f"{'RSS' if verdict is statement.rss else 'Heap'} {text}"


def growth(trend: Any) -> str:
    """``−2.6 KB (−26.8 KB … +23.3 KB)``"""
    if trend is None:
        return "too early to say"
    return f"{more(trend.per_day)} ({more(trend.low)} … {more(trend.high)})"


def more(count: float) -> str:
    """Bytes with their sign.

    >>> more(2048), more(-300), more(0.2), more(float("inf"))
    ('+2.0 KB', '−300 B', '0 B', 'no bound')
    """
    if not isfinite(count):
        return "no bound"
    if abs(count) < 0.5:
        return "0 B"
    return ("+" if count > 0 else "") + format.size(count)


def share(count: float) -> float:
    """Where a number of bytes stands on the scale, percent: logarithmic, from 1 KB to 1 GB.

    >>> share(0), share(1 << 10), share(1 << 20), share(1 << 30)
    (0.0, 0.0, 50.0, 100.0)
    """
    return round(min(100.0, 5 * log2(count / KB)), 2) if count > KB else 0.0


def blocks(statement: Any) -> list[Block]:
    rows = {row.what: row for row in statement.rows}
    components = {component.name: component for component in statement.components}
    found = []
    for name, title, what, unit, before, after in PROMISES:
        row = rows[what]
        component = components.get(name)
        trend = component.per_day if component else statement.heap.trend
        daily = row.unit == "bytes a day"
        reach = (
            (share(trend.low), share(trend.high)) if daily and row.measured is not None and trend is not None else None
        )
        if row.measured is None:
            value = "too early"
        elif daily:
            value = f"{more(row.measured)}, at most {more(row.high)}" if row.high is not None else more(row.measured)
        else:
            value = format.size(row.measured)
        bars = [
            Bar("before", "Before", share(before), f"about {_round(before)}"),
            Bar("after", "After", share(after), f"about {_round(after)}"),
            Bar("here", "This server", share(row.measured or 0), value, reach),
        ]
        found.append(Block(title, unit, bars, _note(component, trend)))
    return found


def _note(component: Any, trend: Any) -> str:
    told = "growth a day too early to say" if trend is None else f"growth a day {growth(trend)}"
    if component is None:
        return f"heap, {told}"
    return f"{component.measured} of {component.runs} runs measured in 24 h, {told}"


def _round(count: int) -> str:
    return f"{count // MB} MB" if count >= MB else f"{count // KB} KB"


def measured(row: Any) -> str:
    """What this server did, in the unit of its row."""
    if row.measured is None:
        return "too early"
    if row.unit == "count":
        return f"{row.measured:.0f}"
    if row.high is not None:
        return f"{more(row.measured)}, at most {more(row.high)}"
    return format.size(row.measured)


def traffic(receipts: Sequence[WebReceipt]) -> list[Traffic]:
    """Most asked for first."""
    found = [
        Traffic(
            r,
            r.duration_s / r.requests if r.requests else 0.0,
            round(r.retained / r.alone) if r.alone and r.retained is not None else None,
        )
        for r in receipts
    ]
    return sorted(found, key=lambda t: -t.receipt.requests)
