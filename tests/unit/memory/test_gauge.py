import os
import socket
import subprocess
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
    # In a process of its own: one that has run other tests may have 30 MB lying about, which no peak would show.
    code = """
from evertick.memory import gauge
print(gauge.reset_peak(), gauge.peak_rss())
block = bytearray(b"x") * (30 << 20)
print(gauge.peak_rss())
del block
print(gauge.reset_peak(), gauge.peak_rss())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert (said[0], said[3]) == ("True", "True")
    low, high, again = int(said[1]), int(said[2]), int(said[4])
    assert high - low >= 25 << 20
    assert again < high


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


def test_the_lowest_limit_of_the_cgroups_above_a_process_counts(tmp_path):
    own = tmp_path / "own"
    own.write_text("4:memory:/elsewhere\n0::/system.slice/evertick.service\n")
    service = tmp_path / "system.slice" / "evertick.service"
    service.mkdir(parents=True)
    assert limit(None, tmp_path, own) == (gauge.DEFAULT_LIMIT, "default")
    (service / "memory.max").write_text("402653184\n")
    assert limit(None, tmp_path, own) == (384 << 20, "cgroup")
    (service / "memory.high").write_text("max\n")
    (service.parent / "memory.max").write_text("335544320\n")
    assert limit(None, tmp_path, own) == (320 << 20, "cgroup")
