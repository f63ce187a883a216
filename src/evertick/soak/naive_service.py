"""A market-report service in the two manners of the flow diagrams: before their optimisation, and after it.

`Before` forgets nothing, as long-running services do that keep "the last runs" for a status page, the states of their
workflows for whoever asks for them by id, and clients "to close them at shutdown". `After` does what the diagrams add:
a context manager, ``del`` of the five fields and of the report, ``gc.collect()``, and a broom 🧹 in the log.

Neither is made worse than the diagrams draw it: one engine and one HTTP client serve both for their whole life, a session
lives as long as its commit, and pages are made by the code that makes Evertick's.
"""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Text, delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from evertick.reports.findings import Findings
from evertick.soak.naive_work import Client, Work
from evertick.soak.tape import AFTER, BEFORE

KEY = "market_indices"
REPORTS_KEPT = 200
"""In the database, as Evertick keeps them."""

logger = logging.getLogger(__name__)


class Base(DeclarativeBase):
    pass


class MarketReport(Base):
    __tablename__ = "market_reports"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[str]
    html_content: Mapped[str] = mapped_column(Text)
    css_content: Mapped[str] = mapped_column(Text)
    js_content: Mapped[str] = mapped_column(Text)
    html_content_en: Mapped[str] = mapped_column(Text)
    js_content_en: Mapped[str] = mapped_column(Text)


@dataclass
class ReportState:
    """What the workflow hands from step to step and returns at its end."""

    created_at: datetime
    findings: Findings
    html_content: str = ""
    css_content: str = ""
    js_content: str = ""
    html_content_en: str = ""
    js_content_en: str = ""
    report_id: int | None = None
    messages: list[str] = field(default_factory=list)


Measured = Callable[[str], AbstractContextManager[None]]
"""Around a run of the job of that name."""


class Service(Protocol):
    async def refresh(self) -> dict[str, Any]:
        """One run of the market-indices scheduler (diagram 1)."""

    async def save(self) -> ReportState:
        """Generate a report and save it (diagram 2)."""

    async def iterate(self) -> None:
        """One iteration of the auto-report scheduler (diagram 3), which saves a report."""


async def create_tables(work: Work) -> None:
    async with work.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


class Before:
    def __init__(self, work: Work, measured: Measured) -> None:
        self._work = work
        self._measured = measured
        self.clients: list[Client] = []
        self.runs: list[dict[str, Any]] = []
        self.states: dict[int, ReportState] = {}
        self.results: list[dict[str, Any]] = []

    async def refresh(self) -> dict[str, Any]:
        data = await self._work.fetch()
        client = self._work.client()
        await client.set(KEY, json.dumps(data))
        self.clients.append(client)  # to be closed at shutdown
        response = {"success": True, "timestamp": data["timestamp"], "data": data}
        self.runs.append(response)  # the last runs, for the status page
        return response

    async def save(self) -> ReportState:
        state = await _generated(self._work)
        new_report = _row(state)
        async with AsyncSession(self._work.engine, expire_on_commit=False) as session:
            session.add(new_report)
            await session.commit()
            state.report_id = new_report.id
            await _prune(session, new_report.id)
        self.states[new_report.id] = state  # for whoever asks for it by id
        return state

    async def iterate(self) -> None:
        with self._measured("save_report"):
            state = await self.save()
        result = {"success": True, "report_id": state.report_id, "state": state}
        self.results.append(result)  # what came of each iteration
        logger.info("report %s is done", state.report_id)


class After:
    def __init__(self, work: Work, measured: Measured) -> None:
        self._work = work
        self._measured = measured

    async def refresh(self) -> dict[str, Any]:
        data = await self._work.fetch()
        async with self._work.client() as client:
            await client.set(KEY, json.dumps(data))
        response = {"success": True, "timestamp": data["timestamp"]}
        del data
        gc.collect()
        return response

    async def save(self) -> ReportState:
        state = await _generated(self._work)
        new_report = _row(state)
        async with AsyncSession(self._work.engine, expire_on_commit=False) as session:
            session.add(new_report)
            await session.commit()
            state.report_id = new_report.id
            await _prune(session, new_report.id)
        del state.html_content
        del state.css_content
        del state.js_content
        del state.html_content_en
        del state.js_content_en
        del new_report
        gc.collect()
        return state

    async def iterate(self) -> None:
        with self._measured("save_report"):
            state = await self.save()
        result = {"success": True, "report_id": state.report_id, "state": state}
        logger.info("report %s is done", state.report_id)
        del state, result
        gc.collect()
        logger.info("🧹 memory cleaned up")


MANNERS: Mapping[str, Callable[[Work, Measured], Service]] = {BEFORE: Before, AFTER: After}


async def _generated(work: Work) -> ReportState:
    """The five fields, each a whole string in memory. Like the diagrams, it knows a first language and a second one."""
    first, second = (*work.languages, "")[:2]
    findings = await work.analysed()
    state = ReportState(findings.made, findings)
    state.html_content = await work.html(findings, first)
    state.css_content = work.css()
    state.js_content = work.js(first)
    state.html_content_en = await work.html(findings, second)
    state.js_content_en = work.js(second)
    return state


def _row(state: ReportState) -> MarketReport:
    return MarketReport(
        created_at=state.created_at.isoformat(),
        html_content=state.html_content,
        css_content=state.css_content,
        js_content=state.js_content,
        html_content_en=state.html_content_en,
        js_content_en=state.js_content_en,
    )


async def _prune(session: AsyncSession, newest: int) -> None:
    if newest > REPORTS_KEPT:
        await session.execute(delete(MarketReport).where(MarketReport.id <= newest - REPORTS_KEPT))
        await session.commit()
