"""A process for the tests of the supervisor: says that it lives, and ends as its first argument says the n-th time."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def main(ends: list[int | None], folder: Path) -> None:
    """``ends``: exit codes of the first, second … process; None, or none left: waits for SIGTERM."""
    born = [*folder.iterdir()]
    mine = folder / f"{len(born)}-{os.getpid()}"
    code = ends[len(born)] if len(born) < len(ends) else None
    told = {"pid": os.getpid(), "at": time.monotonic(), "restarts": os.environ["_EVERTICK_RESTARTS"]}
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    mine.with_suffix(".part").write_text(json.dumps(told))
    mine.with_suffix(".part").rename(mine)
    if code is not None:
        sys.exit(code)
    os.read(int(os.environ["_EVERTICK_SUPERVISOR"]), 1)  # comes back at the end of the supervisor


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
