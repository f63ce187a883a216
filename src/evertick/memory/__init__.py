"""Memory that is measured: a gauge, a receipt for every run, and one release in one place.

Any asyncio service can use it; nothing here knows of web servers, databases or settings::

    from evertick.memory import keep, settle

    settle()                                   # once, when the service has started
    async with keep("import_orders"):          # around every run of every job
        await import_orders()
    # 🧹 memory released job=import_orders outcome=ok freed=7.1MB retained=0.3KB rss=71.2MB
"""

from __future__ import annotations

from functools import cache

from evertick.memory.gauge import Allocator, Gauge, Sample
from evertick.memory.keeper import Keep, Keeper, given_back, size
from evertick.memory.release import release
from evertick.memory.release import settle as _settle

__all__ = [
    "Allocator",
    "Gauge",
    "Keep",
    "Keeper",
    "Sample",
    "given_back",
    "keep",
    "keeper",
    "release",
    "settle",
    "size",
]


@cache
def default_keeper() -> Keeper:
    """The keeper of this process: its newest receipts are in ``default_keeper().recent``, and ``default_keeper().sink`` stores each."""
    return Keeper(Gauge())


def keep(job: str, component: str = "other") -> Keep:
    """A scope around one run of ``job``; its receipt is in ``receipt`` when it has ended, however it ended."""
    return default_keeper().keep(job, component)


def settle(allocator: Allocator | None = None) -> None:
    """End of the start-up: what is there now stays, so that later collections do not look at it again."""
    _settle(allocator or default_keeper().gauge.allocator)
