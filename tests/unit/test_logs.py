import io
import json
import logging

import pytest
import structlog

from evertick import logs


@pytest.fixture(autouse=True)
def as_before():
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /q?apikey=abc123&s=1", "GET /q?apikey=•••&s=1"),
        ("redis://user:pass@host/0", "redis://user:•••@host/0"),
        ("postgresql://u:p%40ss@db:5432/x failed", "postgresql://u:•••@db:5432/x failed"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer •••"),
        ("nothing secret at 12:30", "nothing secret at 12:30"),
    ],
)
def test_mask(text, masked):
    assert logs.mask(text) == masked


def test_json_lines_carry_no_secret():
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    structlog.get_logger().info("opened", url="redis://:hunter2@host", api_token="hunter2", n=3)
    structlog.get_logger().debug("unseen")
    [line] = lines(stream)
    assert (line["event"], line["n"], line["level"]) == ("opened", 3, "info")
    assert "hunter2" not in stream.getvalue()


def test_what_libraries_say_comes_in_the_same_form():
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    logging.getLogger("somelib").warning("pool of %s is full", "db")
    logging.getLogger("somelib").info("chatter")
    [line] = lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("pool of db is full", "somelib", "warning")


def test_the_console_form_is_one_plain_line_off_a_terminal():
    stream = io.StringIO()
    logs.configure("console", "info", stream)
    structlog.get_logger().info("🧹 memory released", job="report", freed="7.1MB")
    [line] = stream.getvalue().splitlines()
    assert "🧹 memory released" in line
    assert "job=report" in line
    assert "\x1b" not in line


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_costs_the_line_and_not_the_work():
    logs.configure("console", "info", FullDisk())
    structlog.get_logger().warning("first")
    logging.getLogger("somelib").warning("second")
    full, closed = FullDisk(), io.StringIO()
    closed.close()
    with pytest.raises(OSError, match="No space"):
        full.write("x")
    logs.configure("json", "info", closed)
    structlog.get_logger().warning("third")
