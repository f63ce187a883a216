"""What the simulator can do and the docs do not say fails here."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from starlette.routing import Route

from evertick.simulator import BASES, GROUPS, KINDS, Faults, Market, create_app, serve_forever

TEXT = (Path(__file__).parents[3] / "docs" / "reference" / "simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [*KINDS, *GROUPS])
def test_every_fault_is_described(kind: str) -> None:
    assert f"`{kind}`" in TEXT


def test_every_provider_is_described() -> None:
    for name, base in BASES.items():
        assert f"`{name}`" in TEXT, name
        assert f"`{base}`" in TEXT, name


def test_every_control_route_is_described() -> None:
    for route in create_app(Market([]), Faults()).routes:
        assert isinstance(route, Route)
        if route.path.startswith("/control"):
            assert route.path in TEXT


def test_every_option_is_described() -> None:
    for name in inspect.signature(serve_forever).parameters:
        if name not in ("instruments", "ready", "signals"):
            assert f"`--{name}`" in TEXT
