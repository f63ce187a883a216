"""What a run asks of whom: the order of sources, their rests and quotas, closed markets and the long tail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from evertick.errors import ArchiveUnavailable, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import Bars, Instrument, Snapshot, SourceStatus
from evertick.settings import SourceSettings
from evertick.sources import courtesy
from evertick.sources.reading import Answer

from .fakes import FixedClock
from .scripted import TUESDAY, Bench, Script, instrument, some_bars

RUN_S = 180.0


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(TUESDAY)


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "JITTER_S", 0.0)


def failing(instruments: Sequence[Instrument]) -> Exception:
    return SourceMalformed("one", "/quotes", "an empty answer")


# --- rounds ----------------------------------------------------------------------------------------------------------


async def test_what_the_first_source_has_not_is_asked_of_the_next_in_the_same_run(monkeypatch, clock):
    one, two, three = Script("one", clock), Script("two", clock), Script("three", clock)
    one.answer = lambda asked: one.good([i for i in asked if i.id != "B"])
    two.answer = lambda asked: Answer([], {i.id: "price 0" for i in asked})
    bench = Bench(monkeypatch, [one, two, three], [instrument(i, "one", "two", "three") for i in "ABC"], clock)
    fetched = await bench.run()
    assert {q.id: q.source for q in fetched.quotes} == {"A": "one", "B": "three", "C": "one"}
    assert (one.asked, two.asked, three.asked) == ([["A", "B", "C"]], [["B"]], [["B"]])


async def test_nothing_is_asked_of_two_sources_that_one_has_answered(monkeypatch, clock):
    one, two = Script("one", clock), Script("two", clock)
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock)
    await bench.run()
    assert two.asked == []
    assert (bench.status("two").state, bench.status("two").note) == ("idle", "other sources answer for its instruments")


async def test_a_source_that_fails_is_not_asked_again_in_the_same_run(monkeypatch, clock):
    one, two = Script("one", clock), Script("two", clock, answer=lambda asked: Answer())
    one.answer = failing
    bench = Bench(monkeypatch, [two, one], [instrument("A", "two", "one"), instrument("B", "one")], clock)
    await bench.run()
    assert (two.asked, one.asked) == ([["A"]], [["B"]])


async def test_a_silent_source_leaves_time_to_the_one_that_stands_in(monkeypatch, clock):
    one, two = Script("one", clock), Script("two", clock)
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock)
    monkeypatch.setattr("evertick.sources.conductor.BUDGET_S", 2.0)
    monkeypatch.setattr("evertick.sources.conductor.ROUND_SHARE", 0.05)
    monkeypatch.setattr("evertick.sources.conductor.SHORTEST_ROUND_S", 0.05)
    bench.http.script = lambda url, params: asyncio.sleep(60) if "//one/" in url else {}
    fetched = await bench.run()
    assert [q.source for q in fetched.quotes] == ["two"]
    assert "no answer within the 0.1 s of a round" in (bench.status("one").error or "")


async def test_one_that_says_again_and_again_that_it_has_none_is_not_asked_for_an_hour(monkeypatch, clock):
    one, two = Script("one", clock, answer=lambda asked: Answer()), Script("two", clock)
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock)
    for _ in range(6):
        await bench.run(after=RUN_S)
    assert (len(one.asked), len(two.asked)) == (3, 6)
    await bench.run(after=3600)
    assert len(one.asked) == 4


# --- the breaker -----------------------------------------------------------------------------------------------------


async def test_a_source_that_fails_three_times_rests_is_probed_with_one_and_rests_twice_as_long(monkeypatch, clock):
    one = Script("one", clock, answer=failing)
    bench = Bench(monkeypatch, [one], [instrument(i, "one") for i in "ABC"], clock, public=True)
    for _ in range(3):
        await bench.run(after=1)
    opened = clock.now()
    assert bench.status("one").retry_at == opened + timedelta(seconds=60)
    await bench.run(after=59)
    assert (bench.status("one").state, len(one.asked)) == ("resting", 3)
    assert bench.status("one").error == "one /quotes: an empty answer"
    await bench.run(after=1)
    assert one.asked[3:] == [["A"]]
    assert (bench.status("one").state, bench.status("one").retry_at) == (
        "failing",
        clock.now() + timedelta(seconds=120),
    )
    one.answer = None
    fetched = await bench.run(after=120)
    assert one.asked[4:] == [["A"], ["B", "C"]]
    assert len(fetched.quotes) == 3
    assert (bench.status("one").state, bench.status("one").retry_at) == ("ok", None)


async def test_while_one_rests_the_next_stands_in_from_the_first_round(monkeypatch, clock):
    one, two = Script("one", clock), Script("two", clock)
    one.answer = lambda asked: SourceRateLimited("one", "/quotes", "HTTP 429", retry_after=1000)
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock)
    await bench.run()
    fetched = await bench.run(after=RUN_S)
    assert [q.source for q in fetched.quotes] == ["two"]
    assert len(one.asked) == 1


async def test_a_rest_that_was_asked_for_outlasts_a_restart_and_one_of_our_own_does_not(monkeypatch, clock):
    one, two = Script("one", clock), Script("two", clock)
    one.answer = lambda asked: SourceRateLimited("one", "/quotes", "HTTP 429", retry_after=1000)
    two.answer = lambda asked: SourceRefused("two", "/quotes", "HTTP 403")
    instruments = [instrument("A", "one"), instrument("B", "two")]
    bench = Bench(monkeypatch, [one, two], instruments, clock, public=True)
    await bench.run()
    assert None not in (bench.status("one").retry_at, bench.status("two").retry_at)
    again = Bench(monkeypatch, [one, two], instruments, clock, public=True)
    again.statuses = bench.statuses
    await again.run(after=1)
    assert (len(one.asked), len(two.asked)) == (1, 2)
    assert (again.status("one").state, again.status("one").retry_at) == ("resting", bench.status("one").retry_at)
    assert again.status("one").last_error == "one /quotes: HTTP 429"


# --- quotas ----------------------------------------------------------------------------------------------------------


class Ledger:
    """A `Usage` in memory; ``lost`` makes it fail."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, date], int] = {}
        self.lost = False

    async def load(self) -> Mapping[str, tuple[date, int]]:
        await self._reach()
        return {source: (day, n) for (source, day), n in sorted(self.kept.items(), key=lambda kept: kept[0][1])}

    async def add(self, source: str, day: date, requests: int) -> None:
        await self._reach()
        self.kept[source, day] = self.kept.get((source, day), 0) + requests

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if self.lost:
            raise ArchiveUnavailable("gone")


async def test_every_request_counts_and_the_count_survives_a_restart(monkeypatch, clock):
    usage = Ledger()
    one, two = Script("one", clock, per_day=10, requests=4), Script("two", clock)
    instruments = [instrument("A", "one", "two")]
    for _ in range(2):
        bench = Bench(monkeypatch, [one, two], instruments, clock, public=True, usage=usage)
        await bench.run(after=RUN_S)
    assert usage.kept == {("one", TUESDAY.date()): 8}
    assert (bench.status("one").quota, bench.status("one").quota_left) == (10, 2)
    fetched = await bench.run(after=RUN_S)
    assert (bench.requests("one"), usage.kept) == (4 + 2, {("one", TUESDAY.date()): 10})
    assert [q.source for q in fetched.quotes] == ["two"]
    status = bench.status("one")
    assert (status.state, status.quota_left, status.retry_at) == ("failing", 0, datetime(2026, 11, 25, tzinfo=UTC))
    assert "the 10 requests of today are used up" in (status.error or "")
    again = Bench(monkeypatch, [one, two], instruments, clock, public=True, usage=usage)
    await again.run(after=RUN_S)
    assert (again.status("one").state, again.status("one").quota_left, again.requests("one")) == ("resting", 0, 0)


async def test_the_next_day_begins_at_midnight_in_utc(monkeypatch, clock):
    one = Script("one", clock, per_day=1)
    bench = Bench(monkeypatch, [one], [instrument("A", "one")], clock, public=True, usage=Ledger())
    await bench.run()
    await bench.run(after=RUN_S)
    assert len(one.asked) == 1
    clock.at = datetime(2026, 11, 25, 0, 1, tzinfo=UTC)
    await bench.run()
    assert (len(one.asked), bench.status("one").quota_left, bench.status("one").state) == (2, 0, "ok")


async def test_what_could_not_be_written_down_is_written_down_later_and_told_once(monkeypatch, clock):
    usage = Ledger()
    usage.lost = True
    one = Script("one", clock, per_day=10)
    bench = Bench(monkeypatch, [one], [instrument("A", "one")], clock, public=True, usage=usage)
    with capture_logs() as logs:
        for _ in range(3):
            await bench.run(after=RUN_S)
    assert [e["event"] for e in logs] == ["requests not counted beyond this process"]
    assert (bench.status("one").state, bench.status("one").quota_left) == ("ok", 7)
    usage.lost = False
    await bench.run(after=RUN_S)
    assert (usage.kept, bench.status("one").quota_left) == ({("one", TUESDAY.date()): 4}, 6)


async def test_the_users_own_numbers_count_also_at_an_address_of_their_own(monkeypatch, clock):
    one = Script("one", clock, per_day=10)
    own = SourceSettings(base_url="http://127.0.0.1:1", per_day=2)
    bench = Bench(monkeypatch, [one], [instrument("A", "one")], clock, settings={"one": own})
    for _ in range(4):
        await bench.run(after=RUN_S)
    assert (len(one.asked), bench.status("one").quota) == (2, 2)
    free = Bench(monkeypatch, [one], [instrument("A", "one")], clock)
    await free.run()
    assert free.status("one").quota is None


# --- what is due -----------------------------------------------------------------------------------------------------


async def test_the_long_tail_comes_in_turns_and_core_instruments_every_time(monkeypatch, clock):
    one = Script("one", clock)
    tail = [instrument(f"T{n}", "one", core=False) for n in range(200)]
    bench = Bench(monkeypatch, [one], [instrument("CORE", "one"), *tail], clock)
    await bench.run()
    assert len(one.asked.pop()) == 201  # the first run of all brings all
    for _ in range(5):
        await bench.run(after=RUN_S)
    assert all(run[0] == "CORE" for run in one.asked)
    assert sorted(i for run in one.asked for i in run if i != "CORE") == sorted(i.id for i in tail)
    assert all(20 <= len(run) <= 60 for run in one.asked)
    one.asked.clear()
    await bench.run(after=1, hurry=True)
    assert len(one.asked[0]) == 201


async def test_a_closed_market_is_asked_until_its_last_price_is_there_and_then_left_in_peace(monkeypatch, clock):
    one = Script("one", clock)
    bench = Bench(monkeypatch, [one], [instrument("A", "one", exchange="XNYS")], clock)
    close = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
    last = close - timedelta(seconds=2)
    one.answer = lambda asked: Answer([replace(q, as_of=last) for q in one.good(asked).quotes])
    clock.at = close + timedelta(minutes=5)
    await bench.run()
    await bench.run(after=1200)
    assert len(one.asked) == 2  # the closing auction may still come
    await bench.run(after=1200)
    for _ in range(5):
        await bench.run(after=1800)
    assert len(one.asked) == 3
    assert (bench.status("one").state, bench.status("one").note) == ("idle", "its markets are closed")
    assert bench.board["A"].as_of == last
    clock.at = datetime(2026, 11, 25, 14, 31, tzinfo=UTC)
    await bench.run()
    assert len(one.asked) == 4


async def test_a_price_of_the_close_on_the_board_spares_a_closed_market_after_a_restart(monkeypatch, clock):
    one = Script("one", clock)
    bench = Bench(monkeypatch, [one], [instrument("A", "one", exchange="XNYS")], clock)
    clock.at = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)
    bench.board = {q.id: q for q in one.good([instrument("A", "one")]).quotes}
    bench.statuses = (SourceStatus("one", "ok"),)
    await bench.run(after=7200, hurry=True)
    assert one.asked == []


async def test_what_changes_once_an_hour_is_asked_once_an_hour_and_of_nobody_else_meanwhile(monkeypatch, clock):
    one, two = Script("one", clock, every_s=3600), Script("two", clock)
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock)
    for _ in range(20):
        await bench.run(after=RUN_S)
    assert (len(one.asked), two.asked) == (1, [])
    assert (bench.status("one").state, bench.status("one").note) == ("idle", "asked every hour")
    await bench.run(after=RUN_S)
    assert len(one.asked) == 2


async def test_a_clock_that_is_put_back_puts_nothing_off(monkeypatch, clock):
    """Neither what was heard while it ran ahead, nor a rest that was asked for then, be it remembered beyond a restart."""
    hourly, resting = Script("one", clock, every_s=3600), Script("two", clock)
    resting.answer = lambda asked: SourceRateLimited("two", "/quotes", "HTTP 429", retry_after=60)
    instruments = [instrument("A", "one"), instrument("B", "two")]
    right = clock.now()
    bench = Bench(monkeypatch, [hourly, resting], instruments, clock, public=True)
    await bench.run(after=30 * 86400)
    clock.at = right
    await bench.run(after=RUN_S)
    assert (len(hourly.asked), len(resting.asked)) == (2, 2)
    again = Bench(monkeypatch, [hourly, resting], instruments, clock, public=True)
    again.statuses = tuple(
        replace(status, retry_at=status.retry_at and status.retry_at + timedelta(days=30)) for status in bench.statuses
    )
    await again.run(after=RUN_S)
    assert (len(hourly.asked), len(resting.asked)) == (3, 3)


# --- what adapters do wrong ------------------------------------------------------------------------------------------


class Nonsense(Exception):
    pass


@pytest.mark.parametrize(
    "wrong",
    [Nonsense("x"), RecursionError(), StopIteration(), AssertionError(), OSError("disk"), ExceptionGroup("g", [Nonsense()])],
)  # fmt: skip
async def test_whatever_an_adapter_raises_costs_only_its_own_quotes(monkeypatch, clock, wrong):
    one, two = Script("one", clock), Script("two", clock)
    one.answer = lambda asked: wrong
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two"), instrument("B", "two")], clock)
    with capture_logs() as logs:
        fetched = await bench.run()
        await bench.run()
    assert {q.id: q.source for q in fetched.quotes} == {"A": "two", "B": "two"}
    assert bench.status("one").state == "failing"
    assert "an answer the adapter cannot read" in (bench.status("one").error or "")
    assert [e["event"] for e in logs].count("source adapter failed") == 1


@pytest.mark.parametrize("wrong", [None, 5, Answer([None]), Answer(5)], ids=str)  # type: ignore[list-item, arg-type]
async def test_an_answer_that_is_none_costs_only_its_source(monkeypatch, clock, wrong):
    one, two = Script("one", clock), Script("two", clock)
    one.answer = lambda asked: wrong
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock)
    assert [q.source for q in (await bench.run()).quotes] == ["two"]


async def test_a_package_that_cannot_be_loaded_is_off_and_says_so(monkeypatch, clock):
    one, two = Script("one", clock), Script("two", clock)
    broken = one.listed()

    def load() -> type:
        raise ImportError("no such module")

    broken.point.load = load  # type: ignore[method-assign, union-attr]
    monkeypatch.setattr(one, "listed", lambda: broken)
    with capture_logs() as logs:
        bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock)
    await bench.run()
    assert (bench.status("one").state, bench.status("two").state) == ("off", "ok")
    assert bench.status("one").note == "its package cannot be loaded (ImportError); see the log"
    assert [e["event"] for e in logs] == ["source not loaded"]


async def test_without_a_key_a_source_that_needs_one_is_off_and_not_even_loaded(monkeypatch, clock):
    one = Script("one", clock, needs_key=True)
    bench = Bench(monkeypatch, [one], [instrument("A", "one")], clock, settings={"one": SourceSettings()})
    await bench.run()
    assert bench.status("one").note == "no API key; set EVERTICK_SOURCES__ONE__API_KEY"
    keyed = SourceSettings(api_key=SecretStr("hush-hush"))
    bench = Bench(monkeypatch, [one], [instrument("A", "one")], clock, settings={"one": keyed})
    one.answer = lambda asked: SourceRefused("one", "/quotes", "your key hush-hush is not known")
    with capture_logs() as logs:
        await bench.run()
    assert bench.status("one").error == ("one /quotes: your key … is not known. Check EVERTICK_SOURCES__ONE__API_KEY")
    assert "hush-hush" not in f"{bench.statuses} {logs}"


async def test_what_is_remembered_is_bounded_by_instruments_and_sources(monkeypatch, clock):
    one, two = Script("one", clock, every_s=60), Script("two", clock)
    one.answer = lambda asked: Answer(
        [*one.good(asked[1:]).quotes, *one.good([instrument(f"X{len(one.asked)}")]).quotes]
    )
    instruments = [instrument(i, "one", "two") for i in "ABC"]
    bench = Bench(monkeypatch, [one, two], instruments, clock)
    for _ in range(50):
        await bench.run(after=RUN_S)
    conductor = bench.conductor
    for kept in (conductor._known, conductor._heard, conductor._asked, *(s._heard for s in conductor._seats.values())):
        assert set(kept) <= {"A", "B", "C"}
    assert sorted(bench.board) == ["A", "B", "C"]


# --- daily bars ------------------------------------------------------------------------------------------------------


def with_bars(*but: str):
    return lambda asked: [some_bars(i.id) if i.id not in but else Bars.empty(i.id) for i in asked]


async def test_bars_come_from_the_first_source_that_has_some(monkeypatch, clock):
    one = Script("one", clock, bars=with_bars("B"))
    two, three = Script("two", clock), Script("three", clock, bars=with_bars())
    instruments = [instrument(i, "one", "two", "three") for i in "ABC"] + [instrument("D", "two")]
    bench = Bench(monkeypatch, [one, two, three], instruments, clock)
    assert [[i.id for i in batch] for batch in bench.conductor.batches(instruments)] == [["A", "B"], ["C"]]
    found, failures = await bench.conductor.bars(instruments, date(2026, 1, 1))
    assert sorted((b.instrument, b.source) for b in found) == [("A", "one"), ("B", "three"), ("C", "one")]
    assert failures == {}
    assert (one.asked_bars, three.asked_bars) == ([["A", "B"], ["C"]], [["B"]])


async def test_bars_that_failed_everywhere_are_told_and_the_others_come(monkeypatch, clock):
    one = Script("one", clock, bars=lambda asked: SourceMalformed("one", "/bars", "no list"))
    two = Script("two", clock, bars=lambda asked: SourceUnavailable("two", "/bars", "HTTP 502"))
    instruments = [instrument("A", "one", "two"), instrument("B", "one")]
    bench = Bench(monkeypatch, [one, two], instruments, clock)
    two.bars = with_bars()
    found, failures = await bench.conductor.bars(instruments, date(2026, 1, 1))
    assert ([b.instrument for b in found], {k: str(e) for k, e in failures.items()}) == (
        ["A"],
        {"B": "one /bars: no list"},
    )


async def test_a_source_that_is_down_is_not_asked_for_the_bars_of_every_instrument(monkeypatch, clock):
    one = Script("one", clock, bars=lambda asked: SourceUnavailable("one", "/bars", "HTTP 502"))
    instruments = [instrument(f"I{n}", "one") for n in range(20)]
    bench = Bench(monkeypatch, [one], instruments, clock, public=True)
    for batch in bench.conductor.batches(instruments):
        _, failures = await bench.conductor.bars(batch, date(2026, 1, 1))
    assert len(one.asked_bars) == 3
    assert all("resting for 60 s more" in str(error) for error in failures.values())
    assert [q.source for q in (await bench.run()).quotes] == ["one"] * 20  # its quotes are another matter


async def test_bars_count_against_the_daily_quota(monkeypatch, clock):
    usage = Ledger()
    one = Script("one", clock, per_day=2, bars=with_bars())
    instruments = [instrument(i, "one") for i in "ABCDEF"]
    bench = Bench(monkeypatch, [one], instruments, clock, public=True, usage=usage)
    found, failures = await bench.conductor.bars(instruments, date(2026, 1, 1))
    assert (len(found), sorted(failures)) == (4, ["E", "F"])
    assert "the 2 requests of today are used up" in str(failures["E"])
    assert usage.kept == {("one", TUESDAY.date()): 2}


async def test_a_request_to_slow_down_over_bars_outlasts_a_run_that_goes_well(monkeypatch, clock):
    one = Script("one", clock, bars=lambda asked: SourceRateLimited("one", "/bars", "HTTP 429", retry_after=600))
    bench = Bench(monkeypatch, [one], [instrument("A", "one")], clock)
    bars: list[asyncio.Task[object]] = []

    def meanwhile(asked: Sequence[Instrument]) -> Answer:
        bars.append(asyncio.ensure_future(bench.conductor.bars(asked, date(2026, 1, 1))))
        return one.good(asked)

    one.answer = meanwhile
    await bench.run()
    await bars[0]
    one.answer = None
    await bench.run(after=RUN_S)
    await bench.run(after=RUN_S)
    assert (len(one.asked), bench.status("one").state) == (1, "resting")
    await bench.run(after=RUN_S + RUN_S)
    assert bench.status("one").state == "ok"


async def test_bars_on_another_scale_than_the_price_are_asked_of_the_next(monkeypatch, clock):
    one = Script("one", clock, bars=lambda asked: [some_bars(i.id, (100_000.0, 100_100.0)) for i in asked])
    two = Script("two", clock, bars=with_bars())
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock)
    await bench.run()
    (found,), failures = await bench.conductor.bars([instrument("A", "one", "two")], date(2026, 1, 1))
    assert (found.close[-1], failures) == (101.0, {})


# --- the check of every source ---------------------------------------------------------------------------------------


async def test_a_probe_asks_every_source_for_one_instrument_those_too_that_stand_in(monkeypatch, clock):
    one, two, three = Script("one", clock), Script("two", clock, answer=failing), Script("three", clock)
    bench = Bench(monkeypatch, [one, two, three], [instrument(i, "one", "two") for i in "ABC"], clock)
    statuses = {s.name: s.state for s in await bench.conductor.probe()}
    assert statuses == {"one": "ok", "two": "failing", "three": "idle"}
    assert (one.asked, two.asked, three.asked) == ([["A"]], [["A"]], [])


async def test_without_a_board_and_without_a_snapshot_all_are_asked(monkeypatch, clock):
    one = Script("one", clock)
    bench = Bench(monkeypatch, [one], [instrument("A", "one", exchange="XNYS")], clock)
    clock.at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday
    await bench.conductor.fetch()
    await bench.conductor.fetch(Snapshot(clock.now(), ()))
    assert one.asked == [["A"], ["A"]]


# --- small quotas and slow rates -------------------------------------------------------------------------------------


async def test_what_a_source_leaves_for_later_is_neither_missing_nor_absent(monkeypatch, clock):
    one, two = Script("one", clock), Script("two", clock)
    turns = iter(range(100))

    def some(asked: Sequence[Instrument]) -> Answer:
        mine = asked[next(turns) % len(asked)]
        return replace(one.good([mine]), later=[i.id for i in asked if i is not mine])

    one.answer = some
    bench = Bench(monkeypatch, [one, two], [instrument(i, "one", "two") for i in "ABC"], clock)
    for n in range(9):
        fetched = await bench.run(after=RUN_S)
        assert [q.id for q in fetched.quotes if q.source == "one"] == ["ABC"[n % 3]]
        assert len(fetched.quotes) == 3
        assert bench.status("one").state == "ok"
    one.answer = lambda asked: Answer(later=[i.id for i in asked])
    await bench.run(after=RUN_S)
    status = bench.status("one")
    assert (status.state, status.note) == ("idle", "its turn comes later, to keep within its quota")


async def test_a_source_with_a_slow_rate_is_passed_over_until_it_may_be_asked_again(monkeypatch, clock):
    one, two = Script("one", clock, rate=(1, 300.0)), Script("two", clock)
    one.answer = lambda asked: SourceUnavailable("one", "/quotes", "HTTP 502")
    bench = Bench(monkeypatch, [one, two], [instrument("A", "one", "two")], clock, public=True)
    for _ in range(2):
        assert [q.source for q in (await bench.run(after=RUN_S)).quotes] == ["two"]
    assert (len(one.asked), bench.requests("one")) == (1, 1)  # and no second try either


async def test_a_second_try_is_made_where_the_rate_allows_it(monkeypatch, clock):
    one = Script("one", clock)
    bench = Bench(monkeypatch, [one], [instrument("A", "one")], clock, public=True)
    answers = iter([SourceUnavailable("one", "/quotes", "HTTP 502"), {}])
    bench.http.script = lambda url, params: next(answers)
    assert len((await bench.run()).quotes) == 1
    assert bench.requests("one") == 2


async def test_a_run_counts_once_however_often_a_source_was_asked_in_it(monkeypatch, clock):
    zero = lambda asked: Answer([], {i.id: "price 0" for i in asked})  # noqa: E731
    one, two = Script("one", clock, answer=zero), Script("two", clock, answer=zero)
    three = Script("three", clock, answer=zero)
    chains = [("A", "one"), ("B", "two", "one"), ("C", "three", "two", "one")]
    bench = Bench(monkeypatch, [three, two, one], [instrument(*chain) for chain in chains], clock)
    for _ in range(2):
        await bench.run(after=RUN_S)
    assert len(one.asked) == 6
    assert (bench.status("one").state, bench.status("one").retry_at) == ("failing", None)
