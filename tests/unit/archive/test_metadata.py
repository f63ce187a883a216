from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from evertick.archive import metadata
from evertick.errors import ReportError
from evertick.model import PartMeta, ReportMeta

META = ReportMeta(
    id="20261123T093000-1bdac559",
    desk="default",
    slot="report.default.20261123T093000.000000",
    created=datetime(2026, 11, 23, 9, 30, 1, 5, tzinfo=UTC),
    as_of=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
    languages=("vi", "en"),
    parts=(
        PartMeta("html", "vi", 3_000_000, 500_000, "a" * 64),
        PartMeta("css", "vi", 20_000, 4_000, "b" * 64, asset="b" * 64),
    ),
    headline={"vi": "Thị trường giảm nhẹ", "en": "Markets ease"},
    instruments=180,
    duration_s=1.25,
    stages_s={"collect": 0.5, "render": 0.75},
    warnings=("coingecko: partial",),
    pinned=True,
)


def test_survives_the_way_through_json() -> None:
    plain = json.loads(json.dumps(metadata.to_json(META)))
    assert metadata.from_json(plain, state="published", pinned=True) == META


def test_state_and_pin_are_the_columns_alone() -> None:
    plain = metadata.to_json(META)
    assert "state" not in plain
    assert metadata.from_json(plain, state="published", pinned=False).pinned is False


def test_a_report_of_six_languages_fits() -> None:
    parts = tuple(PartMeta(f"html_{i}", "vi", 3_000_000, 500_000, "a" * 64, asset="b" * 64) for i in range(12))
    assert metadata.to_json(replace(META, parts=parts))


def test_more_than_4_kb_is_refused_and_says_how_much() -> None:
    with pytest.raises(ReportError, match=r"is \d+ bytes, at most 4096"):
        metadata.to_json(replace(META, warnings=("x" * 4096,)))


def test_the_limit_counts_bytes_not_letters() -> None:
    with pytest.raises(ReportError):
        metadata.to_json(replace(META, warnings=("ữ" * 1200,)))
