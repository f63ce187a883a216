"""Reports as they were stored: packed or plain, whole or known already, and never held whole."""

from __future__ import annotations

import asyncio
import gzip
import random

import httpx2
import pytest

from evertick.errors import ArchiveUnavailable, BodyLost
from evertick.web.stored import PIECE, unpacked
from unit.web.fakes import NOW, serving, world

TEXT = b"<!doctype html><title>t</title>" + random.Random(1).randbytes(1 << 20).hex().encode() + b"<p>end"


@pytest.fixture
def stored(filled):
    meta = filled.reports.add(NOW, html=TEXT)
    return filled, meta


async def test_packed_as_it_is_kept(calls, stored):
    world_, meta = stored
    async with calls(world_) as client, client.stream("GET", f"/reports/{meta.id}/vi") as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-length"] == str(len(raw))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert raw == world_.reports.stored[meta.id].bodies["html"]


async def test_plain_for_who_takes_no_gzip(calls, stored):
    world_, meta = stored
    async with calls(world_) as client:
        answer = await client.get(f"/reports/{meta.id}/en", headers={"Accept-Encoding": "identity"})
    assert answer.content == TEXT
    assert "content-encoding" not in answer.headers and answer.headers["content-length"] == str(len(TEXT))


async def test_the_two_codings_have_two_tags(calls, stored):
    world_, meta = stored
    async with calls(world_) as client:
        address = f"/reports/{meta.id}/vi"
        packed = (await client.head(address)).headers["etag"]
        plain = (await client.head(address, headers={"Accept-Encoding": "identity"})).headers["etag"]
        assert packed != plain and not packed.startswith("W/")
        for tag, coding, status in (
            (packed, "gzip", 304),
            (plain, "identity", 304),
            (packed, "identity", 200),
            (f'"x", {packed}', "gzip", 304),
            ("*", "gzip", 304),
        ):
            answer = await client.get(address, headers={"If-None-Match": tag, "Accept-Encoding": coding})
            assert answer.status_code == status
            assert answer.headers["etag"] and answer.headers["vary"] == "Accept-Encoding"
            if status == 304:
                assert answer.content == b"" and "content-encoding" not in answer.headers


async def test_head_tells_the_size_and_reads_nothing(calls, stored):
    world_, meta = stored
    async with calls(world_) as client:
        answer = await client.head(f"/reports/{meta.id}/vi")
    assert answer.headers["content-length"] == str(meta.part("html").stored) and answer.content == b""


async def test_parts_by_their_names(calls, stored):
    world_, meta = stored
    async with calls(world_) as client:
        one = await client.get(f"/api/v1/reports/{meta.id}/parts/html_en")
        assert one.content == TEXT
        css = await client.get(f"/api/v1/reports/{meta.id}/parts/css")
        assert css.text == ":root{color:black}" and css.headers["content-type"].startswith("text/css")
        missing = await client.get(f"/api/v1/reports/{meta.id}/parts/js_fr")
        assert missing.status_code == 404 and "html, html_en, css" in missing.json()["detail"]


async def test_assets_by_their_hash(calls, stored):
    world_, meta = stored
    hash = meta.part("css").asset
    async with calls(world_) as client:
        answer = await client.get(f"/assets/{hash}.css")
        assert answer.text == ":root{color:black}" and answer.headers["etag"] == f'"{hash}"'
        assert "immutable" in answer.headers["cache-control"]
        assert (await client.get(f"/assets/{hash}.css", headers={"If-None-Match": f'"{hash}"'})).status_code == 304
        assert (await client.get(f"/assets/{'0' * 64}.css")).status_code == 404
        assert (await client.get("/assets/..%2Fsecret.css")).status_code in (404, 422)
        assert (await client.get(f"/assets/{hash}.js")).status_code == 404
        assert (await client.get(f"/assets/{hash}.exe")).status_code == 422


async def test_unpacks_one_piece_at_a_time():
    packed = gzip.compress(b"a" * (8 << 20), mtime=0)  # a thousand to one

    async def pieces():
        for start in range(0, len(packed), 1000):
            yield packed[start : start + 1000]

    sizes = [len(plain) async for plain in unpacked(pieces())]
    assert sum(sizes) == 8 << 20
    assert max(sizes) <= PIECE


def test_a_reader_that_leaves_half_way_ends_the_reading(stored):
    world_, meta = stored
    with serving(world_) as url:
        with httpx2.Client() as client, client.stream("GET", f"{url}/reports/{meta.id}/vi") as answer:
            assert next(answer.iter_raw())
        world_.until(lambda: world_.reports.open == 0)


def test_a_reader_that_stalls_is_dropped():
    import socket
    from urllib.parse import urlsplit

    slow = world(stall_s=0.2)
    noise = random.Random(2).randbytes(8 << 20)
    meta = slow.reports.add(NOW, html=noise)
    slow.reports.piece = 64 << 10
    with serving(slow) as url, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        at = urlsplit(url)
        reader.connect((at.hostname, at.port))
        reader.sendall(
            f"GET /reports/{meta.id}/vi HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        )
        slow.until(lambda: slow.reports.open == 1)
        slow.until(lambda: slow.reports.open == 0)


async def test_nothing_of_the_reading_is_left(calls, stored):
    world_, meta = stored
    async with calls(world_) as client:
        await client.get(f"/reports/{meta.id}/vi")
        await client.get(f"/reports/{meta.id}/vi", headers={"Accept-Encoding": "identity"})
    await asyncio.sleep(0)
    assert world_.reports.open == 0


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (BodyLost("s3://reports/1/html is not there", hint="Bring it back"), 502),
        (ArchiveUnavailable("s3://reports cannot be read"), 503),
    ],
)
async def test_what_is_not_there_is_an_error_of_its_own_and_not_half_a_page(
    calls, stored, monkeypatch, failure, status
):
    world_, meta = stored

    async def part(report, part):
        raise failure
        yield b""

    monkeypatch.setattr(world_.reports, "part", part)
    async with calls(world_) as client:
        answer = await client.get(f"/api/v1/reports/{meta.id}/parts/html")
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert failure.message in answer.json()["detail"]
        page = await client.get(f"/reports/{meta.id}/vi", headers={"Accept": "text/html"})
        assert page.status_code == status and failure.message in page.text
        assert (await client.head(f"/reports/{meta.id}/vi")).status_code == 200
    assert world_.reports.open == 0
