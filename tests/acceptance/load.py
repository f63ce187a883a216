"""Clients that keep asking, and count what fails."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit


class Load:
    def __init__(self) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def told(self, problem: str | None) -> None:
        with self._lock:
            if problem is None:
                self.answered += 1
            else:
                self.failed.append(problem)

    def ask(self, address: str, paths: Sequence[str], keep_alive: bool, pause_s: float) -> None:
        host = urlsplit(address).netloc
        connection: http.client.HTTPConnection | None = None
        number = 0
        while not self._stop.is_set():
            path = paths[number % len(paths)]
            number += 1
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(host, timeout=60)
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                self.told(None if answer.status == 200 and body else f"{path}: {answer.status} {body[:200]!r}")
                if not keep_alive:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.told(f"{path}: {error!r}")
                connection = None
            time.sleep(pause_s)
        if connection is not None:
            connection.close()


@contextmanager
def load(address: str, paths: Sequence[str], clients: int = 4, pause_s: float = 0.01) -> Iterator[Load]:
    """``clients`` threads that ask ``paths`` in turn, every second one over a connection that it keeps."""
    found = Load()
    threads = [
        threading.Thread(target=found.ask, args=(address, paths, n % 2 == 0, pause_s), daemon=True)
        for n in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        found._stop.set()
        for thread in threads:
            thread.join(60)
