"""One line of the table that `make bench` prints: our figure, what it is held against in the same run, and the ratio."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """Every benchmark yields these from ``rows(quick: bool)``; ``quick`` is a short look of seconds.

    ``ours`` and ``theirs`` are of the same run, in ``unit``. ``aim`` is the ratio ours/theirs that is aimed at, at most or, where
    more is better, at least.
    """

    group: str
    what: str
    ours: float | None
    theirs: float | None
    unit: str
    against: str
    """The peer or the limit, named."""
    aim: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.ours is None or not self.theirs else self.ours / self.theirs

    @property
    def met(self) -> bool | None:
        if self.ratio is None or self.aim is None:
            return None
        return self.ratio >= self.aim if self.more_is_better else self.ratio <= self.aim

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}
