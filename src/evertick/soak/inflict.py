"""How each fault is made. Each function hurts, and returns what puts it right again.

The kinds are those of `evertick.soak.faults`; a kind that is over as soon as it has come has nothing to put right.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from evertick.errors import NoAnswer, SoakError
from evertick.soak.disk import Disk
from evertick.soak.evidence import Watcher
from evertick.soak.faults import LEASE_S, MAX_RUN_S, Fault
from evertick.soak.proxy import Proxy
from evertick.soak.servers import Server
from evertick.soak.stage import Stage
from evertick.soak.wire import Wire, post

Undo = Callable[[], Awaitable[None]]

STALLED_S = 4.0
"""Real seconds: nobody's patience ends by the virtual clock."""
SLOW_S: Mapping[str, float] = {"providers": 0.3, "redis": 0.03, "database": 0.01}
UNDER_WAY_S = 60.0
LINGER_S = 1.0
"""At most so long after a run has begun it is hurt."""
CLIENT_S = 0.05
_LOOK_S = 0.003


class Ground(Protocol):
    """What can be hurt."""

    @property
    def stage(self) -> Stage: ...
    @property
    def simulator(self) -> str: ...
    @property
    def database_url(self) -> str: ...
    @property
    def servers(self) -> Mapping[str, Server]: ...
    @property
    def disk(self) -> Disk | None: ...


@dataclass
class Hurt:
    """``put_back`` counts how often a wall clock was set backwards."""

    what: str
    undo: Undo | None = None
    by_itself: asyncio.Task[None] | None = None
    """Ends the fault in real time, where the virtual clock stands still because of it."""
    wrong: Mapping[str, str] = field(default_factory=dict)
    """What was seen to be wrong already while it hurt."""


@dataclass
class Inflict:
    ground: Ground
    proxies: Mapping[str, Proxy]
    put_back: int = 0
    notes: list[str] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(0))

    async def __call__(self, fault: Fault) -> Hurt:
        name = fault.kind.replace(" ", "_")
        work: Callable[[Mapping[str, Any]], Awaitable[Hurt]] = getattr(self, f"_{name}")
        return await work(fault.given)

    # --- providers and networks --------------------------------------------------------------------------------------

    async def _rules(self, rules: list[str], what: str) -> Hurt:
        await post(self.ground.simulator, "/control/faults", {"faults": rules})

        async def undo() -> None:
            await post(self.ground.simulator, "/control/faults", {"faults": []})

        return Hurt(what, undo)

    async def _providers_wrong(self, given: Mapping[str, Any]) -> Hurt:
        kinds = ", ".join(sorted(rule.partition("=")[2].partition(":")[0] for rule in given["rules"]))
        return await self._rules([*given["rules"]], f"answers with {kinds}")

    async def _providers_slow(self, given: Mapping[str, Any]) -> Hurt:
        return await self._providers_wrong(given)

    async def _providers_down(self, given: Mapping[str, Any]) -> Hurt:
        return await self._rules(["all=503"], "every answer is 503")

    async def _network_cut(self, given: Mapping[str, Any]) -> Hurt:
        proxy = self.proxies[given["path"]]
        proxy.cut()
        return Hurt(f"to the {given['path']}", _soon(proxy.heal))

    async def _network_stalled(self, given: Mapping[str, Any]) -> Hurt:
        path = given["path"]
        proxy, seconds = self.proxies[path], STALLED_S
        if path == "database":  # in the midst of a report, and longer than it may take
            seconds = MAX_RUN_S + 2.0
            async with self._report():
                proxy.stall()
        proxy.stall()

        async def end() -> None:
            await asyncio.sleep(seconds)
            proxy.heal()

        # A database that says nothing is waited for, and while somebody waits the virtual clock stands.
        return Hurt(f"to the {path}, for {seconds:g} s", by_itself=asyncio.create_task(end()))

    async def _network_slow(self, given: Mapping[str, Any]) -> Hurt:
        proxy, delay = self.proxies[given["path"]], SLOW_S[given["path"]]
        proxy.delay(delay)
        return Hurt(f"to the {given['path']}, {delay:g} s each way", _soon(proxy.heal))

    # --- Redis, PostgreSQL, the disk ---------------------------------------------------------------------------------

    async def _server(self, name: str, end: Callable[[Server], None], what: str) -> Hurt:
        """In the midst of what writes there."""
        server = self.ground.servers[name]
        async with self._report() if name == "postgresql" else self._refresh():
            await asyncio.to_thread(end, server)

        async def undo() -> None:
            await asyncio.to_thread(server.start)

        return Hurt(what, undo)

    async def _redis_killed(self, given: Mapping[str, Any]) -> Hurt:
        return await self._server("redis", Server.kill, "kill -9")

    async def _redis_stopped(self, given: Mapping[str, Any]) -> Hurt:
        return await self._server("redis", Server.stop, "SIGTERM")

    async def _postgresql_killed(self, given: Mapping[str, Any]) -> Hurt:
        return await self._server("postgresql", Server.kill, "kill -9")

    async def _postgresql_stopped(self, given: Mapping[str, Any]) -> Hurt:
        return await self._server("postgresql", Server.stop, "SIGINT (fast)")

    async def _disk_full(self, given: Mapping[str, Any]) -> Hurt:
        disk = self.ground.disk
        assert disk is not None
        disk.pid = self.ground.stage.pid
        async with self._report():
            await asyncio.to_thread(disk.fill)

        async def undo() -> None:
            await asyncio.to_thread(disk.empty)
            # PostgreSQL ends itself when its log finds no room; somebody starts it again once there is some.
            for server in self.ground.servers.values():
                if server.process is not None and server.process.poll() is not None:
                    self.notes.append(f"{server.name} ended by itself on a full disk and was started again")
                    await asyncio.to_thread(server.start)

        return Hurt(disk.way, undo)

    # --- clocks ------------------------------------------------------------------------------------------------------

    async def _shift(self, hours: float) -> Hurt:
        await self.ground.stage.shift(hours * 3600)
        pid = self.ground.stage.pid
        self.put_back += 1  # now, or when it is put right

        async def undo() -> None:
            if self.ground.stage.pid == pid:  # a new process has the right time anyhow
                await self.ground.stage.shift(-hours * 3600)

        return Hurt(f"{hours:+g} h", undo)

    async def _clock_ahead(self, given: Mapping[str, Any]) -> Hurt:
        return await self._shift(given["hours"])

    async def _clock_behind(self, given: Mapping[str, Any]) -> Hurt:
        return await self._shift(-given["hours"])

    async def _summer_time(self, given: Mapping[str, Any]) -> Hurt:
        return Hurt(f"in {self.ground.stage.settings['timezone']}", _soon(lambda: None))

    # --- the process -------------------------------------------------------------------------------------------------

    async def _refresh_killed(self, given: Mapping[str, Any]) -> Hurt:
        async with self._refresh():
            await self.ground.stage.kill()
        await self.ground.stage.start()
        return Hurt("kill -9")

    async def _report_killed(self, given: Mapping[str, Any]) -> Hurt:
        async with self._report():
            await self.ground.stage.kill()
        await self.ground.stage.start()
        return Hurt("kill -9")

    async def _report_cancelled(self, given: Mapping[str, Any]) -> Hurt:
        async with self._report():
            code = await self.ground.stage.stop()
        await self.ground.stage.start()
        return Hurt("SIGTERM", wrong=_ended(code))

    async def _run_too_long(self, given: Mapping[str, Any]) -> Hurt:
        return await self._stopped(MAX_RUN_S + 1.0)

    async def _slept(self, given: Mapping[str, Any]) -> Hurt:
        if "database_url" not in self.ground.stage.settings:
            return await self._stopped(LEASE_S + 1.0)  # the folder is its own: nobody else may take over
        return await self._taken_over()

    async def _taken_over(self) -> Hurt:
        """Another server on the same database does what the sleeper has begun; then the sleeper wakes."""
        stage = self.ground.stage
        folder = stage.folder / "rival"
        settings = {**stage.settings, "data_dir": str(folder / "data"), "port": 0}
        at = stage.now + UNDER_WAY_S  # for whom the lease is over, also where the sleeper renewed it this moment
        with Watcher(self.ground.database_url) as watcher:
            async with self._report():
                os.kill(stage.pid, signal.SIGSTOP)
            try:
                held = watcher.held("report")
                async with Stage(folder, settings, start=stage.start_at, at=at) as rival:
                    await rival.advance(at + UNDER_WAY_S)
                left = watcher.held("report")
            finally:
                os.kill(stage.pid, signal.SIGCONT)
        wrong = (
            {} if held and not left else {"not taken over": f"{held or 'nothing'} was held, then {left or 'nothing'}"}
        )
        return Hurt("SIGSTOP until another server has made its report", wrong=wrong)

    async def _stopped(self, seconds: float) -> Hurt:
        async with self._report():
            os.kill(self.ground.stage.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(self.ground.stage.pid, signal.SIGCONT)
        return Hurt(f"SIGSTOP for {seconds:g} s")

    async def _server_stopped(self, given: Mapping[str, Any]) -> Hurt:
        code = await self.ground.stage.stop()
        await self.ground.stage.start()
        return Hurt("SIGTERM", wrong=_ended(code))

    async def _server_restarted(self, given: Mapping[str, Any]) -> Hurt:
        """While clients come: none of them is to be sent away."""
        stage = self.ground.stage
        renewing = asyncio.create_task(stage.renew())
        clients = []
        while not renewing.done():
            clients.append(asyncio.create_task(_visit(stage.url)))
            await asyncio.wait((renewing,), timeout=CLIENT_S)
        await renewing
        lost = [why for why in await asyncio.gather(*clients) if why]
        wrong = {"requests lost": f"{len(lost)} of {len(clients)}, the first: {lost[0]}"} if lost else {}
        return Hurt(f"the same process id, {len(clients)} clients meanwhile", wrong=wrong)

    @asynccontextmanager
    async def _refresh(self) -> AsyncIterator[None]:
        proxy = self.proxies["providers"]
        proxy.stall()  # so that it is still under way
        try:
            async with self._under_way("refresh_indices", "/api/v1/indices/refresh", "leased"):
                yield
        finally:
            proxy.heal()

    @asynccontextmanager
    async def _report(self) -> AsyncIterator[None]:
        async with self._under_way("report", "/api/v1/reports", "draft"):
            yield

    @asynccontextmanager
    async def _under_way(self, job: str, path: str, state: str) -> AsyncIterator[None]:
        """Ask for a run and enter the block in its midst, each time at another moment. Raises `SoakError` if it never gets
        there."""
        stage = self.ground.stage

        async def ask() -> None:
            with suppress(NoAnswer):  # whoever asks for something to be killed waits for no answer
                async with Wire(stage.url) as wire:
                    await wire.ask("POST", path, {"Connection": "close"}, {}, body=True)

        asking = asyncio.create_task(ask())
        try:
            with Watcher(self.ground.database_url) as watcher:
                async with asyncio.timeout(UNDER_WAY_S):
                    while watcher.state_of(job) != state:  # noqa: ASYNC110 - it happens in another process
                        await asyncio.sleep(_LOOK_S)
                until = asyncio.get_running_loop().time() + self.random.uniform(0.0, LINGER_S)
                while asyncio.get_running_loop().time() < until and watcher.state_of(job) == state:  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_S)
            yield
        except TimeoutError:
            raise SoakError(f"no run of '{job}' was seen under way within {UNDER_WAY_S:g} s") from None
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)


def _ended(code: int) -> dict[str, str]:
    return {"not stopped in order": f"exit code {code} after SIGTERM"} if code else {}


async def _visit(url: str) -> str:
    """One client with a connection of its own; why it was not served, if it was not."""
    try:
        async with Wire(url) as wire:
            answer = await wire.get("/healthz", {"Connection": "close"})
    except NoAnswer as error:
        return str(error.__cause__ or error)
    return "" if answer.status == 200 else str(answer.status)


def _soon(call: Callable[[], object]) -> Undo:
    async def undo() -> None:
        call()

    return undo
