from __future__ import annotations

import gzip
from math import inf, nan

import pytest
from starlette.requests import Request

from evertick.simulator.answers import COMPRESS_FROM, Answer, encode, respond


def request(accept: str = "") -> Request:
    headers = [(b"accept-encoding", accept.encode())] if accept else []
    return Request({"type": "http", "headers": headers})


def test_json_is_compact_and_may_hold_what_json_does_not_know() -> None:
    assert encode({"a": [1, nan, inf], "tên": "Việt"}) == '{"a":[1,NaN,Infinity],"tên":"Việt"}'.encode()


def test_status_and_headers_go_through() -> None:
    answer = respond(request(), Answer({}, 404, {"x-one": "1"}))
    assert answer.status_code == 404
    assert answer.headers["x-one"] == "1"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("accept", "size", "packed"), [("gzip, br", 5000, True), ("br", 5000, False), ("gzip", 10, False)]
)
def test_large_answers_are_compressed_for_who_takes_it(accept: str, size: int, packed: bool) -> None:
    text = "x" * size
    answer = respond(request(accept), Answer(text))
    assert (answer.headers.get("content-encoding") == "gzip") is packed
    body = gzip.decompress(answer.body) if packed else answer.body
    assert body == encode(text)
    assert (len(answer.body) < COMPRESS_FROM) is (packed or size < COMPRESS_FROM)
