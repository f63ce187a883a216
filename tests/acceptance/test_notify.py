"""What the units of deploy/systemd rely on: readiness is told, a handed-over socket is used, no memory is both written and run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from acceptance.processes import environment, fetch, running


def manager(folder: Path) -> socket.socket:
    """As systemd listens for what its services say."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.settimeout(60)
    found.bind(str(folder / "notify"))
    return found


def test_systemd_is_told_when_the_server_answers(folder: Path, tmp_path: Path, against: Mapping[str, str]) -> None:
    with (
        manager(tmp_path) as listening,
        running("serve", cwd=folder, env={**against, "NOTIFY_SOCKET": str(tmp_path / "notify")}) as server,
    ):
        assert listening.recv(1000) == b"READY=1"
        assert fetch(f"{server.address()}/healthz")[0] == 200
        assert server.stop(signal.SIGTERM) == 0
        listening.setblocking(False)
        try:
            raise AssertionError(listening.recv(1000))
        except BlockingIOError:
            pass


def test_nobody_listens_and_it_serves(folder: Path, against: Mapping[str, str]) -> None:
    with running("serve", cwd=folder, env={**against, "NOTIFY_SOCKET": "/nowhere/at/all"}) as server:
        assert fetch(f"{server.address()}/healthz")[0] == 200
        assert "systemd was not told" in server.output


STARTER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
libc.prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)  # unknown to kernels before 6.3: then this is not tested
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "evertick", "serve", "--data", sys.argv[1]])
"""
"""As MemoryDenyWriteExecute= does, by the kernel's own means; and the socket of evertick.socket on descriptor 3."""


def test_it_serves_on_a_socket_handed_over_and_without_writable_code(
    folder: Path, tmp_path: Path, against: Mapping[str, str]
) -> None:
    folder.mkdir()
    with manager(tmp_path) as listening, socket.create_server(("127.0.0.1", 0)) as handed:
        port = handed.getsockname()[1]
        given = environment(**against, NOTIFY_SOCKET=str(tmp_path / "notify"), LISTEN_FDS="1",
                            EVERTICK_REPORT_ON_START="true")  # fmt: skip

        def place() -> None:
            os.dup2(handed.fileno(), 3)
            os.set_inheritable(3, True)

        process = subprocess.Popen(
            [sys.executable, "-c", STARTER, "data"], cwd=folder, env=given, preexec_fn=place, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            listening.settimeout(60)
            assert listening.recv(1000) == b"READY=1"
            assert fetch(f"http://127.0.0.1:{port}/readyz")[0] == 200
            flags = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
            assert not [line for line in flags if line.split()[1].startswith("rwx")]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert process.returncode == 0
