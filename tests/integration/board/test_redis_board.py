"""The board on a real Redis: its document, its message, its loss and its return."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from evertick.board.document import iso, loads
from evertick.board.redis import CHANNEL, KEY, open_redis
from evertick.errors import BoardUnavailable, SettingsError
from evertick.model import Breadth, Group, Instrument, Quote, Snapshot, SourceStatus
from evertick.universe import Universe
from servers import Server, free_port, redis_server

NOW = datetime(2026, 11, 23, 9, 30, 4, tzinfo=UTC)
SPX = Instrument("SPX", "S&P 500", Group.INDICES, "americas", "pts", "XNYS", 2, {"yahoo": "^GSPC"})
UNIVERSE = Universe.of([SPX])
SNAPSHOT = Snapshot(
    NOW, (Quote("SPX", 7012.45, NOW, "yahoo", spark=(7000.0, 7012.45)),), (SourceStatus("yahoo", "ok", 1, NOW),)
)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis that a test may kill."""
    with redis_server(tmp_path) as server:
        yield server


def later(minutes: float) -> Snapshot:
    return replace(SNAPSHOT, as_of=NOW + timedelta(minutes=minutes))


async def test_one_document_that_other_programs_can_read(redis_url: str):
    async with open_redis(redis_url, ttl_s=600, universe=UNIVERSE) as board, Redis.from_url(redis_url) as other:
        assert (await board.load(), board.kind) == (None, "redis")
        await board.save(SNAPSHOT)
        assert await board.load() == SNAPSHOT
        assert await other.keys("*") == [KEY.encode()]
        assert 590 < await other.ttl(KEY) <= 600
        read = json.loads(await other.get(KEY))
        assert (read["quotes"][0]["name"], read["quotes"][0]["price"]) == ("S&P 500", 7012.45)


async def test_saving_is_one_transaction_with_the_message(redis_url: str):
    async with open_redis(redis_url) as board, Redis.from_url(redis_url) as other:
        await other.config_resetstat()
        await board.save(SNAPSHOT)
        stats = await other.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    assert {name: calls.get(name) for name in ("multi", "set", "publish", "exec", "get")} == {
        "multi": 1,
        "set": 1,
        "publish": 1,
        "exec": 1,
        "get": None,
    }


async def test_a_restart_begins_with_the_last_good_values(redis_url: str):
    async with open_redis(redis_url) as board:
        await board.save(SNAPSHOT)
    async with open_redis(redis_url) as board:
        assert await board.load() == SNAPSHOT


async def test_breadth_and_all_of_a_source_survive_a_restart(redis_url: str):
    hose = Quote("SPX", 1684.2, NOW, "vps", breadth=Breadth(210, 140, 33))
    rests = SourceStatus(
        "tiingo", "resting", 0, NOW - timedelta(hours=1), "HTTP 429", "rate_limited", NOW + timedelta(hours=1), 0.4,
        "Tiingo", "HTTP 429", NOW, 1000, 0,
    )  # fmt: skip
    off = SourceStatus("finnhub", "off", title="Finnhub", note="no API key; set EVERTICK_SOURCES__FINNHUB__API_KEY")
    kept = Snapshot(NOW, (hose,), (rests, off))
    async with open_redis(redis_url) as board:
        await board.save(kept)
    async with open_redis(redis_url) as board:
        assert await board.load() == kept


async def test_connections_stay_few_and_the_same_over_many_saves(redis_url: str):
    async with open_redis(redis_url) as board, Redis.from_url(redis_url) as other:
        await board.save(SNAPSHOT)
        assert board.connections() == 1
        for n in range(100):
            await board.save(later(n))
            await board.load()
        assert board.connections() == 1
        await asyncio.gather(*(board.load() for _ in range(50)))
        assert board.connections() <= 4
        mine = [c for c in await other.client_list() if c["name"] == "evertick"]
        assert len(mine) == board.connections()


async def test_subscribers_in_other_processes_are_told(redis_url: str):
    async with open_redis(redis_url) as writer, open_redis(redis_url) as reader, reader.updates() as updates:
        await writer.save(SNAPSHOT)
        assert await anext(updates) == NOW
        for n in range(1, 6):
            await writer.save(later(n))
        assert await writer.load() == later(5)
        newest = await anext(updates)
        while newest < later(5).as_of:
            newest = await anext(updates)
        assert newest == later(5).as_of


async def test_a_slow_subscriber_sees_only_the_newest(redis_url: str):
    async with open_redis(redis_url) as board, board.updates() as updates, Redis.from_url(redis_url) as other:
        for n in range(50):
            await other.publish(CHANNEL, iso(NOW + timedelta(minutes=n)))
        seen = [await anext(updates)]
        while seen[-1] < NOW + timedelta(minutes=49):
            seen.append(await anext(updates))
        assert len(seen) <= 3


async def test_nonsense_on_the_channel_is_passed_over(redis_url: str):
    async with open_redis(redis_url) as board, board.updates() as updates, Redis.from_url(redis_url) as other:
        for nonsense in (b"", b"\xff\xfe", b"soon", b"2026-11-23T09:30:04"):
            await other.publish(CHANNEL, nonsense)
        await board.save(SNAPSHOT)
        assert await anext(updates) == NOW


@pytest.mark.parametrize("document", [b"", b"{", b"null", b'{"schema":"other/1"}'])
async def test_a_corrupt_document_counts_as_none_and_is_logged_once(redis_url: str, document: bytes):
    async with open_redis(redis_url) as board, Redis.from_url(redis_url) as other:
        await other.set(KEY, document)
        with capture_logs() as logs:
            assert await board.load() is None
            assert await board.load() is None
        assert [entry["event"] for entry in logs] == ["board document not used"]
        await board.save(SNAPSHOT)
        assert await board.load() == SNAPSHOT


async def test_a_key_of_another_type_counts_as_none_and_is_logged_once(redis_url: str):
    async with open_redis(redis_url) as board, Redis.from_url(redis_url) as other:
        await other.lpush(KEY, "x")
        with capture_logs() as logs:
            assert await board.load() is None
            assert await board.load() is None
        assert [entry["event"] for entry in logs] == ["board document not used"]
        await board.save(SNAPSHOT)  # SET replaces it
        assert await board.load() == SNAPSHOT


async def test_redis_that_dies_and_returns_is_one_error_and_then_works_again(own_redis: Server):
    async with open_redis(f"redis://127.0.0.1:{own_redis.port}/0", timeout_s=2) as board:
        await board.save(SNAPSHOT)
        own_redis.kill()
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(BoardUnavailable, match=rf"Redis at 127.0.0.1:{own_redis.port} cannot be reached"):
                    await board.save(SNAPSHOT)
            with pytest.raises(BoardUnavailable):
                await board.ping()
            own_redis.start()
            await board.save(later(3))
            await board.ping()
        assert [entry["event"] for entry in logs] == ["board lost", "board back"]
        assert await board.load() == later(3)
        assert board.connections() <= 4


async def test_a_restart_between_two_saves_is_not_even_noticed(own_redis: Server):
    async with open_redis(f"redis://127.0.0.1:{own_redis.port}/0") as board:
        await board.save(SNAPSHOT)
        own_redis.kill()
        own_redis.start()
        with capture_logs() as logs:
            await board.save(later(3))
        assert logs == []


async def test_a_subscriber_of_a_lost_board_is_told_so(own_redis: Server):
    async with open_redis(f"redis://127.0.0.1:{own_redis.port}/0", timeout_s=2) as board:
        with pytest.raises(BoardUnavailable):
            async with board.updates() as updates:
                waiting = asyncio.ensure_future(anext(updates))
                await asyncio.sleep(0.05)
                own_redis.kill()
                await waiting
        own_redis.start()
        async with board.updates() as updates:
            await board.save(SNAPSHOT)
            assert await anext(updates) == NOW


async def test_a_redis_that_accepts_but_never_answers_is_unavailable():
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with open_redis(f"redis://127.0.0.1:{port}/0", timeout_s=0.2) as board:
            with pytest.raises(BoardUnavailable):
                await board.load()


async def test_no_error_carries_the_password():
    url = f"redis://me:hush-hush@127.0.0.1:{free_port()}/0"
    with capture_logs() as logs:
        async with open_redis(url, timeout_s=1) as board:
            with pytest.raises(BoardUnavailable) as caught:
                await board.ping()
    assert "hush" not in f"{caught.value} {logs}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:6379", "127.0.0.1:6379", "redis://127.0.0.1:port/0", ""])
async def test_what_is_no_redis_address_is_a_settings_error(url: str):
    with pytest.raises(SettingsError, match="REDIS_URL is not the address"):
        async with open_redis(url):
            pass


async def test_the_kept_document_is_what_document_py_reads(redis_url: str):
    async with open_redis(redis_url) as board, Redis.from_url(redis_url) as other:
        await board.save(SNAPSHOT)
        assert loads(await other.get(KEY)) == SNAPSHOT
