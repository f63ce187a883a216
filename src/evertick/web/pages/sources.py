"""``/sources``: every provider, what it gives, how it is, and what it last complained of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from evertick.errors import BoardError
from evertick.model import Snapshot, SourceStatus
from evertick.sources.about import ABOUT
from evertick.web.pages import format
from evertick.web.state import web_of

router = APIRouter(include_in_schema=False)

STATES = {
    "ok": "Answers",
    "partial": "Answers in part",
    "failing": "Fails",
    "resting": "Rests",
    "idle": "Not needed now",
    "off": "Off",
}


@dataclass(frozen=True, slots=True)
class Credit:
    """A provider by the name and the page by which it is credited."""

    title: str
    site: str


@dataclass(frozen=True, slots=True)
class Row:
    status: SourceStatus
    title: str
    site: str
    gives: str
    state: str
    held: int
    """Prices of the board that came from it."""
    age: str
    left: str
    retry_in: str
    error: str
    """Of its last run, else the newest one that it recovered from; in plain words."""
    error_at: datetime | None


@router.head("/sources")
@router.get("/sources")
async def sources(request: Request) -> Response:
    web = web_of(request)
    problem = ""
    try:
        await web.feed.current()
    except BoardError as error:
        problem = str(error)
    rows = table(web.feed.snapshot, web.services.clock.now())
    return await web.pages.send(
        request,
        "sources.html",
        on=[row for row in rows if row.status.state != "off"],
        off=[row for row in rows if row.status.state == "off"],
        problem=problem,
    )


def table(snapshot: Snapshot | None, now: datetime) -> list[Row]:
    if snapshot is None:
        return []
    held = Counter(quote.source for quote in snapshot.quotes)
    return [_row(status, held, now) for status in snapshot.sources]


def _row(status: SourceStatus, held: Mapping[str, int], now: datetime) -> Row:
    about = ABOUT.get(status.name)
    left = "no daily limit"
    if status.quota is not None:
        left = f"{status.quota_left or 0:,} of {status.quota:,}"
    return Row(
        status=status,
        title=status.title or (about.title if about else status.name),
        site=about.site if about else "",
        gives=about.gives if about else "",
        state=STATES.get(status.state, status.state),
        held=held.get(status.name, 0),
        age=_ago(status.last_success, now),
        left=left,
        retry_in=format.until((status.retry_at - now).total_seconds()) if status.retry_at else "",
        error=status.error or status.last_error or "",
        error_at=status.last_error_at,
    )


def _ago(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "never"
    age = format.age((now - at).total_seconds())
    return age if age == "now" else f"{age} ago"


def credits(names: Iterable[str]) -> list[Credit]:
    """The providers of the prices that are shown, each once."""
    given = set(names)
    known = [Credit(about.title, about.site) for name, about in ABOUT.items() if name in given]
    return known + [Credit(name, "") for name in sorted(given - ABOUT.keys())]
