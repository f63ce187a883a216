"""CSV as public offices publish it: a row of names, then rows of numbers, a day each. Pure."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from evertick.errors import SourceMalformed

ROWS_AT_MOST = 20_000
_ISO = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})", re.ASCII)
_US = re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})", re.ASCII)


def table(provider: str, endpoint: str, body: bytes) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the rows that have a cell for each; names and cells without blanks around them.

    A last row that breaks off (no line end, and short of cells or of the decimals of the row before) is left out.
    Raises `SourceMalformed` for what is no CSV, or has more than `ROWS_AT_MOST` rows.
    """
    whole = body.endswith((b"\n", b"\r"))
    names: list[str] = []
    rows: list[list[str]] = []
    try:
        for cells in csv.reader(io.StringIO(body.decode("utf-8", "replace"))):
            cells = [cell.strip() for cell in cells]
            if not names:
                names = cells if any(cells) else []
            elif len(cells) == len(names):
                rows.append(cells)
            if len(rows) > ROWS_AT_MOST:
                raise SourceMalformed(
                    provider, endpoint, "a table without end", expected=f"at most {ROWS_AT_MOST} rows"
                )
    except csv.Error as error:
        raise SourceMalformed(provider, endpoint, f"broken CSV ({error})", expected="CSV") from None
    if len(rows) > 1 and not whole and _decimals(rows[-1][-1]) < _decimals(rows[-2][-1]):
        rows.pop()
    return names, rows


def tail(body: bytes, lines: int) -> bytes:
    """The last ``lines`` lines, found from the end; ``body`` itself where there are no more."""
    at = len(body)
    for _ in range(lines + 1):
        at = body.rfind(b"\n", 0, at)
        if at < 0:
            return body
    return body[at + 1 :]


def _decimals(cell: str) -> int:
    return len(cell.partition(".")[2])


def iso_day(text: str) -> int | None:
    """The ordinal of ``2026-11-23``; ``None`` for what is no day between 1900 and 2199."""
    return _day(_ISO.fullmatch(text))


def us_day(text: str) -> int | None:
    """The ordinal of ``11/23/2026``; ``None`` for what is no day between 1900 and 2199."""
    return _day(_US.fullmatch(text))


def _day(match: re.Match[str] | None) -> int | None:
    if match is None or not 1900 <= int(match["year"]) < 2200:
        return None
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"])).toordinal()
    except ValueError:
        return None


def local(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which the clocks of ``zone`` show ``at`` on ``day``."""
    return datetime.combine(day, at, zone).astimezone(UTC)
