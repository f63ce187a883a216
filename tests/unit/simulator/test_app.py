from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest

from evertick.simulator import BASES, KINDS, PROVIDERS, Faults, Market, MarketClock, base_urls


async def test_a_base_url_for_every_provider() -> None:
    assert set(BASES) == set(PROVIDERS)
    assert base_urls("http://127.0.0.1:1")["coingecko"] == "http://127.0.0.1:1/coingecko/api/v3"


async def test_the_front_page_says_where_things_are(client: httpx2.AsyncClient) -> None:
    text = (await client.get("/")).text
    assert all(base in text for base in BASES.values())
    assert "/control/faults" in text
    assert "EVERTICK_SOURCES__COINGECKO__BASE_URL=http://simulator/coingecko/api/v3\n" in text


async def test_faults_come_into_force_and_go(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/control/faults", json={"faults": ["alternative=500"]})
    assert answer.json() == {"faults": ["alternative=500:1"]}
    assert (await client.get("/alternative/fng/")).status_code == 500
    listed = (await client.get("/control/faults")).json()
    assert listed["faults"] == ["alternative=500:1"]
    assert set(listed["kinds"]) == set(KINDS)
    await client.post("/control/faults", json={"faults": []})
    assert (await client.get("/alternative/fng/")).status_code == 200


async def test_stats(client: httpx2.AsyncClient, faults: Faults) -> None:
    faults.replace(["alternative=404:x1"])
    for _ in range(3):
        await client.get("/alternative/fng/")
    await client.get("/yahoo/v8/finance/chart/BTC-USD")
    stats = (await client.get("/control/stats")).json()
    assert {p: n for p, n in stats["requests"].items() if n} == {"yahoo": 1, "alternative": 3}
    assert stats["faults"]["alternative"] == {"404": 1}
    assert stats["held"]["days"] == 1


async def test_the_clock_is_read_and_set(client: httpx2.AsyncClient, market: Market) -> None:
    before = (await client.get("/control/clock")).json()
    assert before == {"now": market.clock.now().isoformat(), "speed": 0.0}
    after = (await client.post("/control/clock", json={"now": "2030-03-04T05:06:07Z"})).json()
    assert after == {"now": "2030-03-04T05:06:07+00:00", "speed": 0.0}
    assert market.clock.now() == datetime(2030, 3, 4, 5, 6, 7, tzinfo=UTC)
    await client.post("/control/clock", json={"speed": 60})
    assert market.clock.speed == 60


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/control/faults", b"{", "JSON object"),
        ("/control/faults", b"[]", "JSON object"),
        ("/control/faults", b"[" * 60_000, "JSON object"),
        ("/control/faults", b"{}", "yahoo=429:0.3"),
        ("/control/faults", b'{"faults": "yahoo=429"}', "yahoo=429:0.3"),
        ("/control/faults", b'{"faults": ["yahoo=typo"]}', "no fault 'typo'"),
        ("/control/faults", b" " * 70_000, "larger than 64 KB"),
        ("/control/clock", b"{}", "now"),
        ("/control/clock", b'{"now": "yesterday"}', "yesterday"),
        ("/control/clock", b'{"now": "2026-11-23T09:30:00"}', "time zone"),
        ("/control/clock", b'{"now": 5}', "now"),
        ("/control/clock", b'{"speed": "fast"}', "speed"),
        ("/control/clock", b'{"speed": true}', "speed"),
        ("/control/clock", b'{"speed": -1}', "speed"),
    ],
)
async def test_a_wrong_request_is_answered_with_what_is_wrong(
    client: httpx2.AsyncClient, market: Market, path: str, body: bytes, says: str
) -> None:
    before = market.clock.now()
    answer = await client.post(path, content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert market.clock.now() == before


async def test_other_paths_and_methods(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/nobody/api/v3/ping")).status_code == 404
    assert (await client.post("/alternative/fng/")).status_code == 405


async def test_any_clock_and_seed(clock: MarketClock) -> None:
    assert Market([], seed="soak", clock=clock).seed == "soak"
