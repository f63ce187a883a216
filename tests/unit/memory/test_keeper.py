import asyncio
import gc

import pytest
from structlog.testing import capture_logs

from evertick.errors import JobTimedOut, ReportRejected
from evertick.memory import Gauge, Keeper, given_back, settle, size
from evertick.model import Outcome, Receipt

LARGE = 7 << 20


class Sink:
    """Keeps what it is given; fails when told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.receipts: list[Receipt] = []
        self.error = error

    async def __call__(self, receipt: Receipt) -> None:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        self.receipts.append(receipt)


@pytest.fixture
def keeper() -> Keeper:
    gauge = Gauge()
    gc.collect()
    return Keeper(gauge, sink=Sink())


def receipts(keeper: Keeper) -> list[Receipt]:
    assert isinstance(keeper.sink, Sink)
    return keeper.sink.receipts


async def test_a_run_that_keeps_nothing_retains_nothing(keeper):
    async def job() -> int:
        report = b"x" * LARGE
        await asyncio.sleep(0)
        return len(report)

    for _ in range(4):
        async with keeper.keep("report", "save", slot="report.default.1") as kept:
            assert await job() == LARGE
    [*_, last] = receipts(keeper)
    assert last is kept.receipt
    assert (last.job, last.component, last.slot, last.outcome) == ("report", "save", "report.default.1", Outcome.OK)
    assert last.retained is not None and abs(last.retained) < 4096
    assert last.peak_rss is not None and last.rss_before is not None and last.peak_rss - last.rss_before > LARGE // 2
    assert (given_back(last) or 0) > LARGE // 2
    assert (last.fds_delta, last.tasks_delta, last.overlapped) == (0, 0, False)


async def test_what_a_job_keeps_is_seen(keeper):
    kept = []
    async with keeper.keep("leaky"):
        kept.append(b"x" * LARGE)
    assert receipts(keeper)[-1].retained >= LARGE


async def test_a_cycle_is_collected_by_the_release(keeper):
    class Node:
        def __init__(self) -> None:
            self.me = self
            self.data = b"x" * LARGE

    gc.disable()
    try:
        async with keeper.keep("cyclic"):
            Node()
    finally:
        gc.enable()
    last = receipts(keeper)[-1]
    assert last.freed >= LARGE
    assert last.retained < 64 << 10


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("bad"), Outcome.FAILED),
        (asyncio.CancelledError(), Outcome.CANCELLED),
        (TimeoutError(), Outcome.TIMED_OUT),
        (JobTimedOut("too long"), Outcome.TIMED_OUT),
        (ReportRejected(["no quotes"]), Outcome.REJECTED),
        (ExceptionGroup("several", [ValueError("one")]), Outcome.FAILED),
    ],
)
async def test_failures_release_too_although_the_error_is_still_in_flight(keeper, error, outcome):
    async def deep(data: bytes) -> None:
        try:
            held = [data + b"y"]
            raise KeyError(len(held))
        except KeyError as cause:
            raise error from cause

    caught: BaseException | None = None
    for _ in range(3):
        try:
            async with keeper.keep("failing"):
                await deep(b"x" * LARGE)
        except BaseException as e:
            caught = e
    assert caught is error
    last = receipts(keeper)[-1]
    assert last.outcome is outcome
    assert last.retained is not None and last.retained < 64 << 10, "the error's frames still hold the data"


async def test_a_real_cancellation_leaves_a_receipt(keeper):
    async def job() -> None:
        async with keeper.keep("slow"):
            await asyncio.sleep(3600)

    task = asyncio.create_task(job())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [r.outcome for r in receipts(keeper)] == [Outcome.CANCELLED]


async def test_jobs_side_by_side_are_marked_and_nested_ones_are_not(keeper):
    async def one(name: str, seconds: float) -> None:
        async with keeper.keep(name):
            await asyncio.sleep(seconds)

    await asyncio.gather(one("a", 0.02), one("b", 0.01))
    async with keeper.keep("outer"), keeper.keep("inner"):
        pass
    assert {r.job: r.overlapped for r in receipts(keeper)} == {"a": True, "b": True, "inner": False, "outer": False}
    assert keeper.now()["running"] == []


async def test_a_store_that_fails_does_not_fail_the_job():
    keeper = Keeper(Gauge(), sink=Sink(RuntimeError("disk full")))
    with capture_logs() as logs:
        async with keeper.keep("job"):
            pass
    assert keeper.recent[-1].outcome is Outcome.OK
    assert [entry["event"] for entry in logs] == ["🧹 memory released", "receipt not stored"]


async def test_a_release_that_fails_never_hides_the_jobs_own_error(monkeypatch):
    monkeypatch.setattr("evertick.memory.keeper.release", lambda _a: 1 / 0)
    keeper = Keeper(Gauge())
    with capture_logs() as logs, pytest.raises(ValueError, match="its own"):
        async with keeper.keep("job"):
            raise ValueError("its own")
    assert logs[0]["event"] == "memory release failed"


async def test_the_broom_line(keeper):
    with capture_logs() as logs:
        async with keeper.keep("refresh_indices", "indices"):
            pass
    assert logs[0]["event"] == "🧹 memory released"
    assert logs[0]["job"] == "refresh_indices"
    assert {"freed", "retained", "rss", "outcome"} <= logs[0].keys()


async def test_recent_receipts_are_bounded():
    keeper = Keeper(Gauge(), recent=3)
    for n in range(5):
        async with keeper.keep(f"job{n}"):
            pass
    assert [r.job for r in keeper.recent] == ["job2", "job3", "job4"]


def test_settle_makes_later_collections_look_at_nothing_old():
    settle(Gauge().allocator)
    try:
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(
    ("count", "text"), [(7_444_889, "7.1MB"), (300, "0.3KB"), (0, "0.0KB"), (-2048, "-2.0KB"), (None, "?")]
)
def test_size(count, text):
    assert size(count) == text


@pytest.fixture
def settled():
    settle(Gauge().allocator)
    yield
    gc.unfreeze()


async def test_what_the_first_run_of_a_job_loaded_is_not_looked_at_again(keeper, settled):
    loaded: list[list[int]] = []
    async with keeper.keep("first"):
        loaded += [[n] for n in range(1000)]
    assert not any(one is loaded[0] for one in gc.get_objects())
    async with keeper.keep("first"):
        loaded += [[n] for n in range(1000)]
    assert any(one is loaded[-1] for one in gc.get_objects())


async def test_what_another_run_holds_meanwhile_is_looked_at_again(keeper, settled):
    async with keeper.keep("outer"):
        held = [[n] for n in range(1000)]
        async with keeper.keep("inner"):
            pass
        assert any(one is held for one in gc.get_objects())
