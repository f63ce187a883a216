from __future__ import annotations

import asyncio
from datetime import timedelta

from evertick.board.newest import Newest

from .quotes import NOW


async def test_every_subscriber_is_told_and_a_slow_one_sees_only_the_newest():
    newest = Newest()
    with newest.subscribed() as quick, newest.subscribed() as slow:
        newest.tell(NOW)
        assert await anext(quick) == NOW
        for n in range(1, 1000):
            newest.tell(NOW + timedelta(seconds=n))
        assert await anext(quick) == await anext(slow) == NOW + timedelta(seconds=999)
        waiting = asyncio.ensure_future(anext(quick))
        await asyncio.sleep(0)
        assert not waiting.done()
        newest.tell(NOW)
        assert await waiting == NOW


async def test_who_leaves_is_forgotten_and_what_was_told_before_is_not_repeated():
    newest = Newest()
    newest.tell(NOW)
    with newest.subscribed() as updates:
        assert len(newest) == 1
        waiting = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
    assert len(newest) == 0
