"""Answers of several requests put together: a request that fails costs its own instruments, not the others'."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from evertick.errors import SourceError
from evertick.sources.reading import Answer


async def gathered(asked: Sequence[Awaitable[Answer]]) -> Answer:
    """What all of ``asked``, at once, amount to. Raises the first `SourceError` when every one failed."""
    parts: list[Answer] = []
    failures: list[SourceError] = []

    async def one(answer: Awaitable[Answer]) -> None:
        try:
            parts.append(await answer)
        except SourceError as error:
            failures.append(error)

    async with asyncio.TaskGroup() as group:
        for answer in asked:
            group.create_task(one(answer))
    return merged(parts, failures)


def merged(parts: Sequence[Answer], failures: Sequence[SourceError]) -> Answer:
    """One answer of ``parts``, and what failed beside them. Raises the first failure when there is nothing else."""
    if failures and not parts:
        raise failures[0]
    return Answer(
        [quote for part in parts for quote in part.quotes],
        {id_: why for part in parts for id_, why in part.refused.items()},
        list(failures),
    )
