"""A report as its readers get it: made by the demo from simulated markets, read in Chromium."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from acceptance.processes import get, running
from servers import find


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a report, without its language."""
    with running("demo", "--port", "0", cwd=tmp_path_factory.mktemp("demo")) as demo:
        url = demo.address()
        made = demo.until(lambda: get(f"{url}/api/v1/reports")["items"], "report")[0]
        yield f"{url}/reports/{made['id']}"


def wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
@pytest.mark.parametrize(("language", "title"), [("vi", "Bản tin thị trường"), ("en", "market report")])
def test_a_report_in_each_language(
    open_page: Callable[..., Page], report: str, language: str, title: str, width: int, scheme: str
) -> None:
    page = open_page(f"{report}/{language}", width=width, scheme=scheme)
    assert page.locator("html").get_attribute("lang") == language
    assert title in page.locator("h1").inner_text()
    assert page.locator("section[id]").count() == 14
    assert not wide(page)
    card = page.locator("details:has(#card-SPX)")
    card.locator("summary").click()
    card.locator("canvas").first.wait_for()
    assert not wide(page)


def test_axe_finds_nothing(open_page: Callable[..., Page], accessible: Callable[..., None], report: str) -> None:
    page = open_page(f"{report}/vi")
    # The cards are hundreds of times the same and closed; the first one stands for all.
    page.evaluate("for (const card of [...document.querySelectorAll('#cards details')].slice(1)) card.remove()")
    page.locator("details:has(#card-SPX) summary").click()
    page.locator("details:has(#card-SPX) canvas").first.wait_for()
    page.set_default_timeout(60_000)
    accessible(page)


def test_everything_is_there_without_javascript(open_page: Callable[..., Page], report: str) -> None:
    page = open_page(f"{report}/en", javascript=False)
    assert page.locator("#headline .points li, #headline [data-rule]").count() >= 8
    rows = page.locator("#crypto tbody tr")
    assert rows.count() > 40
    assert rows.last.is_visible()
    page.locator("details:has(#card-SPX) summary").click()
    assert page.locator("#card-SPX svg").first.is_visible()


def test_the_language_switch_leads_to_the_same_report(open_page: Callable[..., Page], report: str) -> None:
    page = open_page(f"{report}/vi")
    page.locator(f"a[href='{report[report.index('/reports') :]}/en']").first.click()
    page.wait_for_url("**/en")
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_printed_brief_has_six_to_ten_pages(
    open_page: Callable[..., Page], report: str, tmp_path: Path, language: str
) -> None:
    file = tmp_path / "brief.pdf"
    open_page(f"{report}/{language}").pdf(path=file, format="A4", prefer_css_page_size=True)
    told = subprocess.run([find("pdfinfo"), file], capture_output=True, text=True, check=True).stdout
    (pages,) = re.findall(r"^Pages:\s+(\d+)$", told, re.MULTILINE)
    assert 6 <= int(pages) <= 10


def test_the_first_paint_waits_for_nothing_but_the_style_sheet(open_page: Callable[..., Page], report: str) -> None:
    """Neither for a script nor for the other three megabytes; how long it takes is measured by benchmarks/first_content.py."""
    page = open_page(f"{report}/en")
    size, blocking = page.evaluate(
        """() => [
          performance.getEntriesByType("navigation")[0].decodedBodySize,
          performance.getEntriesByType("resource")
            .filter((entry) => entry.renderBlockingStatus === "blocking").map((entry) => entry.initiatorType),
        ]"""
    )
    assert size > 3_000_000
    assert blocking == ["link"]
