"""The runner over a ledger in memory, on a virtual clock: outcomes, retries, fencing, shutdown, sharing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from evertick.errors import Fenced, JobRefused, JobTimedOut, SettingsError, SourceUnavailable
from evertick.jobs.heartbeat import Heartbeat
from evertick.jobs.runner import PROGRESS_EVERY_S, JobContext, JobSpec, Runner
from evertick.model import Slot, SlotState
from unit.jobs.scripted import (
    START,
    MemoryLedger,
    ScriptedKeep,
    ScriptedRenewals,
    VirtualClock,
    settle,
)


class Job:
    """A scripted job: ends when told, as told."""

    def __init__(self) -> None:
        self.contexts: list[JobContext] = []
        self.go = asyncio.Event()
        self.errors: list[Exception] = []
        self.result: Mapping[str, Any] | None = {"quotes": 3}
        self.cancelled = 0

    async def __call__(self, job: JobContext) -> Mapping[str, Any] | None:
        self.contexts.append(job)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.errors:
            raise self.errors.pop(0)
        return self.result


class Stage:
    """A runner with everything around it scripted. The heartbeat is a real one that has nothing to do in these tests."""

    def __init__(self, **changes: Any) -> None:
        self.clock, self.ledger, self.keep, self.job = VirtualClock(), MemoryLedger(), ScriptedKeep(), Job()
        self.renewals = ScriptedRenewals()
        self.heartbeat = Heartbeat(self.renewals, self.clock, 3600)
        options = {"concurrency": 2} | changes
        self.specs = [
            JobSpec("report", self.job, "auto_report", attempts=3, max_run_s=options.pop("max_run_s", 60)),
            JobSpec("refresh", self.job, "indices", attempts=1),
        ]
        self.runner = Runner(self.specs, self.ledger, self.keep, self.clock, heartbeat=self.heartbeat, **options)

    async def __aenter__(self) -> Stage:
        await self.heartbeat.__aenter__()
        await self.runner.__aenter__()
        await settle()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.runner.__aexit__(*exc)
        await self.heartbeat.__aexit__(None, None, None)
        assert not self.runner.running
        assert not self.heartbeat._held

    async def submit(self, job: str = "report", **params: Any) -> Slot:
        slot = await self.runner.submit(job, params)
        await settle()
        return slot

    def now(self, slot: Slot) -> Slot:
        return self.ledger.slots[slot.id]


async def test_a_submitted_job_starts_at_once_and_its_result_is_kept() -> None:
    async with Stage() as stage:
        slot = await stage.submit(languages="vi")
        assert [s.id for s in stage.runner.running] == [slot.id]
        (context,) = stage.job.contexts
        assert context.params == {"languages": "vi"}
        assert (context.slot.token, context.slot.owner) == (1, stage.runner.owner)
        stage.job.go.set()
        await settle()
        done = stage.now(slot)
        assert (done.state, done.result, done.error) == (SlotState.DONE, {"quotes": 3}, None)
        assert stage.keep.seen == [("report", "auto_report", slot.id, "ok")]


async def test_what_the_schedule_wrote_is_found_at_the_next_poll() -> None:
    async with Stage(poll_s=1.0) as stage:
        stage.ledger.put(Slot("report.default.s", "default", "report", START))
        await settle()
        assert stage.job.contexts == []
        await stage.clock.advance(1.1)
        assert len(stage.job.contexts) == 1
        stage.job.go.set()
        await settle()


async def test_what_the_gate_holds_back_stays_due_and_runs_when_it_opens() -> None:
    reason: list[str] = ["memory is tight"]
    async with Stage(gate=lambda job: reason[0] if reason and job == "report" else None, poll_s=1.0) as stage:
        slot = await stage.submit()
        assert stage.job.contexts == []
        assert stage.now(slot).state is SlotState.DUE
        with pytest.raises(JobRefused, match="held back: memory is tight"):
            await stage.runner.run_now("report")
        reason.clear()
        await stage.clock.advance(1.1)
        assert len(stage.job.contexts) == 1
        stage.job.go.set()
        await settle()
        assert stage.now(slot).state is SlotState.DONE


async def test_no_more_run_than_allowed_and_the_next_starts_when_one_ends() -> None:
    async with Stage(concurrency=1) as stage:
        await stage.submit("report")
        await stage.submit("refresh")
        assert len(stage.job.contexts) == 1
        stage.job.go.set()
        await settle()
        assert len(stage.job.contexts) == 2


async def test_a_failure_is_retried_later_and_given_up_in_the_end() -> None:
    async with Stage() as stage:
        stage.job.go.set()
        stage.job.errors = [SourceUnavailable("yahoo", "/v8", "no answer") for _ in range(3)]
        with capture_logs() as logs:
            slot = await stage.submit()
            waiting = stage.now(slot)
            assert waiting.state == SlotState.DUE
            assert waiting.error == "yahoo /v8: no answer"
            assert waiting.not_before is not None
            assert 2.5 <= (waiting.not_before - START).total_seconds() <= 5
            await stage.clock.advance(6.1)
            assert stage.now(slot).attempts == 2
            await stage.clock.advance(11.1)
        assert (stage.now(slot).state, stage.now(slot).attempts) == (SlotState.FAILED, 3)
        assert len(stage.job.contexts) == 3
        assert [entry.get("attempt") for entry in logs if entry["event"] == "job failed"] == ["1/3", "2/3", "3/3"]
        assert [seen[3] for seen in stage.keep.seen] == ["SourceUnavailable"] * 3


async def test_a_second_attempt_may_do_well() -> None:
    async with Stage() as stage:
        stage.job.go.set()
        stage.job.errors = [ValueError("a mistake")]
        with capture_logs() as logs:
            slot = await stage.submit()
        assert stage.now(slot).error == "ValueError: a mistake"
        assert any("exc_info" in entry for entry in logs), "a mistake of ours is logged with its trace"
        await stage.clock.advance(6.1)
        assert (stage.now(slot).state, stage.now(slot).error) == (SlotState.DONE, None)


async def test_where_only_a_person_can_help_nothing_is_retried() -> None:
    async with Stage() as stage:
        stage.job.go.set()
        stage.job.errors = [SettingsError("no such language")]
        slot = await stage.submit()
        assert stage.now(slot).state == SlotState.FAILED


async def test_a_run_past_its_time_is_cancelled_and_counts_as_an_attempt() -> None:
    async with Stage(max_run_s=0.05) as stage:
        slot = await stage.submit()
        async with asyncio.timeout(20):
            while stage.now(slot).state == SlotState.LEASED:
                await asyncio.sleep(0.01)
        assert (stage.now(slot).state, stage.now(slot).attempts) == (SlotState.DUE, 1)
        assert stage.now(slot).error == "'report' ran longer than 0.05 s and was cancelled."
        assert stage.job.cancelled == 1
        assert stage.keep.seen[0][3] == "JobTimedOut"


async def test_a_time_limit_inside_the_job_is_an_ordinary_failure() -> None:
    async with Stage() as stage:
        stage.job.go.set()
        stage.job.errors = [TimeoutError("of the job's own")]
        slot = await stage.submit()
        assert stage.now(slot).error == "TimeoutError: of the job's own"


async def test_a_job_cancelled_from_within_fails_and_does_not_run_for_ever() -> None:
    async with Stage() as stage:
        stage.job.go.set()
        stage.job.errors = [asyncio.CancelledError()]  # type: ignore[list-item]
        slot = await stage.submit()
        assert stage.now(slot).state == SlotState.DUE
        assert stage.now(slot).attempts == 1
        assert "cancelled from within" in (stage.now(slot).error or "")


async def test_a_lost_lease_cancels_the_run_and_writes_nothing() -> None:
    async with Stage() as stage:
        slot = await stage.submit()
        stage.ledger.steal(slot.id)
        stage.heartbeat._held[slot.id, 1].lost()
        await settle()
        assert stage.job.cancelled == 1
        assert (stage.now(slot).state, stage.now(slot).token, stage.now(slot).owner) == (SlotState.LEASED, 2, "another")
        assert "finish" not in stage.ledger.calls
        assert "release" not in stage.ledger.calls
        assert stage.keep.seen[0][3] == "CancelledError"


async def test_a_lease_lost_without_anyone_noticing_is_found_when_the_end_is_written() -> None:
    async with Stage() as stage:
        slot = await stage.submit()
        stage.ledger.steal(slot.id)
        stage.job.go.set()
        with capture_logs() as logs:
            await settle()
        assert stage.now(slot).owner == "another"
        assert [entry["event"] for entry in logs] == ["lease lost before the end was written"]


async def test_a_job_that_is_fenced_while_publishing_is_not_tried_again() -> None:
    async with Stage() as stage:
        stage.job.go.set()
        stage.job.errors = [Fenced("a report of this slot is published")]
        slot = await stage.submit()
        assert stage.now(slot).state == SlotState.FAILED


async def test_shutdown_hands_back_what_runs() -> None:
    async with Stage() as stage:
        slot = await stage.submit()
    assert (stage.now(slot).state, stage.now(slot).attempts, stage.now(slot).owner) == (SlotState.DUE, 0, None)
    assert stage.job.cancelled == 1


async def test_shutdown_in_the_moment_of_a_claim_hands_that_back_too() -> None:
    async with Stage() as stage:
        slot = await stage.runner.submit("report")
    assert (stage.now(slot).state, stage.now(slot).attempts) == (SlotState.DUE, 0)


async def test_shutdown_does_not_wait_for_a_job_that_will_not_stop() -> None:
    async with Stage(stop_s=0.05) as stage:
        let_go = asyncio.Event()

        async def deaf(job: JobContext) -> None:
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

        stage.runner._specs["default", "report"] = JobSpec("report", deaf)
        await stage.submit()
        (run,) = stage.runner._runs.values()
        assert run.task is not None
        with capture_logs() as logs:
            await stage.runner.__aexit__(None, None, None)
        assert "job does not stop, its slot is left to its lease" in [entry["event"] for entry in logs]
        let_go.set()
        await asyncio.wait([run.task])


async def test_the_end_is_written_when_the_database_is_back() -> None:
    async with Stage() as stage:
        slot = await stage.submit()
        stage.ledger.away("finish", 4)
        stage.ledger.away("claim", 10)
        stage.job.go.set()
        with capture_logs() as logs:
            await stage.clock.advance(2)
            assert stage.now(slot).state == SlotState.LEASED
            assert stage.runner.running, "still held: nobody may run it again"
            await stage.clock.advance(20)
        assert stage.now(slot).state == SlotState.DONE
        assert len(stage.job.contexts) == 1
        events = [entry["event"] for entry in logs]
        assert events.count("claiming jobs failing") == 1
        assert events.count("claiming jobs recovered") == 1


async def test_what_the_database_refuses_to_keep_ends_the_slot_as_failed() -> None:
    async with Stage() as stage:
        slot = await stage.submit()
        stage.ledger.fail["finish"] = [UnicodeEncodeError("utf-8", "x", 0, 1, "no")]
        stage.job.go.set()
        await stage.clock.advance(5)
        assert stage.now(slot).state == SlotState.FAILED


async def test_a_result_that_is_too_large_is_noted_not_kept() -> None:
    async with Stage() as stage:
        stage.job.go.set()
        stage.job.result = {"body": "x" * 10_000}
        slot = await stage.submit()
        assert stage.now(slot).state == SlotState.DONE
        assert "unkept" in (stage.now(slot).result or {})


async def test_a_receipt_that_fails_does_not_undo_the_job() -> None:
    @asynccontextmanager
    async def broken(job: str, component: str, slot: str | None) -> Any:
        yield
        raise OSError("the disk is full")

    async with Stage() as stage:
        stage.runner._keep = broken  # type: ignore[assignment]
        stage.job.go.set()
        slot = await stage.submit()
        assert stage.now(slot).state == SlotState.DONE


# --- progress --------------------------------------------------------------------------------------------------------


async def test_progress_is_seen_at_once_and_written_now_and_then() -> None:
    async with Stage() as stage:
        slot = await stage.submit()
        (context,) = stage.job.contexts
        seen: list[float] = []

        async def follow() -> None:
            async with stage.runner.updates(slot.id) as updates:
                async for now in updates:
                    seen.append((now.progress or {}).get("done", -1))

        follower = asyncio.create_task(follow())
        await settle()
        for n in range(1, 6):
            await context.progress(n / 10, "render", "…")
            await settle()
        assert seen == [-1, 0.1, 0.2, 0.3, 0.4, 0.5]
        assert stage.ledger.calls.count("progress") == 1
        await stage.clock.advance(PROGRESS_EVERY_S)
        await context.progress(2.0, "publish")
        assert stage.now(slot).progress == {"done": 1.0, "stage": "publish", "text": ""}
        await stage.clock.advance(PROGRESS_EVERY_S)
        stage.ledger.away("progress", 1)
        await context.progress(1.0)  # the database being away does not end the run
        await stage.clock.advance(PROGRESS_EVERY_S)
        stage.ledger.steal(slot.id)
        with pytest.raises(Fenced):
            await context.progress(1.0)
        follower.cancel()
        await asyncio.wait([follower])


# --- run now ---------------------------------------------------------------------------------------------------------


async def test_run_now_waits_for_the_end() -> None:
    async with Stage() as stage:
        asked = asyncio.create_task(stage.runner.run_now("report"))
        await settle()
        assert not asked.done()
        stage.job.go.set()
        slot = await asked
        assert (slot.state, slot.result, slot.trigger) == (SlotState.DONE, {"quotes": 3}, "manual")


async def test_calls_at_the_same_time_share_one_run_and_one_may_leave() -> None:
    async with Stage() as stage:
        asked = [asyncio.create_task(stage.runner.run_now("report")) for _ in range(5)]
        other = asyncio.create_task(stage.runner.run_now("refresh", {"n": 1}))
        await settle()
        asked[0].cancel()
        await settle()
        stage.job.go.set()
        slots = await asyncio.gather(*asked[1:], other)
        assert len({slot.id for slot in slots}) == 2
        assert asked[0].cancelled()
        assert stage.runner._asked == {}


async def test_a_call_shares_what_the_schedule_has_just_started() -> None:
    async with Stage() as stage:
        stage.ledger.put(Slot("report.default.s", "default", "report", START))
        stage.runner.wake()
        await settle()
        asked = asyncio.create_task(stage.runner.run_now("report"))
        different = asyncio.create_task(stage.runner.run_now("report", {"languages": "en"}))
        await settle()
        stage.job.go.set()
        assert (await asked).id == "report.default.s"
        assert (await different).id != "report.default.s"


async def test_a_failing_call_is_tried_once_and_says_so() -> None:
    async with Stage() as stage:
        stage.job.go.set()
        stage.job.errors = [SourceUnavailable("yahoo", "/v8", "no answer")]
        slot = await stage.runner.run_now("report")
        assert (slot.state, slot.error) == (SlotState.FAILED, "yahoo /v8: no answer")
        assert stage.runner._once == set()


async def test_a_shared_run_that_will_be_retried_is_answered_as_it_stands() -> None:
    async with Stage() as stage:
        stage.ledger.put(Slot("report.default.s", "default", "report", START))
        stage.runner.wake()
        await settle()
        asked = asyncio.create_task(stage.runner.run_now("report"))
        await settle()
        stage.job.errors = [SourceUnavailable("yahoo", "/v8", "no answer")]
        stage.job.go.set()
        slot = await asked
        assert slot.state == SlotState.DUE
        assert slot.not_before is not None


async def test_a_call_that_nobody_answers_ends_with_a_hint() -> None:
    stage = Stage()  # never entered: this process runs nothing
    stage.runner._specs = {("default", "report"): JobSpec("report", stage.job, max_run_s=-29.95)}
    with pytest.raises(JobTimedOut, match="role 'work'"):
        await stage.runner.run_now("report")


async def test_a_call_is_followed_when_another_process_runs_it() -> None:
    stage = Stage()
    asked = asyncio.create_task(stage.runner.run_now("report"))
    await settle()
    slot = await stage.ledger.claim("another", {("default", "report"): 3}, stage.clock.now(), 30)
    assert slot is not None
    await stage.ledger.finish(slot, SlotState.DONE, stage.clock.now(), result={"n": 1})
    await stage.clock.advance(1.5)
    assert (await asked).result == {"n": 1}


async def test_a_call_under_way_at_shutdown_is_cancelled() -> None:
    async with Stage() as stage:
        asked = asyncio.create_task(stage.runner.run_now("report"))
        await settle()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_parameters_and_names_are_checked() -> None:
    stage = Stage()
    with pytest.raises(JobRefused):
        await stage.runner.run_now("report", {"at": START})
    with pytest.raises(JobRefused):
        await stage.runner.submit("report", {"x": "y" * 5000})
    with pytest.raises(SettingsError, match="same name"):
        Runner([stage.specs[0], stage.specs[0]], stage.ledger, stage.keep, stage.clock)
    with pytest.raises(SettingsError, match="heartbeat"):
        async with Runner(stage.specs, stage.ledger, stage.keep, stage.clock):
            raise AssertionError("entered")


async def test_two_runners_never_share_a_name() -> None:
    stage = Stage()
    another = Runner(stage.specs, stage.ledger, stage.keep, stage.clock)
    assert another.owner != stage.runner.owner
    assert len(another.owner) <= 96


async def test_a_claim_that_fails_is_logged_once_and_the_loop_goes_on() -> None:
    async with Stage() as stage:
        stage.ledger.away("claim", 30)
        with capture_logs() as logs:
            await stage.clock.advance(29)
            slot = await stage.submit()
            await stage.clock.advance(3)
        assert [entry["event"] for entry in logs] == ["claiming jobs failing", "claiming jobs recovered"]
        assert stage.now(slot).state == SlotState.LEASED


async def test_runs_of_one_name_wait_for_each_other_where_they_are_to_be_alone() -> None:
    clock, ledger, job = VirtualClock(), MemoryLedger(), Job()
    desks = [JobSpec("report", job, desk=f"desk-{n}", one_at_a_time=True) for n in range(3)]
    async with Heartbeat(ScriptedRenewals(), clock, 3600) as heartbeat:
        specs = [*desks, JobSpec("refresh", job)]
        async with Runner(specs, ledger, ScriptedKeep(), clock, heartbeat=heartbeat, concurrency=4) as runner:
            for spec in specs:
                await runner.submit(spec.name, desk=spec.desk)
            await clock.advance(5)
            assert sorted(slot.job for slot in runner.running) == ["refresh", "report"]
            job.go.set()
            await clock.advance(30)
    assert {slot.state for slot in ledger.slots.values()} == {SlotState.DONE}
    assert len(job.contexts) == 4
