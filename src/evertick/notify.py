"""Tells systemd, where it asked (``Type=notify``), that the process is ready: sd_notify(3).

That it stops is not told: between a stop and a restart in place systemd would see no difference, and end the new process.
"""

from __future__ import annotations

import os
import socket

import structlog

READY = "READY=1"


def notify(state: str) -> None:
    """Nothing happens without ``NOTIFY_SOCKET``. A manager that does not listen is no reason not to serve."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.settimeout(1)
            manager.connect("\0" + address[1:] if address.startswith("@") else address)
            manager.sendall(state.encode())
    except OSError as error:
        structlog.get_logger().warning("systemd was not told", state=state, error=str(error))
