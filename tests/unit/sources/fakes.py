"""Scripted stand-ins for what a source needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from .answers import NOW


class FixedClock:
    """Stands still unless it is told to move."""

    def __init__(self, now: datetime = NOW) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.pass_(seconds)

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class FakeHttp:
    """Answers with what ``script`` returns for (url, params); an exception is raised, an awaitable awaited."""

    def __init__(self, script: Callable[[str, dict[str, str]], Any]) -> None:
        self.script = script
        self.asked: list[tuple[str, dict[str, str], Mapping[str, str] | None]] = []

    async def get_json(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        self.asked.append((url, dict(params or {}), headers))
        await asyncio.sleep(0)
        answer = self.script(url, dict(params or {}))
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer
