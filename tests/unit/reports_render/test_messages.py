from __future__ import annotations

import re
from pathlib import Path

import evertick
from evertick.reports.render.messages import SCRIPT_MESSAGES, TEMPLATE_MESSAGES

REPORTS = Path(evertick.__file__).parent / "reports"
FRONTEND = Path(evertick.__file__).parents[2] / "frontend" / "src" / "report"


def said(folder: Path, suffix: str, call: str) -> set[str]:
    found: set[str] = set()
    for file in folder.rglob(f"*{suffix}"):
        found |= {b for _, b in re.findall(rf"""\b{call}\(\s*(["'])(.+?)\1""", file.read_text("utf-8"))}
    return found


def test_lists_every_message_of_templates_figures_and_script() -> None:
    templates = said(REPORTS / "templates", ".html", "t")
    code = said(REPORTS / "render", ".py", "say")
    script = said(FRONTEND, ".js", "say")
    assert templates
    assert code
    assert script == set(SCRIPT_MESSAGES)
    assert templates | code | script == set(TEMPLATE_MESSAGES)


def test_lists_nothing_twice() -> None:
    assert len(set(TEMPLATE_MESSAGES)) == len(TEMPLATE_MESSAGES)
