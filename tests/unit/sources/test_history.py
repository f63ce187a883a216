"""What is asked for and when, and what may be put beside what is stored."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from evertick.errors import SourceError, SourceUnavailable
from evertick.model import Bars, Group, Instrument
from evertick.sources import history
from evertick.sources.history import History

from .fakes import FixedClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday."""
TODAY = NOW.toordinal()


def instrument(name: str, exchange: str = "XNYS") -> Instrument:
    return Instrument(name, name, Group.INDICES, "world", "USD", exchange, 2, {"yahoo": name})


def daily(name: str, days: Sequence[int], level: float = 100.0, source: str = "yahoo") -> Bars:
    close = array("d", [level * (1 + 0.01 * math.sin(day)) for day in days])
    return Bars(name, array("i", days), close, close, close, close, array("d", [math.nan] * len(days)), source=source)


@dataclass
class Known:
    last: date | None
    checked: datetime
    since: date | None = None


class Provider:
    """Has a year of bars of everything, at ``levels``; fails for the names it is told to."""

    def __init__(self, *failing: str, empty: str = "", lots: int = 1, without: str = "") -> None:
        self.asked: list[tuple[tuple[str, ...], date]] = []
        self.failing, self.empty, self.lots, self.without = failing, empty, lots, without
        self.levels: dict[str, float] = {}

    def batches(self, instruments: Sequence[Instrument]) -> list[Sequence[Instrument]]:
        known = [i for i in instruments if i.id not in self.without]
        return [known[n : n + self.lots] for n in range(0, len(known), self.lots)]

    async def bars(
        self, instruments: Sequence[Instrument], since: date
    ) -> tuple[Sequence[Bars], Mapping[str, SourceError]]:
        self.asked.append((tuple(i.id for i in instruments), since))
        ids = [i.id for i in instruments]
        days = range(max(since.toordinal(), TODAY - 365), TODAY + 1)
        found = [daily(id, days, self.levels.get(id, 100.0)) for id in ids if id not in (*self.failing, self.empty)]
        return found, {id: SourceUnavailable("yahoo", "/chart", "no answer") for id in ids if id in self.failing}


class Store:
    def __init__(self, clock: FixedClock, **held: Bars) -> None:
        self.clock = clock
        self.held = dict(held)
        self.known = {
            id: Known(bars.dates()[-1], NOW - timedelta(days=3), date(2024, 1, 1)) for id, bars in held.items()
        }
        self.saved: list[tuple[str, bool]] = []

    async def series(self) -> Mapping[str, Known]:
        return dict(self.known)

    async def load(self, id: str, since: date | None = None) -> Bars:
        held = self.held.get(id, Bars.empty(id))
        return held.last(sum(day >= (since or date.min).toordinal() for day in held.day))

    async def save(self, bars: Bars, *, since: date | None = None, whole: bool = False) -> None:
        self.saved.append((bars.instrument, whole))
        self.known[bars.instrument] = Known(bars.dates()[-1] if len(bars) else None, self.clock.now(), since)
        if len(bars):
            self.held[bars.instrument] = bars


def followed(names: Sequence[str], provider: Provider, store: Store, exchange: str = "XNYS") -> History:
    return History([instrument(name, exchange) for name in names], provider, store, store.clock, 800)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


# --- missing ---------------------------------------------------------------------------------------------------------


async def test_what_is_missing_is_asked_once_and_saved(clock: FixedClock) -> None:
    provider, store, steps = Provider(), Store(clock, I3=daily("I3", [TODAY - 30])), []
    names = [f"I{n}" for n in range(11)]

    async def step(done: int, of: int) -> None:
        steps.append((done, of))

    outcome = await followed(names, provider, store).missing(step)
    assert (outcome.asked, outcome.failed, outcome.bars) == (10, {}, 10 * 366)
    assert sorted(id for id, _ in store.saved) == sorted(set(names) - {"I3"})
    assert {since for _, since in provider.asked} == {date(2024, 9, 14)}
    assert steps[-1] == (10, 10)
    assert (await followed(names, provider, store).missing()).asked == 0


async def test_a_failing_instrument_costs_only_itself_and_waits_an_hour(clock: FixedClock) -> None:
    provider, store = Provider("B", empty="C"), Store(clock)
    kept = followed("ABCD", provider, store)
    outcome = await kept.missing()
    assert (outcome.failed, outcome.empty) == ({"B": "yahoo /chart: no answer"}, ["C"])
    assert store.saved == [("A", False), ("C", False), ("D", False)]
    for minutes, asked in ((30, 0), (31, 1), (0, 0)):
        clock.pass_(60 * minutes)
        assert (await kept.missing()).asked == asked
    clock.pass_(24 * 3600)
    assert provider.asked[-1][0] == ("B",)
    await kept.missing()
    assert {ids[0] for ids, _ in provider.asked[-2:]} == {"B", "C"}


async def test_what_no_source_has_is_said_and_not_asked_for(clock: FixedClock) -> None:
    provider, store = Provider(without="B"), Store(clock)
    outcome = await followed("AB", provider, store).missing()
    assert (outcome.without, [ids for ids, _ in provider.asked]) == (["B"], [("A",)])


async def test_a_store_that_fails_is_not_swallowed(clock: FixedClock) -> None:
    class Full(Store):
        async def save(self, bars: Bars, *, since: date | None = None, whole: bool = False) -> None:
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        await followed("A", Provider(), Full(clock)).missing()


async def test_few_lots_are_in_memory_at_once(clock: FixedClock) -> None:
    import asyncio

    class Slow(Provider):
        now = most = 0

        async def bars(self, instruments: Sequence[Instrument], since: date):
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            try:
                return await super().bars(instruments, since)
            finally:
                self.now -= 1

    provider = Slow(lots=3)
    await followed([f"I{n}" for n in range(60)], provider, Store(clock)).missing()
    assert provider.most == history.AT_ONCE
    assert len(provider.asked) == 20


# --- due -------------------------------------------------------------------------------------------------------------


async def test_a_run_takes_a_bounded_number_the_missing_and_the_oldest_first(clock: FixedClock) -> None:
    held = {f"I{n}": daily(f"I{n}", [TODAY - 3]) for n in range(8)}
    provider, store = Provider(), Store(clock, **held)
    for n in range(8):
        store.known[f"I{n}"].checked = NOW - timedelta(days=10 - n)
    kept = followed([*held, "NEW"], provider, store)
    assert (await kept.due(at_most=3)).asked == 3
    assert [ids[0] for ids, _ in provider.asked] == ["NEW", "I0", "I1"]
    assert [since for _, since in provider.asked] == [date(2024, 9, 14), date(2026, 11, 13), date(2026, 11, 13)]
    assert (await kept.due(at_most=30)).asked == 6
    assert (await kept.due(at_most=30)).asked == 0


async def test_each_instrument_is_asked_once_after_every_close_at_its_own_moment(clock: FixedClock) -> None:
    names = [f"I{n}" for n in range(40)]
    provider, store = Provider(), Store(clock, **{name: daily(name, [TODAY - 3]) for name in names})
    for name in names:
        store.known[name].checked = NOW
    kept = followed(names, provider, store)
    asked: dict[int, int] = {}
    for minute in range(0, 48 * 60, 10):  # until Wednesday noon: two closes of New York, 21:00 UTC
        clock.at = NOW + timedelta(minutes=minute)
        asked[minute] = (await kept.due()).asked
    when = [minute for minute, count in asked.items() if count]
    assert sum(asked.values()) == 2 * len(names)
    assert min(when) >= 9 * 60 + 10 and max(when) <= 33 * 60 + 70
    assert len(when) >= 10 and max(asked.values()) < 20
    assert len({id for ids, _ in provider.asked for id in ids}) == 40


def test_a_look_that_a_clock_running_ahead_has_noted_puts_nothing_off() -> None:
    one = instrument("A")
    evening = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    today, ahead = evening - timedelta(minutes=1), evening + timedelta(days=30)
    assert [history.is_due(one, checked, evening) for checked in (evening - timedelta(days=1), today, ahead)] == [
        True,
        False,
        True,
    ]
    start = evening.date() - timedelta(days=400)
    some, none = (Known(last, ahead, start) for last in (evening.date(), None))
    assert history.wanted_since(some, start, evening) == evening.date() - history.SETTLE
    assert history.wanted_since(none, start, evening) == start


async def test_failures_do_not_keep_the_others_waiting(clock: FixedClock) -> None:
    names = [f"I{n}" for n in range(30)]
    provider, store = Provider(*names[:10]), Store(clock)
    kept = followed(names, provider, store)
    for _ in range(3):
        await kept.due(at_most=10)
    assert len(store.saved) == 20


@pytest.mark.parametrize(
    ("exchange", "now", "end"),
    [
        ("24/7", "2026-11-23T12:00", "2026-11-23T00:00"),
        ("XNYS", "2026-11-23T12:00", "2026-11-20T21:00"),
        ("XNYS", "2026-11-23T22:00", "2026-11-23T21:00"),
        ("XTKS", "2026-11-25T03:00", "2026-11-24T06:30"),  # the lunch break
        ("XSTC", "2026-11-25T05:00", "2026-11-24T07:45"),
        ("FX", "2026-11-25T12:00", "2026-11-25T00:00"),
        ("FX", "2026-11-28T12:00", "2026-11-27T22:00"),
        ("CME", "2026-11-25T12:00", "2026-11-25T00:00"),
    ],
)
def test_where_a_trading_day_ends(exchange: str, now: str, end: str) -> None:
    assert history.day_end(exchange, datetime.fromisoformat(f"{now}+00:00")) == datetime.fromisoformat(f"{end}+00:00")


# --- backfill --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "since"),
    [
        (None, date(2024, 11, 23)),
        (Known(date(2026, 11, 20), NOW, None), date(2024, 11, 23)),
        (Known(date(2026, 11, 20), NOW, date(2026, 1, 1)), date(2024, 11, 23)),
        (Known(date(2026, 11, 20), NOW, date(2024, 11, 24)), None),
        (Known(date(2026, 11, 17), NOW - timedelta(days=3), date(2024, 11, 1)), date(2026, 11, 10)),
        (Known(None, NOW - timedelta(hours=2), date(2024, 11, 1)), None),
        (Known(None, NOW - timedelta(hours=25), date(2024, 11, 1)), date(2024, 11, 23)),
    ],
)
def test_a_backfill_asks_for_what_is_missing_only(known: Known | None, since: date | None) -> None:
    assert history.wanted_since(known, date(2024, 11, 23), NOW) == since


async def test_a_backfill_goes_on_where_another_was_interrupted(clock: FixedClock) -> None:
    class Cut(Store):
        async def save(self, bars: Bars, *, since: date | None = None, whole: bool = False) -> None:
            if len(self.saved) == 5:
                raise RuntimeError("killed")
            await super().save(bars, since=since, whole=whole)

    names = [f"I{n}" for n in range(12)]
    provider, store = Provider("I9"), Cut(clock)
    with pytest.raises(RuntimeError, match="killed"):
        await followed(names, provider, store).backfill(731)
    done = {id for id, _ in store.saved}
    store.__class__ = Store  # type: ignore[assignment]
    provider.asked.clear()
    outcome = await followed(names, provider, store).backfill(731)
    assert (outcome.already, outcome.asked, list(outcome.failed)) == (5, 7, ["I9"])
    assert done.isdisjoint({id for ids, _ in provider.asked for id in ids})


# --- one scale -------------------------------------------------------------------------------------------------------

RECENT = range(TODAY - 40, TODAY - 1)


@pytest.mark.parametrize(
    ("factor", "found"),
    [(1.0, "fits"), (1.01, "fits"), (0.5, "other"), (1.1, "other"), (1000.0, "leap"), (0.001, "leap")],
)
def test_new_bars_fit_or_not(factor: float, found: str) -> None:
    stored = daily("A", RECENT)
    assert history.verdict(stored, daily("A", range(TODAY - 8, TODAY + 1), 100 * factor)) == found
    assert history.verdict(stored, Bars.empty("A")) == history.verdict(Bars.empty("A"), stored) == "fits"


def test_a_last_bar_that_was_not_over_is_no_other_scale() -> None:
    stored = daily("A", range(TODAY - 3, TODAY))
    stored.close[-1] *= 1.4
    assert history.verdict(stored, daily("A", range(TODAY - 3, TODAY + 1))) == "fits"


def test_without_a_common_day_only_a_leap_is_seen() -> None:
    stored = daily("A", range(TODAY - 40, TODAY - 9))
    assert history.verdict(stored, daily("A", range(TODAY - 8, TODAY), 60.0)) == "fits"
    assert history.verdict(stored, daily("A", range(TODAY - 8, TODAY), 100_000.0)) == "leap"


async def test_after_a_split_the_whole_series_is_fetched_again(clock: FixedClock) -> None:
    provider, store = Provider(), Store(clock, A=daily("A", RECENT))
    provider.levels["A"] = 50.0
    outcome = await followed("A", provider, store).due()
    assert [since for _, since in provider.asked] == [date(2026, 11, 14), date(2024, 9, 14)]
    assert (store.saved, outcome.replaced) == ([("A", True)], ["A"])
    assert len(store.held["A"]) == 366


async def test_a_split_whose_whole_series_cannot_be_had_changes_nothing(clock: FixedClock) -> None:
    class Shy(Provider):
        async def bars(self, instruments: Sequence[Instrument], since: date):
            self.failing = () if not self.asked else ("A",)
            return await super().bars(instruments, since)

    provider, store = Shy(), Store(clock, A=daily("A", RECENT))
    provider.levels["A"] = 50.0
    outcome = await followed("A", provider, store).due()
    assert (store.saved, outcome.failed) == ([], {"A": "yahoo /chart: no answer"})


async def test_bars_a_thousand_times_too_large_are_refused_with_the_reason(clock: FixedClock) -> None:
    provider, store = Provider(), Store(clock, A=daily("A", RECENT))
    provider.levels["A"] = 100_000.0
    outcome = await followed("A", provider, store).due()
    assert store.saved == []
    assert outcome.failed == {"A": "bars on another scale than those stored (yahoo); not taken"}


async def test_a_scale_that_stays_is_believed_when_the_old_bars_are_outdated(clock: FixedClock) -> None:
    provider, store = Provider(), Store(clock, A=daily("A", range(TODAY - 60, TODAY - 20)))
    provider.levels["A"] = 100_000.0
    outcome = await followed("A", provider, store).due()
    assert (store.saved, outcome.replaced) == ([("A", True)], ["A"])
    assert len(store.held["A"]) == 366


def test_the_moment_after_the_close_stays_the_same() -> None:
    first, last = history.AFTER_CLOSE
    assert all(first <= history.stagger(f"I{n}") <= last for n in range(500))
    assert history.stagger("SPX") == history.stagger("SPX") != history.stagger("NDX")
