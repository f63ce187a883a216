from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evertick.reports.render import cldr

BUILT = sorted(file.parent.name for file in cldr.LOCALE.glob(f"*/{cldr.FILE}"))


def test_every_language_with_a_catalogue_was_built() -> None:
    assert sorted(folder.parent.name for folder in cldr.LOCALE.glob("*/LC_MESSAGES")) == BUILT
    assert {"en", "vi"} <= set(BUILT)


@pytest.mark.parametrize("language", BUILT)
def test_the_built_file_says_what_babel_says(language: str) -> None:
    assert cldr.habits(language) == cldr.read(language), "run: make install"


def test_a_language_without_a_file_is_read_from_babel(tmp_path: Path) -> None:
    assert cldr.habits("de", tmp_path)["decimal"] == ","
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / cldr.FILE).write_text(json.dumps({"decimal": "'"}))
    assert cldr.habits("de", tmp_path) == {"decimal": "'"}


def test_a_renderer_of_a_built_language_does_not_load_babel() -> None:
    code = (
        "import sys; from evertick.reports.catalogue import Catalogue; from evertick.reports.render import Renderer; "
        "r = Renderer('vi', Catalogue.load('vi'), 'Asia/Ho_Chi_Minh'); r._prepare(['vi', 'en']); print('babel' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
