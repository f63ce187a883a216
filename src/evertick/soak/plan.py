"""What a soak is to do, and the settings of the server that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evertick import universe
from evertick.settings import Settings
from evertick.simulator import base_urls
from evertick.soak.faults import SETTINGS, ZONE
from evertick.sources.listing import sources

DAY_S = 86_400.0
START = datetime(2026, 10, 12, tzinfo=UTC)
"""A Monday; thirty days from here summer time ends in Europe and in America."""
EVE = datetime(2026, 10, 24, 12, tzinfo=UTC)
"""Half a day before summer time ends in Europe."""
LOOK_S = 60.0
"""Between two looks of the server at its memory, on a virtual clock."""
SPREAD = 0.2
"""Reports come at random by so much, as in a real service: else each would begin together with a refresh, and nothing that
overlaps can be measured."""


@dataclass(frozen=True)
class Plan:
    """``refreshes``, ``reports`` and ``requests`` are of a day, or in real time of the whole."""

    days: float = 1.0
    real_s: float | None = None
    """Play in real time for so long; ``days`` means nothing then."""
    seed: int = 7
    instruments: int | None = None
    """``None``: the whole universe."""
    refreshes: int = 480
    reports: int = 8
    requests: int = 5000
    compare: bool = False
    faults: bool = False
    database: str = "sqlite"
    """``sqlite``, ``postgresql`` (one of the soak's own) or the URL of one that runs."""
    board: str = "embedded"
    """``embedded``, ``redis`` (one of the soak's own) or the URL of one that runs."""

    @property
    def start(self) -> datetime:
        """Of the virtual time. With faults summer time is to end within the soak, also within one of a day."""
        return EVE if self.faults and self.days < 14 else START

    @property
    def length_s(self) -> float:
        return self.real_s if self.real_s is not None else self.days * DAY_S

    @property
    def step_s(self) -> float:
        """From one refresh to the next."""
        return (self.real_s or DAY_S) / max(1, self.refreshes)

    @property
    def steps(self) -> int:
        return max(1, round(self.length_s / self.step_s))

    @property
    def requests_a_step(self) -> float:
        return self.requests * self.step_s / (self.real_s or DAY_S)


def settings_of(
    plan: Plan, own: Settings, folder: Path, upstream: str, *, database_url: str | None, redis_url: str | None
) -> dict[str, Any]:
    """Of the measured server, as JSON can hold them. Of the user's ``own`` settings those are kept that say what it works on:
    instruments, languages, time zone, what is kept, and where sources of installed packages are found."""
    every = f"{plan.step_s:g}s"
    report = (plan.real_s or DAY_S) / max(1, plan.reports)
    played = {name: {"base_url": url} for name, url in base_urls(upstream).items()}
    for listed in sources():
        if listed.name not in played and (given := own.sources.get(listed.name)) is not None:
            played[listed.name] = given.model_dump(mode="json", exclude_none=True, exclude={"api_key"})
            if given.api_key is not None:
                played[listed.name]["api_key"] = given.api_key.get_secret_value()
        elif listed.name not in played:
            played[listed.name] = {
                "base_url": f"{upstream}/{listed.name}"
            }  # never its provider, hundreds of times a minute
    made: dict[str, Any] = {
        "data_dir": str(folder / "data"),
        "port": 0,
        "locales": list(own.locales),
        "timezone": own.timezone,
        "indices_every": f"every {every}",
        "report_every": f"every {report * (1 - SPREAD):.0f}s..{report * (1 + SPREAD):.0f}s",
        "report_on_start": True,
        "memory_restarts": 0,
        "retention": own.retention.model_dump(mode="json"),
        "sources": played,
    }
    if plan.real_s is None:
        made["memory_every"] = LOOK_S
    if plan.faults:
        made |= {**SETTINGS, "timezone": ZONE, "report_every": _times(plan.reports)}
    if own.memory_limit is not None:
        made["memory_limit"] = own.memory_limit
    if database_url is not None:
        made["database_url"] = database_url
    if redis_url is not None:
        made["redis_url"] = redis_url
    if (chosen := _universe(plan, own, folder)) is not None:
        made["universe"] = str(chosen)
    return made


def _times(reports: int) -> str:
    """So many times of day, one of them within the hour that comes twice or never when the clocks change."""
    minutes = sorted((151 + n * 1440 // max(1, reports)) % 1440 for n in range(max(1, reports)))
    return ",".join(f"{m // 60:02}:{m % 60:02}" for m in minutes)


def _universe(plan: Plan, own: Settings, folder: Path) -> Path | None:
    """The file of the instruments: the user's own, or a smaller one with instruments of all groups."""
    if plan.instruments is None:
        return None if own.universe is None else own.universe.resolve()
    all_ = universe.load(own.universe).instruments
    count = min(plan.instruments, len(all_))
    some = [all_[n * len(all_) // count] for n in range(count)]
    file = folder / "universe.csv"
    folder.mkdir(parents=True, exist_ok=True)
    rows = (
        ",".join((i.id, f'"{i.name}"', i.group, i.region, i.currency, i.exchange, str(i.decimals),
                  "yes" if i.core else "no", " ".join(f"{k}={v}" for k, v in i.symbols.items())))
        for i in some
    )  # fmt: skip
    file.write_text("\n".join([",".join(universe.COLUMNS), "-*", *rows]) + "\n")
    return file


def described(plan: Plan, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a reader of the result wants to know."""
    return {
        "days": None if plan.real_s is not None else plan.days,
        "real_s": plan.real_s,
        "faults": plan.faults,
        "database": "sqlite"
        if plan.database == "sqlite"
        else "postgresql"
        if plan.database.startswith("postgres")
        else "sqlite",
        "board": "embedded" if plan.board == "embedded" else "redis",
        "instruments": len(universe.load(Path(settings["universe"]) if "universe" in settings else None)),
        "languages": settings["locales"],
        "refreshes": plan.refreshes,
        "reports": plan.reports,
        "requests": plan.requests,
    }
