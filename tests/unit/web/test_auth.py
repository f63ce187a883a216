"""Who may change something: the token, the session with its CSRF token, and browsers of other sites."""

from __future__ import annotations

import re

import pytest

from evertick.web.auth import COOKIE, SESSION_S, local_path
from unit.web.fakes import TOKEN, world

REFRESH = "/api/v1/indices/refresh"


@pytest.fixture
def guarded():
    return world(token=TOKEN, loopback=False)


async def signed_in(client) -> str:
    """The CSRF token of a new session; the client keeps its cookie."""
    answer = await client.post("/login", data={"token": TOKEN, "next": "/reports"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/reports")
    page = (await client.get("/", headers={"Accept": "text/html"})).text
    return re.search(r'data-csrf="([^"]+)"', page).group(1)


async def test_without_a_token_this_machine_may_write(client):
    assert (await client.post(REFRESH)).status_code == 200


async def test_with_a_token_writing_needs_it_and_reading_does_not(calls, guarded):
    async with calls(guarded) as client:
        refused = await client.post(REFRESH)
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
        assert (await client.post(REFRESH, headers={"Authorization": "Bearer wrong"})).status_code == 401
        assert (await client.post(REFRESH, headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200
        for path in ("/api/v1/indices", "/api/v1/reports", "/", "/reports", "/memory", "/healthz"):
            assert (await client.get(path)).status_code == 200
    assert guarded.runner.ran == 1


async def test_every_route_that_changes_something_is_guarded(calls, guarded):
    async with calls(guarded) as client:
        schema = (await client.get("/openapi.json")).json()
        writing = [path for path, methods in schema["paths"].items() if set(methods) - {"get"}]
        assert sorted(writing) == [
            "/api/v1/indices/refresh",
            "/api/v1/memory/diagnose",
            "/api/v1/reports",
            "/api/v1/reports/{id}/pin",
            "/api/v1/reports/{id}/render",
            "/api/v1/reports/{id}/unpin",
        ]
        for path in writing:
            assert (await client.post(path)).status_code == 401
            assert schema["paths"][path]["post"]["security"]


async def test_a_session_needs_its_csrf_token(calls, guarded):
    async with calls(guarded) as client:
        csrf = await signed_in(client)
        assert (await client.post(REFRESH)).status_code == 403
        assert (await client.post(REFRESH, headers={"X-CSRF-Token": "x" * 43})).status_code == 403
        assert (await client.post(REFRESH, headers={"X-CSRF-Token": csrf})).status_code == 200
        assert (await client.post("/api/v1/reports", data={"csrf": csrf})).status_code == 303
        assert (await client.post("/api/v1/reports", data={"csrf": "wrong"})).status_code == 403


async def test_a_report_is_pinned_by_a_form_with_the_csrf_token(calls, guarded):
    id = next(iter(guarded.reports.stored))
    async with calls(guarded) as client:
        csrf = await signed_in(client)
        page = (await client.get("/reports", headers={"Accept": "text/html"})).text
        assert f'action="/api/v1/reports/{id}/pin"' in page and csrf in page
        assert (await client.post(f"/api/v1/reports/{id}/pin", data={})).status_code == 403
        assert not guarded.reports.stored[id].meta.pinned
        answer = await client.post(f"/api/v1/reports/{id}/pin", data={"csrf": csrf})
        assert (answer.status_code, answer.headers["location"]) == (303, "/reports")
        assert guarded.reports.stored[id].meta.pinned
        answer = await client.post(f"/api/v1/reports/{id}/unpin", headers={"X-CSRF-Token": csrf})
        assert (answer.status_code, answer.json()["pinned"]) == (200, False)
        assert (await client.post("/api/v1/reports/none/pin", headers={"X-CSRF-Token": csrf})).status_code == 404


async def test_reports_without_facts_are_not_compared(calls, guarded):
    one, other = list(guarded.reports.stored)[:2]
    async with calls(guarded) as client:
        answer = await client.get(f"/api/v1/reports/{one}/diff/{other}")
        assert (answer.status_code, "before facts were saved" in answer.json()["detail"]) == (404, True)
        page = await client.get(f"/reports/{one}/diff/none", headers={"Accept": "text/html"})
        assert page.status_code == 404


async def test_the_csrf_token_of_another_session_does_not_fit(calls, guarded):
    async with calls(guarded) as one, calls(guarded) as other:
        theirs = await signed_in(other)
        await signed_in(one)
        assert (await one.post(REFRESH, headers={"X-CSRF-Token": theirs})).status_code == 403


async def test_the_cookie_is_out_of_reach_of_scripts_and_sites(calls, guarded):
    async with calls(guarded) as client:
        answer = await client.post("/login", data={"token": TOKEN})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and f"Max-Age={SESSION_S}" in cookie
        assert TOKEN not in cookie


async def test_a_session_ends(calls, guarded):
    async with calls(guarded) as client:
        csrf = await signed_in(client)
        guarded.clock.move(SESSION_S + 1)
        assert (await client.post(REFRESH, headers={"X-CSRF-Token": csrf})).status_code == 401


@pytest.mark.parametrize(
    "spoil", [lambda c: c[:-1] + ("A" if c[-1] != "A" else "B"), lambda c: "9" + c, lambda c: "..", lambda c: ""]
)
async def test_a_cookie_of_ones_own_making_is_none(calls, guarded, spoil):
    async with calls(guarded) as client:
        csrf = await signed_in(client)
        cookie = client.cookies[COOKIE]
        client.cookies.clear()
        answer = await client.post(REFRESH, headers={"X-CSRF-Token": csrf, "Cookie": f"{COOKIE}={spoil(cookie)}"})
        assert answer.status_code == 401


async def test_a_new_token_ends_every_session(calls, guarded):
    async with calls(guarded) as client:
        csrf = await signed_in(client)
        cookie = client.cookies[COOKIE]
    async with calls(world(token="another-token-of-sixteen", loopback=False)) as client:
        answer = await client.post(REFRESH, headers={"X-CSRF-Token": csrf, "Cookie": f"{COOKIE}={cookie}"})
        assert answer.status_code == 401


async def test_a_session_is_one_on_every_replica(calls, guarded):
    """What signs it comes from the token and not from the process."""
    async with calls(guarded) as client:
        csrf = await signed_in(client)
        cookie = client.cookies[COOKIE]
    async with calls(world(token=TOKEN, loopback=False)) as other:
        answer = await other.post(REFRESH, headers={"X-CSRF-Token": csrf, "Cookie": f"{COOKIE}={cookie}"})
        assert answer.status_code == 200


async def test_signing_out(calls, guarded):
    async with calls(guarded) as client:
        csrf = await signed_in(client)
        assert (await client.post("/logout")).status_code == 403
        assert (await client.post("/logout", data={"csrf": csrf})).status_code == 303
        assert COOKIE not in client.cookies


async def test_a_wrong_token_at_the_page(calls, guarded):
    async with calls(guarded) as client:
        answer = await client.post("/login", data={"token": "guess"})
        assert answer.status_code == 401 and "That is not the token" in answer.text
        assert "set-cookie" not in answer.headers


async def test_without_a_token_there_is_nothing_to_sign_in_to(client):
    assert (await client.get("/login?next=/memory")).headers["location"] == "/memory"
    assert (await client.post("/login", data={"next": "/memory"})).headers["location"] == "/memory"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_site_may_not_write(calls, filled, guarded, headers):
    async with calls(filled) as client:
        assert (await client.post(REFRESH, headers=headers)).status_code == 403
        assert (await client.post("/login", headers=headers, data={"token": TOKEN})).status_code == 403
    async with calls(guarded) as client:
        answer = await client.post(REFRESH, headers=headers | {"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 403


@pytest.mark.parametrize("headers", [{"Origin": "http://127.0.0.1:8000"}, {"Sec-Fetch-Site": "same-origin"}])
async def test_our_own_pages_may(client, headers):
    assert (await client.post(REFRESH, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/reports?a=b", "/reports?a=b"),
        ("//elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_signing_in_leads_to_our_own_pages_only(target, path):
    assert local_path(target) == path
