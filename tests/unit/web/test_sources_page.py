"""The page of sources, the credits below the markets, and what Prometheus and the API say of a source."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from evertick.model import Snapshot, SourceStatus
from evertick.sources.about import ABOUT
from evertick.sources.listing import BUILT_IN
from evertick.web.pages.sources import Credit, credits, table
from unit.web.fakes import NOW, SOURCES, snapshot, world


async def test_every_source_is_there_with_what_it_gives_and_how_it_is(client):
    page = (await client.get("/sources")).text
    assert "Where the prices come from" in page
    assert re.findall(r'data-source="([^"]+)"', page) == [s.name for s in SOURCES]
    for text in (
        "Answers",
        "Rests",
        "in 1m 00s",
        "9,412 of 10,000",
        "no daily limit",
        "HTTP 429: asked us to wait",
        "recovered since",
        "Not needed now",
        "its markets are closed",
        "no API key; set EVERTICK_SOURCES__TIINGO__API_KEY",
        'href="https://www.coingecko.com" rel="noreferrer external"',
        '<a href="/sources" aria-current="page">Sources</a>',
    ):
        assert text in page, text


async def test_before_the_first_poll_and_without_a_board_the_page_says_so(calls, filled):
    async with calls(world(filled=False)) as client:
        assert "The first poll of the sources has not ended." in (await client.get("/sources")).text
    filled.board.away = True
    async with calls(filled) as client:
        page = await client.get("/sources")
    assert page.status_code == 200
    assert "The board cannot be reached." in page.text


async def test_what_a_provider_says_is_text_and_never_markup(calls, filled):
    hostile = '<img src=x onerror="alert(1)">'
    status = SourceStatus("strange", "failing", error=hostile, title=hostile, note=hostile)
    filled.board.snapshot = replace(filled.board.snapshot, sources=(status, replace(status, state="off")))
    async with calls(filled) as client:
        assert "<img" not in (await client.get("/sources")).text


def test_a_row_counts_the_prices_of_the_board_and_how_long_ago_it_answered():
    rows = {row.status.name: row for row in table(snapshot(), NOW + timedelta(minutes=4))}
    assert rows["yahoo"].held == len([q for q in snapshot().quotes if q.source == "yahoo"]) > 0
    assert (rows["yahoo"].age, rows["coingecko"].age, rows["tiingo"].age) == ("4m ago", "10m ago", "never")
    assert table(None, NOW) == []


def test_a_source_of_a_package_that_nobody_described_has_its_own_title():
    (row,) = table(Snapshot(NOW, (), (SourceStatus("own", "weird", title="Our own"),)), NOW)
    assert (row.title, row.site, row.gives, row.state) == ("Our own", "", "", "weird")


async def test_the_dashboard_names_the_providers_of_its_prices_with_links(client):
    page = (await client.get("/")).text
    line = re.search(r'<span class="credits">(.*?)</span>', page)
    assert line is not None
    assert line[1].startswith('Data provided by <a href="https://www.coingecko.com"')
    assert "Yahoo Finance" in line[1] and "alternative.me" in line[1]
    assert "Tiingo" not in line[1]


async def test_beside_the_markets_stand_the_sources_that_work_or_fail_and_how_many_stand_by(client):
    part = (await client.get("/?part=aside")).text
    assert "Yahoo Finance" in part and "HTTP 429: asked us to wait" in part
    assert "1 more stands by" in part
    assert "VPS" not in part and "Tiingo" not in part


def test_credits_name_each_provider_once():
    assert credits(["ecb", "coingecko", "ecb", "own"]) == [
        Credit("CoinGecko", "https://www.coingecko.com"),
        Credit("European Central Bank", "https://www.ecb.europa.eu"),
        Credit("own", ""),
    ]
    assert credits([]) == []


def test_every_built_in_source_is_described():
    assert {one.name for one in BUILT_IN} <= set(ABOUT)


async def test_metrics_of_sources(client):
    await client.get("/api/v1/sources")
    lines = (await client.get("/metrics")).text.splitlines()
    for line in (
        'evertick_source_up{source="yahoo"} 1.0',
        'evertick_source_up{source="coingecko"} 0.0',
        'evertick_source_up{source="vps"} 1.0',
        'evertick_source_state{source="tiingo",state="off"} 1.0',
        'evertick_source_quota_left_requests{source="coingecko"} 9412.0',
        'evertick_source_quota_requests{source="coingecko"} 10000.0',
    ):
        assert line in lines, line
    assert not [line for line in lines if line.startswith('evertick_source_up{source="tiingo"')]
    assert not [line for line in lines if 'quota_left_requests{source="yahoo"' in line]


async def test_the_api_tells_all_of_it(client):
    items = {one["name"]: one for one in (await client.get("/api/v1/sources")).json()["items"]}
    assert list(items) == [s.name for s in SOURCES]
    assert (items["tiingo"]["state"], items["tiingo"]["note"]) == ("off", SOURCES[-1].note)
    rests = items["coingecko"]
    assert (rests["title"], rests["quota"], rests["quota_left"]) == ("CoinGecko", 10_000, 9_412)
    assert rests["retry_at"] == "2026-11-24T14:31:00Z"
    assert rests["last_error_at"] == "2026-11-24T14:27:00Z"
