"""Renders a report in several languages side by side, so that what they share is read and made once.

Each language takes its turn for one piece of its page; the one that has taken the fewest cards is next. A card is made when the
first language asks for it and is forgotten when the last one has taken it: what waits between them is the cards of one piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing

from evertick.reports.blocks import Card


class Together:
    """One source of cards for ``count`` readers, and whose turn it is."""

    def __init__(self, source: AsyncIterator[Card], count: int) -> None:
        self._source = source
        self._waiting: list[deque[Card | None]] = [deque() for _ in range(count)]
        self.taken = [0] * count
        self.most = 0
        """Cards that ever waited for one reader."""

    async def reader(self, place: int) -> AsyncIterator[Card]:
        """All cards, for the reader at ``place``."""
        mine = self._waiting[place]
        while True:
            if not mine:
                card = await anext(self._source, None)
                for waiting in self._waiting:
                    waiting.append(card)
                self.most = max(self.most, *map(len, self._waiting))
            found = mine.popleft()
            if found is None:
                return
            self.taken[place] += 1
            yield found

    async def pieces(self, pages: Sequence[AsyncIterator[bytes]]) -> AsyncIterator[tuple[int, bytes]]:
        """The pieces of all pages with the place of each one's page. Closes the pages, also when it is left early."""
        given = [0] * len(pages)
        going = set(range(len(pages)))
        async with AsyncExitStack() as stack:
            for page in pages:
                await stack.enter_async_context(aclosing(page))  # type: ignore[type-var]
            while going:
                place = min(going, key=lambda n: (self.taken[n], given[n], n))
                piece = await anext(pages[place], None)
                if piece is None:
                    going.discard(place)
                    continue
                given[place] += len(piece)
                yield place, piece
