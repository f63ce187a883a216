"""Real servers for the tests: those that the soak starts for itself.

A missing program is an error, not a skip: `make test` installs what the tests need.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evertick.soak.servers import Server, find, free_port, postgres_server, redis_server

__all__ = ["Server", "find", "free_port", "postgres_server", "redis_server", "s3_server"]


@contextmanager
def s3_server(folder: Path) -> Iterator[Server]:
    """A store that speaks S3 and keeps everything in memory, without buckets; `make .venv/s3` installs it."""
    program = Path(__file__).parent.parent / ".venv" / "s3" / "bin" / "moto_server"
    if not program.exists():
        raise RuntimeError(f"{program} is missing; run: make .venv/s3")
    port = free_port()
    server = Server([str(program), "-H", "127.0.0.1", "-p", str(port)], port, folder / "s3.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()
