"""Objects that no report names: of a process that was killed, of a lease that was lost, of a database that was restored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import or_, select, update

from evertick.archive.bodies import Places
from evertick.archive.connection import Engine
from evertick.archive.tables import body_places, reports
from evertick.errors import ArchiveError

GRACE = timedelta(days=1)
"""An object that no report names may belong to a run that goes on, here or on a machine whose clock is wrong."""
EVERY = timedelta(days=1)

log = structlog.get_logger()


async def sweep_orphans(engine: Engine, places: Places, now: datetime) -> int:
    """Look through every place where this database ever kept bodies, once a day, and delete what is nobody's; how many.

    In steps of one listing (`evertick.archive.objects.LISTED`). A place that does not answer is said in the log, and looked
    through when housekeeping comes again.
    """
    due = or_(body_places.c.swept.is_(None), body_places.c.swept <= now - EVERY)
    async with engine.connect() as connection:
        locations = (await connection.scalars(select(body_places.c.location).where(due))).all()
    gone = 0
    for location in locations:
        try:
            async for some in places.outside(location).older(now - GRACE):
                orphans = await _nobodys(engine, location, some)
                if orphans:
                    await places.outside(location).delete(orphans)
                    gone += len(orphans)
        except ArchiveError as error:
            log.warning("objects of reports not looked through", location=location, error=str(error))
            continue
        async with engine.begin() as connection:
            await connection.execute(update(body_places).where(body_places.c.location == location).values(swept=now))
    return gone


async def _nobodys(engine: Engine, location: str, stored: Sequence[Any]) -> list[str]:
    """The keys of those whose report is not there, or is elsewhere, or was made under another token.

    A hidden report (token -1) keeps its own: they go with it.
    """
    ids = {one.report for one in stored}
    if not ids:
        return []
    query = select(reports.c.id, reports.c.token).where(reports.c.id.in_(ids), reports.c.bodies == location)
    async with engine.connect() as connection:
        tokens = {row.id: row.token for row in await connection.execute(query)}
    return [one.key for one in stored if tokens.get(one.report, 0) not in (one.token, -1)]
