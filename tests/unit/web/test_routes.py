"""Lists, orders and states of the API."""

from __future__ import annotations

from evertick.model import SlotState
from evertick.web import Check
from unit.web.fakes import NOW, world


async def walk(client, address: str) -> list:
    """Every item of a list, page by page."""
    items, cursor = [], None
    while True:
        page = (await client.get(address, params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
        assert set(page) - {"schedules"} == {"items", "next"} and len(page["items"]) <= 3
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


async def test_reports_newest_first_page_by_page(client, filled):
    items = await walk(client, "/api/v1/reports")
    assert [i["created"] for i in items] == sorted((i["created"] for i in items), reverse=True)
    assert len(items) == len(filled.reports.stored) == 4
    assert items[0]["created"].endswith("Z") and items[0]["headline"]["vi"].startswith("Chứng khoán")


async def test_one_report(client, filled):
    id = next(iter(filled.reports.stored))
    assert (await client.get(f"/api/v1/reports/{id}")).json()["id"] == id


async def test_ordering_a_report(client, filled):
    answer = await client.post("/api/v1/reports")
    assert answer.status_code == 202 and filled.runner.woken == 1
    slot = answer.json()
    assert slot["job"] == "report" and slot["state"] == "due" and slot["trigger"] == "manual"
    assert answer.headers["location"] == f"/api/v1/jobs/{slot['id']}"
    assert (await client.get(answer.headers["location"])).json() == slot
    assert {"owner", "token", "lease_until"}.isdisjoint(slot)


async def test_ordering_with_a_form_leads_to_the_library(client, filled):
    answer = await client.post("/api/v1/reports", data={"csrf": ""})
    assert answer.status_code == 303
    page = await client.get(answer.headers["location"])
    assert f'data-job="{next(iter(filled.ledger.slots))}"' in page.text


async def test_slots_by_job_and_state(client, filled):
    for i in range(4):
        slot = await filled.ledger.submit(
            "default", "report" if i % 2 else "refresh_indices", {}, NOW.replace(minute=i)
        )
        filled.ledger.slots[slot.id] = slot.with_(state=SlotState.MISSED if i == 3 else SlotState.DONE)
    assert len(await walk(client, "/api/v1/slots")) == 4
    page = (await client.get("/api/v1/slots", params={"state": "missed", "job": "report"})).json()
    assert [s["state"] for s in page["items"]] == ["missed"]
    assert [s["job"] for s in page["schedules"]] == ["refresh_indices", "report", "housekeeping"]


async def test_memory(client):
    now = (await client.get("/api/v1/memory")).json()
    assert now["rss"] > 0 and now["limit"] == 256 << 20 and now["at"] == "2026-11-24T14:30:00Z"
    assert now["limit_source"] == "default"
    receipts = (await client.get("/api/v1/memory/receipts", params={"job": "report", "limit": 2})).json()
    assert [r["job"] for r in receipts["items"]] == ["report", "report"] and receipts["next"]
    first = receipts["items"][0]
    assert first["retained"] == first["heap_after"] - first["heap_before"]


async def test_alive_even_where_nothing_else_is(calls):
    ill = world(filled=False)
    ill.board.away = True
    ill.checks[:] = [Check("database", True), Check("board", False, "Redis cannot be reached.")]
    async with calls(ill) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok", "version": "0.1.0"}
        ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "not ready",
        "checks": [
            {"name": "database", "ok": True, "detail": ""},
            {"name": "board", "ok": False, "detail": "Redis cannot be reached."},
        ],
    }


async def test_ready(client):
    answer = await client.get("/readyz")
    assert answer.status_code == 200 and answer.json()["status"] == "ready"
    assert answer.headers["cache-control"] == "no-store"
