"""The head of a request has a size and a time."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from evertick.web import connection
from unit.web.fakes import serving


@contextmanager
def raw(url: str):
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), 10) as opened:
        yield opened


def told(opened: socket.socket) -> bytes:
    """Everything until the other side closes; what it resets counts as closed."""
    got = b""
    try:
        while piece := opened.recv(1 << 16):
            got += piece
    except ConnectionResetError:
        pass
    return got


@pytest.fixture
def url(filled):
    with serving(filled) as url:
        yield url


def test_a_usual_head_passes(url):
    assert httpx2.get(url + "/healthz", headers={"X-Long": "x" * 8000}).status_code == 200


def test_many_headers_are_refused(url):
    with raw(url) as opened:
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"y" * 100 + b"\r\n")
        for _ in range(40):
            try:
                opened.sendall(b"X-B: " + b"z" * 1000 + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                break
        assert told(opened).startswith(b"HTTP/1.1 431 ")


def test_one_header_without_end_is_refused(url):
    with raw(url) as opened:
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        sent = 0
        while sent < 4 << 20:
            try:
                opened.sendall(b"y" * 8192)
            except (BrokenPipeError, ConnectionResetError):
                break
            sent += 8192
        assert sent < 4 << 20
        assert told(opened)[:13] in (b"HTTP/1.1 431 ", b"")


def test_a_long_address_is_refused(url):
    with raw(url) as opened:
        opened.sendall(b"GET /" + b"x" * (40 << 10) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert told(opened).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("start", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc"])
def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch, filled, start):
    monkeypatch.setattr(connection, "HEAD_S", 0.2)
    with serving(filled) as url, raw(url) as opened:
        opened.sendall(start)
        assert told(opened) == b""


def test_requests_on_one_connection_have_a_deadline_each(monkeypatch, filled):
    monkeypatch.setattr(connection, "HEAD_S", 0.4)
    with serving(filled) as url, raw(url) as opened:
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert opened.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        opened.sendall(b"GET /heal")
        assert told(opened) == b""


def test_an_answer_may_take_longer_than_a_head(monkeypatch, filled):
    monkeypatch.setattr(connection, "HEAD_S", 0.1)
    with serving(filled) as url, raw(url) as opened:
        opened.sendall(b"GET /api/v1/indices/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = opened.recv(1 << 16)
        filled.pause(0.3)
        opened.settimeout(0.2)
        with pytest.raises(TimeoutError):
            while True:
                assert opened.recv(1 << 16), "closed"
        assert got.startswith(b"HTTP/1.1 200 ")
