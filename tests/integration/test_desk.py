"""The whole server in this process, over real storage and the simulator: its three jobs, its failures, its ends."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evertick import universe
from evertick.app import Server, open_server
from evertick.errors import DataFolderInUse, NotFound
from evertick.model import Outcome, Quote, SlotState, SystemClock
from evertick.settings import Settings, SourceSettings, load
from evertick.simulator import Faults, Market, base_urls, serve
from evertick.simulator.clock import MarketClock
from evertick.sources.history import PER_RUN


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def upstream(faults: Faults) -> AsyncIterator[str]:
    async with serve(Market(universe.load(None)), faults) as address:
        yield address


@pytest.fixture
def settings(upstream: str, tmp_path: Path) -> Settings:
    return against(upstream, tmp_path)


def against(upstream: str, folder: Path) -> Settings:
    return load(
        environ={},
        memory_limit=8 << 30,  # this process is the tests' as well
        data_dir=folder / "data",
        job_attempts=1,
        sources={name: SourceSettings(base_url=url) for name, url in base_urls(upstream).items()},
    )


class Wednesday(SystemClock):
    """From 15:00 UTC on a Wednesday to come, when London and New York trade and no closed market is left alone."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        day = now + timedelta(days=(2 - now.weekday()) % 7 + 7)
        self.ahead = day.replace(hour=15, minute=0, second=0) - now

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def few(settings: Settings) -> Settings:
    """Fifty instruments, so that a report takes a moment."""
    file = settings.data_dir.parent / "few.csv"
    chosen = [i for i in universe.load(None) if "yahoo" in i.symbols and i.exchange == "XNYS"][:50]
    rows = "".join(
        f"{i.id},{i.id},{i.group},{i.region},{i.currency},XNYS,2,yes,yahoo={i.symbols['yahoo']}\n" for i in chosen
    )
    file.write_text(f"id,name,group,region,currency,exchange,decimals,core,symbols\n-*\n{rows}")
    return settings.model_copy(update={"universe": file})


@pytest.fixture(params=["sqlite and embedded", "postgresql and redis"])
def stored(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """All instruments over one storage, the core of them over the other: how many there are makes no difference to it."""
    if request.param == "sqlite and embedded":
        return settings
    core = settings.data_dir.parent / "core.csv"
    lines = universe.BUILT_IN.read_text().splitlines()
    header = next(line for line in lines if line.startswith("id,"))
    rows = [line for line in lines if line.count(",") >= 8 and line.split(",")[7] == "yes"]
    core.write_text("\n".join([header, "-*", *rows]) + "\n")
    return settings.model_copy(
        update={
            "universe": core,
            "database_url": request.getfixturevalue("postgres_database"),
            "redis_url": Settings.model_validate({"redis_url": request.getfixturevalue("redis_url")}).redis_url,
        }
    )


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def text_of(server: Server, report: str, part: str) -> bytes:
    from isal import igzip

    return igzip.decompress(b"".join([piece async for piece in server.archive.reports.part(report, part)]))


async def test_quotes_and_a_report_from_providers_to_readers(stored: Settings) -> None:
    async with open_server(stored, roles=("work",)) as server:
        refreshed = await server.runner.run_now("refresh_indices")
        assert refreshed.state is SlotState.DONE
        snapshot = await server.board.load()
        assert snapshot is not None
        assert len(snapshot.quotes) == len(server.universe)
        made = await server.runner.run_now("report")
        assert made.state is SlotState.DONE, made.error
        assert len(json.dumps(made.result)) < 4096
        meta = await server.archive.reports.get(made.result["report"])
        assert [p.part for p in meta.parts] == ["html", "css", "js", "html_en", "js_en"]
        for part, language in (("html", b'lang="vi"'), ("html_en", b'lang="en"')):
            page = await text_of(server, meta.id, part)
            assert language in page
            assert page.rstrip().endswith(b"</html>")
            assert b"S&amp;P 500" in page
        receipts = (await server.archive.receipts.recent(limit=10)).items
        assert {(r.job, r.component) for r in receipts} == {
            ("refresh_indices", "indices"),
            ("save_report", "save"),
            ("report", "auto_report"),
        }
        assert {r.outcome for r in receipts} == {Outcome.OK}

    # A restart begins with what was there.
    async with open_server(stored, roles=("work",)) as server:
        again = await server.board.load()
        assert again is not None
        assert again.quotes == snapshot.quotes
        assert (await server.archive.reports.latest()).id == meta.id


async def test_a_provider_that_is_down_costs_only_its_own_freshness(tmp_path: Path) -> None:
    faults, clock = Faults(), Wednesday()
    market = Market(universe.load(None), clock=MarketClock(clock.now()))
    async with (
        serve(market, faults) as address,
        open_server(against(address, tmp_path), clock=clock, roles=("work",)) as server,
    ):
        await server.runner.run_now("refresh_indices")
        before = await server.board.load()
        faults.replace(["yahoo=500"])
        slot = await server.runner.run_now("refresh_indices")
        assert (slot.state, slot.result["failing"]) == (SlotState.DONE, ["yahoo"])
        after = await server.board.load()
        by_yahoo = [q for q in before.quotes if q.source == "yahoo"]
        assert len(by_yahoo) > 200
        changed = [(old, new) for old in by_yahoo if (new := after.quote(old.id)) != old]
        # On a busy machine it may have stood in for a slow one in the first run, which then answers in the second.
        assert [(old, new) for old, new in changed if new.source == "yahoo" or new.as_of < old.as_of] == []
        assert len(changed) < len(by_yahoo) / 2
        assert {s.name: s.state for s in after.sources}["coingecko"] == "ok"


@pytest.mark.parametrize("kind", ["truncated", "nan", "wrongtype", "challenge", "empty", "scale"])
async def test_malformed_answers_never_replace_good_quotes(settings: Settings, faults: Faults, kind: str) -> None:
    async with open_server(settings, roles=("work",)) as server:
        await server.runner.run_now("refresh_indices")
        before = await server.board.load()
        faults.replace([f"all={kind}"])
        slot = await server.runner.run_now("refresh_indices")
        assert slot.state is SlotState.DONE, slot.error
        after = await server.board.load()
        assert len(after.quotes) == len(before.quotes)
        for old, new in zip(before.quotes, after.quotes, strict=True):
            assert new.price == pytest.approx(old.price, rel=0.2), f"{new.id} took {new.price} after {old.price}"


async def test_a_report_without_any_quote_is_rejected_with_its_reason(settings: Settings, faults: Faults) -> None:
    faults.replace(["all=500"])
    async with open_server(settings, roles=("work",)) as server:
        slot = await server.runner.run_now("report")
        assert slot.state is SlotState.FAILED
        assert "rejected" in slot.error
        assert (await server.archive.reports.list()).items == []
        receipts = {r.job: r.outcome for r in (await server.archive.receipts.recent()).items}
        assert receipts == {"save_report": Outcome.REJECTED, "report": Outcome.REJECTED}


async def test_a_server_that_stops_hands_its_report_back_and_shows_nothing_of_it(settings: Settings) -> None:
    async with open_server(settings, roles=("work",)) as server:
        slot = await server.runner.submit("report")
        while (await server.archive.ledger.get(slot.id)).state != SlotState.LEASED:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
    async with open_server(settings, roles=()) as server:
        back = await server.archive.ledger.get(slot.id)
        assert (back.state, back.attempts) == (SlotState.DUE, 0)
        assert (await server.archive.reports.list()).items == []
        outcomes = {r.job: r.outcome for r in (await server.archive.receipts.recent()).items}
        assert outcomes == {"save_report": Outcome.CANCELLED, "report": Outcome.CANCELLED}


async def test_the_quotes_of_every_refresh_are_kept(stored: Settings) -> None:
    async with open_server(stored, roles=("work",)) as server:
        first = await server.runner.run_now("refresh_indices")
        assert first.result["stored"] == first.result["quotes"] > 100
        again = await server.runner.run_now("refresh_indices")
        assert again.result["stored"] < first.result["stored"], "prices of closed markets were stored again"
        snapshot = await server.board.load()
        quote = snapshot.quote("BTC")
        times, prices = await server.archive.quotes.load("BTC", quote.as_of - timedelta(hours=1), quote.as_of)
        assert (times[-1], prices[-1]) == (int(quote.as_of.timestamp()), quote.price)


async def test_a_history_that_takes_nothing_costs_the_board_nothing(settings: Settings) -> None:
    async with open_server(settings, roles=("work",)) as server:
        async with server.archive.engine.begin() as connection:
            await connection.exec_driver_sql("DROP TABLE quote_log")
        slot = await server.runner.run_now("refresh_indices")
        assert slot.state is SlotState.DONE
        assert (slot.result["stored"], "quote_log" in slot.result["history"]) == (0, True)
        assert len((await server.board.load()).quotes) == slot.result["quotes"] > 100
        assert {r.outcome for r in (await server.archive.receipts.recent()).items} == {Outcome.OK}


async def test_the_bars_of_all_instruments_come_a_few_at_a_time_and_a_report_asks_for_none_that_is_there(
    few: Settings, faults: Faults
) -> None:
    async with open_server(few, roles=("work",)) as server:
        first = await server.runner.run_now("update_bars")
        assert (first.result["asked"], first.result["failed"]) == (PER_RUN, 0)
        assert len(await server.archive.bars.series()) == PER_RUN
        await server.runner.run_now("update_bars")
        assert len(await server.archive.bars.series()) == 50
        assert (await server.runner.run_now("update_bars")).result["asked"] == 0
        await server.runner.run_now("refresh_indices")
        faults.replace(["all=500"])
        made = await server.runner.run_now("report")
        assert made.state is SlotState.DONE, made.error
        assert not sum(faults.served.values()), "the report asked a provider"


async def test_housekeeping_prunes_by_the_settings(few: Settings) -> None:
    one = few.model_copy(update={"retention": few.retention.model_copy(update={"reports": 1})})
    async with open_server(one, roles=("work",)) as server:
        first = (await server.runner.run_now("report")).result["report"]
        second = (await server.runner.run_now("report")).result["report"]
        now = server.clock.now()
        for days in (3, 40, 50):
            at = now - timedelta(days=days)
            await server.archive.quotes.add(at, [Quote("SPX", 1.0, at, "yahoo")])
        await server.archive.quotes.compact(at_least=1)
        for days, requests in ((31, 1), (0, 2)):
            await server.archive.usage.add("fmp", (now - timedelta(days=days)).date(), requests)
        kept = await server.runner.run_now("housekeeping")
        assert kept.state is SlotState.DONE, kept.error
        assert kept.result["reports"] == 1
        assert {name: kept.result[name] for name in ("compacted", "quotes", "usage")} == {
            "compacted": 0, "quotes": 2, "usage": 1,
        }  # fmt: skip
        assert (await server.archive.usage.load())["fmp"][1] == 2
        assert (await server.archive.reports.get(second)).id == second
        with pytest.raises(NotFound):
            await server.archive.reports.get(first)


async def test_the_scheduler_runs_by_itself(settings: Settings) -> None:
    often = settings.model_copy(update={"indices_every": "1s"})
    async with open_server(often) as server:
        async with asyncio.timeout(60):
            while len((await server.archive.ledger.list(job="refresh_indices", state=SlotState.DONE)).items) < 2:
                await asyncio.sleep(0.05)
        jobs = {job for _, job, _, _ in await server.archive.ledger.next_due()}
        assert jobs == {"refresh_indices", "update_bars", "report", "housekeeping"}


async def test_one_server_for_one_data_folder(settings: Settings) -> None:
    async with open_server(settings, roles=()):
        with pytest.raises(DataFolderInUse, match=str(os.getpid())):
            async with open_server(settings, roles=()):
                raise AssertionError("a second server opened the folder")
    async with open_server(settings, roles=()) as server:
        checks = await server.ready()
        assert len(checks) >= 2 and all(check.ok for check in checks)


async def test_nothing_stays_open(stored: Settings) -> None:
    async with open_server(stored, roles=("work",)) as server:
        await server.runner.run_now("refresh_indices")
    before, tasks = open_descriptors(), len(asyncio.all_tasks())
    for _ in range(3):
        async with open_server(stored) as server:
            await server.runner.run_now("refresh_indices")
    assert open_descriptors() <= before
    assert len(asyncio.all_tasks()) == tasks
