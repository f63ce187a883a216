from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import running
from evertick.simulator import base_urls


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The simulator in a process of its own, as a user starts it."""
    folder = tmp_path_factory.mktemp("simulator")
    with running("simulate", "--port", "0", cwd=folder) as simulator:
        yield simulator.address()


@pytest.fixture
def against(upstream: str) -> dict[str, str]:
    """Settings of a server whose providers are the simulator."""
    urls = {f"EVERTICK_SOURCES__{name.upper()}__BASE_URL": url for name, url in base_urls(upstream).items()}
    return {"EVERTICK_PORT": "0", **urls}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "desk"
