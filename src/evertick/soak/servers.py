"""A Redis and a PostgreSQL of one's own, from the installed programs: on free ports of the loopback, gone afterwards.

They can be stopped, killed and started again on the same port and data, as the soak's faults and the tests do. Blocking:
from an event loop, call them in a thread.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from evertick.errors import SoakError

START_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0
_PACKAGES = {"redis-server": "redis-server", "initdb": "postgresql"}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def find(program: str, *, also: str = "") -> str:
    """The path of ``program``, on the ``PATH`` or matching the pattern ``also``. Raises `SoakError` that says what to install."""
    found = shutil.which(program)
    if not found and also:
        found = max((str(p) for p in Path("/").glob(also.lstrip("/"))), default=None)
    if not found:
        package = _PACKAGES.get(program, program)
        raise SoakError(
            f"The program {program} is not installed",
            hint=f"Install it with your package manager (Debian: apt-get install {package})",
        )
    return found


class Server:
    """A server process on a port of the loopback. What it says goes to ``log``, whose end is quoted when it does not start."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        *,
        user: str | None = None,
        ready: Callable[[int], bool] = lambda port: True,
        stop_with: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command, self.port, self.log = list(command), port, log
        self.process: subprocess.Popen[bytes] | None = None
        self._user, self._ready, self._stop_with = user, ready, stop_with

    @property
    def name(self) -> str:
        return Path(self.command[0]).name

    def start(self) -> None:
        """Returns when it answers. Raises `SoakError`."""
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline:
            if self.process is None:
                self._spawn()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                if self._ready(self.port):
                    return
            if self.process is not None and self.process.poll() is not None:
                # One that was killed may leave children that hold its port and memory for a moment.
                self.process = None
                time.sleep(0.2)
            time.sleep(0.02)
        self.kill()
        raise SoakError(f"{self.name} did not answer on port {self.port} within {START_WITHIN_S:g} s: {self._said()}")

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            # In a session of its own: a Ctrl-C in the terminal is for the soak, which stops its servers in order.
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                cwd="/",
                start_new_session=True,
            )

    def _said(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def kill(self) -> None:
        """As ``kill -9`` does."""
        if self.process:
            self.process.kill()
            self.process.wait(STOP_WITHIN_S)
            self.process = None

    def stop(self) -> None:
        """In order, also while clients are connected."""
        if self.process:
            self.process.send_signal(self._stop_with)
            try:
                self.process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None


@contextmanager
def redis_server(folder: Path) -> Iterator[Server]:
    """A Redis that writes nothing to disk: killed, it comes back empty. Raises `SoakError`."""
    port = free_port()
    command = [find("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = Server(command, port, folder / "redis.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def postgres_server(folder: Path) -> Iterator[Server]:
    """A cluster in ``folder`` that trusts local connections of the user ``evertick``. Raises `SoakError`.

    Run by root it belongs to the user ``postgres`` (PostgreSQL refuses root), and lies in the folder for temporary files
    where that user may not enter ``folder``. Nothing is forced to the disk: it survives ``kill -9``, not a power cut.
    """
    programs = Path(find("initdb", also="/usr/lib/postgresql/*/bin/initdb")).resolve().parent
    user = None
    if os.geteuid() == 0:
        user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
    with _cluster(folder, user) as data:
        _run(
            [str(programs / "initdb"), "-D", str(data), "-U", "evertick", "-A", "trust", "-E", "UTF8",
             "--locale=C.UTF-8", "--no-sync"],
            user,
        )  # fmt: skip
        port = free_port()
        # A commit is handed to the kernel before it is answered (synchronous_commit), or kill -9 would lose it.
        options = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on", "max_connections": "60",
                   "shared_buffers": "64MB", "unix_socket_directories": str(data), "listen_addresses": "127.0.0.1"}  # fmt: skip
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        server = Server(
            command, port, folder / "postgres.log", user=user, ready=_postgres_ready, stop_with=signal.SIGINT
        )
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def _cluster(folder: Path, user: str | None) -> Iterator[Path]:
    """An empty folder of ``user`` that it can reach."""
    if user is None or all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.resolve().parents)):
        data = folder / "pg"
        data.mkdir()
        if user:
            shutil.chown(data, user)
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="evertick-postgres-", ignore_cleanup_errors=True) as elsewhere:
        shutil.chown(elsewhere, user)
        yield Path(elsewhere)


def _run(command: Sequence[str], user: str | None) -> None:
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", user=user, cwd="/"
    )
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
        raise SoakError(f"{Path(command[0]).name} failed: {said}")


def _postgres_ready(port: int) -> bool:
    """It listens some time before it answers ("the database system is starting up")."""
    import psycopg

    try:
        psycopg.connect(f"postgresql://evertick@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
