"""Several desks in one server, over real storage and the simulator: each makes its own report, and keeps its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from isal import igzip

from evertick import universe
from evertick.app import Server, open_server
from evertick.model import SlotState
from evertick.settings import Settings, SourceSettings, load
from evertick.simulator import Market, base_urls, serve

DESKS: list[dict[str, Any]] = [
    {"id": "coins", "instruments": ["BTC", "ETH", "BNB"], "locales": ["en"], "timezone": "UTC", "retention": {"reports": 1}},
    {"id": "tech", "instruments": ["NDX", "AAPL", "MSFT", "XLK", "BTC"], "locales": ["vi", "en"], "timezone": "America/New_York"},
    {"id": "twin", "instruments": ["NDX", "AAPL", "MSFT", "XLK", "BTC"], "locales": ["en"], "timezone": "America/New_York"},
]  # fmt: skip


@pytest.fixture
async def upstream() -> AsyncIterator[str]:
    async with serve(Market(universe.load(None))) as address:
        yield address


@pytest.fixture(params=["sqlite and embedded", "postgresql and redis"])
def settings(request: pytest.FixtureRequest, upstream: str, tmp_path: Path) -> Settings:
    known = {i.id for i in universe.load()}
    tables = [{**desk, "instruments": [id for id in desk["instruments"] if id in known]} for desk in DESKS]
    more = {}
    if request.param != "sqlite and embedded":
        more = {
            "database_url": request.getfixturevalue("postgres_database"),
            "redis_url": request.getfixturevalue("redis_url"),
        }
    return load(
        environ={},
        memory_limit=8 << 30,  # this process is the tests' as well
        data_dir=tmp_path / "data",
        job_attempts=1,
        desk=tables,
        sources={name: SourceSettings(base_url=url) for name, url in base_urls(upstream).items()},
        **more,
    )


async def page_of(server: Server, report: str, part: str = "html") -> str:
    return igzip.decompress(b"".join([piece async for piece in server.archive.reports.part(report, part)])).decode()


async def test_each_desk_makes_its_own_report_and_keeps_its_own(settings: Settings) -> None:
    async with open_server(settings, roles=("work",)) as server:
        refreshed = await server.runner.run_now("refresh_indices")
        snapshot = await server.board.load()
        assert snapshot is not None
        assert {q.id for q in snapshot.quotes} == {i.id for desk in server.desks for i in desk.instruments}
        assert refreshed.result["quotes"] == len(server.desks.universe) < 10, (
            "the markets are polled once for all desks"
        )

        at = server.clock.now()  # one instant for all
        slots = [await server.archive.ledger.submit(desk.id, "report", {}, at) for desk in server.desks]
        assert {slot.due for slot in slots} == {at}
        server.runner.wake()
        made = {}
        for slot in slots:
            async with server.runner.updates(slot.id) as updates:
                seen = [update async for update in updates][-1]
            assert seen.state is SlotState.DONE, seen.error
            made[slot.desk] = await server.archive.reports.get(seen.result["report"])
        assert len({meta.id for meta in made.values()}) == 3
        receipts = (await server.archive.receipts.recent(job="report")).items
        assert len(receipts) == 3
        assert not any(receipt.overlapped for receipt in receipts), "two reports were in memory at once"

        coins, tech = made["coins"], made["tech"]
        assert (coins.desk, coins.languages, coins.instruments) == ("coins", ("en",), 3)
        assert (tech.desk, tech.languages) == ("tech", ("vi", "en"))
        assert "Bitcoin" in await page_of(server, coins.id)
        assert "Nasdaq" not in await page_of(server, coins.id)
        assert "Nasdaq" in await page_of(server, tech.id, "html_en")
        assert not any("yahoo" in warning for warning in coins.warnings), (
            "a source it does not need is none of its business"
        )
        assert [meta.id for meta in (await server.archive.reports.list(desk="tech")).items] == [tech.id]

        again = await server.runner.run_now("report", desk="coins")
        kept = await server.runner.run_now("housekeeping")
        assert kept.result["reports"] == 1
        assert [meta.id for meta in (await server.archive.reports.list(desk="coins")).items] == [again.result["report"]]
