"""The jobs, each to be read top to bottom: refresh the indices, update the bars and keep house for all desks together; make
a report for each desk.

What a job had in its hands ends with its frame; what it returns is metadata. Around each run the runner puts a receipt
(`evertick.memory.Keeper.keep`), and around the saving of a report there is one more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from evertick.archive import Archive
from evertick.board import Board
from evertick.board.poll import poll
from evertick.desks import Desk as OneDesk
from evertick.desks import Desks, Retention
from evertick.errors import ArchiveError, SettingsError
from evertick.jobs.runner import JobContext, JobSpec
from evertick.jobs.schedule import Schedule, parse
from evertick.model import Bars, Clock, Instrument, ReportMeta, Slot, Snapshot
from evertick.reports.render import Renderers
from evertick.reports.workflow import Author, make_report
from evertick.settings import Settings
from evertick.sources.conductor import Conductor
from evertick.sources.history import History

REFRESH, BARS, REPORT, HOUSEKEEPING = "refresh_indices", "update_bars", "report", "housekeeping"
BARS_EVERY = "5m"
HOUSEKEEPING_EVERY = "1h"
DRAFTS_KEPT = timedelta(hours=1)
BARS_SHARE = 0.4
"""How much of a report's progress bar the daily bars take."""
WEB_RECEIPTS_KEPT = timedelta(days=7)
USAGE_KEPT = timedelta(days=30)
SHOWN = 300
"""Characters of an error that a result repeats."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Desk:
    """One for all desks: which of them a report is for stands in its slot."""

    settings: Settings
    clock: Clock
    desks: Desks
    archive: Archive
    board: Board
    conductor: Conductor
    history: History
    renderers: Renderers
    keep: Callable[[str, str, str], AbstractAsyncContextManager[Any]]
    look_for_leaks: Callable[[], Awaitable[bool]]
    """Begins a diagnosis if memory grows; says whether it did."""
    author: Author | None = None
    """Words the headline and key points, where one is configured."""

    async def refresh_indices(self, job: JobContext) -> Mapping[str, Any]:
        """Fetch the markets, save the snapshot to the board, then to the history; answer with counts.

        The board is served whatever becomes of the history: a database that takes nothing is said in the result.
        """
        fetch = partial(self.conductor.fetch, hurry=job.slot.trigger == "manual")
        closes = self.archive.bars.load_some
        snapshot = await poll(fetch, self.board, self.desks.universe, self.clock, closes)
        failing = [s.name for s in snapshot.sources if s.state not in ("ok", "partial", "idle", "off")]
        result = {"as_of": snapshot.as_of.isoformat(), "quotes": len(snapshot.quotes), "failing": failing}
        try:
            return result | {"stored": await self.archive.quotes.add(snapshot.as_of, snapshot.quotes)}
        except ArchiveError as error:
            log.warning("quotes not stored, the board has them", error=str(error))
            return result | {"stored": 0, "history": str(error)[:SHOWN]}

    async def update_bars(self, job: JobContext) -> Mapping[str, Any]:
        """Fetch the daily bars of those instruments whose market ended its day, a bounded number."""
        done = await self.history.due()
        failed = {id: why[:SHOWN] for id, why in list(done.failed.items())[:5]}
        return {
            "asked": done.asked,
            "bars": done.bars,
            "failed": len(done.failed),
            "replaced": done.replaced[:20],
            "why": failed,
        }

    async def report(self, job: JobContext) -> Mapping[str, Any]:
        """Make a report in every language and save it; only metadata comes back."""
        async with self.keep("save_report", "save", job.slot.id):
            meta = await self._make(job)
            await self.archive.renew_connections()
        return {
            "report": meta.id,
            "size": meta.size,
            "duration_s": meta.duration_s,
            "warnings": list(meta.warnings[:10]),
        }

    async def housekeeping(self, job: JobContext) -> Mapping[str, Any]:
        """Prune what is older than the settings keep, in small steps; sweep drafts that nobody will finish; look whether
        memory grows.
        """
        keep, now, archive = self.settings.retention, self.clock.now(), self.archive
        return {
            "drafts": await archive.reports.sweep(now - DRAFTS_KEPT),
            "orphans": await archive.reports.sweep_orphans(),
            "reports": await self._prune_reports(),
            "receipts": await archive.receipts.prune(keep.receipts, now - timedelta(days=keep.receipt_days)),
            "slots": await archive.ledger.prune(now - timedelta(days=keep.slot_days)),
            "bars": await archive.bars.prune((now - timedelta(days=keep.bar_days)).date()),
            "compacted": await archive.quotes.compact(),
            "quotes": await archive.quotes.prune((now - timedelta(days=keep.quote_days)).date()),
            "usage": await archive.usage.prune((now - USAGE_KEPT).date()),
            "timeline": await archive.timeline.prune(now, now - WEB_RECEIPTS_KEPT),
            "looks_for_a_leak": await self.look_for_leaks(),
        }

    async def _prune_reports(self) -> int:
        """Those of desks with a retention of their own by it; all others, also of desks that are gone, by the server's."""
        keep = self.settings.retention
        common = Retention(keep.reports, keep.report_days, keep.report_bytes)
        own: dict[Retention, list[str]] = {}
        for desk in self.desks:
            if desk.retention != common:
                own.setdefault(desk.retention, []).append(desk.id)
        gone = [await self._prune(retention, ids, others=False) for retention, ids in own.items()]
        gone.append(await self._prune(common, [id for ids in own.values() for id in ids], others=True))
        return sum(map(len, gone))

    async def _prune(self, keep: Retention, desks: Sequence[str], *, others: bool) -> Sequence[str]:
        older_than = self.clock.now() - timedelta(days=keep.report_days)
        return await self.archive.reports.prune(
            keep.reports, older_than, at_most=keep.report_bytes, desks=desks, others=others
        )

    def specs(self) -> Sequence[JobSpec]:
        """The jobs with their schedules. Raises `SettingsError` for a schedule that cannot be."""
        settings = self.settings

        def spec(name: str, run: Any, component: str, schedule: Schedule, **more: Any) -> JobSpec:
            return JobSpec(
                name,
                run,
                component,
                max_run_s=settings.job_max_run,
                attempts=settings.job_attempts,
                schedule=schedule,
                **more,
            )

        for_all = (
            (REFRESH, self.refresh_indices, "indices", settings.indices_every, True),
            (BARS, self.update_bars, "other", BARS_EVERY, False),
            (HOUSEKEEPING, self.housekeeping, "other", HOUSEKEEPING_EVERY, False),
        )
        report = self.report  # one bound method for all desks
        return (
            *(
                spec(name, run, component, parse(every, settings.timezone), first_now=first_now)
                for name, run, component, every, first_now in for_all
            ),
            *(
                spec(
                    REPORT,
                    report,
                    "auto_report",
                    schedule,
                    desk=desk.id,
                    first_now=settings.report_on_start,
                    one_at_a_time=True,
                    rank=1,
                )
                for desk, schedule in report_schedules(self.desks)
            ),
        )

    async def _make(self, job: JobContext) -> ReportMeta:
        desk = self._desk_of(job.slot)
        await self.history.missing(
            lambda done, of: job.progress(BARS_SHARE * done / of, "collect", f"daily bars {done} of {of}"),
            desk.instruments,
        )
        snapshot = await self.board.load() or await poll(
            self.conductor.fetch, self.board, self.desks.universe, self.clock
        )
        told = deque[tuple[float, str, str]](maxlen=1)

        async def bars(instrument: Instrument) -> Bars:
            if told:  # the stages tell how far they are without waiting; it is passed on where they wait anyway
                share, stage, text = told.pop()
                await job.progress(BARS_SHARE + (1 - BARS_SHARE) * share, stage, text)
            return await stored.load(instrument.id)

        since = (self.clock.now() - timedelta(days=self.settings.retention.bar_days)).date()
        stored = self.archive.bars.in_turn([i.id for i in desk.instruments], since)
        return await make_report(
            job.slot,
            snapshot=self._seen_by(desk, snapshot),
            bars=bars,
            store=self.archive.reports,
            renderers=self.renderers.of(desk.locales, desk.timezone),
            universe=desk.instruments,
            clock=self.clock,
            languages=desk.locales,
            timezone=desk.timezone,
            progress=lambda *news: told.append(news),
            intraday=self.archive.quotes.load,
            author=self.author,
            scratch=self.settings.data_dir,
        )

    def _desk_of(self, slot: Slot) -> OneDesk:
        desk = self.desks.get(slot.desk)
        if desk is None:
            raise SettingsError(f"there is no desk '{slot.desk}' in the settings of this process")
        return desk

    def _seen_by(self, desk: OneDesk, snapshot: Snapshot) -> Snapshot:
        """What of the board is the desk's: its instruments, and the sources that may be asked for them."""
        if len(desk.instruments) == len(self.desks.universe):
            return snapshot
        ids, names = {i.id for i in desk.instruments}, self.conductor.knowing(desk.instruments)
        return Snapshot(
            snapshot.as_of,
            tuple(quote for quote in snapshot.quotes if quote.id in ids),
            tuple(source for source in snapshot.sources if source.name in names),
        )


def report_schedules(desks: Desks) -> Iterator[tuple[OneDesk, Schedule]]:
    """Every desk with the schedule of its reports. Desks with the same one share it; the starts of several are spread.

    Raises `SettingsError` that names the desk.
    """
    parsed: dict[tuple[str, str], Schedule] = {}
    for desk in desks:
        key = desk.report_every, desk.timezone
        if key not in parsed:
            try:
                parsed[key] = parse(*key, spread=len(desks) > 1)
            except SettingsError as error:
                where = "" if desks.only_default else f"desk '{desk.id}': REPORT_EVERY: "
                raise SettingsError(where + error.message, hint=error.hint) from None
        yield desk, parsed[key]
