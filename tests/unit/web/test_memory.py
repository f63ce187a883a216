from __future__ import annotations

import pytest

from unit.web.fakes import NOW, TOKEN, world


async def test_the_timeline_over_a_day(calls):
    async with calls(world()) as client:
        answer = await client.get("/api/v1/memory/timeline")
        assert answer.status_code == 200
        found = answer.json()
        assert (found["step_s"], len(found["samples"])) == (60, len({s["at"] for s in found["samples"]}))
        assert 300 < len(found["samples"]) <= 1440
        assert found["until"] == NOW.isoformat().replace("+00:00", "Z")
        kinds = [mark["kind"] for mark in found["marks"]]
        assert kinds.count("restart") == 1
        assert kinds.count("report") == 7
        assert kinds.count("refresh") > 400
        week = (await client.get("/api/v1/memory/timeline?range=7d")).json()
        assert (week["step_s"], {m["kind"] for m in week["marks"]} & {"refresh"}) == (600, set())
        assert (await client.get("/api/v1/memory/timeline?range=2y")).status_code == 422


async def test_components_and_verdict(calls):
    async with calls(world()) as client:
        found = (await client.get("/api/v1/memory/components")).json()
    assert found["verdict"]["state"] == "flat"
    assert found["verdict"]["text"].startswith("flat: ")
    assert [c["name"] for c in found["components"]] == ["indices", "save", "auto_report", "web", "other"]
    assert [row["met"] for row in found["rows"]][:2] == [True, True]
    assert found["budget"]["state"] == "ok"
    assert found["budget"]["limit"] == 256 << 20


async def test_requests_by_route(calls):
    async with calls(world()) as client:
        found = (await client.get("/api/v1/memory/web?range=1h")).json()
    assert [item["route"] for item in found["items"]] == ["/", "/api/v1/indices", "/api/v1/indices/stream"]
    assert found["items"][1]["retained"] == -200


async def test_asking_who_leaks_needs_the_token_and_begins_once(calls):
    async with calls(world(token=TOKEN)) as client:
        assert (await client.post("/api/v1/memory/diagnose")).status_code == 401
        token = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.post("/api/v1/memory/diagnose", json={"runs": 0}, headers=token)).status_code == 422
        begun = await client.post("/api/v1/memory/diagnose", json={"runs": 2}, headers=token)
        assert (begun.status_code, begun.json()["running_since"]) == (202, "2026-11-24T14:30:00Z")
        again = await client.post("/api/v1/memory/diagnose", headers=token)
        assert again.status_code == 503
        assert "since 14:30" in again.json()["detail"]
        found = (await client.get("/api/v1/memory/diagnoses")).json()
        assert found["running_since"] is not None
        assert found["items"][0]["lines"][0]["what"] == "evertick/board/poll.py:71"


@pytest.mark.parametrize("path", ["timeline", "components", "web", "diagnoses"])
async def test_what_is_measured_is_never_cached(calls, path: str):
    async with calls(world()) as client:
        assert (await client.get(f"/api/v1/memory/{path}")).headers["cache-control"] == "no-store"
