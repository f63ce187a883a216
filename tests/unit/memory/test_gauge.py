import os
import socket
import sys

import pytest

from evertick.memory import gauge
from evertick.memory.gauge import Allocator, Gauge, limit

linux = sys.platform == "linux"


def test_heap_counts_a_large_block_and_its_return():
    allocator = Allocator()
    before = allocator.heap()
    assert before is not None
    block = bytearray(9 << 20)
    held = allocator.heap()
    assert held is not None and held - before >= 9 << 20
    del block
    after = allocator.heap()
    assert after is not None and after - before < 64 << 10


def test_descriptors_and_sockets_are_counted():
    fds, socks = gauge.descriptors(), gauge.sockets()
    assert fds is not None and socks is not None
    with socket.socket():
        assert gauge.descriptors() == fds + 1
        assert gauge.sockets() == socks + 1
    assert gauge.descriptors() == fds


def test_peak_is_of_the_time_since_the_reset():
    assert gauge.reset_peak()
    low = gauge.peak_rss()
    block = bytearray(b"x") * (30 << 20)
    high = gauge.peak_rss()
    del block
    assert low is not None and high is not None and high - low >= 25 << 20
    assert gauge.reset_peak()
    again = gauge.peak_rss()
    assert again is not None and again < high


def test_private_bytes_are_part_of_proportional_ones():
    shared = gauge.shared_out()
    rss = gauge.rss()
    assert shared is not None and rss is not None
    assert 0 < shared["uss"] <= shared["pss"] <= rss * 1.05


def test_a_missing_source_is_none_not_zero(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_args: object, **_kwargs: object) -> object:
        raise FileNotFoundError("no /proc here")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(os, "listdir", refuse)
    assert (gauge.rss(), gauge.peak_rss(), gauge.shared_out(), gauge.descriptors(), gauge.sockets()) == (None,) * 5
    assert gauge.reset_peak() is False


def test_connections_come_from_the_pools():
    assert Gauge(lambda: 3).sample().connections == 3
    assert Gauge().sample().connections is None


@pytest.mark.parametrize(
    ("written", "setting", "expected"),
    [
        ("536870912\n", None, (536870912, "cgroup")),
        ("max\n", None, (gauge.DEFAULT_LIMIT, "default")),
        ("536870912\n", 99 << 20, (99 << 20, "setting")),
        (None, None, (gauge.DEFAULT_LIMIT, "default")),
        ("9223372036854771712\n", None, (gauge.DEFAULT_LIMIT, "default")),
    ],
)
def test_limit(tmp_path, written, setting, expected):
    if written is not None:
        (tmp_path / "memory.max").write_text(written)
    assert limit(setting, cgroup=tmp_path) == expected
