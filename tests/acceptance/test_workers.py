"""A deployment as an operator starts it: pages and schedules here, workers there, one PostgreSQL, one Redis."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from acceptance import leaking
from acceptance.processes import children, evertick, get, post, running
from servers import Server, redis_server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    """One of our own, that may be killed."""
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def environment(postgres_database: str, redis: Server) -> dict[str, str]:
    return {
        "EVERTICK_MODE": "distributed",
        "EVERTICK_DATABASE_URL": postgres_database,
        "EVERTICK_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
        "EVERTICK_PORT": "0",
    }


def slots(url: str, **asked: str) -> list[dict[str, Any]]:
    """All of them, newest first."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        more = "".join(f"&{name}={value}" for name, value in asked.items())
        page = get(f"{url}/api/v1/slots?limit=100{more}{cursor}")
        found += page["items"]
        if not page["next"]:
            return found
        cursor = f"&cursor={page['next']}"


def test_a_worker_says_what_it_needs(tmp_path: Path) -> None:
    done = evertick("worker", cwd=tmp_path)
    assert done.returncode == 2
    assert "set MODE=distributed, DATABASE_URL and REDIS_URL" in done.stderr
    supervised = evertick("worker", "--processes", "2", cwd=tmp_path)
    assert supervised.returncode == 2, "the supervisor does not go on where only a person can help"


def test_pages_here_and_workers_there(
    tmp_path: Path, environment: dict[str, str], against: dict[str, str], postgres_database: str
) -> None:
    """The way of a report over three processes, a kill in the midst of it, and the commands beside them."""
    env = {**against, **environment, "EVERTICK_LEASE": "3", "EVERTICK_MEMORY_EVERY": "0.5"}
    with running("serve", "--roles", "web,schedule", cwd=tmp_path / "web", env=env) as web:
        url = web.address()
        with running("worker", "--processes", "2", cwd=tmp_path / "work", env=env) as workers:
            assert post(f"{url}/api/v1/indices/refresh")["quotes"]
            ordered = post(f"{url}/api/v1/reports")
            job = f"{url}/api/v1/jobs/{ordered['id']}"
            web.until(lambda: (get(job)["progress"] or {}).get("done", 0) > 0, "progress of a report made elsewhere")
            holder = process_of(postgres_database, ordered["id"])
            assert holder in children(workers.process.pid)
            os.kill(holder, signal.SIGKILL)
            web.until(lambda: get(job)["state"] == "done", "report")
            assert get(job)["attempts"] == 2
            reports = get(f"{url}/api/v1/reports")["items"]
            assert [r["slot"] for r in reports] == [ordered["id"]], "its first half is invisible"
            web.until(lambda: len(children(workers.process.pid)) == 2, "replacement of the killed worker")
            timeline = f"{url}/api/v1/memory/timeline?range=1h"
            web.until(lambda: len({s["process"] for s in get(timeline)["samples"]}) >= 3, "all processes on /memory")
            listed = evertick("report", "list", "--json", cwd=tmp_path, env=env)
            assert reports[0]["id"] in listed.stdout, "a command on a machine without a server"
            assert workers.stop(signal.SIGTERM) == 0
        assert web.stop(signal.SIGTERM) == 0
    for each in (web, workers):
        assert "Traceback" not in each.output


def process_of(database: str, slot: str) -> int:
    """The pid of the worker that has leased a slot."""
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT owner FROM slots WHERE id = %s", (slot,)).fetchone()
    assert row is not None
    return int(row[0].split(":")[1])


@pytest.mark.long
def test_leaking_workers_are_replaced_over_200_jobs_and_nothing_is_lost(
    tmp_path: Path, environment: dict[str, str], redis: Server
) -> None:
    env = {
        **leaking.install(tmp_path, megabytes=6),
        **environment,
        "EVERTICK_INDICES_EVERY": "1s",
        "EVERTICK_MEMORY_LIMIT": "160M",
        "EVERTICK_MEMORY_EVERY": "0.25",
        "EVERTICK_MEMORY_RESTARTS": "60",
    }
    with running("serve", "--roles", "web,schedule", cwd=tmp_path / "web", env=env) as web:
        url = web.address()
        with running("worker", "--processes", "2", cwd=tmp_path / "work", env=env) as workers:
            deadline = time.monotonic() + 900
            while (done := sum(s["state"] == "done" for s in slots(url, job="refresh_indices"))) < 200:
                assert time.monotonic() < deadline, f"{done} jobs done\n{workers.output}"
                assert workers.process.poll() is None
                time.sleep(2)
            replaced = workers.output.count("code=75")
            assert workers.stop(signal.SIGTERM) == 0
        found = slots(url, job="refresh_indices")
        assert web.stop(signal.SIGTERM) == 0
    print(f"\n{done} jobs, {replaced} workers replaced")
    assert replaced >= 10
    states = Counter(s["state"] for s in found)
    assert states["failed"] == 0
    assert states["leased"] == 0
    assert all(s["attempts"] == 1 for s in found if s["state"] == "done"), "who leaves finishes what it runs"
    assert max(rss(workers.output)) <= 160, "megabytes"
    due = sorted(s["due"] for s in found)
    assert len(due) == len(set(due))
    assert "Traceback" not in workers.output


def rss(output: str) -> list[float]:
    return [float(found) for found in re.findall(r"job=refresh_indices .* rss=([\d.]+)MB", output)]


@pytest.mark.long
@pytest.mark.parametrize("how", ["killed", "restarted", "emptied"])
def test_redis_goes_and_comes_back(
    tmp_path: Path, environment: dict[str, str], against: dict[str, str], redis: Server, how: str
) -> None:
    """The board is a cache with one writer: a refresh fails and is tried again, and afterwards it stands there anew."""
    import redis as client

    env = {**against, **environment, "EVERTICK_INDICES_EVERY": "2s"}
    with (
        running("serve", "--roles", "web,schedule", cwd=tmp_path / "web", env=env) as web,
        running("worker", cwd=tmp_path / "work", env=env) as worker,
    ):
        url = web.address()
        web.until(lambda: get(f"{url}/api/v1/indices")["quotes"], "quotes")
        if how == "emptied":
            with client.Redis(port=redis.port) as connection:
                connection.flushall()
        else:
            redis.kill() if how == "killed" else redis.stop()
            time.sleep(5)
            redis.start()
        began, before = time.monotonic(), get(f"{url}/api/v1/slots?limit=1")["items"][0]["due"]

        def again() -> bool:
            newest = get(f"{url}/api/v1/slots?state=done&job=refresh_indices&limit=1")["items"]
            return bool(newest) and newest[0]["due"] > before and bool(get(f"{url}/api/v1/indices")["quotes"])

        web.until(again, "quotes once more")
        print(f"\nRedis {how}: quotes on the page {time.monotonic() - began:.1f} s later")
        assert worker.stop(signal.SIGTERM) == 0
        assert web.stop(signal.SIGTERM) == 0
        assert "Traceback" not in worker.output + web.output
