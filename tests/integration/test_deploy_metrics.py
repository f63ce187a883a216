"""The Prometheus rules and the Grafana dashboard: checked by promtool, and about metrics that the server has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from unit.web.conftest import calling
from unit.web.fakes import world

DEPLOY = Path(__file__).parents[2] / "deploy"
OWN = re.compile(r"\bevertick_[a-z_]+")


def promtool(*arguments: str) -> str:
    if shutil.which("promtool") is None:
        pytest.fail("promtool is missing; make test installs it (Debian: apt-get install prometheus)")
    ran = subprocess.run(
        ["promtool", *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_rules_are_right_and_fire_when_they_should() -> None:
    assert "9 rules found" in promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")


def test_the_configuration_is_right() -> None:
    promtool("check", "config", "prometheus.yml")


async def test_metrics_pass_promtools_lint() -> None:
    async with calling(world()) as client:
        text = (await client.get("/metrics")).text
    ran = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


async def test_every_metric_that_is_asked_for_exists() -> None:
    async with calling(world()) as client:
        await client.get("/")
        text = (await client.get("/metrics")).text
    there = set(OWN.findall(text)) | {name.removesuffix("_created") for name in OWN.findall(text)}
    dashboard = json.loads((DEPLOY / "grafana" / "evertick.json").read_text())
    asked = {m for panel in dashboard["panels"] for target in panel["targets"] for m in OWN.findall(target["expr"])}
    asked |= set(OWN.findall((DEPLOY / "prometheus" / "alerts.yml").read_text()))
    assert asked
    assert asked - there == set()


def test_no_two_panels_overlap() -> None:
    panels = json.loads((DEPLOY / "grafana" / "evertick.json").read_text())["panels"]
    cells = [
        (x, y)
        for p in panels
        for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
        for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({p["id"] for p in panels}) == len(panels)
