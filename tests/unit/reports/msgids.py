"""Every message of the report, found in the sources: literals of `Text`, wordings of rules, messages of the templates, names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import evertick.reports
from evertick import universe
from evertick.reports.render.messages import TEMPLATE_MESSAGES
from evertick.reports.rules import all_rules

SOURCES = Path(evertick.reports.__file__).parent
LANGUAGE_FREE = frozenset({"{name}", "{title} {day}"})
"""What has nothing to translate."""


@cache
def messages() -> dict[str, str | None]:
    """msgid to its plural (``None`` where it has none), in the order in which they are found; no instruments' names."""
    found: dict[str, str | None] = {}
    for file in sorted(SOURCES.rglob("*.py")):
        for msgid, plural in _literals(ast.parse(file.read_text("utf-8"))):
            found.setdefault(msgid, plural)
    for rule in all_rules():
        for wording in rule.wordings:
            msgid, plural = wording if isinstance(wording, tuple) else (wording, None)
            found.setdefault(msgid, plural)
    for msgid in TEMPLATE_MESSAGES:
        found.setdefault(msgid, None)
    return {msgid: plural for msgid, plural in found.items() if msgid not in LANGUAGE_FREE}


def names() -> list[str]:
    """English names of the instruments."""
    return list(dict.fromkeys(i.name for i in universe.load()))


def _literals(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("Text", "Name")
            and node.args
        ):
            continue
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            plural = next(
                (k.value.value for k in node.keywords if k.arg == "plural" and isinstance(k.value, ast.Constant)), None
            )
            yield first.value, plural
