"""Cursors of keyset pages: where a page ended, as one opaque word. A page costs the same however far back it is."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import datetime

from evertick.archive.tables import Instant
from evertick.errors import BadCursor

MAX_LIMIT = 200

_instant = Instant()


def encode(at: datetime, key: str | int) -> str:
    """The cursor behind the row with this time and key."""
    micros = _instant.process_bind_param(at, None)  # type: ignore[arg-type]
    return urlsafe_b64encode(f"{micros}.{key}".encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[datetime, str]:
    """The time and the key again. Raises `BadCursor` for what `encode` did not make."""
    try:
        if len(cursor) > 256:
            raise ValueError
        plain = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        micros, dot, key = plain.partition(".")
        if not dot or not key:
            raise ValueError
        at = _instant.process_result_value(int(micros), None)  # type: ignore[arg-type]
        if at is None or encode(at, key) != cursor:  # one spelling only, so that caches see one address
            raise ValueError
    except (ValueError, OverflowError, Base64Error) as error:
        raise BadCursor("The cursor is not one of this list.", hint="Start again without a cursor") from error
    return at, key


def bounded(limit: int) -> int:
    return max(1, min(limit, MAX_LIMIT))
