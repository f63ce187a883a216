"""What a reader waits for: first content, whole document and largest paint of a report of all instruments, in Chromium.

.venv/bin/python benchmarks/first_content.py          seven loads of each language, nothing cached, medians
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from acceptance.processes import get, running

PATIENCE_S = 300
TIMES = """() => new Promise((resolve) => {
  const done = () => {
    const load = performance.getEntriesByType("navigation")[0];
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    resolve({ first_byte: load.responseStart, first_content: paint.startTime, received: load.responseEnd,
              document: load.domContentLoadedEventEnd, bytes: load.decodedBodySize, stored: load.encodedBodySize });
  };
  if (document.readyState === "complete") requestAnimationFrame(() => requestAnimationFrame(done));
  else addEventListener("load", () => requestAnimationFrame(() => requestAnimationFrame(done)));
})"""


def loads(browser: Browser, url: str, times: int, *, width: int = 1440) -> list[dict[str, Any]]:
    found = []
    for _ in range(times):
        context = browser.new_context(viewport={"width": width, "height": 900})
        page = context.new_page()
        page.goto(url, wait_until="commit")
        found.append(page.evaluate(TIMES))
        context.close()
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=7)
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    figures: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        running("demo", "--port", "0", cwd=Path(name)) as demo,
        sync_playwright() as playwright,
    ):
        url = demo.address()
        deadline = time.monotonic() + PATIENCE_S
        while not (made := get(f"{url}/api/v1/reports")["items"]):
            if time.monotonic() > deadline:
                raise SystemExit(f"no report within {PATIENCE_S} s:\n{demo.output}")
            time.sleep(1)
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for language in made[0]["languages"]:
            found = loads(browser, f"{url}/reports/{made[0]['id']}/{language}", chosen.times)
            for key in found[0]:
                figures[f"{language}_{key}"] = round(median(one[key] for one in found), 1)
        browser.close()
    for key, value in figures.items():
        print(f"{key:<18}  {value:>12,.1f}{'' if key.endswith(('bytes', 'stored')) else ' ms'}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
