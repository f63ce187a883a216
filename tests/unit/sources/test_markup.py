from __future__ import annotations

import tracemalloc

import pytest

from evertick.errors import SourceMalformed
from evertick.sources.markup import elements

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">'
    + b"".join(b'<!ENTITY %c "%s">' % (99 + n, b"&%c;" % (98 + n) * 10) for n in range(9))
    + b"]><a>&k;</a>"
)


def test_elements_come_in_order_without_their_namespaces():
    body = b'<?xml version="1.0"?><x:a xmlns:x="urn:x" xmlns="urn:y"><b c="1" x:d="2"/>text<!-- <e/> --><b/></x:a>'
    assert list(elements("x", "/", body)) == [("a", {}), ("b", {"c": "1", "urn:x d": "2"}), ("b", {})]


def test_a_large_document_is_read_piece_by_piece():
    body = b"<a>" + b"<b/>" * 50_000 + b"</a>"
    found = elements("x", "/", body)
    assert next(found) == ("a", {})
    tracemalloc.start()
    assert sum(1 for _ in found) == 50_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20  # 4,000 elements of a piece, not 50,000


def test_deep_nesting_is_no_recursion():
    assert sum(1 for _ in elements("x", "/", b"<a>" * 50_000 + b"</a>" * 50_000)) == 50_000


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (BOMB, "XML with a document type"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>', "XML with a document type"),
        (b'<!DOCTYPE a SYSTEM "http://h/a.dtd"><a/>', "XML with a document type"),
        (BOMB.decode().replace("?>", ' encoding="UTF-16"?>', 1).encode("utf-16"), "XML with a document type"),
        (b"<a>&b;</a>", "broken XML (undefined entity: line 1, column 3)"),
        (b"<a><b></a>", "broken XML (mismatched tag: line 1, column 8)"),
        (b"<a>", "broken XML (no element found: line 1, column 3)"),
        (b"", "broken XML (no element found: line 1, column 0)"),
        (b'<?xml version="1.0" encoding="x-none"?><a/>', "broken XML (unknown encoding: x-none)"),
    ],
)
def test_what_is_not_plain_xml_is_refused(body: bytes, came: str):
    with pytest.raises(SourceMalformed) as caught:
        list(elements("x", "/", body))
    assert caught.value.came.startswith(came)


@pytest.mark.parametrize("encoding", ["utf-7", "base64", "idna", "rot13", "undefined"])
def test_encodings_that_are_none_are_our_error(encoding: str):
    with pytest.raises(SourceMalformed):
        list(elements("x", "/", f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode()))
