"""`ReportMeta` as the JSON that the archive keeps of a report, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from evertick.errors import ReportError
from evertick.model import PartMeta, ReportMeta

LIMIT = 4096
"""Bytes of JSON, as UTF-8."""


def to_json(meta: ReportMeta) -> dict[str, Any]:
    """What goes into the column ``meta``. Raises `ReportError` beyond `LIMIT`: it stands for data held back by mistake."""
    plain = asdict(meta)
    del plain["state"], plain["pinned"]  # columns of their own
    plain["created"] = meta.created.isoformat()
    plain["as_of"] = meta.as_of.isoformat()
    size = len(json.dumps(plain, ensure_ascii=False).encode())
    if size > LIMIT:
        raise ReportError(
            f"The metadata of report {meta.id} is {size} bytes, at most {LIMIT} are kept.",
            hint="Shorten its warnings and headline",
        )
    return plain


def from_json(plain: Mapping[str, Any], *, state: str, pinned: bool) -> ReportMeta:
    return ReportMeta(
        id=plain["id"],
        desk=plain["desk"],
        slot=plain["slot"],
        created=datetime.fromisoformat(plain["created"]),
        as_of=datetime.fromisoformat(plain["as_of"]),
        languages=tuple(plain["languages"]),
        parts=tuple(PartMeta(**part) for part in plain["parts"]),
        headline=dict(plain["headline"]),
        instruments=plain["instruments"],
        duration_s=plain["duration_s"],
        stages_s=dict(plain["stages_s"]),
        warnings=tuple(plain["warnings"]),
        state=state,
        pinned=pinned,
        facts=PartMeta(**plain["facts"]) if plain.get("facts") else None,
    )
