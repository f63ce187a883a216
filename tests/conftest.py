"""Fixtures that every tier shares: real servers, started once a session when first asked for.

How many cases a property-based test tries is said by ``HYPOTHESIS_PROFILE``: ``quick`` (the default: few, and the same in
every run) or ``thorough`` (2,500 new ones in every run).
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from servers import Server, find, postgres_server, redis_server, s3_server

settings.register_profile(
    "quick", max_examples=100, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough",
    max_examples=2500,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_process: Server) -> Iterator[str]:
    """An empty Redis of our own; the fixture ends by asserting that no client stayed connected."""
    import redis

    url = f"redis://127.0.0.1:{redis_process.port}/0"
    with redis.Redis.from_url(url) as client:
        client.flushall()
        yield url
        left = [c for c in client.client_list() if c["id"] != str(client.client_id())]
        assert not left, f"Redis connections left open: {[c['addr'] for c in left]}"


@pytest.fixture(scope="session")
def postgres_process() -> Iterator[Server]:
    # Not in pytest's own folder: another run of pytest closes that to other users, and with it the server's way in.
    with tempfile.TemporaryDirectory(prefix="evertick-postgres-") as folder, postgres_server(Path(folder)) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_process: Server) -> Iterator[str]:
    """The URL of an empty PostgreSQL database; ends by asserting that no connection stayed open."""
    import psycopg

    name = f"evertick_{next(_numbers)}"
    admin = f"postgresql://evertick@127.0.0.1:{postgres_process.port}/postgres"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"postgresql://evertick@127.0.0.1:{postgres_process.port}/{name}"
    with psycopg.connect(admin, autocommit=True) as connection:
        for _ in range(100):  # the server's side of a closed connection ends a moment later
            left = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,)).fetchone()
            if left == (0,):
                break
            time.sleep(0.02)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert left == (0,), f"{left[0] if left else '?'} PostgreSQL connections left open"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'evertick.db'}"


@pytest.fixture(scope="session")
def s3_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_bucket(s3_process: Server) -> tuple[str, str]:
    """``(endpoint, name)`` of an empty bucket of our own."""
    endpoint, name = f"http://127.0.0.1:{s3_process.port}", f"reports-{next(_numbers)}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT"), timeout=20).close()
    return endpoint, name


@pytest.fixture(scope="session")
def chromium() -> str:
    return find("chromium", also="/usr/bin/chromium-browser")
