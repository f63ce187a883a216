from array import array
from datetime import UTC, date, datetime, timedelta

import pytest

from evertick.errors import SourceUnavailable
from evertick.model import Bars, Group, Instrument
from evertick.sources import history

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("the update does not sleep")


def instrument(name: str) -> Instrument:
    return Instrument(name, name, Group.INDICES, "world", "USD", "XNYS", 2, {"yahoo": name})


class Provider:
    """Answers one bar each; fails for the names it is told to."""

    def __init__(self, *failing: str, empty: str = "") -> None:
        self.asked: dict[str, date] = {}
        self.failing, self.empty = failing, empty

    async def bars(self, instrument: Instrument, since: date) -> Bars:
        self.asked[instrument.id] = since
        if instrument.id in self.failing:
            raise SourceUnavailable("yahoo", "/v8/finance/chart", "no answer")
        if instrument.id == self.empty:
            return Bars.empty(instrument.id)
        one = array("d", [1.0])
        return Bars(instrument.id, array("i", [NOW.toordinal()]), one, one, one, one, one)


class Store:
    def __init__(self, newest: dict[str, tuple[date, datetime]] | None = None) -> None:
        self.saved: list[str] = []
        self._newest = newest or {}

    async def newest(self) -> dict[str, tuple[date, datetime]]:
        return self._newest

    async def save(self, bars: Bars) -> None:
        self.saved.append(bars.instrument)


@pytest.mark.parametrize(
    ("newest", "since"),
    [
        (None, date(2024, 9, 14)),
        ((date(2026, 11, 20), NOW - timedelta(hours=5)), date(2026, 11, 13)),
        ((date(2026, 11, 20), NOW - timedelta(minutes=5)), None),
    ],
)
def test_only_what_is_missing_is_wanted(newest, since):
    assert history.wanted_since(newest, NOW, 800, timedelta(hours=2)) == since


async def test_every_instrument_is_asked_once_and_saved():
    provider, store, steps = Provider(), Store(), []
    names = [f"I{n}" for n in range(11)]

    async def step(done: int, of: int) -> None:
        steps.append((done, of))

    failed = await history.update(map(instrument, names), provider, store, FixedClock(), step=step)
    assert failed == []
    assert sorted(store.saved) == sorted(names)
    assert steps[-1] == (11, 11)


async def test_a_failing_instrument_costs_only_itself():
    provider, store = Provider("B", empty="C"), Store()
    assert await history.update(map(instrument, "ABCD"), provider, store, FixedClock()) == ["B"]
    assert sorted(store.saved) == ["A", "D"]


async def test_a_store_that_fails_is_not_swallowed():
    class Full(Store):
        async def save(self, bars: Bars) -> None:
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        await history.update([instrument("A")], Provider(), Full(), FixedClock())
