"""The page of memory in a browser: its figure explored, its figures renewed, and all of it without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from unit.web.fakes import NOW, MemoryStore, World, serving, world

LEGEND = "() => [...document.querySelectorAll('.legend [data-f]')].map((node) => node.textContent)"
PLACES = "() => [...document.querySelectorAll('section')].map((node) => node.getBoundingClientRect().top).join()"


@pytest.fixture
def behind() -> World:
    return world()


@pytest.fixture
def site(behind: World) -> Iterator[str]:
    with serving(behind) as url:
        yield url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_everything_unfolded_is_accessible(visitor, accessible, shifted, site, width, scheme):
    page = visitor.open(site + "/memory", width=width, scheme=scheme)
    page.locator("#timeline canvas").wait_for()
    assert page.locator(".drawn").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert shifted(page) < 0.001
    page.get_by_text("The same as a table").click()
    assert page.locator("[data-live=points] tbody tr").count() > 200
    accessible(page, context=".timeline")


def test_the_figure_is_read_with_the_keyboard(visitor, site):
    page = visitor.open(site + "/memory")
    page.locator("#timeline canvas").wait_for()
    newest = page.evaluate(LEGEND)
    assert newest[0] == "21:30"
    figure = page.get_by_role("slider", name="Timeline of memory, read with the arrow keys")
    figure.focus()
    page.keyboard.press("Home")
    assert "RSS 91." in figure.get_attribute("aria-valuetext")
    assert page.evaluate(LEGEND)[0] == "21:33"  # a day before
    for _ in range(3):
        page.keyboard.press("PageDown")
    assert figure.get_attribute("aria-valuenow") == "30"
    assert page.evaluate(LEGEND)[0] == "00:33"
    page.keyboard.press("Escape")
    page.wait_for_function("document.querySelector('.legend [data-f=at]').textContent === '21:30'")
    assert page.evaluate(LEGEND) == newest


def test_of_several_processes_the_figure_names_the_one_it_tells(visitor, monkeypatch):
    plain = MemoryStore.samples

    async def two(self, since, until, step_s, process=None):
        async for s in plain(self, since, until, step_s):
            yield s
            if s.at > NOW - timedelta(hours=4):
                yield replace(s, process="other/7/1", rss=(s.rss or 0) + (30 << 20))

    monkeypatch.setattr(MemoryStore, "samples", two)
    with serving(world()) as url:
        page = visitor.open(url + "/memory")
        page.locator("#timeline canvas").wait_for()
        told = page.locator(".legend [data-f=process]")
        assert told.inner_text() == "other/7"
        page.get_by_role("slider").focus()
        page.keyboard.press("Home")
        assert told.inner_text() == "desk/42"
        assert page.locator(".timeline .process").count() == 2
        written = visitor.open(url + "/memory", javascript=False)
        assert written.locator(".legend [data-f=process]").inner_text() == "other/7"
        assert [written.locator(f".drawn g.t{track}").count() for track in (0, 1)] == [2, 1]
        visitor.close()


def test_the_chart_is_loaded_on_this_page_alone(visitor, site):
    asked = []
    page = visitor.open(site + "/")
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site + "/reports")
    assert not [url for url in asked if "/memory-" in url]
    page.goto(site + "/memory")
    page.locator("#timeline canvas").wait_for()
    assert len([url for url in asked if "/static/memory-" in url]) == 2


def test_it_renews_itself_and_leaves_alone_what_is_the_same(visitor, behind, site):
    context = visitor.browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.on("console", visitor._console)
    page.clock.install()
    page.goto(site + "/memory")
    page.locator("#timeline canvas").wait_for()
    page.get_by_text("The same as a table").click()
    page.evaluate("document.querySelector('[data-live=process] div').same = true")
    before = page.evaluate(PLACES)
    newest = replace(behind.receipts.rows[0], started=NOW + timedelta(seconds=50), rss_after=77 << 20)
    behind.receipts.rows.insert(0, newest)
    behind.clock.move(120)  # to a verdict of as many characters: a longer one takes another line
    page.clock.fast_forward(31_000)
    page.locator("#seen time", has_text="21:32:00").wait_for()
    page.locator("[data-live=receipts]").get_by_text("77.0 MB").wait_for()
    assert page.evaluate("document.querySelector('[data-live=process] div').same") is True
    assert page.locator("details.points").get_attribute("open") is not None
    assert page.evaluate(LEGEND)[0] == "21:32"
    assert page.evaluate(PLACES) == before

    visitor.expected.append("ERR_FAILED")
    page.route("**/memory", lambda route: route.abort())
    page.clock.fast_forward(31_000)
    page.locator("#seen[data-state=lost]").wait_for()
    page.unroute("**/memory")
    page.clock.fast_forward(31_000)
    page.locator("#seen[data-state=live]").wait_for()


def test_without_scripts_everything_is_there(visitor, accessible, site):
    page = visitor.open(site + "/memory", javascript=False)
    assert page.get_by_role("heading", name="Flat").is_visible()
    assert page.locator(".drawn path.rss").count() == 2
    assert page.get_by_role("img", name="Timeline of memory").is_visible()
    page.get_by_text("The same as a table").click()
    assert page.locator("[data-live=points] tbody tr").first.is_visible()
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**/memory?range=7d")
    page.get_by_role("link", name="Housekeeping").click()
    page.wait_for_url("**/memory?job=housekeeping&range=7d")
    page.get_by_role("button", name="Ask who leaks").click()
    page.wait_for_url("**/memory#diagnoses")
    assert page.get_by_text("A diagnosis has been running since 21:30.").is_visible()
