"""A source that leaks, as a package that somebody installed: for tests and benchmarks of the memory budget."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_MODULE = """
from datetime import UTC
from evertick.model import Quote
from evertick.sources.reading import Answer

KEPT = []

class Leaky:
    name = title = "leaky"
    namespaces = ("leaky",)
    rate = (1000, 1.0)
    per_day = None
    every_s = 0.0
    needs_key = False

    def __init__(self, clock, base_url=None, api_key=None):
        self._clock = clock

    async def fetch(self, http, instruments):
        KEPT.append(b"leak" * ({megabytes} << 18))
        now = self._clock.now()
        return Answer([Quote(i.id, 100.0 + len(KEPT), now, self.name) for i in instruments])
"""
_ENTRY = "[evertick.sources]\nleaky = evertick_leaky:Leaky\n"
_METADATA = "Metadata-Version: 2.1\nName: evertick-leaky\nVersion: 1.0\n"
_UNIVERSE = """id,name,group,region,currency,exchange,decimals,core,symbols
-*
LEAK,Leaky Index,indices,world,pts,24/7,2,yes,leaky=LEAK
"""


def install(folder: Path, megabytes: int) -> Mapping[str, str]:
    """Install it below ``folder``; returns the environment of a server that asks it alone, keeping so much with every run."""
    site = folder / "site"
    info = site / "evertick_leaky-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "evertick_leaky.py").write_text(_MODULE.replace("{megabytes}", str(megabytes)))
    (info / "entry_points.txt").write_text(_ENTRY)
    (info / "METADATA").write_text(_METADATA)
    universe = folder / "universe.csv"
    universe.write_text(_UNIVERSE)
    return {"PYTHONPATH": str(site), "EVERTICK_UNIVERSE": str(universe), "EVERTICK_PORT": "0"}
