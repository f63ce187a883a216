from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import running


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The simulator in a process of its own, as a user starts it."""
    folder = tmp_path_factory.mktemp("simulator")
    with running("simulate", "--port", "0", cwd=folder) as simulator:
        yield simulator.address()


@pytest.fixture
def against(upstream: str) -> dict[str, str]:
    """Settings of a server whose providers are the simulator."""
    return {
        "EVERTICK_PORT": "0",
        "EVERTICK_SOURCES__YAHOO__BASE_URL": f"{upstream}/yahoo",
        "EVERTICK_SOURCES__COINGECKO__BASE_URL": f"{upstream}/coingecko/api/v3",
        "EVERTICK_SOURCES__ALTERNATIVE__BASE_URL": f"{upstream}/alternative",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "desk"
