"""CSV as public offices publish it: a row of names, then rows of numbers, a day each. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from evertick.errors import SourceMalformed
from evertick.sources.reading import decimal

ROWS_AT_MOST = 20_000
_ISO = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})", re.ASCII)
_US = re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})", re.ASCII)


def table(provider: str, endpoint: str, body: bytes) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the rows that have a cell for each; names and cells without blanks around them.

    Raises `SourceMalformed` for what is no CSV, has more than `ROWS_AT_MOST` rows, or breaks off: no line end, and a last
    row that is short of cells or whose last number is short of the decimals of the one above it.
    """
    names: list[str] = []
    rows: list[list[str]] = []
    last: list[str] = []
    try:
        for cells in csv.reader(io.StringIO(body.decode("utf-8", "replace"))):
            last = [cell.strip() for cell in cells]
            if not names:
                names = last if any(last) else []
            elif len(last) == len(names):
                rows.append(last)
            if len(rows) > ROWS_AT_MOST:
                raise SourceMalformed(
                    provider, endpoint, "a table without end", expected=f"at most {ROWS_AT_MOST} rows"
                )
    except csv.Error as error:
        raise SourceMalformed(provider, endpoint, f"broken CSV ({error})", expected="CSV") from None
    if names and not body.endswith((b"\n", b"\r")) and _breaks_off(last, names, rows):
        raise SourceMalformed(provider, endpoint, "a table that breaks off", expected="whole rows")
    return names, rows


def plain(names: Iterable[str]) -> str:
    """Names of columns for an error: printable, and not too many."""
    return "".join(c for c in ", ".join(names)[:100] if c.isprintable())


def _breaks_off(last: list[str], names: list[str], rows: list[list[str]]) -> bool:
    if len(last) != len(names):
        return True
    return len(rows) > 1 and decimal(last[-1]) is not None and _decimals(last[-1]) < _decimals(rows[-2][-1])


def tail(body: bytes, lines: int) -> bytes:
    """The last ``lines`` lines, found from the end, and one that has no end yet; ``body`` itself where there are no more."""
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
