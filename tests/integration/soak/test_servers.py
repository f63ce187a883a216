"""The soak's own servers: killed, stopped and started again on the same port and data."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest
import redis

from evertick.errors import SoakError
from evertick.soak.servers import Server, find, free_port, postgres_server, redis_server


def test_redis_is_killed_and_comes_back_empty(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        with redis.Redis(port=server.port) as client:
            client.set("a", "1")
        server.kill()
        with redis.Redis(port=server.port) as client, pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        with redis.Redis(port=server.port) as client:
            assert client.get("a") is None
    assert server.process is None


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_postgres_keeps_what_was_committed(tmp_path: Path, end: str) -> None:
    """Also through kill -9, and a stop does not wait for the client that is connected."""
    with postgres_server(tmp_path) as server:
        url = f"postgresql://evertick@127.0.0.1:{server.port}/postgres"
        with psycopg.connect(url, autocommit=True) as client:
            client.execute("CREATE TABLE t AS SELECT 42 AS x")
            getattr(server, end)()
        server.start()
        with psycopg.connect(url) as client:
            assert client.execute("SELECT x FROM t").fetchall() == [(42,)]


def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(SoakError, match=r"no-such-program is not installed\. Install it .*apt-get install"):
        find("no-such-program")


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evertick.soak.servers.START_WITHIN_S", 0.5)
    program = [sys.executable, "-c", "raise SystemExit('no room on this ship')"]
    server = Server(program, free_port(), tmp_path / "log")
    with pytest.raises(SoakError, match="no room on this ship"):
        server.start()
    assert server.process is None
