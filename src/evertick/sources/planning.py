"""When an instrument is to be asked for again: not while its market is closed, and the long tail not in every run. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from zlib import crc32

from evertick.model import Instrument, Quote, Session
from evertick.sessions import last_close, session

TAIL_S = 900.0
"""Instruments that are not core are asked for once in so many seconds, each at a moment of its own."""
SETTLE = timedelta(minutes=30)
"""After a close: delayed feeds and closing auctions bring the day's last price within it."""

CLOSED = "its markets are closed"
LATER = "asked for every 15 minutes"


def put_off(
    instrument: Instrument,
    quote: Quote | None,
    heard: datetime | None,
    asked: datetime | None,
    now: datetime,
    *,
    hurry: bool = False,
) -> str | None:
    """Why nobody is asked for ``instrument`` now; ``None``: it is due.

    ``quote`` is the last good one, ``heard`` when a source last had an answer for it, ``asked`` when one was last asked.
    ``hurry``: somebody waits for the prices of now, so the long tail comes at once.
    """
    if quote is None:
        return None
    if session(instrument.exchange, now) in (Session.CLOSED, Session.BREAK):
        closed = last_close(instrument.exchange, now)
        if quote.as_of >= closed or (heard is not None and closed + SETTLE <= heard <= now):
            return CLOSED
    if instrument.core or hurry or asked is None:
        return None
    return LATER if _turn(instrument.id, asked) == _turn(instrument.id, now) else None


def _turn(instrument_id: str, at: datetime) -> int:
    """Number of the span of `TAIL_S` that ``at`` lies in; the spans of each instrument begin at a moment of their own."""
    phase = crc32(instrument_id.encode()) % int(TAIL_S)
    return int((at.timestamp() + phase) // TAIL_S)
