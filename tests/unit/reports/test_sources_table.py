"""The table of sources: those that were asked stand first, and each goes by its title."""

from __future__ import annotations

from dataclasses import replace

from evertick.model import SourceStatus
from evertick.reports.sections.headline import rows
from unit.reports import samples
from unit.reports.reading import english


def test_sources_that_were_not_needed_stand_last() -> None:
    idle = SourceStatus("okx", "idle", title="OKX", note="others answer")
    off = SourceStatus("fmp", "off", title="Financial Modeling Prep")
    found = list(rows(replace(samples.findings(), sources=(idle, off, *samples.SOURCES))))
    assert [english(row[0]) for row in found] == [
        "Yahoo Finance", "CoinGecko", "alternative.me", "OKX", "Financial Modeling Prep",
    ]  # fmt: skip
    assert [english(row[1]) for row in found[-2:]] == ["Not needed now", "Switched off"]
