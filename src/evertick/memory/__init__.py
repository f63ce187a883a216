"""Memory that is measured: a gauge, a receipt for every run, and one release in one place."""

from evertick.memory.gauge import Allocator, Gauge, Sample
from evertick.memory.keeper import Keep, Keeper, given_back, size
from evertick.memory.release import release, settle

__all__ = ["Allocator", "Gauge", "Keep", "Keeper", "Sample", "given_back", "release", "settle", "size"]
