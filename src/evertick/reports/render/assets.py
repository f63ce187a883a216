"""The style sheet and script that every report links to, from the built page assets (see frontend/build.mjs)."""

from __future__ import annotations

import json
from pathlib import Path

import evertick
from evertick.errors import AssetsMissing
from evertick.reports.render.messages import SCRIPT_MESSAGES
from evertick.reports.render.words import Catalogue

DIST = Path(evertick.__file__).parent / "web" / "static" / "dist"


def report_css(folder: Path = DIST) -> bytes:
    """The style sheet: the same bytes for every report and language. Raises `AssetsMissing`."""
    return _read(folder / "report.css")


def report_js(language: str, catalogue: Catalogue, folder: Path = DIST) -> bytes:
    """The script with the words of one language in its first line. Raises `AssetsMissing`."""
    words = {msgid: catalogue.text(msgid) for msgid in SCRIPT_MESSAGES}
    first = json.dumps({"language": language, "words": words}, ensure_ascii=False, separators=(",", ":"))
    return f"globalThis.EVERTICK_TEXT={first};\n".encode() + _read(folder / "report.js")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise AssetsMissing(
            f"{file.name} of the reports is not part of this installation",
            hint="Build it in the checkout with `make install`, or install the wheel, which carries it.",
        ) from error
