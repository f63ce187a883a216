"""Real servers for the tests: a Redis and a PostgreSQL of their own, on free ports, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def find(program: str, *, also: str = "") -> str:
    """The path of ``program``; a missing one is an error, not a skip: `make test` installs what the tests need."""
    found = shutil.which(program)
    if not found and also:
        found = max((str(p) for p in Path("/").glob(also.lstrip("/"))), default=None)
    if not found:
        raise RuntimeError(f"{program} is missing; run: make test-tools (or install it with your package manager)")
    return found


class Server:
    """A server process that can be stopped, killed and started again on the same port and data."""

    def __init__(
        self, command: list[str], port: int, user: str | None = None, ready: Callable[[int], bool] = lambda port: True
    ) -> None:
        self.command, self.port, self.user, self.ready = command, port, user, ready
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self.user, cwd="/"
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                if self.ready(self.port):
                    return
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.command[0]} ended with {self.process.returncode} at its start")
            time.sleep(0.02)
        raise RuntimeError(f"{self.command[0]} did not listen within 30 s")

    def kill(self) -> None:
        """As ``kill -9`` does."""
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Server]:
    port = free_port()
    server = Server(
        [find("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)], port
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _postgres_ready(port: int) -> bool:
    """It listens some time before it answers ("the database system is starting up")."""
    import psycopg

    try:
        psycopg.connect(f"postgresql://evertick@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def postgres_server(folder: Path) -> Iterator[Server]:
    """A cluster in ``folder``, trusting local connections of the user ``evertick``, fsync off."""
    programs = Path(find("initdb", also="/usr/lib/postgresql/*/bin/initdb")).parent
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = "postgres" if "postgres" in {p.pw_name for p in pwd.getpwall()} else "nobody"
    data = folder / "pg"
    data.mkdir()
    if user:
        shutil.chown(data, user)
        for parent in [folder, *folder.parents]:  # pytest's folders are 0700; the server only passes through
            if parent.stat().st_mode & 0o001 == 0 and parent.owner() == pwd.getpwuid(os.geteuid()).pw_name:
                parent.chmod(parent.stat().st_mode | 0o011)
    subprocess.run(
        [str(programs / "initdb"), "-D", str(data), "-U", "evertick", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
         "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, user=user, cwd="/",
    )  # fmt: skip
    port = free_port()
    options = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "60",
               "shared_buffers": "64MB", "unix_socket_directories": str(data), "listen_addresses": "127.0.0.1"}  # fmt: skip
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    server = Server(command, port, user, _postgres_ready)
    server.start()
    try:
        yield server
    finally:
        server.stop()
