"""Reports over real storage and the simulator: rendered again, compared, exported and pinned by the API of the server."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from evertick import remote, universe
from evertick.app import Server, open_server
from evertick.model import Bars
from evertick.settings import Settings, SourceSettings, load
from evertick.simulator import Faults, Market, base_urls, serve
from evertick.single import export_single
from evertick.web.app import create_app

HEAD = "id,name,group,region,currency,exchange,decimals,core,symbols\n-*\n"
ROWS = """BTC,Bitcoin,crypto,world,USD,24/7,2,yes,coingecko=bitcoin
ETH,Ether,crypto,world,USD,24/7,2,yes,coingecko=ethereum
SPX,S&P 500,indices,americas,pts,XNYS,2,yes,yahoo=^GSPC
US10Y,US 10 years,rates,americas,%,XNYS,3,yes,yahoo=^TNX
"""


@pytest.fixture(params=["sqlite", "postgresql"])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Settings]:
    (tmp_path / "universe.csv").write_text(HEAD + ROWS)
    database = request.getfixturevalue("postgres_database") if request.param == "postgresql" else None
    async with serve(Market(universe.load(None)), Faults()) as upstream:
        yield load(
            environ={},
            memory_limit=8 << 30,  # this process is the tests' as well
            data_dir=tmp_path / "data",
            database_url=database,
            universe=tmp_path / "universe.csv",
            job_attempts=1,
            sources={name: SourceSettings(base_url=url) for name, url in base_urls(upstream).items()},
        )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Server, remote.Remote]]:
    async with open_server(settings, roles=("work",)) as server:
        app = create_app(server.services())
        async with app.state.web.feed.watching(), remote.inside(app, settings) as client:
            yield server, client


async def report(server: Server) -> str:
    await server.runner.run_now("refresh_indices")
    slot = await server.runner.run_now("report")
    assert slot.result is not None, slot.error
    return str(slot.result["report"])


async def facts(client: remote.Remote, id: str) -> list[dict[str, Any]]:
    body = b"".join([piece async for piece in client.download(f"/api/v1/reports/{id}/parts/facts")])
    return [json.loads(line) for line in body.splitlines()]


async def test_the_life_of_two_reports(settings: Settings, tmp_path: Path) -> None:
    async with opened(settings) as (server, client):
        first = await report(server)
    (tmp_path / "universe.csv").write_text(HEAD + ROWS.replace("ETH,Ether", "XRP,XRP").replace("ethereum", "ripple"))
    async with opened(settings) as (server, client):
        await asyncio.sleep(1)  # prices of the simulator move with its clock
        second = await report(server)

        # Rendered again: everything that a report is made from is another by now, but for its facts.
        for instrument in ("BTC", "SPX", "US10Y"):
            day = array("i", range(739_200, 739_600))
            columns = [array("d", [7.0 + n % 5 for n in range(400)]) for _ in range(5)]
            await server.archive.bars.save(Bars(instrument, day, *columns))
        for id in (first, second):
            made = await client.post(f"/api/v1/reports/{id}/render")
            assert {p["part"] for p in made} == {"html", "css", "js", "html_en", "js_en"}
            assert [p["part"] for p in made if not p["same"]] == []
        meta = await client.get(f"/api/v1/reports/{first}")
        assert meta["facts"]["part"] == "facts"
        assert "facts" not in [p["part"] for p in meta["parts"]]
        lines = "".join(f"{p['part']} {p['sha256']}\n" for p in (*meta["parts"], meta["facts"]))
        assert meta["sha256"] == hashlib.sha256(lines.encode()).hexdigest()

        # Compared: the numbers are those of the saved facts.
        found = await client.get(f"/api/v1/reports/{first}/diff/{second}")
        prices = [
            {line["fact"]["instrument"]["id"]: line["fact"]["values"]["values"][0] for line in of if "fact" in line}
            for of in (await facts(client, first), await facts(client, second))
        ]
        moves = {m["id"]: m for m in found["instruments"]}
        assert set(moves) == {"BTC", "SPX", "US10Y"}
        for id, move in moves.items():
            assert (move["before"], move["after"]) == (prices[0][id], prices[1][id])
        assert moves["BTC"]["change_pct"] == pytest.approx(100 * (prices[1]["BTC"] / prices[0]["BTC"] - 1))
        assert moves["US10Y"]["change_pct"] is None
        assert [one["id"] for one in found["new"]] == ["XRP"]
        assert [one["id"] for one in found["gone"]] == ["ETH"]
        assert found["up"] + found["down"] + found["level"] == 3
        assert "New: XRP." in found["words"]
        assert (await client.get(f"/api/v1/reports/{first}/diff/{first}"))["words"] == ["Both are the same report."]

        # Pinned: it stays when all others go, the newest excepted.
        await client.post(f"/api/v1/reports/{first}/pin")
        third = await report(server)
        assert await server.archive.reports.prune(1, server.clock.now().replace(year=2020)) == [second]
        assert [m["id"] for m in (await client.get("/api/v1/reports"))["items"]] == [third, first]
        await client.post(f"/api/v1/reports/{first}/unpin")
        assert await server.archive.reports.prune(1, server.clock.now().replace(year=2020)) == [first]

        # Exported: one file, whose policy names what is in it.
        file = await export_single(client, await client.get(f"/api/v1/reports/{third}"), "en", tmp_path / "out")
        page = file.read_bytes()
        assert [path.name for path in file.parent.iterdir()] == [f"evertick-{third}-en.html"]
        assert not re.search(rb'(?:src|href)="(?!#|data:|https://)', page)
        assert page.count(b"<style") == 1
        assert b'lang="en"' in page[:200]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_a_changed_fact_is_another_report(settings: Settings) -> None:
    """The comparison of hashes is none that always says yes."""
    async with opened(settings) as (server, client):
        id = await report(server)
        found = server.archive.reports.part

        async def changed(report: str, part: str) -> AsyncIterator[bytes]:
            body = b"".join([piece async for piece in found(report, part)])
            plain = gzip.decompress(body)
            assert b'"US 10 years"' in plain
            yield gzip.compress(plain.replace(b'"US 10 years"', b'"US 11 years"'))

        server.archive.reports.part = changed  # type: ignore[method-assign]
        made = await client.post(f"/api/v1/reports/{id}/render")
        assert [p["part"] for p in made if not p["same"]] == ["html", "html_en"]
