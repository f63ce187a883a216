"""Reports as files, beside each other, and kept: read in Chromium."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from acceptance.processes import get, post, running
from evertick.universe import BUILT_IN


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str], Path]]:
    """The address of a server, its two reports, the newest first, and the folder of the exported page."""
    folder = tmp_path_factory.mktemp("kept")
    few = {"EVERTICK_UNIVERSE": str(universe_of_a_few(folder))}
    with running("demo", "--port", "0", "--data", str(folder / "data"), cwd=folder, env=few) as demo:
        url = demo.address()
        demo.until(lambda: get(f"{url}/api/v1/reports")["items"], "report")
        post(f"{url}/api/v1/reports")
        demo.until(lambda: get(f"{url}/api/v1/reports")["items"][1:], "second report")
        command(folder, "report", "export", "--single", "--language", "en", "--to", str(folder / "out"))
        yield url, [r["id"] for r in get(f"{url}/api/v1/reports")["items"]], folder


def universe_of_a_few(folder: Path) -> Path:
    lines = [line for line in BUILT_IN.read_text().splitlines() if line.count(",") >= 8]
    chosen = [line for n, line in enumerate(lines[1:]) if line.startswith("SPX,") or n % 12 == 0]
    file = folder / "few.csv"
    file.write_text("\n".join([lines[0], "-*", *chosen]) + "\n")
    return file


def command(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "evertick", *words, "--data", str(folder / "data")],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_file_opens_without_a_server_and_its_charts_work(open_page: Callable[..., Page], kept: Any) -> None:
    _, ids, folder = kept
    (file,) = (folder / "out").iterdir()
    page = open_page(file.as_uri())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert "market report" in page.locator("h1").inner_text()
    card = page.locator("details:has(#card-SPX)")
    card.locator("summary").click()
    card.locator("canvas").first.wait_for()
    assert page.evaluate("getComputedStyle(document.querySelector('.skip')).position") == "absolute"
    assert asked == []
    assert ids[0] in file.name


def test_what_changed_between_two_reports(
    open_page: Callable[..., Page], accessible: Callable[..., None], kept: Any
) -> None:
    url, ids, _ = kept
    page = open_page(f"{url}/reports")
    page.get_by_role("link", name="What changed since the report before").first.click()
    page.wait_for_url(f"**/reports/{ids[1]}/diff/{ids[0]}")
    assert page.locator("#d-words").count() == 1
    assert page.locator(".changes li").first.inner_text().startswith("The second report was made")
    accessible(page)
    moved = page.locator("section[aria-labelledby=d-moved] tbody tr").count()
    page.get_by_role("link", name=re.compile(r"^All \d+ instruments$")).click()
    page.wait_for_url("**?all=true*")
    assert page.locator("section[aria-labelledby=d-all] tbody tr").count() > max(20, moved)
    accessible(page)
    page.get_by_role("link", name="Only what moved").click()
    page.locator("#d-moved").wait_for()
    narrow = open_page(page.url, width=360, scheme="dark")
    assert not narrow.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_report_is_kept_for_good_by_a_button(open_page: Callable[..., Page], kept: Any) -> None:
    url, ids, folder = kept
    page = open_page(f"{url}/reports")
    page.get_by_role("button", name="Keep for good").first.click()
    page.get_by_text("Kept for good").wait_for()
    assert get(f"{url}/api/v1/reports/{ids[0]}")["pinned"] is True
    page.get_by_role("button", name="No longer keep").click()
    page.get_by_text("Kept for good").wait_for(state="detached")
    assert "kept for good" in command(folder, "report", "pin", ids[0])
    assert get(f"{url}/api/v1/reports/{ids[0]}")["pinned"] is True


def test_the_commands(kept: Any) -> None:
    _, ids, folder = kept
    assert "NO" not in command(folder, "report", "render", ids[0])
    assert "The second report was made" in command(folder, "report", "diff", ids[1], ids[0])
