"""Scripted stand-ins for what a source needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

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
    """Answers with what ``script`` returns for (url, parameters or posted body); an exception is raised, an awaitable
    awaited."""

    def __init__(self, script: Callable[[str, dict[str, Any]], Any]) -> None:
        self.script = script
        self.asked: list[tuple[str, dict[str, Any], Mapping[str, str] | None]] = []

    async def get_json(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        return await self._answer(url, dict(params or {}), headers)

    async def post_json(
        self,
        provider: str,
        url: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        return await self._answer(url, dict(body), headers)

    async def get_text(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        form: Literal["csv", "xml"],
        at_most: int | None = None,
    ) -> bytes:
        return await self._answer(url, dict(params or {}), headers)

    async def _answer(self, url: str, given: dict[str, Any], headers: Mapping[str, str] | None) -> Any:
        self.asked.append((url, given, headers))
        await asyncio.sleep(0)
        answer = self.script(url, given)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer
