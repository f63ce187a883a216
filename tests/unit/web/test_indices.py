"""``/api/v1/indices``: the shape, the refresh, and one body for a thousand requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evertick.model import SlotState
from unit.web.fakes import NOW, SOURCES, snapshot, world


async def test_answers_the_documented_shape(client):
    answer = await client.get("/api/v1/indices")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"as_of", "quotes", "sources"}
    assert body["as_of"] == "2026-11-24T14:30:00Z"
    assert set(body["quotes"][0]) == {
        "id", "name", "group", "price", "change_pct", "currency", "as_of", "age_s", "fresh", "source", "session",
        "session_until",
    }  # fmt: skip
    assert body["quotes"][0]["id"] == "SPX" and body["quotes"][0]["session"] == "open"
    assert [s["name"] for s in body["sources"]] == [s.name for s in SOURCES]


async def test_adds_sparklines_on_request(client):
    quote = (await client.get("/api/v1/indices", params={"spark": "true"})).json()["quotes"][0]
    assert len(quote["spark"]) == 32


async def test_packs_for_clients_that_take_gzip_only(client):
    packed = await client.get("/api/v1/indices", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/api/v1/indices", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert packed.headers["vary"] == "Accept-Encoding"


async def test_before_the_first_poll_the_list_is_empty(calls):
    async with calls(world(filled=False)) as client:
        assert (await client.get("/api/v1/indices")).json() == {"as_of": None, "quotes": [], "sources": []}


async def test_reads_the_board_once_for_many_requests(calls, filled):
    async with calls(filled) as client:
        bodies = {(await client.get("/api/v1/indices")).content for _ in range(50)}
    assert len(bodies) == 1
    assert filled.board.loads == 1


async def test_a_board_that_is_away_is_a_503_only_where_nothing_is_known(calls, filled):
    empty = world(filled=False)
    empty.board.away = True
    async with calls(empty) as client:
        answer = await client.get("/api/v1/indices")
    assert answer.status_code == 503 and answer.json()["hint"] == "Start Redis again."
    assert answer.headers["retry-after"] == "5"
    async with calls(filled) as client:
        first = (await client.get("/api/v1/indices")).json()
        filled.board.away = True
        filled.clock.move(60)
        later = (await client.get("/api/v1/indices")).json()
    assert later["as_of"] == first["as_of"]
    assert later["quotes"][0]["age_s"] == first["quotes"][0]["age_s"] + 60


async def test_refresh_answers_with_what_was_saved(calls, filled):
    filled.runner.run = lambda: setattr(filled.board, "snapshot", snapshot(seed=2, at=NOW.replace(minute=33)))
    async with calls(filled) as client:
        before = (await client.get("/api/v1/indices")).json()
        answer = await client.post("/api/v1/indices/refresh")
    assert answer.status_code == 200
    assert answer.json()["as_of"] == "2026-11-24T14:33:00Z"
    assert answer.json()["quotes"][0]["price"] != before["quotes"][0]["price"]
    assert answer.json()["slot"] in filled.ledger.slots
    assert {s["name"]: s["state"] for s in answer.json()["sources"]}["coingecko"] == "resting"


async def test_refresh_that_fails_says_why_and_changes_nothing(calls, filled):
    filled.runner.outcome = {"state": SlotState.FAILED, "error": "Redis cannot be reached."}
    async with calls(filled) as client:
        answer = await client.post("/api/v1/indices/refresh")
        assert answer.status_code == 502
        assert "Redis cannot be reached." in answer.json()["detail"] and answer.json()["slot"]
        assert (await client.get("/api/v1/indices")).json()["as_of"] == "2026-11-24T14:30:00Z"


async def test_a_form_leads_back_to_the_page(calls, filled):
    async with calls(filled) as client:
        answer = await client.post("/api/v1/indices/refresh", data={"csrf": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("seen", [1, 5])
async def test_each_request_makes_its_own_refresh(calls, filled, seen):
    async with calls(filled) as client:
        for _ in range(seen):
            await client.post("/api/v1/indices/refresh")
    assert filled.runner.ran == seen


async def test_quotes_that_the_universe_lost_are_left_out(calls, filled):
    strange = replace(snapshot().quotes[0], id="NO_SUCH")
    filled.board.snapshot = replace(snapshot(), quotes=(strange, *snapshot().quotes))
    async with calls(filled) as client:
        body = (await client.get("/api/v1/indices")).json()
        page = await client.get("/", headers={"Accept": "text/html"})
    assert body["quotes"][0]["id"] == "SPX" and page.status_code == 200
