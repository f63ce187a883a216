from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import running
from evertick.simulator import base_urls
from evertick.universe import BUILT_IN


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The simulator in a process of its own, as a user starts it."""
    folder = tmp_path_factory.mktemp("simulator")
    with running("simulate", "--port", "0", cwd=folder) as simulator:
        yield simulator.address()


@pytest.fixture(scope="session")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A universe of the core instruments, about 150: a report in a third of the time. The demo follows them all."""
    lines = BUILT_IN.read_text().splitlines()
    header = next(line for line in lines if line.startswith("id,"))
    rows = [line for line in lines if line.count(",") >= 8 and line.split(",")[7] == "yes"]
    file = tmp_path_factory.mktemp("universe") / "core.csv"
    file.write_text("\n".join([header, "-*", *rows]) + "\n")
    return file


@pytest.fixture
def against(upstream: str, core: Path) -> dict[str, str]:
    """Settings of a server whose providers are the simulator."""
    urls = {f"EVERTICK_SOURCES__{name.upper()}__BASE_URL": url for name, url in base_urls(upstream).items()}
    return {"EVERTICK_PORT": "0", "EVERTICK_UNIVERSE": str(core), **urls}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "desk"
