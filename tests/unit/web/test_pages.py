"""The pages as HTML: what they say, whom they let write, and what they do when a part is away."""

from __future__ import annotations

import gzip
import re

import pytest

from evertick import universe
from evertick.errors import ArchiveUnavailable
from evertick.model import Outcome, SlotState
from evertick.web.pages.dashboard import memory_line
from unit.web.fakes import NOW, TOKEN, Receipts, world

HTML = {"Accept": "text/html"}


async def test_dashboard_shows_everything(client):
    page = (await client.get("/")).text
    for text in (
        "World indices",
        "Vietnam",
        "Crypto",
        "S&amp;P 500",
        "Reports",
        "Schedules",
        "Sources",
        "Memory",
        "CoinGecko",
        "in 1m 35s",
    ):
        assert text in page
    assert page.count('data-q="SPX"') == 2  # its row, and its tile
    assert set(re.findall(r'data-q="([^"]+)"', page)) == {i.id for i in universe.load()}
    assert " style=" not in page and "<script>" not in page


async def test_dashboard_before_the_first_quotes(calls):
    async with calls(world(filled=False)) as client:
        page = await client.get("/")
    assert page.status_code == 200
    assert "No quotes yet" in page.text and "No report yet." in page.text and "Not asked yet." in page.text


async def test_dashboard_without_board_or_database(calls, filled):
    filled.board.away = True
    filled.reports.failure = ArchiveUnavailable("The database cannot be reached.")
    async with calls(filled) as client:
        page = await client.get("/")
    assert page.status_code == 200
    assert "The board cannot be reached." in page.text and "The database cannot be reached." in page.text


async def test_the_part_beside_the_markets_comes_alone(client):
    part = (await client.get("/?part=aside")).text
    assert "Schedules" in part and "<html" not in part and "data-q" not in part


async def test_runs_and_missed_slots_show(calls, filled):
    slot = await filled.ledger.submit("default", "report", {}, NOW)
    filled.ledger.slots[slot.id] = slot.with_(state=SlotState.LEASED, progress={"done": 0.4, "stage": "render"})
    missed = await filled.ledger.submit("default", "refresh_indices", {}, NOW.replace(minute=12))
    filled.ledger.slots[missed.id] = missed.with_(state=SlotState.MISSED)
    async with calls(filled) as client:
        page = (await client.get("/")).text
    assert f'data-job="{slot.id}"' in page and 'value="0.4"' in page
    assert "Missed: Market indices, 21:12" in page


async def test_who_may_not_write_is_offered_to_sign_in(calls):
    async with calls(world(token=TOKEN, loopback=False)) as client:
        page = (await client.get("/")).text
        assert "<form" not in page and "/login" in page
        await client.post("/login", data={"token": TOKEN})
        page = (await client.get("/")).text
        assert page.count("<form") == 3 and "Sign out" in page


async def test_times_are_of_the_zone(calls):
    async with calls(world(timezone="America/New_York")) as client:
        page = (await client.get("/")).text
    assert ">09:30:00</time>" in page and "America/New_York" in page


async def test_library_page_by_page(calls):
    many = world()
    for hour in range(1, 24):
        many.reports.add(NOW.replace(day=20, hour=hour))
    async with calls(many) as client:
        first = (await client.get("/reports")).text
        assert first.count('<li class="card">') == 20 and "1 warning: coingecko" in first
        older = re.search(r'href="(/reports\?cursor=[^"]+)" rel="next"', first).group(1)
        second = (await client.get(older)).text
        assert second.count('<li class="card">') == 7 and ">Newest</a>" in second and 'rel="next"' not in second
        assert (await client.get("/reports?cursor=wrong", headers=HTML)).status_code == 400


async def test_a_report_opens_in_its_first_language(client, filled):
    id = next(iter(filled.reports.stored))
    answer = await client.get(f"/reports/{id}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/reports/{id}/vi")
    missing = await client.get(f"/reports/{id}/fr", headers=HTML)
    assert missing.status_code == 404 and "vi, en" in missing.text


async def test_memory_page(client, filled):
    page = (await client.get("/memory")).text
    receipts = page[page.index('id="m-receipts"') :]
    assert "81.4 MB" in page and receipts.count("<tr") == 51 and "overlapped" in receipts and Outcome.FAILED in receipts
    filled.receipts.rows = Receipts(400).rows
    only = (await client.get("/memory?job=report")).text
    assert ">Market indices</td>" not in only and "job=report" in re.search(
        r'href="(/memory\?cursor[^"]+)"', only
    ).group(1)
    filled.receipts.rows = []
    assert "No receipts of this job yet." in (await client.get("/memory?job=report")).text


async def test_login_page(calls):
    async with calls(world(token=TOKEN, loopback=False)) as client:
        page = (await client.get("/login?next=/memory")).text
        assert 'type="password"' in page and 'value="/memory"' in page


async def test_reference_page_is_made_of_our_own_files(client):
    page = (await client.get("/docs")).text
    assert re.search(r'src="/static/swagger-ui-bundle-\w+\.js"', page) and "http" not in page


async def test_pages_are_packed_and_not_shared(client):
    answer = await client.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "no-cache, private" and "Cookie" in answer.headers["vary"]
    plain = await client.get("/", headers={"Accept-Encoding": "identity"})
    assert plain.text == answer.text and "content-encoding" not in plain.headers
    assert len(gzip.compress(plain.content)) < 60_000


@pytest.mark.parametrize("path", ["/", "/reports", "/memory", "/docs"])
async def test_the_notice_is_on_every_page(calls, path):
    async with calls(world(notice="Simulated data & nothing else")) as client:
        assert "Simulated data &amp; nothing else" in (await client.get(path)).text


@pytest.mark.parametrize(
    "path", ["/", "/reports", "/memory", "/docs", "/healthz", "/readyz", "/api/v1/indices", "/favicon.ico"]
)
async def test_head(client, path):
    answer = await client.head(path)
    assert answer.status_code == 200


async def test_names_are_escaped(calls, filled):
    from dataclasses import replace

    status = replace(filled.board.snapshot.sources[0], error='<img src=x onerror="alert(1)">')
    filled.board.snapshot = replace(filled.board.snapshot, sources=(status,))
    async with calls(filled) as client:
        assert "<img" not in (await client.get("/")).text


def test_the_line_of_memory_begins_at_nothing():
    line = memory_line(Receipts(3).rows)
    assert line.startswith("M0.0 ") and line.count("L") == 2
    heights = [float(point.split()[1]) for point in line[1:].split("L")]
    assert max(heights) - min(heights) < 1 and max(heights) < 10  # flat, and well above the ground of 48
    assert memory_line(Receipts(1).rows) == "" == memory_line([])
