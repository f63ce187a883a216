"""The faults of a soak as they are played: begun when it is their time, lifted, recovered from, and examined.

    idle ──its time──▶ hurting ──its time is over──▶ recovering ──well again──▶ examined, idle

Between two states the soak goes on as ever, readers included. A server is well again when it is ready, a refresh has come
through since, no more sources fail than before the first fault, and nothing waits to be tried again.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from random import Random
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from evertick.errors import NoAnswer, SoakError
from evertick.soak import checks, evidence
from evertick.soak.checks import Finding
from evertick.soak.driver import Beside, Scene
from evertick.soak.faults import KINDS, Fault, clock_changes, plan
from evertick.soak.inflict import Hurt, Inflict
from evertick.soak.proxy import Proxy
from evertick.soak.recorder import REPORT, WARM_REPORTS
from evertick.soak.stage import Status
from evertick.soak.tape import Injury
from evertick.soak.wire import Wire

PATHS: Mapping[str, str] = {"simulator": "providers", "redis": "redis", "postgresql": "database"}
WELL_WITHIN_S = 14_400.0
"""Of virtual time after a fault was lifted: providers that refused for long are asked again only after a while."""
QUIET_WITHIN_S = 10.0
"""Real seconds in which a server lets go of readers that are gone."""
LOOK_S = 0.05
LOOKED_BACK = timedelta(days=4)
"""After each fault. No clock is set farther than 26 hours, and no fault with what follows lasts longer than a few."""


@dataclass
class _Open:
    """A fault that is not over yet."""

    fault: Fault
    hurt: Hurt | None
    began: float
    until: float
    failed: str = ""
    """Why it could not be made."""
    lifted: float | None = None
    """The monotonic clock when it was over."""
    as_of: str | None = None


class Faults(Beside):
    """Plays `evertick.soak.faults.plan` on whatever the soak's plan has. ``async with`` it around the soak."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self.proxies: dict[str, Proxy] = {}
        """By what is behind them: ``providers``, ``redis``, ``database``."""
        self._waiting: list[Fault] = []
        self._open: _Open | None = None
        self._inflict: Inflict | None = None
        self._usual: set[str] | None = None
        """Sources that fail in the simulator without any fault."""
        self._baseline: tuple[int, Status] | None = None
        """How the process of that start was at rest before its first fault."""
        self._warm: tuple[int, Status] | None = None
        """And as soon as it had made a few reports: what it loads and caches for those is no leak."""
        self._sound: set[str] = set()
        self._again = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    # --- before the start --------------------------------------------------------------------------------------------

    async def through(self, name: str, port: int) -> int:
        proxy = await self._stack.enter_async_context(Proxy(port))
        self.proxies[PATHS[name]] = proxy
        return proxy.port

    async def begin(self, scene: Scene) -> None:
        means = {*scene.servers}
        changes = clock_changes(scene.plan.start, scene.plan.days, scene.stage.settings["timezone"])
        if scene.disk is not None and scene.disk.way:
            means.add("disk")
            scene.notes.append(f"disk full: by {scene.disk.way}")
        else:
            why = scene.disk.why if scene.disk is not None else "the database is not the soak's own"
            scene.notes.append(f"disk full: not possible here ({why})")
        if not changes:
            scene.notes.append("summer time: no change of the clocks within this soak")
        self._waiting = [*plan(scene.plan.days, scene.plan.seed, means, paths=[*self.proxies], changes=changes)]
        self._inflict = Inflict(scene, self.proxies, notes=scene.notes, random=Random(scene.plan.seed))

    # --- as it is played ---------------------------------------------------------------------------------------------

    async def before(self, scene: Scene, at: float, until: float) -> None:
        if self._open is None and self._waiting and self._waiting[0].at <= at:
            await self._hurt(scene, self._waiting.pop(0), at)
        elif self._open is not None and self._open.lifted is None and at >= self._open.until:
            await self._lift(self._open)
        if self._open is not None and self._open.lifted is not None:
            await self._recover(scene, self._open, at)

    async def end(self, scene: Scene) -> None:
        if self._open is not None:
            await self._lift(self._open)
            step, at = scene.plan.step_s, scene.stage.now
            while self._open is not None:  # time enough for the last one
                at += step
                await scene.set_market(at)
                await scene.stage.advance(at)
                await self._recover(scene, self._open, at)
        if self._waiting:
            scene.notes.append(f"not reached: {', '.join(fault.kind for fault in self._waiting)}")
        self._sound.clear()
        began = time.monotonic()
        found = await self._examine(scene, whole=True)
        scene.injuries.append(
            Injury(scene.stage.now, "end", "everything is looked at once more", time.monotonic() - began, found)
        )
        if self._again:
            scene.notes.append(
                f"{self._again} runs were done a second time, their worker having died before it could say so"
            )

    async def _hurt(self, scene: Scene, fault: Fault, at: float) -> None:
        assert self._inflict is not None
        if self._usual is None:
            self._usual = await _failing(scene.stage.url)
        if self._baseline is None or self._baseline[0] != scene.stage.starts:
            self._baseline = scene.stage.starts, await _at_rest(scene, None)
        if (self._warm is None or self._warm[0] != scene.stage.starts) and _reports(scene.stage.status) >= WARM_REPORTS:
            self._warm = scene.stage.starts, await _at_rest(scene, None)
        scene.readers.excused = True
        scene.recorder.moment(at, "fault", fault.kind)
        self._open = open_ = _Open(fault, None, at, at + fault.lasts_s)
        try:
            open_.hurt = await self._inflict(fault)
        except SoakError as error:
            open_.failed = str(error)
            if not scene.stage.alive:
                await scene.stage.start()
        if not fault.lasts_s:
            await self._lift(open_)

    async def _lift(self, open_: _Open) -> None:
        hurt = open_.hurt
        if hurt is not None:
            if hurt.by_itself is not None:
                await hurt.by_itself
            if hurt.undo is not None:
                await hurt.undo()
        open_.lifted = time.monotonic()

    async def _recover(self, scene: Scene, open_: _Open, at: float) -> None:
        assert open_.lifted is not None
        wrong = await self._unwell(scene, open_)
        if wrong and at < open_.until + WELL_WITHIN_S:
            return
        seconds = None if wrong else round(time.monotonic() - open_.lifted, 2)
        found = await self._examine(scene)
        found["not well again"] = f"{WELL_WITHIN_S / 3600:g} h later: {wrong}" if wrong else True
        if open_.failed:
            found["not made"] = open_.failed
        if open_.hurt is not None:
            found |= open_.hurt.wrong
        what = KINDS[open_.fault.kind].says + (f": {open_.hurt.what}" if open_.hurt is not None else "")
        scene.injuries.append(Injury(open_.began, open_.fault.kind, what, seconds, found))
        scene.readers.excused = False
        self._open = None

    async def _unwell(self, scene: Scene, open_: _Open) -> str:
        """Why it is not well again yet; nothing: it is."""
        url = scene.stage.url
        try:
            async with Wire(url) as wire:
                ready = await wire.get("/readyz", body=True)
                if ready.status != 200:
                    return f"not ready: {ready.body.decode(errors='replace')[:200]}"
                as_of = (await wire.get("/api/v1/indices", body=True)).json()["as_of"]
            if open_.as_of is None:
                open_.as_of = as_of or "never"
            if as_of is None or as_of == open_.as_of:
                return "no refresh has come through"
            if failing := await _failing(url) - (self._usual or set()):
                return f"sources fail: {', '.join(sorted(failing))}"
        except NoAnswer as error:
            return str(error)
        instant = scene.stage.instant
        assert instant is not None
        try:
            with evidence.Watcher(scene.database_url) as watcher:
                waiting = watcher.waiting(instant)
        except SQLAlchemyError as error:
            return f"the database cannot be read: {error}"
        return f"waiting: {', '.join(waiting[:3])}" if waiting else ""

    # --- what is found -----------------------------------------------------------------------------------------------

    async def _examine(self, scene: Scene, *, whole: bool = False) -> dict[str, Finding]:
        """Of slots and receipts the last days, or the ``whole`` soak: a month of them takes a second to read."""
        assert self._inflict is not None
        instant = scene.stage.instant
        assert instant is not None
        since = None if whole else instant - LOOKED_BACK
        try:
            seen = await asyncio.to_thread(evidence.read, scene.database_url, since=since, sound=frozenset(self._sound))
        except SQLAlchemyError as error:
            return {"databases damaged": f"the database cannot be read: {error}"}
        found = checks.examined(seen, instant, put_back=self._inflict.put_back, known=self._sound)
        if found["half reports visible"] is True and found["reports damaged"] is True:
            self._sound |= {report.id for report in seen.reports}
        found["reports served wrong"] = await _served(scene.stage.url)
        self._again = checks.run_to_end_again(seen)  # of the whole at the end
        baseline = self._baseline
        if baseline is not None and baseline[0] == scene.stage.starts:
            warm = self._warm[1].heap if self._warm is not None and self._warm[0] == scene.stage.starts else None
            found |= checks.kept(replace(baseline[1], heap=warm), await _at_rest(scene, baseline[1]))
        return found


async def _failing(url: str) -> set[str]:
    """The sources that do not do what they should, by name. One that rests since its provider asked for that does."""
    async with Wire(url) as wire:
        answer = await wire.get("/api/v1/sources", body=True)
    return {
        row["name"]
        for row in answer.json()["items"]
        if row["state"] == "failing" or (row["state"] == "resting" and row["error_kind"] != "rate_limited")
    }


async def _served(url: str) -> Finding:
    """Whether the newest report comes over HTTP as it was stored, each part of it."""
    try:
        async with Wire(url) as wire:
            newest = (await wire.get("/api/v1/reports?limit=1", body=True)).json()["items"]
            for report in newest:
                whole = (await wire.get(f"/api/v1/reports/{report['id']}", body=True)).json()
                for part in whole["parts"]:
                    path = f"/api/v1/reports/{report['id']}/parts/{part['part']}"
                    answer = await wire.get(path, {"Accept-Encoding": "gzip"}, body=True)
                    if sha256(answer.body).hexdigest() != part["sha256"]:
                        return f"{path} answers {answer.status} with {answer.size:,} bytes that are not those that were stored"
    except NoAnswer as error:
        return str(error)
    return True


async def _at_rest(scene: Scene, before: Status | None) -> Status:
    """What the server holds once its readers are gone; with ``before``, as soon as it holds no more tasks than then.

    The heap is told without the stored pages that the server keeps for its readers: it gives them back by itself.
    """
    await scene.readers.leave()
    deadline = time.monotonic() + QUIET_WITHIN_S
    kept = await _kept_pages(scene.stage.url)
    last = await scene.stage.look()
    while True:
        await asyncio.sleep(LOOK_S)  # the connection of the last question is gone then
        status = await scene.stage.look()
        still = kept == (kept := await _kept_pages(scene.stage.url))
        calm = status.tasks == last.tasks and (before is None or status.tasks <= before.tasks)
        if (still and calm) or time.monotonic() > deadline:
            return status if status.heap is None else replace(status, heap=status.heap - kept)
        last = status


async def _kept_pages(url: str) -> int:
    """Bytes, as the server tells everybody; 0 from one that says nothing, which is found out elsewhere."""
    try:
        async with Wire(url) as wire:
            answer = await wire.get("/metrics", {"Connection": "close"}, body=True)
    except NoAnswer:
        return 0
    found = re.search(rb"^evertick_kept_pages_bytes (\S+)$", answer.body, re.MULTILINE)
    return int(float(found[1])) if found is not None else 0


def _reports(status: Status) -> int:
    """Made by this process."""
    return sum(status.runs.get(REPORT, {}).values())
