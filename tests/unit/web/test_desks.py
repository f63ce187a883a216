"""Many desks on the pages and in the API: what each token opens, and that it opens nothing else."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from evertick import universe
from evertick.desks import Desk, Desks, Retention, choose
from evertick.web.auth import COOKIE
from evertick.web.feed import BODIES
from unit.web.fakes import NOW, TOKEN, World, world

ASIA, COINS = "the-token-of-the-desk-asia", "the-token-of-the-desk-coins"
ALL, OF_ASIA, OF_COINS = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, ASIA, COINS))
HTML = {"Accept": "text/html"}


def desk(id: str, *names: str, token: str | None = None, timezone: str = "UTC") -> Desk:
    chosen = tuple(choose(names, universe.load()))
    keep = Retention(1, 1, 1)
    return Desk(id, id.title(), chosen, ("vi", "en"), timezone, "1h", keep, SecretStr(token) if token else None)


def several(*found: Desk, token: str | None = TOKEN) -> World:
    made = world(token=token, loopback=token is None)
    made.desks = Desks(found, universe.load())
    made.ledger.desks = tuple(d.id for d in found)
    made.reports.stored.clear()
    for n, each in enumerate(found):
        made.reports.add(NOW - timedelta(hours=n + 1), desk=each.id, html=f"<p>secret of {each.id}</p>".encode())
    return made


@pytest.fixture
def desks() -> World:
    """One that is open, two that are closed."""
    return several(
        desk("open", "indices"), desk("asia", "vietnam", "N225", token=ASIA, timezone="Asia/Tokyo"),
        desk("coins", "crypto", token=COINS),
    )  # fmt: skip


def report_of(world: World, desk: str) -> str:
    return next(id for id, stored in world.reports.stored.items() if stored.meta.desk == desk)


async def ids(client: Any, path: str, **headers: str) -> set[str]:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return {quote["id"] for quote in answer.json()["quotes"]}


async def test_quotes_are_those_of_the_desk(calls, desks):
    async with calls(desks) as client:
        of = {d.id: {i.id for i in d.instruments} for d in desks.desks}
        assert await ids(client, "/api/v1/indices") == of["open"], "without a token the first desk that is open"
        assert await ids(client, "/api/v1/indices?desk=open") == of["open"]
        assert await ids(client, "/api/v1/indices", **OF_ASIA) == of["asia"], "with a token the desk of the token"
        assert await ids(client, "/api/v1/indices?desk=coins", **OF_COINS) == of["coins"]
        assert await ids(client, "/api/v1/indices?desk=coins", **ALL) == of["coins"]
        answer = await client.get("/api/v1/indices", headers=OF_ASIA)
        assert "private" in answer.headers["cache-control"] and "Authorization" in answer.headers["vary"]
        assert "private" not in (await client.get("/api/v1/indices")).headers["cache-control"]


@pytest.mark.parametrize("headers", [{}, OF_ASIA], ids=["no token", "the token of another desk"])
async def test_a_closed_desk_is_not_there_for_others(calls, desks, headers):
    id, theirs = report_of(desks, "coins"), report_of(desks, "open")
    job = await desks.ledger.submit("coins", "report", {}, NOW)
    async with calls(desks) as client:
        for path in (
            "/api/v1/indices?desk=coins", "/api/v1/indices/stream?desk=coins", "/api/v1/indices/BTC/history?desk=coins",
            "/api/v1/reports?desk=coins", f"/api/v1/reports/{id}", f"/api/v1/reports/{id}/parts/html",
            f"/api/v1/reports/{id}/diff/{theirs}", f"/api/v1/reports/{theirs}/diff/{id}", f"/reports/{id}",
            f"/reports/{id}/vi", f"/reports/{id}/diff/{theirs}", "/?desk=coins", "/?desk=coins&part=aside",
            "/reports?desk=coins", f"/api/v1/jobs/{job.id}", f"/api/v1/jobs/{job.id}/stream", "/api/v1/slots?desk=coins",
        ):  # fmt: skip
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 404, path
            assert "secret" not in answer.text
            assert (await client.head(path, headers=headers)).status_code in (404, 405), path
        missing = (await client.get("/api/v1/reports/none", headers=headers)).json()
        refused = (await client.get(f"/api/v1/reports/{id}", headers=headers)).json()
        assert refused["detail"] == missing["detail"].replace("none", id), "it does not say that there is one"
        assert (await client.get(f"/api/v1/reports/{id}", headers=OF_COINS)).status_code == 200
        assert "secret of coins" in (await client.get(f"/reports/{id}/vi", headers=OF_COINS)).text


async def test_lists_have_nothing_of_closed_desks(calls, desks):
    for name in ("open", "asia", "coins"):
        await desks.ledger.submit(name, "report", {}, NOW)
    await desks.ledger.submit("default", "refresh_indices", {}, NOW)
    async with calls(desks) as client:

        async def seen(headers: dict[str, str]) -> tuple[set[str], set[str], set[str], set[str]]:
            reports = (await client.get("/api/v1/reports", headers=headers)).json()["items"]
            slots = (await client.get("/api/v1/slots", headers=headers)).json()
            listed = (await client.get("/api/v1/desks", headers=headers)).json()["items"]
            return (
                {r["desk"] for r in reports}, {s["desk"] for s in slots["items"]},
                {s["desk"] for s in slots["schedules"] if s["job"] == "report"}, {d["id"] for d in listed},
            )  # fmt: skip

        assert await seen({}) == ({"open"}, {"open"}, {"open"}, {"open"})
        assert await seen(OF_ASIA) == ({"asia"}, {"asia"}, {"asia"}, {"open", "asia"})
        every = {"open", "asia", "coins"}
        assert await seen(ALL) == (every, every | {"default"}, every, every)
        pages = [(await client.get(path, headers=HTML | OF_ASIA)).text for path in ("/", "/reports", "/desks")]
        assert all("Asia" in page and "Coins" not in page for page in pages)


async def test_receipts_do_not_say_of_which_closed_desk_they_are(calls, desks):
    from dataclasses import replace

    rows = desks.receipts.rows
    rows[0] = replace(rows[0], job="report", slot="report.coins.20261124T140000.000000")
    rows[1] = replace(rows[1], slot="refresh_indices.default.20261124T140000.000000")
    async with calls(desks) as client:
        for headers, shown in (({}, None), (OF_ASIA, None), (OF_COINS, rows[0].slot), (ALL, rows[0].slot)):
            items = (await client.get("/api/v1/memory/receipts", headers=headers)).json()["items"]
            assert (items[0]["slot"], items[1]["slot"]) == (shown, rows[1].slot)
        assert "coins" not in (await client.get("/memory", headers=HTML)).text


async def test_a_token_changes_its_own_desk_and_no_other(calls, desks):
    async with calls(desks) as client:
        assert (await client.post("/api/v1/reports", headers=OF_ASIA)).json()["desk"] == "asia"
        assert (await client.post("/api/v1/reports?desk=asia", headers=OF_ASIA)).status_code == 202
        assert (await client.post("/api/v1/reports?desk=open", headers=OF_ASIA)).status_code == 403
        assert (await client.post("/api/v1/reports?desk=coins", headers=OF_ASIA)).status_code == 404
        assert (await client.post("/api/v1/reports?desk=open", headers=ALL)).json()["desk"] == "open"
        assert (await client.post("/api/v1/reports?desk=open")).status_code == 401
        for verb in ("pin", "unpin"):
            for name, status in (("asia", 200), ("open", 403), ("coins", 404)):
                path = f"/api/v1/reports/{report_of(desks, name)}/{verb}"
                assert (await client.post(path, headers=OF_ASIA)).status_code == status, (name, verb)
        assert (
            await client.post(f"/api/v1/reports/{report_of(desks, 'open')}/render", headers=OF_ASIA)
        ).status_code == 403
        assert (await client.post("/api/v1/memory/diagnose", headers=OF_ASIA)).status_code == 403
        assert (await client.post("/api/v1/memory/diagnose", headers=ALL)).status_code == 202
        refreshed = (await client.post("/api/v1/indices/refresh", headers=OF_COINS)).json()
        assert {q["id"] for q in refreshed["quotes"]} == {i.id for i in desks.desks.get("coins").instruments}


async def test_a_wrong_token_is_told_and_never_taken_for_nobody(calls, desks):
    wrong = {"Authorization": "Bearer a-token-that-opens-nothing"}
    async with calls(desks) as client:
        for path in ("/api/v1/indices", "/api/v1/reports", "/api/v1/desks", "/reports", "/"):
            answer = await client.get(path, headers=wrong)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
        assert (await client.get("/", headers=wrong | HTML)).status_code == 401
        assert (await client.get("/healthz", headers=wrong)).status_code == 200


async def test_where_every_desk_is_closed_nobody_sees_any(calls):
    closed = several(desk("asia", "vietnam", token=ASIA), desk("coins", "crypto", token=COINS))
    async with calls(closed) as client:
        for path in ("/api/v1/indices", "/api/v1/indices/stream", "/api/v1/reports", "/api/v1/slots", "/"):
            assert (await client.get(path)).status_code == 401, path
        assert (await client.get("/api/v1/desks")).json()["items"] == []
        page = await client.get("/", headers=HTML)
        assert page.status_code == 401 and "/login" in page.text


async def signed_in(client: Any, token: str) -> str:
    answer = await client.post("/login", data={"token": token})
    assert answer.status_code == 303
    return re.search(r'data-csrf="([^"]+)"', (await client.get("/", headers=HTML)).text).group(1)  # type: ignore[union-attr]


async def test_a_session_of_a_desk_opens_that_desk(calls, desks):
    async with calls(desks) as client:
        csrf = {"X-CSRF-Token": await signed_in(client, ASIA)}
        page = (await client.get("/", headers=HTML)).text
        assert "Markets now, Asia" in page and 'data-q="N225"' in page and 'data-q="BTC"' not in page
        assert "Times are Asia/Tokyo." in page
        assert 'action="/api/v1/reports?desk=asia"' in page
        other = (await client.get("/?desk=open", headers=HTML)).text
        assert 'action="/api/v1/reports' not in other, "a button that would be refused"
        assert (await client.get(f"/reports/{report_of(desks, 'asia')}/vi")).status_code == 200
        assert (await client.get(f"/reports/{report_of(desks, 'coins')}/vi")).status_code == 404
        assert (await client.post("/api/v1/reports", headers=csrf)).json()["desk"] == "asia"
        assert (await client.post("/api/v1/reports?desk=open", headers=csrf)).status_code == 403
        assert (await client.post("/api/v1/reports")).status_code == 403, "the CSRF token is wanted"
        answer = await client.post("/api/v1/reports?desk=asia", data={"csrf": csrf["X-CSRF-Token"]})
        assert answer.headers["location"].endswith("&desk=asia")


async def test_a_session_cannot_be_made_to_mean_another_desk(calls, desks):
    async with calls(desks) as client:
        await signed_in(client, ASIA)
        cookie = client.cookies[COOKIE]
        client.cookies.clear()
        for forged in (
            cookie.replace(".asia.", ".coins."),
            cookie.replace(".asia.", "."),
            cookie.replace(".asia.", ".."),
        ):
            assert forged != cookie
            headers = {"Cookie": f"{COOKIE}={forged}"}
            assert (await client.get("/api/v1/reports?desk=coins", headers=headers)).status_code == 404
            assert (await client.get("/api/v1/reports?desk=asia", headers=headers)).status_code == 404
    again = several(desk("open", "indices"), desk("asia", "vietnam", token="another-token-of-the-desk"))
    async with calls(again) as client:
        answer = await client.get("/api/v1/reports?desk=asia", headers={"Cookie": f"{COOKIE}={cookie}"})
        assert answer.status_code == 404, "a new token ends the sessions of the old one"


async def test_on_a_machine_of_ones_own_every_desk_is_open(calls):
    own = several(desk("asia", "vietnam"), desk("coins", "crypto"), token=None)
    async with calls(own) as client:
        assert {r["desk"] for r in (await client.get("/api/v1/reports")).json()["items"]} == {"asia", "coins"}
        assert (await client.post("/api/v1/reports?desk=coins")).json()["desk"] == "coins"
        assert (await client.get("/api/v1/reports?desk=none")).status_code == 404


async def test_reports_of_a_desk_that_is_gone_are_for_the_keeper(calls, desks):
    id = desks.reports.add(NOW, desk="gone").id
    async with calls(desks) as client:
        assert (await client.get(f"/api/v1/reports/{id}", headers=ALL)).status_code == 200
        assert (await client.get(f"/api/v1/reports/{id}", headers=OF_ASIA)).status_code == 404
        assert (await client.get(f"/api/v1/reports/{id}")).status_code == 404
        assert (await client.get("/api/v1/reports", headers=ALL)).json()["items"][0]["desk"] == "gone"
        assert "gone" in (await client.get("/reports", headers=ALL | HTML)).text


async def test_pages_offer_the_desks(calls, desks):
    async with calls(desks) as client:
        assert 'class="switch"' not in (await client.get("/", headers=HTML)).text, "one is open: nothing to choose"
        page = (await client.get("/reports", headers=HTML | ALL)).text
        assert re.findall(r'<li><a href="([^"]+)"', page)[:4] == [
            "/reports", "/reports?desk=open", "/reports?desk=asia", "/reports?desk=coins",
        ]  # fmt: skip
        of_asia = (await client.get("/reports?desk=asia", headers=HTML | ALL)).text
        assert "Reports of Asia" in of_asia and 'href="/?desk=asia"' in of_asia
        assert 'data-from="/?desk=asia&amp;part=aside"' in (await client.get("/?desk=asia", headers=HTML | ALL)).text
        found = (await client.get("/desks?q=COI", headers=HTML | ALL)).text
        assert "/?desk=coins" in found and "/?desk=asia" not in found.split("<main")[1]


async def test_a_thousand_desks_are_told_a_page_at_a_time_and_their_answers_are_not_kept(calls):
    made = several(*(desk(f"desk-{n}", "SPX") for n in range(1000)), token=None)
    async with calls(made) as client:
        seen, cursor = [], ""
        while cursor is not None:
            answer = (await client.get(f"/api/v1/desks?limit=100{cursor and f'&cursor={cursor}'}")).json()
            seen += [d["id"] for d in answer["items"]]
            cursor = answer["next"]
        assert seen == [f"desk-{n}" for n in range(1000)]
        page = await client.get("/", headers=HTML)
        assert page.text.count("?desk=desk-") < 40 and "All 1,000" in page.text
        for n in range(3 * BODIES):
            await client.get(f"/api/v1/indices?desk=desk-{n}")
        feed = client._transport.app.state.web.feed
        assert len(feed._bodies) == BODIES
        assert (await client.get("/api/v1/desks?cursor=x")).status_code == 400
