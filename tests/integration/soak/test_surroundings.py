"""What is somebody's is not played with: a database with reports or receipts, a Redis with a market."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from evertick import universe
from evertick.board.redis import open_redis
from evertick.errors import SoakError
from evertick.model import Snapshot
from evertick.soak.driver import surroundings
from evertick.soak.plan import Plan
from servers import redis_server


async def test_a_redis_that_holds_a_market_is_refused_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        async with surroundings(Plan(board=url), tmp_path / "empty") as around:
            assert (around.redis_url, around.servers) == (url, {})
        async with open_redis(url, universe=universe.load()) as board:
            await board.save(Snapshot(datetime.now(UTC), ()))
        with pytest.raises(SoakError, match="is in use"):
            async with surroundings(Plan(board=url), tmp_path / "used"):
                pass


async def test_servers_of_its_own_are_started_and_are_gone_afterwards(tmp_path: Path) -> None:
    async with surroundings(Plan(board="redis"), tmp_path) as around:
        redis = around.servers["redis"]
        assert around.database_url is None
        async with open_redis(str(around.redis_url), universe=universe.load()) as board:
            await board.ping()
        process = redis.process
        assert process is not None
    assert process.poll() is not None
