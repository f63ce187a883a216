"""What can be seen of broken answers without a socket; the rest is in tests/integration/simulator/test_serve.py."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from evertick.simulator import Faults
from evertick.simulator.broken import _LIKE
from evertick.simulator.faults import DISGUISED
from evertick.simulator.providers import PROVIDERS

URLS = {
    "yahoo": "/yahoo/v7/finance/spark?symbols=%5EGSPC",
    "coingecko": "/coingecko/api/v3/global",
    "alternative": "/alternative/fng/",
}
STATUS = {
    "429": 429, "429text": 429, "200ratelimit": 200, "challenge": 200, "pow": 200, "down": 200, "401": 401, "401html": 401,
    "403": 403, "403html": 403, "404": 404, "418": 418, "451": 451, "500": 500, "502": 502, "503": 503, "504": 504,
    "204": 204, "empty": 200, "redirect": 302, "loop": 302, "429date": 429, "429far": 429, "200error": 200, "quota": 429,
    "badkey": 401, "echo": 400, "dtd": 200,
}  # fmt: skip


async def fetch(client: httpx2.AsyncClient, faults: Faults, kind: str, provider: str = "yahoo") -> httpx2.Response:
    faults.replace([f"{provider}={kind}"])
    return await client.get(URLS[provider])


@pytest.mark.parametrize("kind", STATUS)
async def test_status(client: httpx2.AsyncClient, faults: Faults, kind: str) -> None:
    for name, provider in PROVIDERS.items():
        method, path, _ = provider.routes[0]
        faults.replace([f"{name}={kind}"])
        answer = await client.request(method, provider.base + re.sub(r"\{[^}]*\}", "X", path))
        if kind not in provider.failures and _LIKE.get(kind) not in provider.failures:
            assert answer.status_code == STATUS[kind], (name, kind)
        assert answer.status_code in (200, 204, 302) or answer.status_code >= 400
        assert faults.served[name, kind] == 1


@pytest.mark.parametrize("kind", STATUS)
async def test_what_is_html_and_what_is_not(client: httpx2.AsyncClient, faults: Faults, kind: str) -> None:
    answer = await fetch(client, faults, kind)
    html = kind.endswith("html") or kind in ("challenge", "pow", "down", "500", "502", "503", "504")
    assert answer.text.lstrip().lower().startswith(("<!doctype html", "<html")) is html


@pytest.mark.parametrize(
    ("kind", "seconds"), [("429", "7"), ("429far", "864000"), ("418", "60"), ("503", "30"), ("429text", None)]
)
async def test_retry_after(client: httpx2.AsyncClient, faults: Faults, kind: str, seconds: str | None) -> None:
    assert (await fetch(client, faults, kind)).headers.get("retry-after") == seconds


async def test_retry_after_as_a_date(client: httpx2.AsyncClient, faults: Faults) -> None:
    answer = await fetch(client, faults, "429date")
    waited = parsedate_to_datetime(answer.headers["retry-after"]) - datetime.now(UTC)
    assert timedelta(0) < waited <= timedelta(seconds=90)


async def test_an_echo_repeats_the_key(client: httpx2.AsyncClient, faults: Faults) -> None:
    faults.replace(["yahoo=echo"])
    headers = {"authorization": "Token 5ecret", "x-api-key": "5ecret2"}
    answer = await client.get(URLS["yahoo"] + "&apikey=5ecret3", headers=headers)
    assert answer.status_code == 400
    assert all(key in answer.json()["error"] for key in ("Token 5ecret", "5ecret2", "5ecret3"))


async def test_entities_that_stand_for_gigabytes(client: httpx2.AsyncClient, faults: Faults) -> None:
    answer = await fetch(client, faults, "dtd")
    assert answer.headers["content-type"].startswith("text/xml")
    assert len(answer.content) < 1000
    assert answer.text.count("<!ENTITY") == 10


@pytest.mark.parametrize("kind", DISGUISED)
async def test_the_right_answer_in_disguise(client: httpx2.AsyncClient, faults: Faults, kind: str) -> None:
    right = (await client.get(URLS["alternative"])).content
    answer = await fetch(client, faults, kind, "alternative")
    assert answer.status_code == 200
    body = answer.content.decode("utf-16").encode() if kind == "utf16" else answer.content.removeprefix(b"\xef\xbb\xbf")
    assert body.startswith(right)
    assert (answer.content != right) is (kind != "headers")
    assert (len(answer.headers.get("x-padding", "")) == 256 << 10) is (kind == "headers")


async def test_a_page_that_says_it_is_what_was_asked_for(client: httpx2.AsyncClient, faults: Faults) -> None:
    answer = await fetch(client, faults, "html")
    assert answer.headers["content-type"] == "application/json"
    assert answer.text.startswith("<!DOCTYPE html>")


async def test_bodies_are_the_providers_own(client: httpx2.AsyncClient, faults: Faults) -> None:
    assert (await fetch(client, faults, "429")).text == "Too Many Requests\r\n"
    assert (await fetch(client, faults, "429", "coingecko")).json()["status"]["error_code"] == 429
    assert (await fetch(client, faults, "404", "coingecko")).json() == {"error": "coin not found"}
    assert (await fetch(client, faults, "404")).json()["spark"]["error"]["code"] == "Not Found"
    chart = await client.get("/yahoo/v8/finance/chart/BTC-USD")
    assert chart.json()["chart"]["error"]["code"] == "Not Found"
    assert (await fetch(client, faults, "200ratelimit", "coingecko")).json()["status"]["error_code"] == 429
    assert (await fetch(client, faults, "418")).json()["code"] == -1003
    assert (await fetch(client, faults, "challenge")).headers["cf-mitigated"] == "challenge"


async def test_a_redirect_leads_to_a_consent_page_of_our_own(client: httpx2.AsyncClient, faults: Faults) -> None:
    answer = await fetch(client, faults, "redirect")
    assert answer.headers["location"].startswith("/consent")
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200
    assert "consent" in page.url.path
    assert page.text.startswith("<!DOCTYPE html>")


async def test_a_loop_leads_to_itself(client: httpx2.AsyncClient, faults: Faults) -> None:
    answer = await fetch(client, faults, "loop")
    assert httpx2.URL(answer.headers["location"]) == answer.request.url


async def test_half_an_answer_is_no_json(client: httpx2.AsyncClient, faults: Faults) -> None:
    whole = len((await client.get(URLS["yahoo"])).content)
    answer = await fetch(client, faults, "truncated")
    assert 0.3 < len(answer.content) / whole < 0.7
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_the_right_answer_with_the_wrong_type(client: httpx2.AsyncClient, faults: Faults) -> None:
    answer = await fetch(client, faults, "wrongtype")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.json()["spark"]["error"] is None


async def test_bytes_that_are_no_text(client: httpx2.AsyncClient, faults: Faults) -> None:
    with pytest.raises(UnicodeDecodeError):
        (await fetch(client, faults, "badutf8")).content.decode()


async def test_too_deep(client: httpx2.AsyncClient, faults: Faults) -> None:
    body = (await fetch(client, faults, "deep")).content
    assert body.startswith(b"[" * 200_000)
    with pytest.raises(RecursionError):
        json.loads(body)


async def test_a_small_body_becomes_a_large_one(client: httpx2.AsyncClient, faults: Faults) -> None:
    faults.replace(["yahoo=bomb"])
    async with client.stream("GET", URLS["yahoo"]) as answer:
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    assert len(packed) < 70_000
    stream, size = zlib.decompressobj(wbits=31), 0
    data = packed
    while data:
        size += len(stream.decompress(data, 1 << 20))
        data = stream.unconsumed_tail
    assert size == (64 << 20) + 2
    assert stream.eof


async def test_what_says_gzip_and_is_not(client: httpx2.AsyncClient, faults: Faults) -> None:
    faults.replace(["yahoo=badgzip"])
    async with client.stream("GET", URLS["yahoo"]) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    with pytest.raises((OSError, zlib.error)):
        gzip.decompress(packed)


async def test_a_refusal_of_the_providers_own_is_not_spoiled(client: httpx2.AsyncClient, faults: Faults) -> None:
    faults.replace(["yahoo=nan"])
    answer = await client.get("/yahoo/v8/finance/chart/NOSUCH")
    assert answer.status_code == 404
    assert answer.json()["chart"]["error"]["code"] == "Not Found"


async def test_without_a_connection_to_break_the_answer_breaks_off(client: httpx2.AsyncClient, faults: Faults) -> None:
    with pytest.raises(ConnectionResetError, match="reset"):
        await fetch(client, faults, "reset")
