"""Runs what is due in this process: claims a slot, runs its job under a lease, a time limit and a receipt, writes the end.

    async with Heartbeat(ledger.renewals(), clock) as heartbeat:
        async with Runner(specs, ledger, keeper.keep, clock, heartbeat=heartbeat) as runner:
            slot = await runner.run_now("refresh_indices")

A runner that was not entered runs nothing, and still submits and follows jobs that other processes run.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import structlog

from evertick.errors import ArchiveError, EvertickError, Fenced, JobError, JobRefused, JobTimedOut, SettingsError
from evertick.jobs.events import Events
from evertick.jobs.heartbeat import Heartbeat
from evertick.jobs.schedule import Schedule
from evertick.jobs.slots import TERMINAL, Ledger, accepted, backoff, bounded, plain, retries
from evertick.jobs.waiting import Alarm, Health, Looping
from evertick.model import Clock, Slot, SlotState

log = structlog.get_logger()

PROGRESS_EVERY_S = 0.5
"""Progress is told to followers at once, and written to the ledger at most this often."""
WAIT_BEYOND_S = 30.0
"""How long `Runner.run_now` waits beyond the time a run may take."""


class Keep(Protocol):
    """Measures a run, releases its memory, writes its receipt, and lets its error pass."""

    def __call__(self, job: str, component: str, slot: str | None) -> AbstractAsyncContextManager[Any]: ...


class JobContext:
    """What a run knows about itself."""

    __slots__ = ("_run", "clock")

    def __init__(self, run: _Run, clock: Clock) -> None:
        self._run = run
        self.clock = clock

    @property
    def slot(self) -> Slot:
        """With the token of this lease: whatever the run publishes is checked against it."""
        return self._run.slot

    @property
    def params(self) -> Mapping[str, Any]:
        return self._run.slot.params

    async def progress(self, fraction: float, stage: str = "", text: str = "") -> None:
        """Tell how far it is (0 to 1). Cheap enough to be called often. Raises `Fenced` when the lease is lost."""
        await self._run.tell({"done": round(min(1.0, max(0.0, fraction)), 4), "stage": stage, "text": text[:200]})


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as the runner knows it. ``run`` gets a `JobContext` and returns metadata of at most 4 KB as JSON, or nothing."""

    name: str
    run: Callable[[JobContext], Awaitable[Mapping[str, Any] | None]]
    component: str = "other"
    max_run_s: float = 900.0
    attempts: int = 4
    """How often a slot is tried, runs that timed out or died included."""
    schedule: Schedule | None = None
    desk: str = "default"
    first_now: bool = False
    """The very first start of the schedule is due at once."""
    one_at_a_time: bool = False
    """No two runs of this name at once in one process, of whatever desks: each is measured alone, and needs its memory alone."""
    retry_s: float = 5.0
    """The first wait after a failure; it doubles, see `evertick.jobs.slots.backoff`."""
    rank: int = 0
    """Of what waits for the engine of several machines, the lowest rank goes first."""

    @property
    def key(self) -> tuple[str, str]:
        return self.desk, self.name


@dataclass(eq=False)
class _Run:
    """One run in this process. ``why``: what cancelled it, ``fenced`` or ``shutdown``."""

    slot: Slot
    spec: JobSpec
    runner: Runner
    task: asyncio.Task[None] | None = None
    why: str | None = None
    ended: bool = False
    """The job's own code has come to its end, well or not; what follows is only written down."""
    told_at: float = field(default=float("-inf"))

    def cancel(self, why: str) -> None:
        if self.why is None and not self.ended and self.task is not None:
            self.why = why
            self.task.cancel()

    async def tell(self, progress: dict[str, Any]) -> None:
        self.slot = self.slot.with_(progress=progress)
        await self.runner._told(self)


class _Claimable:
    """What may be claimed now, as the ledger wants it: made anew only when other names are left out than before."""

    def __init__(self, specs: Collection[JobSpec]) -> None:
        self._attempts = {spec.key: spec.attempts for spec in specs}
        self._names = sorted({spec.name for spec in specs})
        self._left_out: frozenset[str] = frozenset()
        self._open: Mapping[tuple[str, str], int] = self._attempts

    def without(self, names: Collection[str], gate: Callable[[str], str | None]) -> Mapping[tuple[str, str], int]:
        left_out = frozenset(name for name in self._names if name in names or gate(name) is not None)
        if left_out != self._left_out:
            self._left_out = left_out
            self._open = {key: n for key, n in self._attempts.items() if key[1] not in left_out}
        return self._open


class Runner(Looping):
    """``owner`` is unique to the process and the start; ``keep`` is `evertick.memory.Keeper.keep`.

    ``gate`` says why a job is held back for now, ``None``: it is not. What is held back stays due.

    On leaving the block every run is cancelled and its slot handed back; one that does not end within ``stop_s`` seconds is
    left to its lease.
    """

    def __init__(
        self,
        specs: Sequence[JobSpec],
        ledger: Ledger,
        keep: Keep,
        clock: Clock,
        owner: str | None = None,
        concurrency: int = 2,
        *,
        heartbeat: Heartbeat | None = None,
        gate: Callable[[str], str | None] = lambda job: None,
        poll_s: float = 1.0,
        stop_s: float = 1.5,
    ) -> None:
        self.owner = (owner or f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}")[:96]
        self._specs = {spec.key: spec for spec in specs}
        if len(self._specs) != len(specs):
            raise SettingsError("two jobs of one desk have the same name")
        self._singly = frozenset(spec.name for spec in specs if spec.one_at_a_time)
        self._claimable = _Claimable(self._specs.values())
        self._ledger = ledger
        self._keep = keep
        self._clock = clock
        self._concurrency = concurrency
        self._heartbeat = heartbeat
        self._gate = gate
        self._poll_s = poll_s
        self._stop_s = stop_s
        self._alarm = Alarm(clock)
        self._health = Health("claiming jobs")
        self._events = Events(ledger.get, clock)
        self._runs: dict[str, _Run] = {}
        self._asked: dict[tuple[str, str, str], asyncio.Task[Slot]] = {}
        self._once: set[str] = set()
        self._stopping = False
        self._unsure = False
        """A claim failed: it may have leased a slot all the same, which nobody would run as long as this process lives."""

    # --- for the rest of the process ---------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be something to run: look now instead of at the next poll."""
        self._alarm.ring()

    @property
    def running(self) -> Sequence[Slot]:
        """What runs in this process now."""
        return [run.slot for run in self._runs.values()]

    @property
    def full(self) -> bool:
        """Nothing more is to be started here now."""
        return self._stopping or len(self._runs) >= self._concurrency

    async def submit(self, job: str, params: Mapping[str, Any] | None = None, *, desk: str = "default") -> Slot:
        """Hand in a job; it starts at once if there is room. Raises `JobRefused` (parameters, full queue)."""
        slot = await self._ledger.submit(desk, job, accepted(params), self._clock.now())
        self.wake()
        return slot

    async def run_now(self, job: str, params: Mapping[str, Any] | None = None, *, desk: str = "default") -> Slot:
        """Run ``job`` once and wait for its end; the slot says how that was (``failed`` raises nothing here).

        Calls at the same time with the same parameters share one run, also one that the schedule has just started. What
        is submitted here is tried once; a shared run that failed and will be tried again is returned as ``due``, with
        its error. Raises `JobRefused` (parameters, full queue, held back), and `JobTimedOut` when nobody ran it to its end in time.
        """
        given = accepted(params)
        if (why := self._gate(job)) is not None:
            raise JobRefused(f"'{job}' is held back: {why}.")
        key = (desk, job, json.dumps(given, sort_keys=True))
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.create_task(self._ask(desk, job, given), name=f"run_now {job}")
            asked.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asked)  # one caller that leaves does not take the answer from the others

    def updates(self, slot: str) -> AbstractAsyncContextManager[AsyncIterator[Slot]]:
        """Follow a slot, wherever it runs, to its end; see `evertick.jobs.events.Events.follow`."""
        return self._events.follow(slot)

    def _answered(self, key: tuple[str, str, str], asked: asyncio.Task[Slot]) -> None:
        self._asked.pop(key, None)
        if not asked.cancelled():
            asked.exception()  # seen here, should every caller have left

    async def _ask(self, desk: str, job: str, params: dict[str, Any]) -> Slot:
        spec = self._specs.get((desk, job))
        limit = (spec.max_run_s if spec else 0.0) + WAIT_BEYOND_S
        shared = next(
            (r.slot for r in self._runs.values() if r.spec.key == (desk, job) and r.slot.params == params), None
        )
        slot = shared or await self._ledger.submit(desk, job, params, self._clock.now())
        if shared is None:
            self._once.add(slot.id)
            self.wake()
        try:
            async with asyncio.timeout(limit), self.updates(slot.id) as updates:
                async for slot in updates:
                    if slot.state == SlotState.DUE and slot.error is not None:
                        break
                return slot
        except TimeoutError:
            raise JobTimedOut(
                f"'{job}' did not end within {limit:.0f} s.", hint="Is a process with the role 'work' running?"
            ) from None
        finally:
            self._once.discard(slot.id)

    # --- claiming ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._heartbeat is None:
            raise SettingsError("a runner that works needs a heartbeat")
        self._stopping = False
        await super().__aenter__()
        return self

    async def drain(self, seconds: float) -> None:
        """Claim nothing more, and give what runs so many seconds to come to its end."""
        self._stopping = True
        self._alarm.ring()
        runs = [run.task for run in self._runs.values() if run.task is not None]
        if runs:
            await asyncio.wait(runs, timeout=seconds)

    async def __aexit__(self, *exc: Any) -> None:
        self._stopping = True
        for asked in self._asked.values():
            asked.cancel()
        await self._end_claiming()
        runs = [run.task for run in self._runs.values() if run.task is not None]
        for run in self._runs.values():
            run.cancel("shutdown")
        if runs:
            _, left = await asyncio.wait(runs, timeout=self._stop_s)
            for task in left:
                log.error("job does not stop, its slot is left to its lease", job=task.get_name())
                task.cancel()

    async def _end_claiming(self) -> None:
        """A claim under way is let come to its end, or nobody would know of the slot it leased."""
        self._alarm.ring()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=self._stop_s)
        await super().__aexit__(None, None, None)

    async def run(self) -> None:
        """Claim and start, until stopping. Entered by ``async with``."""
        while not self._stopping:
            if len(self._runs) >= self._concurrency or not await self._claim():
                await self._alarm.wait(self._poll_s)

    async def _claim(self) -> bool:
        assert self._heartbeat is not None
        try:
            if self._unsure:
                await self._ledger.disown(self.owner, list(self._runs))
                self._unsure = False
            running = {run.spec.name for run in self._runs.values()} & self._singly
            open_ = self._claimable.without(running, self._gate)
            slot = await self._ledger.claim(self.owner, open_, self._clock.now(), self._heartbeat.lease_s)
        except Exception as error:  # noqa: BLE001 - the loop outlives the database; logged once
            self._unsure = True
            self._health.failed(error)
            return False
        self._health.well()
        if slot is None:
            return False
        await self._begin(slot)
        return True

    async def _begin(self, slot: Slot) -> _Run:
        """Run a slot that was just leased for this owner."""
        assert self._heartbeat is not None
        run = _Run(slot, self._specs[slot.desk, slot.job], self)
        self._runs[slot.id] = run
        self._heartbeat.hold(slot, run.spec.max_run_s, lambda: run.cancel("fenced"))
        run.task = asyncio.create_task(self._carry(run), name=slot.id)
        self._events.publish(slot)
        await asyncio.sleep(0)  # its first step is taken: a task cancelled before that would never hand its slot back
        return run

    # --- running -----------------------------------------------------------------------------------------------------

    async def _carry(self, run: _Run) -> None:
        """One slot from its lease to its end."""
        assert self._heartbeat is not None
        try:
            write = await self._outcome(run)
            self._heartbeat.rest(run.slot)
            await self._settle(run, write)
        finally:
            self._heartbeat.drop(run.slot)
            self._runs.pop(run.slot.id, None)
            self.wake()

    async def _outcome(self, run: _Run) -> Callable[[], Awaitable[Slot]] | None:
        """Run the job; returns how to write down what became of it, ``None``: nothing may be written."""
        result: Mapping[str, Any] | None = None
        try:
            async with self._keep(run.spec.name, run.spec.component, run.slot.id):
                result = await self._within_time(run)
                run.ended = True
        except asyncio.CancelledError:
            if not run.ended and run.why is not None:
                return self._cancelled(run)
            if not run.ended:  # not by us: something the job waited for was cancelled
                return self._failed(run, JobError(f"'{run.spec.name}' was cancelled from within."))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is written to the slot and logged
            if not run.ended:
                run.ended = True
                return self._failed(run, error)
            log.warning("job done, but not its receipt", job=run.spec.name, slot=run.slot.id, error=plain(error))
        kept = bounded(result)
        if kept is not None and kept.keys() == {"unkept"}:
            log.warning("result of job not kept", job=run.spec.name, slot=run.slot.id, why=kept["unkept"])
        return lambda: self._ledger.finish(run.slot, SlotState.DONE, self._clock.now(), result=kept)

    async def _within_time(self, run: _Run) -> Mapping[str, Any] | None:
        spec = run.spec
        try:
            async with asyncio.timeout(spec.max_run_s) as limit:
                return await spec.run(JobContext(run, self._clock))
        except TimeoutError:
            if not limit.expired():
                raise
            raise JobTimedOut(f"'{spec.name}' ran longer than {spec.max_run_s:g} s and was cancelled.") from None

    def _cancelled(self, run: _Run) -> Callable[[], Awaitable[Slot]] | None:
        if run.why == "fenced":
            log.warning("lease lost, run cancelled", job=run.spec.name, slot=run.slot.id, lease=run.slot.token)
            return None
        log.info("job handed back", job=run.spec.name, slot=run.slot.id)
        return lambda: self._ledger.release(run.slot)

    def _failed(self, run: _Run, error: Exception) -> Callable[[], Awaitable[Slot]]:
        slot, spec, now = run.slot, run.spec, self._clock.now()
        again = slot.id not in self._once and retries(slot, spec.attempts, error)
        retry_at = now + backoff(slot, base_s=spec.retry_s) if again else None
        said = plain(error)
        log.warning(
            "job failed",
            job=spec.name,
            slot=slot.id,
            attempt=f"{slot.attempts}/{spec.attempts}",
            error=said,
            **({"retry_at": retry_at.isoformat(timespec="seconds")} if retry_at else {}),
            **({} if isinstance(error, EvertickError | OSError) else {"exc_info": error}),
        )
        return lambda: self._ledger.finish(slot, SlotState.FAILED, self._clock.now(), error=said, retry_at=retry_at)

    async def _settle(self, run: _Run, write: Callable[[], Awaitable[Slot]] | None) -> None:
        """Write the end, however long the database is away: until then the lease is renewed and nobody runs it again."""
        run.ended = True
        wait_s = 0.5
        refused = False
        while write is not None:
            try:
                self._events.publish(await write())
                return
            except Fenced:
                log.warning("lease lost before the end was written", job=run.spec.name, slot=run.slot.id)
                return
            except ArchiveError as error:
                self._health.failed(error)
                if self._stopping:
                    return  # the next start, or another process, takes it over
            except Exception:
                log.exception("end of job cannot be written", job=run.spec.name, slot=run.slot.id)
                if refused:
                    return
                refused, write = True, self._unwritable(run)
            await self._clock.sleep(wait_s)
            wait_s = min(30.0, wait_s * 2)

    def _unwritable(self, run: _Run) -> Callable[[], Awaitable[Slot]]:
        """The database took no part in what the job left; that the slot ended it will take."""
        said = "what the job left could not be written; the log has the reason"
        return lambda: self._ledger.finish(run.slot, SlotState.FAILED, self._clock.now(), error=said)

    async def _told(self, run: _Run) -> None:
        self._events.publish(run.slot)
        now = self._clock.monotonic()
        if now - run.told_at < PROGRESS_EVERY_S:
            return
        run.told_at = now
        with suppress(ArchiveError):  # progress is a courtesy: a database that is away must not end the run
            await self._ledger.progress(run.slot, run.slot.progress or {})


__all__ = ["TERMINAL", "JobContext", "JobSpec", "Keep", "Runner"]
