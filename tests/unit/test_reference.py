"""What outside things hold on to is in the reference: commands and routes. Settings: test_settings.py."""

from pathlib import Path

import typer

from evertick.cli import cli
from evertick.web.app import create_app
from unit.web.fakes import world

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def commands(group: typer.Typer, prefix: str) -> list[str]:
    named = [f"{prefix} {c.name or c.callback.__name__}" for c in group.registered_commands if c.callback]
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        # a group without a name adds its commands to those of the group above
        named += commands(sub.typer_instance, f"{prefix} {sub.name}" if isinstance(sub.name, str) else prefix)
    return named


def test_every_command_is_in_the_reference():
    text = (REFERENCE / "commands.md").read_text()
    assert len(commands(cli, "evertick")) >= 20
    assert [name for name in commands(cli, "evertick") if f"`{name}`" not in text] == []


async def test_every_route_is_in_the_reference():
    app = create_app(world().services)
    text = (REFERENCE / "api.md").read_text()
    described = [
        f"{method.upper()} {path}"
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if method != "head"
    ]
    assert len(described) >= 14
    missing = [route for route in described if route.startswith(("GET /api", "POST /api")) and f"`{route}`" not in text]
    assert missing == []
    assert [r for r in described if not r.startswith(("GET /api", "POST /api")) and r.split()[1] not in text] == []
