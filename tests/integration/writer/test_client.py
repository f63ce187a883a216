"""The writer's client against a server that speaks the protocol, and gets it wrong in every way there is."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from evertick.errors import WriterError
from evertick.model import SystemClock
from evertick.reports.writer import client
from evertick.reports.writer.client import Answer, Client
from evertick.settings import HttpSettings, WriterSettings
from evertick.sources.http import open_http
from integration.writer import stub
from servers import free_port

KEY = "sk-a-very-secret-key"
MESSAGES = [{"role": "user", "content": "FACTS\nGold: 4,060.00 (−0.13%)\nEND"}]


class Clock(SystemClock):
    """Real, but for the pauses: they are written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@asynccontextmanager
async def asking(url: str, timeout: float = 20, **more: object) -> AsyncIterator[tuple[Client, Clock]]:
    settings = WriterSettings.model_validate(
        {"base_url": url, "model": "stub-1", "api_key": KEY, "timeout": timeout, **more}
    )
    clock = Clock()
    async with open_http(HttpSettings(connect_timeout=2)) as http:
        yield Client(http, settings, clock), clock
    assert http.open_connections() == 0


async def answered(*replies: stub.Reply, **more: object) -> tuple[Answer, stub.Stub, Clock]:
    async with stub.serving(*replies) as server, asking(server.url, **more) as (writer, clock):
        return await writer.complete(MESSAGES), server, clock


async def failed(*replies: stub.Reply, timeout: float = 20) -> tuple[WriterError, stub.Stub, Clock]:
    async with stub.serving(*replies) as server:
        async with asking(server.url, timeout) as (writer, clock):
            with pytest.raises(WriterError) as caught:
                await writer.complete(MESSAGES)
        error: BaseException | None = caught.value
        while error is not None:  # nor in what it came from
            assert KEY not in str(error)
            error = error.__cause__
        return caught.value, server, clock


async def test_what_is_sent_and_what_comes_back():
    answer, server, clock = await answered(stub.says("Vàng đứng ở 4.060,00.\n- Một dòng nữa"))
    assert answer == Answer("Vàng đứng ở 4.060,00.\n- Một dòng nữa", 900, 300)
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.head.startswith("POST ")
    head = request.head.lower()
    assert f"authorization: bearer {KEY}" in head
    assert "accept-encoding: identity\r\n" in head
    assert request.body == {
        "model": "stub-1",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 1200,
    }
    assert clock.slept == []


async def test_a_local_endpoint_gets_no_key():
    _, server, _ = await answered(stub.says("Ready."), api_key=None)
    assert "authorization" not in server.requests[0].head.lower()


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 64])
async def test_the_stream_may_be_cut_anywhere(cut: int):
    events = [stub.chunk("Vàng "), b": a comment\r\n\r\n", b"event: x\r\n", stub.chunk("tăng 1,2 nghìn tỷ €."), stub.chunk(finish="stop"), stub.DONE]  # fmt: skip
    answer, _, _ = await answered(stub.stream(*events, cut=cut))
    assert answer == Answer("Vàng tăng 1,2 nghìn tỷ €.", None, None)


async def test_usage_may_be_missing_or_nonsense():
    for nonsense in ({"usage": {"prompt_tokens": -1, "completion_tokens": "many"}}, {"usage": None}, {}):
        answer, _, _ = await answered(
            stub.stream(stub.chunk("Text."), stub.chunk(finish="stop", **nonsense), stub.DONE)
        )
        assert answer == Answer("Text.", None, None)


async def test_an_end_without_done_is_an_end():
    answer, _, _ = await answered(stub.stream(stub.chunk("Text."), stub.chunk(finish="stop")))
    assert answer.text == "Text."


# --- repeated


async def test_asked_to_wait_it_waits_as_long_as_it_was_told():
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=5), usegmt=True)
    answer, server, clock = await answered(
        stub.error("429 Too Many Requests", "slow down", retry_after="3"),
        stub.error("429 Too Many Requests", "slow down", retry_after=moment),
        stub.error("503 Service Unavailable", "loading the model"),
        stub.says("Text."),
    )
    assert answer.text == "Text."
    assert len(server.requests) == 4
    assert clock.slept[0] == 3
    assert 2 < clock.slept[1] <= 5
    assert clock.slept[2] == pytest.approx(client.PAUSE_S * 4, rel=0.21)


@pytest.mark.parametrize("line", ["429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway", "503 Nope"])
async def test_it_gives_up_after_a_few_times(line: str):
    error, server, clock = await failed(stub.error(line, "try later"))
    assert str(error) == f"HTTP {line[:3]}: try later, {client.ATTEMPTS} times"
    assert not error.billed
    assert len(server.requests) == client.ATTEMPTS
    assert clock.slept == sorted(clock.slept)


async def test_it_does_not_wait_longer_than_there_is_time():
    error, server, clock = await failed(stub.error("429 Too Many Requests", "come back", retry_after="3600"))
    assert "to ask again after 3600 s would be too late" in str(error)
    assert (len(server.requests), clock.slept) == (1, [])


async def test_nobody_there():
    async with asking(f"http://127.0.0.1:{free_port()}/v1") as (writer, clock):
        with pytest.raises(WriterError, match="no connection, 4 times") as caught:
            await writer.complete(MESSAGES)
    assert not caught.value.billed
    assert len(clock.slept) == client.ATTEMPTS - 1


# --- dialects


async def test_parameters_that_an_endpoint_does_not_know_are_left_out_or_renamed():
    strict = stub.unless(
        lambda body: "stream_options" not in body,
        stub.error("422 Unprocessable Entity", "extra_forbidden: stream_options"),
        stub.unless(
            lambda body: body.get("max_completion_tokens") == 1200,
            stub.error("400 Bad Request", "Unsupported parameter: use 'max_completion_tokens' instead"),
            stub.says("Text."),
        ),
    )
    answer, server, clock = await answered(strict)
    assert answer.text == "Text."
    assert len(server.requests) == 3
    assert clock.slept == []


async def test_an_endpoint_that_never_has_enough_is_left_alone():
    error, server, _ = await failed(stub.error("400 Bad Request", "stream_options and max_completion_tokens"))
    assert len(server.requests) == 2
    assert "HTTP 400" in str(error)


# --- not repeated


@pytest.mark.parametrize(
    ("reply", "says", "billed"),
    [
        (stub.error("401 Unauthorized", f"Incorrect API key: {KEY}"), "HTTP 401: Incorrect API key: …", False),
        (stub.error("404 Not Found", "no such model"), "HTTP 404: no such model", False),
        (stub.status("402 Payment Required", b"<html><title>Pay</title></html>", "text/html"), "HTTP 402: Pay", False),
        (stub.status("302 Found", location="http://127.0.0.1:1/"), "HTTP 302", False),
        (stub.status("200 OK", b"<!doctype html><title>Welcome</title>", "text/html"), "text/html came", True),
        (stub.status("200 OK", b'{"choices": []}'), "application/json came", True),
        (stub.bomb, "an answer in gzip", True),
        (stub.resets, "the connection broke off", True),
        (stub.hangs_up, "the answer breaks off", True),
        (stub.never_ends, "without end|more than 32 KB", True),
        (stub.one_line_without_end, "an answer without end", True),
        (stub.keeps_alive_for_ever, "an answer without end", True),
        (stub.stream(stub.chunk("a"), stub.event(b'{"choices": [{'), stub.DONE), "no JSON", True),
        (stub.stream(stub.chunk("a"), stub.event(b"[" * 5000), stub.DONE), "no JSON", True),
        (stub.stream(stub.event(b"[1]"), stub.DONE), "no object", True),
        (stub.stream(stub.chunk("Gold"), stub.chunk(finish="length"), stub.DONE), "WRITER__MAX_TOKENS", True),
        (stub.stream(stub.chunk("Gold"), stub.chunk(finish="content_filter"), stub.DONE), "content filter", True),
        (stub.stream(stub.chunk("Gold"), stub.chunk(finish="tool_calls"), stub.DONE), "tool_calls", True),
        (stub.stream(stub.event(b'{"choices": []}'), stub.DONE), "without text", True),
        (stub.stream(stub.event(b'{"choices": [7]}'), stub.DONE), "without text", True),
        (stub.stream(stub.chunk("  \n"), stub.chunk(finish="stop"), stub.DONE), "without text", True),
        (stub.stream(stub.DONE), "without text", True),
        (stub.stream(stub.chunk("a"), stub.event(b'{"error": {"message": "out of memory"}}')), "out of memory", True),
        (stub.stream(stub.event(b'{"choices": [{"delta": {"refusal": "I cannot"}}]}')), "refuses", True),
    ],
)  # fmt: skip
async def test_answers_that_are_none(reply: stub.Reply, says: str, billed: bool):
    error, server, clock = await failed(reply)
    assert error.billed is billed
    assert len(server.requests) == 1
    assert clock.slept == []
    with pytest.raises(WriterError, match=says):
        raise error


async def test_a_stall_ends_with_the_time_there_is():
    error, _, _ = await failed(stub.stalls, timeout=0.3)
    assert "0.3 s" in str(error)
    assert error.billed


async def test_an_answer_without_end_takes_no_memory():
    async with stub.serving(stub.keeps_alive_for_ever) as server, asking(server.url) as (writer, _):
        tracemalloc.start()
        try:
            with pytest.raises(WriterError, match="without end"):
                await writer.complete(MESSAGES)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 1 << 20  # of the 1 MB that came


async def test_who_stops_waiting_closes_the_connection():
    async with stub.serving(stub.stalls) as server, asking(server.url) as (writer, _):
        task = asyncio.create_task(writer.complete(MESSAGES))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await server.gone.wait()
