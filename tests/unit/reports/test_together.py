"""Several readers of one source of cards: each gets all of them, each is made once, and little waits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from evertick.reports.together import Together


class Source:
    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.count, self.fails_at = count, fails_at
        self.made: list[int] = []

    async def cards(self) -> AsyncGenerator[Any, None]:
        for n in range(self.count):
            if n == self.fails_at:
                raise LookupError(f"card {n}")
            self.made.append(n)
            yield n


async def page(
    together: Together, place: int, a_piece: int, closed: list[int], before: int = 0
) -> AsyncIterator[bytes]:
    """Some pieces, then one of so many cards each."""
    try:
        for _ in range(before):
            yield b"-" * 100
        waiting: list[Any] = []
        async for card in together.reader(place):
            waiting.append(card)
            if len(waiting) == a_piece:
                yield bytes(waiting)
                waiting = []
        if waiting:
            yield bytes(waiting)
    finally:
        closed.append(place)


@pytest.mark.parametrize("sizes", [(5,), (5, 5), (3, 8), (8, 3), (1, 20, 4)])
async def test_every_page_gets_every_card_and_each_is_made_once(sizes: tuple[int, ...]) -> None:
    source, closed = Source(101), []
    together = Together(source.cards(), len(sizes))
    got: dict[int, list[int]] = {place: [] for place in range(len(sizes))}
    pages = [page(together, place, size, closed, before=place) for place, size in enumerate(sizes)]
    async for place, piece in together.pieces(pages):
        got[place] += [n for n in piece if piece != b"-" * 100]
    assert source.made == list(range(101))
    assert all(cards == source.made for cards in got.values())
    assert together.most <= 2 * max(sizes)
    assert sorted(closed) == list(range(len(sizes)))


async def test_a_source_that_fails_ends_all_pages() -> None:
    source, closed = Source(50, fails_at=20), []
    together = Together(source.cards(), 2)
    with pytest.raises(LookupError, match="card 20"):
        async for _ in together.pieces([page(together, place, 3, closed) for place in range(2)]):
            pass
    assert sorted(closed) == [0, 1]


async def test_no_cards_are_an_end_too() -> None:
    closed: list[int] = []
    together = Together(Source(0).cards(), 2)
    assert [piece async for piece in together.pieces([page(together, n, 3, closed) for n in range(2)])] == []
