"""The built wheel carries its page assets and runs outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from acceptance.processes import Running, get

ROOT = Path(__file__).parents[2]


def test_the_wheel_runs_in_an_empty_folder(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=100)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("web/static/dist/manifest.json", "reports/locale/vi/LC_MESSAGES/report.mo", "universe.csv"):
        assert f"evertick/{wanted}" in names
    assert not [n for n in names if n.startswith("tests/") or "node_modules" in n]

    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=100)
    empty = tmp_path / "empty"
    where = [sys.executable, "-c", "import evertick; print(evertick.__file__)"]
    environment = {"PYTHONPATH": str(site)}
    found = subprocess.run(
        where, env={**os.environ, **environment}, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert str(site) in found.stdout
    demo = Running("demo", "--port", "0", cwd=empty, env=environment)
    try:
        url = demo.address()
        demo.until(lambda: get(f"{url}/api/v1/reports")["items"], "report")
        assert demo.stop() == 0
    finally:
        demo.kill()
