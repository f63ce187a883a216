from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from evertick.model import MemorySample
from evertick.web.minutes import Minutes

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def scope(route: str | None) -> dict[str, Any]:
    return {"route": SimpleNamespace(path=route)} if route else {}


def sample(minutes: int = 1) -> MemorySample:
    return MemorySample(
        process="host/1/1", at=START + timedelta(minutes=minutes), step_s=10, rss=85, rss_max=90, heap=1, blocks=1,
        fds=20, sockets=3, threads=2, tasks=7, connections=4, pss=None, uss=None, budget=256,
    )  # fmt: skip


class Heap:
    def __init__(self) -> None:
        self.bytes = 1000
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return self.bytes


def test_requests_of_one_route_add_up() -> None:
    heap = Heap()
    minutes = Minutes(heap)
    for kept in (300, -100):
        request = minutes.begin(scope("/reports/{id}"))
        heap.bytes += kept
        minutes.end(request, failed=kept < 0, cancelled=False)
    (found,) = minutes.collect(sample())
    assert (found.route, found.process, found.requests, found.failed) == ("/reports/{id}", "host/1/1", 2, 1)
    assert (found.alone, found.retained, found.open) == (2, 200, 0)
    assert (found.rss_max, found.fds, found.tasks, found.connections) == (90, 20, 7, 4)
    assert 0 < found.longest_s <= found.duration_s
    assert minutes.collect(sample(2)) == []


def test_requests_beside_others_are_counted_and_not_measured() -> None:
    heap = Heap()
    minutes = Minutes(heap)
    first = minutes.begin(scope("/"))
    second = minutes.begin(scope("/"))
    heap.bytes += 5000
    minutes.end(second, failed=False, cancelled=True)
    minutes.end(first, failed=False, cancelled=False)
    (found,) = minutes.collect(sample())
    assert (found.requests, found.cancelled, found.alone, found.retained) == (2, 1, 0, None)


def test_beside_a_job_nothing_is_measured() -> None:
    busy = [False]
    heap = Heap()
    minutes = Minutes(heap, lambda: busy[0])
    request = minutes.begin(scope("/"))
    busy[0] = True
    minutes.end(request, failed=False, cancelled=False)
    assert heap.looks == 1
    minutes.end(minutes.begin(scope("/")), failed=False, cancelled=False)
    assert heap.looks == 1
    assert [r.alone for r in minutes.collect(sample())] == [0]


def test_streams_show_while_they_are_open_and_when_they_end() -> None:
    minutes = Minutes()
    stream = minutes.begin(scope("/api/v1/indices/stream"))
    minutes.begin(scope("/api/v1/indices/stream"))
    (found,) = minutes.collect(sample(1))
    assert (found.requests, found.open, found.minute) == (0, 2, START + timedelta(minutes=1))
    minutes.end(stream, failed=False, cancelled=True)
    (found,) = minutes.collect(sample(2))
    assert (found.requests, found.cancelled, found.open, found.minute) == (1, 1, 1, START + timedelta(minutes=1))


def test_whatever_is_asked_for_the_routes_are_bounded() -> None:
    minutes = Minutes()
    for n in range(500):
        minutes.end(minutes.begin({"path": f"/nonsense/{n}"}), failed=False, cancelled=False)
    (found,) = minutes.collect(sample())
    assert (found.route, found.requests) == ("unmatched", 500)
