from __future__ import annotations

from evertick.archive.connection import Engine
from evertick.model import Clock


class BarStore:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
