"""A page whose headline and points a language model wrote, read in Chromium: rendered from facts, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page

from evertick.reports.blocks import Head
from evertick.reports.catalogue import Catalogue
from evertick.reports.render import Renderer
from evertick.reports.values import change, name, price
from evertick.reports.workflow import title
from evertick.reports.write import first_sentence, write
from evertick.reports.written import Line, Written
from unit.reports import samples

ZONE = "Asia/Ho_Chi_Minh"
WORDS = {
    "vi": ("{a0} {n0}, còn {n1} điểm <b>", "{a0} đổi {n0} trong phiên; tin này do máy viết."),
    "en": ("{a0} moves {n0} to {n1} <b>", "{a0} changed {n0} in the session; a machine wrote this."),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("model")
    with ThreadPoolExecutor(1) as thread:  # Playwright's loop is this thread's
        yield {code: thread.submit(lambda code=code: asyncio.run(rendered(code, folder))).result() for code in WORDS}


async def rendered(language: str, folder: Path) -> str:
    """The address of the page."""
    found = samples.findings()
    leader = found.get("VNINDEX")
    assert leader is not None
    first, point = WORDS[language]
    numbers, names = (change(leader.change), price(leader)), (name(leader),)
    origins = ("VNINDEX.change", "VNINDEX.price")
    told = Written(
        "stub-1",
        Line(first, numbers, origins, names, "up"),
        tuple(Line(point, numbers[:1], origins[:1], names, tone) for tone in ("up", "down", "neutral", "warn")),
    )
    findings = found.told({language: told}, ())
    renderer = Renderer(language, Catalogue.load(language), ZONE)
    said = first_sentence(findings, language)
    head = Head("r", title(samples.NOW, ZONE), samples.AS_OF, samples.NOW, (language,), said, "CSS", "")
    sections = (s for s in write(findings, samples.no_cards(), language) if s.id in ("headline", "cards"))
    html = b"".join([piece async for piece in renderer.render(sections, head)]).decode()
    file = folder / f"{language}.html"
    link = '<link rel="stylesheet" href="/assets/CSS.css">'
    assert link in html
    file.write_text(html.replace(link, f"<style>{renderer.css().decode()}</style>"), "utf-8")
    return file.as_uri()


@pytest.mark.parametrize(("language", "width", "scheme"), [("vi", 360, "dark"), ("en", 1440, "light")])
def test_axe_finds_nothing(
    open_page: Callable[..., Page],
    accessible: Callable[..., None],
    pages: dict[str, str],
    language: str,
    width: int,
    scheme: str,
) -> None:
    page = open_page(pages[language], width=width, scheme=scheme)
    assert page.locator("[data-rule=model]").count() == 5
    assert "stub-1" in page.locator("#headline").inner_text()
    assert "<b>" in page.locator(".lead").inner_text()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    accessible(page)
