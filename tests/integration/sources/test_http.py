"""The HTTP client against a real server that answers byte for byte as a test says."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.settings import HttpSettings
from evertick.sources.http import LONGEST_WAIT_S, Http, open_http, retry_after
from servers import free_port

SETTINGS = HttpSettings(connect_timeout=2, read_timeout=0.5, total_timeout=1, max_bytes=4096, connections=4)
Handler = Callable[[asyncio.StreamWriter], Coroutine[None, None, None]]


class Upstream:
    """Answers every request with ``reply``: bytes, or a coroutine that writes; keeps the heads and bodies of the requests."""

    def __init__(self) -> None:
        self.reply: bytes | Handler = answer(b"{}")
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.open = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                if length := re.search(r"content-length: (\d+)", head, re.IGNORECASE):
                    self.bodies.append(await reader.readexactly(int(length[1])))
                if isinstance(self.reply, bytes):
                    writer.write(self.reply)
                    await writer.drain()
                else:
                    await self._until_gone(reader, self.reply(writer))
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open -= 1
            writer.close()

    async def _until_gone(self, reader: asyncio.StreamReader, replying: Coroutine[None, None, None]) -> None:
        tasks = {asyncio.ensure_future(reader.read()), asyncio.ensure_future(replying)}
        _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(body: bytes, status: str = "200 OK", kind: str | None = "application/json", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}"]
    if kind is not None:
        lines.append(f"content-type: {kind}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    it = Upstream()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield it
    server.close()
    for _ in range(200):
        if not it.open:
            break
        await asyncio.sleep(0.01)
    assert it.open == 0, "connections left open"


@asynccontextmanager
async def opened(settings: HttpSettings = SETTINGS) -> AsyncIterator[Http]:
    async with open_http(settings) as http:
        yield http


async def failure(http: Http, upstream: Upstream, reply: bytes | Handler, **more) -> SourceError:
    upstream.reply = reply
    with pytest.raises(SourceError) as caught:
        await http.get_json(
            "yahoo", f"{upstream.url}/v7/finance/spark", {"symbols": "^VIX", "apikey": "s3cret-key"}, **more
        )
    assert (caught.value.provider, caught.value.endpoint) == ("yahoo", "/v7/finance/spark")
    assert "s3cret" not in str(caught.value)
    return caught.value


async def test_json_comes_back_and_connections_are_kept_and_counted(upstream: Upstream):
    upstream.reply = answer(b'{"a": [1, 2.5, "\xc3\xa9"]}')
    async with opened() as http:
        assert http.open_connections() == 0
        for _ in range(5):
            assert await http.get_json("yahoo", f"{upstream.url}/x") == {"a": [1, 2.5, "é"]}
        assert (http.open_connections(), upstream.open) == (1, 1)
        await asyncio.gather(*(http.get_json("yahoo", f"{upstream.url}/x") for _ in range(20)))
        assert http.open_connections() <= SETTINGS.connections


async def test_what_is_sent(upstream: Upstream):
    async with opened() as http:
        await http.get_json("yahoo", f"{upstream.url}/v8/finance/chart/%5EGSPC", {"a": "1,2 3"}, {"x-key": "k"})
    line, *rest = upstream.heads[0].split("\r\n")
    assert line.startswith("GET /v8/finance/chart/%5EGSPC?a=1")
    head = "\n".join(rest).lower()
    assert "user-agent: mozilla/5.0 (compatible; evertick/" in head
    assert "accept-encoding: gzip, deflate\n" in head
    assert "x-key: k" in head


async def test_a_posted_question_is_sent_as_json_and_answered_with_json(upstream: Upstream):
    upstream.reply = answer(b'[{"c": [1.5]}]')
    async with opened() as http:
        assert await http.post_json("vci", f"{upstream.url}/ohlc", {"symbols": ["FPT"]}, {"x-key": "k"}) == [
            {"c": [1.5]}
        ]
    line, *rest = upstream.heads[0].split("\r\n")
    head = "\n".join(rest).lower()
    assert line == "POST /ohlc HTTP/1.1"
    assert "content-type: application/json" in head
    assert "x-key: k" in head
    assert upstream.bodies[0] == b'{"symbols":["FPT"]}'


async def test_the_key_in_a_posted_question_is_not_repeated(upstream: Upstream):
    upstream.reply = answer(b'{"message": "apikey s3cret-key is blocked"}', "403 Forbidden")
    async with opened() as http:
        with pytest.raises(SourceRefused, match="apikey … is blocked"):
            await http.post_json("vci", f"{upstream.url}/ohlc", {"apiKey": "s3cret-key"})


CSV, XML = b"Date,10 Yr\n11/20/2026,4.1\n", b'<?xml version="1.0"?><rates><Cube/></rates>'


@pytest.mark.parametrize(
    ("form", "body", "kind"),
    [
        ("csv", CSV, "text/csv"),
        ("csv", CSV, "text/csv; charset=utf-8"),
        ("csv", CSV, "application/csv"),
        ("csv", CSV, "text/plain"),
        ("csv", CSV, "application/octet-stream"),
        ("csv", CSV, None),
        ("xml", XML, "text/xml"),
        ("xml", XML, "application/xml; charset=utf-8"),
        ("xml", XML, "application/rss+xml"),
        ("xml", b"<ExrateList/>", "text/xml"),
        ("xml", b"<!-- made on a day --><ExrateList>noindex</ExrateList>", None),
    ],
)
async def test_csv_and_xml_come_back_as_they_are_without_a_mark(upstream: Upstream, form, body, kind):
    async with opened() as http:
        for mark in (b"", b"\xef\xbb\xbf"):
            upstream.reply = answer(mark + body, kind=kind)
            assert await http.get_text("ecb", f"{upstream.url}/x", {"a": "1"}, form=form) == body
        upstream.reply = answer(gzip.compress(body), kind=kind, content_encoding="gzip")
        assert await http.get_text("ecb", f"{upstream.url}/x", form=form) == body
    assert upstream.heads[0].startswith("GET /x?a=1 ")
    assert f"accept: {'text/csv' if form == 'csv' else 'application/xml'}" in upstream.heads[0].lower()


PAGE = b"\n<!doctype html><html><head><title>Get your\n data</title></head></html>"


@pytest.mark.parametrize(
    ("form", "reply", "error", "came"),
    [
        ("csv", answer(PAGE, kind="text/csv"), SourceMalformed, "an HTML page 'Get your data'"),
        ("csv", answer(PAGE, kind="text/html"), SourceMalformed, "an HTML page 'Get your data'"),
        ("csv", answer(CSV, kind="text/html"), SourceMalformed, "content type text/html"),
        ("csv", answer(CSV, kind="application/json"), SourceMalformed, "content type application/json"),
        ("csv", answer(b'{"message": "key s3cret-key: slow down"}', kind="text/csv"), SourceMalformed, "JSON: key …: slow down"),
        ("csv", answer(b"", kind="text/csv"), SourceMalformed, "an empty answer"),
        ("csv", answer(b"PK\x03\x04\x00\x00", kind="text/csv"), SourceMalformed, "bytes that are no text"),
        ("csv", answer(b"<html><title>Just a moment...</title>", kind="text/csv"), SourceRefused, "HTTP 200, a page that asks whether we are human"),
        ("csv", answer(b"a,b\n" * 2000, kind="text/csv"), SourceUnavailable, "an answer without end"),
        ("csv", answer(b"no such series", "404 Not Found", "text/plain"), SourceMalformed, "HTTP 404: no such series"),
        ("csv", answer(CSV, kind="text/csv", content_encoding="br"), SourceMalformed, "content-encoding br"),
        ("csv", answer(b"slow down", "429 Too Many", "text/plain"), SourceRateLimited, "HTTP 429: slow down"),
        ("xml", answer(PAGE, kind="text/xml"), SourceMalformed, "an HTML page 'Get your data'"),
        ("xml", answer(b'<?xml version="1.0"?>\n<!-- x --><html><title>Out</title></html>', kind="text/xml"), SourceMalformed, "an HTML page 'Out'"),
        ("xml", answer(XML, kind="text/html"), SourceMalformed, "content type text/html"),
        ("xml", answer(XML, kind="text/csv"), SourceMalformed, "content type text/csv"),
        ("xml", answer(b"Service s3cret-key down", kind="text/xml"), SourceMalformed, "text 'Service … down'"),
        ("xml", answer(b"\x00\x01", kind="text/xml"), SourceMalformed, "bytes that are no text"),
        ("xml", answer(b" ", kind="text/xml"), SourceMalformed, "an empty answer"),
        ("xml", answer(b"<html>captcha</html>", "403 Forbidden", "text/html"), SourceRefused, "HTTP 403, a page that asks whether we are human"),
    ],
    ids=lambda value: "" if isinstance(value, bytes | type) else str(value)[:40],
)  # fmt: skip
async def test_what_is_not_the_csv_or_xml_asked_for_says_what_it_is(
    upstream: Upstream, form, reply: bytes, error: type[SourceError], came: str
):
    upstream.reply = reply
    async with opened() as http:
        with pytest.raises(SourceError) as caught:
            await http.get_text("ecb", f"{upstream.url}/x.xml", {"apikey": "s3cret-key"}, form=form)
    assert (type(caught.value), caught.value.came, caught.value.endpoint) == (error, came, "/x.xml")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)]
)
async def test_compressed_answers(upstream: Upstream, encoding: str, pack: Callable[[bytes], bytes]):
    upstream.reply = answer(pack(b'{"a": 1}'), content_encoding=encoding)
    async with opened() as http:
        assert await http.get_json("yahoo", upstream.url) == {"a": 1}


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "text/json", "application/problem+json", "text/javascript", "text/plain;charset=UTF-8", None])  # fmt: skip
async def test_content_types_that_json_comes_with(upstream: Upstream, kind: str | None):
    upstream.reply = answer(b'\xef\xbb\xbf {"a": 1}'[3:], kind=kind)
    async with opened() as http:
        assert await http.get_json("yahoo", upstream.url) == {"a": 1}


HTML = b"<!DOCTYPE html><html><head><title>Will be\n right back</title></head>"


@pytest.mark.parametrize(
    ("reply", "error", "came"),
    [
        (answer(b""), SourceMalformed, "an empty answer"),
        (answer(b" \r\n"), SourceMalformed, "an empty answer"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", SourceMalformed, "HTTP 204"),
        (answer(HTML, kind="text/html"), SourceMalformed, "an HTML page 'Will be right back'"),
        (answer(HTML), SourceMalformed, "an HTML page 'Will be right back'"),
        (answer(b"Exceeded the daily hits limit", kind="text/plain"), SourceMalformed, "text 'Exceeded the daily hits limit'"),
        (answer(b'{"a": 1}', kind="text/html"), SourceMalformed, "content type text/html"),
        (answer(b'{"a": 1'), SourceMalformed, "broken JSON (Expecting ',' delimiter: line 1 column 8 (char 7))"),
        (answer(b'{"a": NaN}'), SourceMalformed, "NaN in place of a number"),
        (answer(b'{"a": -Infinity}'), SourceMalformed, "-Infinity in place of a number"),
        (answer(b"[" * 4000), SourceMalformed, "JSON nested too deep"),
        (answer(b'{"a": "\xff\xfe"}'), SourceMalformed, "broken JSON ('utf-8' codec can't decode byte 0xff in position 7: invalid start byte)"),
        (answer(b"{}", content_encoding="br"), SourceMalformed, "content-encoding br"),
        (answer(b"\x1f\x8bnot gzip", content_encoding="gzip"), SourceMalformed, "a body that is not the gzip it says it is"),
        (answer(gzip.compress(b'{"a": 1}')[:-9], content_encoding="gzip"), SourceUnavailable, "a compressed answer that breaks off"),
        (answer(b"[" + b" " * 5000 + b"]"), SourceUnavailable, "an answer without end"),
        (answer(gzip.compress(b"[" + b" " * 9_000_000), content_encoding="gzip"), SourceUnavailable, "an answer without end"),
        (answer(b'{"error": "boom"}', "500 Internal Server Error"), SourceUnavailable, "HTTP 500: boom"),
        (answer(HTML, "503 Service Unavailable", "text/html"), SourceUnavailable, "HTTP 503: Will be right back"),
        (answer(b"Too Many Requests\r\n", "429 Too Many", "text/plain"), SourceRateLimited, "HTTP 429: Too Many Requests"),
        (answer(b'{"status":{"error_code":10002,"error_message":"API Key Missing"}}', "401 Unauthorized"), SourceRefused, "HTTP 401, the key is missing or wrong: API Key Missing"),
        (answer(b"key s3cret-key is blocked", "403 Forbidden", "text/plain"), SourceRefused, "HTTP 403, access denied: key … is blocked"),
        (answer(b"", "418 Teapot"), SourceRefused, "HTTP 418, banned for a while for asking too often"),
        (answer(b"", "451 Legal"), SourceRefused, "HTTP 451, not available from this place"),
        (answer(b'{"chart":{"error":{"code":"Not Found","description":"No data found"}}}', "404 Not Found"), SourceMalformed, "HTTP 404: No data found"),
        (answer(b"", "302 Found", location="https://consent.yahoo.com/v2/collectConsent"), SourceRefused, "a redirect to a page that asks for consent"),
        (answer(b"", "301 Moved", location="https://elsewhere.example/"), SourceMalformed, "HTTP 301, a redirect"),
        (answer(b"<html><title>Just a moment...</title>", "403 Forbidden", "text/html", cf_mitigated="challenge"), SourceRefused, "HTTP 403, a page that asks whether we are human"),
        (answer(b"<html><form action='/__verify'>", kind="text/html"), SourceRefused, "HTTP 200, a page that asks whether we are human"),
        (b"\x00\x01 no http\r\n\r\n", SourceUnavailable, None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", SourceUnavailable, None),
    ],
    ids=lambda value: "" if isinstance(value, bytes | type) else str(value)[:40],
)  # fmt: skip
async def test_whatever_else_comes_is_an_error_that_says_so(
    upstream: Upstream, reply: bytes, error: type[SourceError], came: str | None
):
    async def and_close(writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()

    async with opened() as http:
        caught = await failure(http, upstream, reply if came else and_close)
        assert type(caught) is error
        assert caught.came == (came or caught.came)
        assert caught.came
        # and the client still works
        upstream.reply = answer(b'{"a": 1}')
        assert await http.get_json("yahoo", upstream.url) == {"a": 1}


async def test_a_cap_of_the_callers_own_is_the_lower_one(upstream: Upstream):
    async with opened() as http:
        caught = await failure(http, upstream, answer(b"[" + b" " * 500 + b"]"), at_most=100)
        assert str(caught).endswith("expected at most 100 bytes")
        upstream.reply = answer(b"[" + b" " * 5000 + b"]")
        with pytest.raises(SourceUnavailable, match="at most 4096 bytes"):
            await http.get_json("yahoo", upstream.url, at_most=1 << 20)


async def test_a_number_too_long_to_be_read_is_broken_json(upstream: Upstream):
    async with opened(HttpSettings(max_bytes=20_000)) as http:
        caught = await failure(http, upstream, answer(b'{"a": ' + b"9" * 10_000 + b"}"))
    assert caught.came.startswith("broken JSON (Exceeds the limit")


async def test_silence_a_drip_and_an_endless_body_end_in_time(upstream: Upstream):
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[")
        while not writer.is_closing():
            writer.write(b"1," * 500)
            await writer.drain()
            await asyncio.sleep(0)

    async def bomb(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\r\n")
        pack = zlib.compressobj(9, wbits=31)
        while not writer.is_closing():
            writer.write(pack.compress(b" " * 1_000_000))
            await writer.drain()
            await asyncio.sleep(0)

    async with opened() as http:
        assert (await failure(http, upstream, silent)).came == "silence for 0.5 s"
        assert (await failure(http, upstream, drip)).came == "no whole answer within 1 s"
        assert (await failure(http, upstream, endless)).came == "an answer without end"
        assert (await failure(http, upstream, bomb)).came == "an answer without end"
        assert http.open_connections() == 0


async def test_nobody_there():
    async with opened() as http:
        with pytest.raises(SourceUnavailable, match="no connection"):
            await http.get_json("yahoo", f"http://127.0.0.1:{free_port()}/x")
        assert http.open_connections() == 0


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "http://[::1", "127.0.0.1:80/x"])
async def test_an_address_that_is_none(url: str):
    async with opened() as http:
        with pytest.raises((SourceRefused, SourceUnavailable)):
            await http.get_json("yahoo", url)


async def test_being_cancelled_leaves_no_connection(upstream: Upstream):
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    upstream.reply = silent
    async with opened() as http:
        asking = asyncio.create_task(http.get_json("yahoo", upstream.url))
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert http.open_connections() == 0


async def test_what_runs_on_this_machine_is_not_asked_for_through_a_proxy(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    async with opened() as http:
        assert await http.get_json("yahoo", upstream.url) == {}
        assert http.open_connections() == 1


async def test_retry_after_reaches_the_error(upstream: Upstream):
    async with opened() as http:
        caught = await failure(http, upstream, answer(b"", "429 Too Many", Retry_After="7"))
    assert isinstance(caught, SourceRateLimited)
    assert caught.retry_after == 7


NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("1e9", LONGEST_WAIT_S),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120.0),
        (format_datetime(NOW - timedelta(minutes=2), usegmt=True), 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None):
    assert retry_after(value, NOW) == seconds
