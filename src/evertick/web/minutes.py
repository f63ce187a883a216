"""What requests do to memory: one receipt for each route and minute, event streams among them.

A request is too short and too often together with others for a receipt of its own. Of those that were alone in the process,
with no other request and no job beside them, the heap is compared before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping, Sequence
from datetime import datetime
from typing import Any

from evertick.model import MemorySample, WebReceipt

UNMATCHED = "unmatched"
Scope = MutableMapping[str, Any]


def route_of(scope: Scope) -> str:
    """The route as it is declared (``/reports/{id}``), whatever path was asked for: so their number is bounded."""
    return getattr(scope.get("route"), "path", None) or UNMATCHED


class _Sum:
    __slots__ = ("alone", "cancelled", "failed", "longest_s", "requests", "retained", "seconds")

    def __init__(self) -> None:
        self.requests = self.failed = self.cancelled = self.alone = self.retained = 0
        self.seconds = self.longest_s = 0.0


class Request:
    """One request between its beginning and its end."""

    __slots__ = ("alone", "began", "heap", "number", "scope")

    def __init__(self, scope: Scope, number: int, heap: int | None, alone: bool) -> None:
        self.scope, self.number, self.heap, self.alone = scope, number, heap, alone
        self.began = time.perf_counter()


class Minutes:
    """``heap`` reads the bytes in use, ``busy`` says whether a job runs. Both must be cheap: they are asked for every request."""

    def __init__(self, heap: Callable[[], int | None] = lambda: None, busy: Callable[[], bool] = lambda: False) -> None:
        self._heap, self._busy = heap, busy
        self._sums: dict[str, _Sum] = {}
        self._open: dict[int, Request] = {}
        self._begun = 0
        self._since: datetime | None = None

    def begin(self, scope: Scope) -> Request:
        self._begun += 1
        alone = not self._open and not self._busy()
        request = Request(scope, self._begun, self._heap() if alone else None, alone)
        self._open[request.number] = request
        return request

    def end(self, request: Request, *, failed: bool, cancelled: bool) -> None:
        self._open.pop(request.number, None)
        route = route_of(request.scope)
        found = self._sums.get(route)
        if found is None:
            found = self._sums[route] = _Sum()
        seconds = time.perf_counter() - request.began
        found.requests += 1
        found.failed += failed
        found.cancelled += cancelled
        found.seconds += seconds
        found.longest_s = max(found.longest_s, seconds)
        if request.alone and request.number == self._begun and request.heap is not None and not self._busy():
            after = self._heap()
            if after is not None:
                found.alone += 1
                found.retained += after - request.heap

    def collect(self, sample: MemorySample) -> Sequence[WebReceipt]:
        """The receipts since the last call, which then begin anew; ``sample`` is how the process looks now."""
        open_now: dict[str, int] = {}
        for request in self._open.values():
            route = route_of(request.scope)
            open_now[route] = open_now.get(route, 0) + 1
        minute, self._since = self._since or sample.at, sample.at
        sums, self._sums = self._sums, {}
        return [
            WebReceipt(
                process=sample.process,
                minute=minute,
                route=route[:96],
                requests=found.requests,
                failed=found.failed,
                cancelled=found.cancelled,
                duration_s=round(found.seconds, 6),
                longest_s=round(found.longest_s, 6),
                alone=found.alone,
                retained=found.retained if found.alone else None,
                rss_max=sample.rss_max,
                open=open_now.get(route, 0),
                fds=sample.fds,
                tasks=sample.tasks,
                connections=sample.connections,
            )
            for route in sorted(sums.keys() | open_now.keys())
            for found in (sums.get(route) or _Sum(),)
        ]
