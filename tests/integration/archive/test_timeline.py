from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from evertick.archive import Archive
from evertick.model import MemorySample, WebReceipt

from .conftest import START

MB = 1 << 20


async def samples(archive: Archive, *within: Any) -> list[MemorySample]:
    return [sample async for sample in archive.timeline.samples(*within)]


def sample(seconds: float, step_s: int = 10, process: str = "a") -> MemorySample:
    return MemorySample(
        process=process, at=START + timedelta(seconds=seconds), step_s=step_s, rss=85 * MB, rss_max=86 * MB,
        heap=6_000_000_000, blocks=400_000, fds=20, sockets=9, threads=4, tasks=12, connections=3, pss=80 * MB,
        uss=79 * MB, budget=256 * MB,
    )  # fmt: skip


def receipt(minutes: int, route: str = "/reports/{id}", process: str = "a") -> WebReceipt:
    return WebReceipt(
        process=process, minute=START + timedelta(minutes=minutes), route=route, requests=10, failed=1, cancelled=2,
        duration_s=0.5, longest_s=0.2, alone=7, retained=-300, rss_max=90 * MB, open=0, fds=20, tasks=12, connections=3,
    )  # fmt: skip


async def test_samples_come_back_as_they_went_in_oldest_first(archive: Archive) -> None:
    unknown = replace(
        sample(20), rss=None, rss_max=None, heap=None, fds=None, sockets=None, connections=None, pss=None, uss=None
    )
    given = [sample(0), sample(0, process="b"), sample(10), unknown]
    await archive.timeline.add(list(reversed(given)))
    assert await samples(archive, START, START + timedelta(hours=1), 10) == given
    assert await samples(archive, START, START + timedelta(hours=1), 10, "b") == given[1:2]
    assert await samples(archive, START, START + timedelta(hours=1), 60) == []
    assert await samples(archive, START + timedelta(seconds=10), START + timedelta(seconds=20), 10) == [given[2]]


async def test_many_samples_come_each_once_and_are_counted_by_process(archive: Archive) -> None:
    """They are read a few hundred at a time; two processes look in the same second."""
    given = [sample(10 * n, process=process) for n in range(300) for process in ("a", "b")]
    await archive.timeline.add([*given, sample(10 * 300, process="a")])
    day = START, START + timedelta(days=1), 10
    assert await samples(archive, START, START + timedelta(seconds=3000), 10) == given
    assert await archive.timeline.counts(*day) == {"a": 301, "b": 300}


async def test_a_sample_that_is_there_stays_as_it_is(archive: Archive) -> None:
    await archive.timeline.add([sample(0)], [receipt(0)])
    await archive.timeline.add([replace(sample(0), rss=1), sample(10)], [replace(receipt(0), requests=99)])
    found = await samples(archive, START, START + timedelta(hours=1), 10)
    assert [s.rss for s in found] == [85 * MB, 85 * MB]
    assert [r.requests for r in await archive.timeline.web(START, START + timedelta(hours=1))] == [10]


async def test_requests_add_up_by_route(archive: Archive) -> None:
    await archive.timeline.add(
        [],
        [
            receipt(0),
            replace(receipt(1), longest_s=0.9, fds=None),
            receipt(1, process="b"),
            replace(receipt(0, "/"), retained=None, rss_max=None, fds=None, connections=None),
            receipt(60),
        ],
    )
    found = await archive.timeline.web(START, START + timedelta(hours=1))
    assert [r.route for r in found] == ["/", "/reports/{id}"]
    assert found[0].retained is None
    both = found[1]
    assert (both.requests, both.failed, both.cancelled, both.alone, both.retained) == (30, 3, 6, 21, -900)
    assert (both.minute, both.longest_s, both.fds) == (START, 0.9, 20)
    assert abs(both.duration_s - 1.5) < 1e-9


async def test_diagnoses_newest_first(archive: Archive) -> None:
    for hour in range(3):
        await archive.timeline.save_diagnosis(START + timedelta(hours=hour), "a", {"runs": hour, "ữ": [1, None]})
    found = await archive.timeline.diagnoses(2)
    assert [(at, process, body["runs"]) for at, process, body in found] == [
        (START + timedelta(hours=2), "a", 2),
        (START + timedelta(hours=1), "a", 1),
    ]


async def test_pruned_by_the_step_of_a_sample(archive: Archive) -> None:
    days = 100 * 86_400
    kept = [sample(days - s, step) for s, step in ((3000, 10), (86_000, 60), (89 * 86_400, 600))]
    old = [sample(days - s, step) for s, step in ((3700, 10), (87_000, 60), (91 * 86_400, 600))]
    await archive.timeline.add(kept + old, [receipt(0), receipt(2)])
    await archive.timeline.save_diagnosis(START, "a", {})
    now = START + timedelta(seconds=days)
    assert await archive.timeline.prune(now, START + timedelta(minutes=1)) == 3 + 1 + 1
    for one in kept:
        assert await samples(archive, START, now, one.step_s) == [one]
    assert [r.minute for r in await archive.timeline.web(START, now)] == [START + timedelta(minutes=2)]
    assert await archive.timeline.prune(now, START) == 0
