"""`evertick doctor`: looks at everything the server needs, without changing anything, and says what to do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import date, timedelta

from evertick import app, desks, remote, sessions, universe
from evertick.archive import Archive
from evertick.archive.database import is_sqlite, sqlite_path
from evertick.errors import EvertickError
from evertick.memory.gauge import limit
from evertick.model import SystemClock
from evertick.settings import Settings
from evertick.sources.conductor import Conductor
from evertick.sources.http import open_http

DISK_WANTED = 1 << 30
CALENDAR_DAYS = timedelta(days=60)
"""So long before the end of a table of holidays the doctor complains of it."""


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    found: str
    hint: str = ""


async def examine(settings: Settings) -> list[Check]:
    return [check async for check in _checks(settings)]


async def _checks(settings: Settings) -> AsyncIterator[Check]:
    yield Check("python", sys.version_info >= (3, 11), sys.version.split()[0], "Evertick needs Python 3.11 or later.")
    try:
        app.check(settings)
        yield Check("settings", True, f"{settings.mode}, {', '.join(settings.locales)}, {settings.timezone}")
    except EvertickError as error:
        yield Check("settings", False, error.message, error.hint)
    yield _assets()
    yield _folder(settings)
    size, source = limit(settings.memory_limit)
    yield Check("memory limit", size >= 96 << 20, f"{size >> 20} MiB, from the {source}", "Give it 96 MiB at least.")
    try:
        instruments = desks.load(settings).universe
    except EvertickError as error:
        yield Check("universe", False, error.message, error.hint)
        return
    yield Check("universe", True, f"{len(instruments)} instruments")
    yield calendars({i.exchange for i in instruments}, SystemClock().now().date())
    async for check in _resources(settings, instruments):
        yield check
    async for check in _sources(settings, instruments):
        yield check
    if settings.writer.base_url is not None:
        yield await _writer(settings)


def _assets() -> Check:
    from evertick.reports.render.assets import report_css

    try:
        return Check("page assets", True, f"{len(report_css()):,} bytes of styles")
    except EvertickError as error:
        return Check("page assets", False, error.message, error.hint)


def calendars(exchanges: Collection[str], today: date) -> Check:
    """Whether the holidays of all ``exchanges`` that have a calendar are known for `CALENDAR_DAYS` more."""
    ends = {code: end for code in exchanges if (end := sessions.horizon(code)) is not None}
    soon = sorted(code for code, end in ends.items() if end - today < CALENDAR_DAYS)
    if not soon:
        found = f"{len(ends)} exchanges, to {min(ends.values())} at least" if ends else "none is needed"
        return Check("holidays", True, found)
    few = ", ".join(f"{code} {ends[code]}" for code in soon[:5]) + (" …" if len(soon) > 5 else "")
    why = "Update Evertick. After its last day an exchange counts as open on its holidays."
    return Check("holidays", False, f"known only to: {few}", why)


def _folder(settings: Settings) -> Check:
    folder = settings.data_dir
    there = folder.absolute()
    while not there.exists():  # the server makes what is missing
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "may not be written" if there.is_dir() else f"{there} is not a folder"
        return Check("data folder", False, f"{folder}: {why}", "Set DATA_DIR to a folder that this user may write.")
    free = shutil.disk_usage(there).free
    server = remote.find(settings)
    found = f"{folder}, {free / 1e9:.1f} GB free" + (f", served at {server}" if server else "")
    return Check(
        "data folder", free >= DISK_WANTED, found, "Free some space: 1 GB keeps 200 reports and two years of bars."
    )


async def _resources(settings: Settings, instruments: universe.Universe) -> AsyncIterator[Check]:
    url = settings.database_url_or_default
    if is_sqlite(url) and not sqlite_path(url).is_file():
        yield Check("database", True, "none yet; the first start makes it")
        return
    try:
        async with app.open_storage(settings, SystemClock(), instruments) as (archive, board):
            await archive.ping()
            yield Check("database", True, archive.name)
            await board.ping()
            yield Check("board", True, board.kind)
            async for check in _bodies(archive):
                yield check
    except EvertickError as error:
        yield Check("database and board", False, error.message, error.hint)


async def _bodies(archive: Archive) -> AsyncIterator[Check]:
    try:
        if location := await archive.places.ping():
            yield Check("bodies of reports", True, location)
    except EvertickError as error:
        yield Check("bodies of reports", False, error.message, error.hint)


async def _sources(settings: Settings, instruments: universe.Universe) -> AsyncIterator[Check]:
    async with open_http(settings.http) as http:
        statuses = await Conductor(http, instruments, settings.sources, SystemClock()).probe()
    for status in statuses:
        ok = status.state not in ("failing", "resting")
        why = status.error or status.note or (f"{status.quotes} quotes" if status.quotes != 1 else "1 quote")
        yield Check(f"source {status.name}", ok, f"{status.state}: {why}", "Others stand in for it; see its error.")


async def _writer(settings: Settings) -> Check:
    """Asks the model for one word, which takes a few tokens and is not counted."""
    from evertick.reports.writer.author import probe
    from evertick.reports.writer.client import Client

    name = f"AI writer {settings.writer.model}"
    try:
        async with open_http(settings.http) as http:
            return Check(name, True, await probe(Client(http, settings.writer, SystemClock())))
    except EvertickError as error:
        return Check(name, False, error.message, error.hint or "Reports keep the rules' text until it answers.")
