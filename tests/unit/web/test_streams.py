"""Event streams over a real server: what comes, how many may listen, who is dropped, and how they end."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx2

from evertick.model import SlotState
from evertick.web.streams import Streams, beating, frame
from unit.web.fakes import NOW, serving, snapshot, world

STREAM = "/api/v1/indices/stream"


class Listener:
    """Reads events as they come: ``(event, id, data)``, comments as ``(None, None, None)``."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self._lines = answer.iter_lines()

    def next(self, heartbeats: bool = False):
        event = id = data = None
        for line in self._lines:
            if line.startswith("event: "):
                event = line[7:]
            elif line.startswith("id: "):
                id = line[4:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line.startswith(":") and heartbeats:
                return None, None, None
            elif not line and event:
                return event, id, data
        return None


@contextmanager
def listening(url: str, path: str = STREAM, **headers: str):
    with httpx2.Client(timeout=10) as client, client.stream("GET", url + path, headers=headers) as answer:
        yield Listener(answer)


def test_the_document_comes_at_once_and_at_every_update(filled):
    with serving(filled) as url, listening(url) as listener:
        assert listener.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert listener.answer.headers["cache-control"] == "no-store"
        event, id, document = listener.next()
        assert (event, id) == ("indices", "2026-11-24T14:30:00Z")
        assert document["quotes"][0]["id"] == "SPX" and "spark" not in document["quotes"][0]
        filled.call(filled.board.put, snapshot(2, NOW.replace(minute=33)))
        assert listener.next()[1] == "2026-11-24T14:33:00Z"
        filled.call(filled.board.put, snapshot(3, NOW.replace(minute=36)))
        assert listener.next()[1] == "2026-11-24T14:36:00Z"


def test_sparklines_on_request(filled):
    with serving(filled) as url, listening(url, f"{STREAM}?spark=true") as listener:
        assert len(listener.next()[2]["quotes"][0]["spark"]) == 32


def test_who_returns_is_not_told_again(filled):
    with serving(filled) as url, listening(url, **{"Last-Event-ID": "2026-11-24T14:30:00Z"}) as listener:
        filled.call(filled.board.put, snapshot(2, NOW.replace(minute=33)))
        assert listener.next()[1] == "2026-11-24T14:33:00Z"


def test_an_idle_stream_has_a_heartbeat():
    quiet = world(heartbeat_s=0.05)
    with serving(quiet) as url, listening(url) as listener:
        assert listener.next()[0] == "indices"
        assert listener.next(heartbeats=True) == (None, None, None)


def test_before_the_first_quotes_the_stream_waits_for_them():
    empty = world(filled=False, heartbeat_s=0.05)
    with serving(empty) as url, listening(url) as listener:
        assert listener.next(heartbeats=True) == (None, None, None)
        empty.call(empty.board.put, snapshot())
        assert listener.next()[1] == "2026-11-24T14:30:00Z"


def test_the_number_of_listeners_is_bounded_and_places_come_back(filled):
    few = world(stream_clients=2)
    with serving(few) as url:
        with listening(url) as one, listening(url) as two:
            assert one.next() and two.next()
            refused = httpx2.get(url + STREAM)
            assert refused.status_code == 503 and refused.headers["retry-after"] == "10"
            assert refused.headers["content-type"] == "application/problem+json"
        few.until(lambda: few.web.streams.open == 0)
        with listening(url) as three:
            assert three.next()


def test_a_reader_that_takes_nothing_is_dropped():
    stalling = world(stall_s=0.3, heartbeat_s=0.05)
    with serving(stalling) as url:
        at = urlsplit(url)
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(20)
            reader.connect((at.hostname, at.port))
            reader.sendall(f"GET {STREAM}?spark=true HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            stalling.until(lambda: stalling.web.streams.open == 1)
            minute = 0
            while stalling.web.streams.open and minute < 400:  # more than all buffers between us hold
                minute += 1
                stalling.call(stalling.board.put, snapshot(minute, NOW.replace(microsecond=minute)))
                stalling.pause(0.02)
            assert stalling.web.streams.open == 0
            with suppress(ConnectionResetError):  # else recv runs into its time-out
                while reader.recv(1 << 16):
                    pass
        assert httpx2.get(url + "/healthz").status_code == 200


def test_streams_end_when_the_server_stops(filled):
    with serving(filled) as url:
        with httpx2.Client(timeout=10) as client, client.stream("GET", url + STREAM) as answer:
            listener = Listener(answer)
            assert listener.next()
            filled.call(filled.web.stop)
            assert listener.next() is None
        assert httpx2.get(url + STREAM).status_code == 503


def test_a_job_is_followed_to_its_end(filled):
    filled.runner.script = [
        {"state": SlotState.LEASED, "progress": {"done": 0.1, "stage": "collect"}},
        {"progress": {"done": 0.8, "stage": "render"}},
        {"state": SlotState.DONE, "result": {"report": "20261124T143000-1"}},
    ]
    with serving(filled) as url:
        ordered = httpx2.post(url + "/api/v1/reports")
        assert ordered.status_code == 202
        with listening(url, ordered.headers["location"] + "/stream") as listener:
            seen = []
            while event := listener.next():
                assert event[0] == "job"
                seen.append((event[2]["state"], (event[2]["progress"] or {}).get("stage")))
        assert seen == [("due", None), ("leased", "collect"), ("leased", "render"), ("done", "render")]
        filled.until(lambda: filled.runner.listening == 0)


def test_a_job_that_ended_is_told_once(filled):
    slot = asyncio.run(filled.ledger.submit("default", "report", {}, NOW))
    filled.ledger.slots[slot.id] = slot.with_(state=SlotState.FAILED, error="no quotes")
    with serving(filled) as url, listening(url, f"/api/v1/jobs/{slot.id}/stream") as listener:
        assert listener.next()[2]["error"] == "no quotes"
        assert listener.next() is None
    assert filled.runner.listening == 0


def test_nobody_listens_to_a_job_that_is_none(filled):
    with serving(filled) as url:
        assert httpx2.get(url + "/api/v1/jobs/none/stream").status_code == 404


def test_a_listener_that_leaves_frees_everything(filled):
    filled.runner.script = []
    slot = asyncio.run(filled.ledger.submit("default", "report", {}, NOW))
    with serving(filled) as url:
        with listening(url, f"/api/v1/jobs/{slot.id}/stream") as listener:
            assert listener.next()
            filled.until(lambda: filled.runner.listening == 1)
        filled.until(lambda: filled.runner.listening == 0 and filled.web.streams.open == 0)


def test_places():
    streams = Streams(1)
    with streams.place() as first, streams.place() as second:
        assert (first, second, streams.open) == (True, False, 1)
    with streams.place() as third:
        assert third
    assert streams.open == 0


def test_frames():
    assert frame(b'{"a":1}', event="job") == b'event: job\ndata: {"a":1}\n\n'
    assert frame(b"1", event="indices", id="x") == b"event: indices\ndata: 1\nid: x\n\n"


async def test_beating_passes_on_and_fills_the_silence():
    async def updates():
        yield 1
        await asyncio.sleep(0.05)
        yield 2

    seen = [update async for update in beating(updates(), asyncio.Event(), 0.01)]
    assert [u for u in seen if u is not None] == [1, 2]
    assert None in seen


async def test_beating_stops_when_told():
    stopping = asyncio.Event()

    async def never():
        stopping.set()
        await asyncio.Event().wait()
        yield 1

    assert [u async for u in beating(never(), stopping, 5)] == []
