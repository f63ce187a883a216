from __future__ import annotations

import pytest

from evertick.web.replies import gzip_wanted, matches


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("gzip", True), ("GZIP;q=1", True), ("deflate, gzip;q=0.5, *;q=0", True), ("*", True), ("x-gzip", True),
        ("", False), ("identity", False), ("gzip;q=0", False), ("gzip;q=0.000, *", False), ("br", False), ("*;q=0", False),
        ("gzip; q = 0.001", True),
    ],
)  # fmt: skip
def test_who_takes_gzip(header, wanted):
    assert gzip_wanted(header) is wanted


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ('"a"', True),
        ('"b", "a"', True),
        ('W/"a"', True),
        ("*", True),
        ('"b"', False),
        ("", False),
        (None, False),
        ("a", False),
    ],
)
def test_known_tags(header, known):
    assert matches(header, '"a"') is known
