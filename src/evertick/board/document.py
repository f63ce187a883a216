"""A snapshot as JSON: the answer of ``GET /api/v1/indices``, and the document that is kept in Redis or on disk.

The kept document describes itself, so that other programs can read it without Evertick: ``schema``, ``as_of``, and for
every quote its name, group and currency beside the numbers. All instants are ISO 8601 in UTC ending in ``Z``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from evertick.model import SPARK_POINTS, Breadth, Quote, Snapshot, SourceStatus
from evertick.sessions import NEVER, fresh, next_change, session
from evertick.universe import Universe

SCHEMA = "evertick.market_indices/1"
_BREADTH = ("advances", "declines", "unchanged")
_NUMBERS = ("change_pct", "previous_close", "day_high", "day_low", "volume", "market_cap")


class NotASnapshot(ValueError):
    """What was kept is not a document that `dumps` wrote; the message says where it differs."""


def iso(at: datetime) -> str:
    """``2026-11-23T09:30:04Z``; fractions only where there are some."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def document(snapshot: Snapshot | None, universe: Universe, now: datetime, *, spark: bool = False) -> dict[str, Any]:
    """What ``GET /api/v1/indices`` answers. Quotes of instruments that the universe no longer has are left out."""
    if snapshot is None:
        return {"as_of": None, "quotes": [], "sources": []}
    quotes = []
    states: dict[str, tuple[str, str | None]] = {}  # by exchange: some dozens of them for all the instruments
    for quote in snapshot.quotes:
        instrument = universe.get(quote.id)
        if instrument is None:
            continue
        exchange = instrument.exchange
        if exchange not in states:
            change = next_change(exchange, now)
            states[exchange] = session(exchange, now).value, None if change is NEVER else iso(change)
        state, until = states[exchange]
        row: dict[str, Any] = {
            "id": quote.id,
            "name": instrument.name,
            "group": instrument.group.value,
            "price": quote.price,
            "change_pct": quote.change_pct,
            "currency": instrument.currency,
            "as_of": iso(quote.as_of),
            "age_s": max(0, int((now - quote.as_of).total_seconds())),
            "fresh": fresh(quote, instrument, now),
            "source": quote.source,
            "session": state,
            "session_until": until,
        }
        if spark:
            row["spark"] = list(quote.spark)
        quotes.append(row)
    return {"as_of": iso(snapshot.as_of), "quotes": quotes, "sources": [source(s) for s in snapshot.sources]}


def source(status: SourceStatus) -> dict[str, Any]:
    """What `evertick.model.SourceStatus` says of a source, as JSON."""
    row = {field.name: getattr(status, field.name) for field in fields(status)}
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in row.items()}


def dumps(snapshot: Snapshot, universe: Universe | None = None) -> bytes:
    """The kept document; with ``universe`` it also names what each quote is of. About 0.4 KB an instrument."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "as_of": iso(snapshot.as_of),
            "quotes": [_kept(q, universe) for q in snapshot.quotes],
            "sources": [source(s) for s in snapshot.sources],
        },
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    ).encode()


def _kept(quote: Quote, universe: Universe | None) -> dict[str, Any]:
    row: dict[str, Any] = {"id": quote.id}
    if universe is not None and (instrument := universe.get(quote.id)) is not None:
        row |= {"name": instrument.name, "group": instrument.group.value, "currency": instrument.currency}
    row |= {"price": quote.price, "as_of": iso(quote.as_of), "source": quote.source}
    row |= {name: value for name in _NUMBERS if (value := getattr(quote, name)) is not None}
    if quote.breadth is not None:
        row["breadth"] = {name: getattr(quote.breadth, name) for name in _BREADTH}
    if quote.spark:
        row["spark"] = quote.spark
    return row


def loads(body: bytes) -> Snapshot:
    """The snapshot in a kept document. Raises `NotASnapshot`; fields that a newer version added are passed over."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotASnapshot(f"not JSON: {type(error).__name__}") from error
    if not isinstance(read, dict) or read.get("schema") != SCHEMA:
        raise NotASnapshot(f"no document with schema {SCHEMA}")
    return Snapshot(
        as_of=_instant(read, "as_of"),
        quotes=tuple(_quote(row) for row in _rows(read, "quotes")),
        sources=tuple(_status(row) for row in _rows(read, "sources")),
    )


def _quote(row: Mapping[str, Any]) -> Quote:
    spark = row.get("spark", [])
    if not isinstance(spark, list) or len(spark) > SPARK_POINTS:
        raise NotASnapshot("spark is not a short list")
    price = _number(row, "price")
    if price is None:
        raise NotASnapshot("a quote has no price")
    return Quote(
        id=_text(row, "id"),
        price=price,
        as_of=_instant(row, "as_of"),
        source=_text(row, "source"),
        change_pct=_number(row, "change_pct"),
        previous_close=_number(row, "previous_close"),
        day_high=_number(row, "day_high"),
        day_low=_number(row, "day_low"),
        volume=_number(row, "volume"),
        market_cap=_number(row, "market_cap"),
        spark=_finites(spark),
        breadth=_breadth(row.get("breadth")),
    )


def _breadth(counts: object) -> Breadth | None:
    if counts is None:
        return None
    if not isinstance(counts, dict):
        raise NotASnapshot("breadth is not an object")
    return Breadth(*(_count(counts, name) or 0 for name in _BREADTH))


def _status(row: Mapping[str, Any]) -> SourceStatus:
    quotes = _count(row, "quotes")
    if quotes is None:
        raise NotASnapshot("a source's quotes are not counted")
    return SourceStatus(
        name=_text(row, "name"),
        state=_text(row, "state"),
        quotes=quotes,
        last_success=_instant_or_none(row, "last_success"),
        error=_text_or_none(row, "error"),
        error_kind=_text_or_none(row, "error_kind"),
        retry_at=_instant_or_none(row, "retry_at"),
        duration_s=_number(row, "duration_s"),
        title=_text_or_none(row, "title") or "",
        last_error=_text_or_none(row, "last_error"),
        last_error_at=_instant_or_none(row, "last_error_at"),
        quota=_count(row, "quota"),
        quota_left=_count(row, "quota_left"),
        note=_text_or_none(row, "note"),
    )


def _rows(read: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = read.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NotASnapshot(f"{name} is not a list of objects")
    return rows


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise NotASnapshot(f"{name} is not a text")
    return value


def _text_or_none(row: Mapping[str, Any], name: str) -> str | None:
    return None if row.get(name) is None else _text(row, name)


def _instant_or_none(row: Mapping[str, Any], name: str) -> datetime | None:
    return None if row.get(name) is None else _instant(row, name)


def _count(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise NotASnapshot(f"{name} is not a count")
    return value


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    return None if value is None else _finite(value, name)


def _finite(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NotASnapshot(f"{name} is not a number")
    return float(value)


def _finites(values: list[Any]) -> tuple[float, ...]:
    if not all(type(v) is float and abs(v) < math.inf for v in values):
        return tuple(_finite(v, "spark") for v in values)
    return tuple(values)


def _instant(row: Mapping[str, Any], name: str) -> datetime:
    text = _text(row, name)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotASnapshot(f"{name} is not an instant") from error
    if at.tzinfo is None:
        raise NotASnapshot(f"{name} has no time zone")
    return at.astimezone(UTC)
