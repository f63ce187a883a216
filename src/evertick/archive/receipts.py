from __future__ import annotations

from evertick.archive.connection import Engine


class ReceiptStore:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
