"""Names, sizes and headers, for every route alike."""

from __future__ import annotations

import pytest

from evertick.web.guard import CSP, host_allowed, host_name
from unit.web.fakes import TOKEN, serving, world


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8000", "localhost"),
        ("[::1]:8000", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("Example.COM.:80", "example.com"),
        ("", ""),
    ],
)
def test_host_names(header, name):
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("evertick.localhost", True),
        ("desk.example", True), ("127.0.0.1.evil.example", False), ("evil.example", False), ("", False), ("10.0.0.1", False),
    ],
)  # fmt: skip
def test_hosts_that_loopback_answers_to(name, allowed):
    assert host_allowed(name, {"desk.example"}) is allowed


async def test_a_name_pointed_at_loopback_reads_nothing(calls, filled):
    async with calls(filled) as client:
        for path in ("/api/v1/indices", "/", "/healthz"):
            answer = await client.get(path, headers={"Host": "evil.example"})
            assert answer.status_code == 421 and "localhost" in answer.json()["detail"]
    async with calls(world(hosts=("Desk.example",))) as client:
        assert (await client.get("/healthz", headers={"Host": "desk.example:8000"})).status_code == 200
    async with calls(world(token=TOKEN, loopback=False)) as client:
        assert (await client.get("/healthz", headers={"Host": "evertick.example"})).status_code == 200


async def test_a_body_may_have_64_kb(calls, filled):
    async with calls(filled) as client:
        fits = await client.post("/api/v1/reports", content=b"x" * (64 << 10))
        large = await client.post("/api/v1/reports", content=b"x" * ((64 << 10) + 1))
    assert fits.status_code == 202
    assert large.status_code == 413 and large.headers["content-type"] == "application/problem+json"
    assert len(filled.ledger.slots) == 1


async def test_a_body_without_a_length_is_counted(calls, filled):
    async def endless():
        for _ in range(20):
            yield b"csrf=" + b"x" * 8000

    async with calls(world(token=TOKEN, loopback=False)) as client:
        await client.post("/login", data={"token": TOKEN})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await client.post("/api/v1/reports", content=endless(), headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999999999999"])
async def test_a_length_that_is_none_is_refused(client, length):
    answer = await client.post("/api/v1/reports", headers={"Content-Length": length})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/reports",
        "/memory",
        "/api/v1/indices",
        "/api/v1/nothing",
        "/healthz",
        "/metrics",
        "/favicon.ico",
        "/nothing",
    ],
)
async def test_every_answer_has_the_headers(client, path):
    headers = (await client.get(path, headers={"Accept": "text/html"})).headers
    assert headers["content-security-policy"] == CSP
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers


async def test_reports_and_refusals_too(client, filled):
    report = next(iter(filled.reports.stored))
    assert (await client.get(f"/reports/{report}/vi")).headers["content-security-policy"] == CSP
    refused = await client.get("/", headers={"Host": "evil.example"})
    assert refused.headers["content-security-policy"] == CSP


async def test_the_reference_alone_may_write_styles(client):
    policy = (await client.get("/docs")).headers["content-security-policy"]
    assert policy == CSP.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    assert "script-src 'self';" in policy


async def test_a_fault_of_ours_is_a_problem_without_its_text(calls, filled):
    async def broken(*given, **named):
        raise RuntimeError("secret text")

    filled.reports.list = broken
    async with calls(filled) as client:
        answer = await client.get("/api/v1/reports")
    assert answer.status_code == 500
    assert answer.json()["title"] == "Internal Server Error" and "secret text" not in answer.text
    assert answer.headers["content-security-policy"] == CSP


def test_a_body_that_never_comes_is_not_waited_for(monkeypatch, filled):
    import socket
    from urllib.parse import urlsplit

    monkeypatch.setattr("evertick.web.guard.BODY_S", 0.2)
    with serving(world(token=TOKEN, loopback=False)) as url:
        at = urlsplit(url)
        with socket.create_connection((at.hostname, at.port), 10) as slow:
            slow.sendall(
                b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                b"Content-Length: 50\r\n\r\ntoken="
            )
            assert b"408" in slow.recv(4096).split(b"\r\n")[0]
