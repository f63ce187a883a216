from __future__ import annotations

import json
from pathlib import Path

import pytest

from evertick.errors import AssetsMissing
from evertick.reports.render import Renderer
from evertick.reports.render.assets import report_css, report_js
from evertick.reports.render.messages import SCRIPT_MESSAGES
from unit.reports_render.words_for_tests import ZONE, Scripted


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "report.css").write_bytes(b"body{}")
    (tmp_path / "report.js").write_bytes(b"run()")
    return tmp_path


def test_the_script_begins_with_the_words_of_its_language(built: Path) -> None:
    first, rest = report_js("vi", Scripted("vi", {"Print": "In"}), built).decode().split("\n", 1)
    given = json.loads(first.removeprefix("globalThis.EVERTICK_TEXT=").removesuffix(";"))
    assert given["language"] == "vi"
    assert given["words"]["Print"] == "In"
    assert set(given["words"]) == set(SCRIPT_MESSAGES)
    assert rest == "run()"


def test_the_renderer_gives_both_parts(built: Path) -> None:
    renderer = Renderer("en", Scripted("en"), ZONE, built)
    assert renderer.css() == report_css(built) == b"body{}"
    assert renderer.js().endswith(b"run()")


def test_says_what_to_do_when_nothing_was_built(tmp_path: Path) -> None:
    with pytest.raises(AssetsMissing, match="make install"):
        report_css(tmp_path)
