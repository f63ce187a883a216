"""One load for each update, one body a second at most, and the last good quotes while the board is away."""

from __future__ import annotations

import asyncio

import pytest

from evertick import universe
from evertick.board.document import document
from evertick.errors import BoardUnavailable
from evertick.web.feed import EMPTY, RELOAD_S, TRUST_S, Feed
from unit.web.fakes import NOW, Board, Clock, snapshot


def feed_of(board: Board, clock: Clock | None = None) -> tuple[Feed, list[float]]:
    """The feed, and when documents were made."""
    clock = clock or Clock()
    made: list[float] = []

    def counted(*given, **named):
        made.append(clock.monotonic())
        return document(*given, **named)

    return Feed(board, counted, universe.load(), clock), made


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_builds_one_body_a_second():
    clock = Clock()
    feed, made = feed_of(Board(snapshot()), clock)
    first = await feed.body()
    clock.move(0.9)
    assert await feed.body() is first
    clock.move(0.2)
    assert await feed.body() is not first
    assert len(made) == 2


async def test_bodies_with_and_without_sparklines_are_two():
    feed, made = feed_of(Board(snapshot()))
    assert b'"spark"' in (await feed.body(True)).plain
    assert b'"spark"' not in (await feed.body(False)).plain
    assert len(made) == 2


async def test_packs_a_body_once():
    import gzip

    feed, _ = feed_of(Board(snapshot()))
    body = await feed.body()
    assert body.packed is body.packed
    assert gzip.decompress(body.packed) == body.plain
    assert body.event is body.event
    assert body.event.startswith(b"event: indices\ndata: {") and b"\nid: 2026-11-24T14:30:00Z\n\n" in body.event


async def test_unwatched_looks_once_a_second():
    clock, board = Clock(), Board(snapshot())
    feed, _ = feed_of(board, clock)
    for _ in range(3):
        await feed.current()
    assert board.loads == 1
    clock.move(RELOAD_S)
    await feed.current()
    assert board.loads == 2


async def test_watched_loads_once_for_each_update_and_wakes_who_waits():
    clock, board = Clock(), Board(snapshot())
    feed, _ = feed_of(board, clock)
    async with feed.watching():
        await settle()
        assert board.loads == 1 and feed.version == 1
        waiting = asyncio.create_task(feed.wait(1))
        clock.move(20)
        await feed.current()
        assert board.loads == 1  # nobody told of anything
        board.put(snapshot(2, NOW.replace(minute=33)))
        assert await asyncio.wait_for(waiting, 5) == 2
        assert board.loads == 2
        clock.move(TRUST_S)
        await feed.current()
        assert board.loads == 3  # a notice may have been lost
    assert not board.subscribers


async def test_a_snapshot_that_did_not_change_is_no_new_version():
    clock, board = Clock(), Board(snapshot())
    feed, _ = feed_of(board, clock)
    await feed.current()
    clock.move(5)
    await feed.current()
    assert (board.loads, feed.version) == (2, 1)


async def test_requests_at_the_same_time_share_one_load():
    board = Board(snapshot())
    feed, _ = feed_of(board)
    await asyncio.gather(*(feed.current() for _ in range(20)))
    assert board.loads == 1


async def test_keeps_the_last_quotes_while_the_board_is_away_and_takes_the_new_ones_after():
    clock, board = Clock(), Board(snapshot())
    feed, _ = feed_of(board, clock)
    async with feed.watching():
        await settle()
        board.lose()
        await settle()
        clock.move(60)
        assert await feed.current() == snapshot()
        board.away = False
        board.put(snapshot(2, NOW.replace(minute=40)))
        await settle()
        clock.move(RELOAD_S)
        assert (await feed.current()).as_of == NOW.replace(minute=40)
        assert board.subscribers, "it subscribed again"


async def test_knows_nothing_and_the_board_is_away():
    clock, board = Clock(), Board()
    board.away = True
    feed, _ = feed_of(board, clock)
    for _ in range(5):
        with pytest.raises(BoardUnavailable):
            await feed.current()
    assert board.loads == 1  # a storm of requests does not storm Redis
    clock.move(RELOAD_S)
    board.away = False
    assert await feed.current() is None
    assert (await feed.body()).as_of is None
    assert feed.document(None) == EMPTY


async def test_reload_does_not_trust_what_it_has():
    board = Board(snapshot())
    feed, _ = feed_of(board)
    await feed.current()
    board.snapshot = snapshot(2, NOW.replace(minute=33))
    assert (await feed.current()).as_of == NOW
    assert (await feed.reload()).as_of == NOW.replace(minute=33)


async def test_closing_wakes_who_waits():
    feed, _ = feed_of(Board())
    waiting = asyncio.create_task(feed.wait(0))
    await settle()
    feed.close()
    assert await asyncio.wait_for(waiting, 5) == 0


async def test_survives_a_board_with_a_fault_of_its_own():
    clock, board = Clock(), Board(snapshot())
    feed, _ = feed_of(board, clock)
    good = board.load

    async def broken():
        board.load = good
        raise RuntimeError("a fault in the board")

    board.load = broken
    async with feed.watching():
        await settle()
        await settle()
        assert feed.version == 1
