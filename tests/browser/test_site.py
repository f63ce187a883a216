"""Every page of the site at both ends of the widths, in both themes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evertick import universe
from unit.web.fakes import TOKEN, World, serving, world


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with serving(world(notice="Simulated data: these prices come from a local source, not from a market.")) as url:
        yield url


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with serving(world(token=TOKEN)) as url:
        yield url


@pytest.fixture(scope="module")
def empty() -> Iterator[str]:
    with serving(world(filled=False)) as url:
        yield url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("path", ["/", "/reports", "/sources", "/memory", "/nothing"])
def test_pages(visitor, accessible, shifted, site, path, width, scheme):
    if path == "/nothing":
        visitor.expected.append("404 (Not Found)")
    page = visitor.open(site + path, width=width, scheme=scheme)
    page.wait_for_load_state("load")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert shifted(page) < 0.001
    accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_signing_in_page(visitor, accessible, guarded, width, scheme):
    page = visitor.open(guarded + "/login", width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("document.activeElement.id") == "token"
    accessible(page)


@pytest.mark.parametrize("path", ["/", "/reports", "/sources", "/memory"])
def test_pages_with_nothing_to_show(visitor, accessible, empty, path):
    page = visitor.open(empty + path, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    accessible(page)


@pytest.mark.parametrize("path", ["/", "/memory"])
def test_unfolded_and_read_with_a_keyboard(visitor, accessible, site, path):
    page = visitor.open(site + path)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    accessible(page)


def test_without_scripts_everything_is_there(visitor, site):
    page = visitor.open(site + "/", javascript=False)
    assert page.locator("[data-q]").count() == len(universe.load()) + page.locator(".tiles li").count()
    assert page.locator("[data-q=SPX] [data-f=price]").first.inner_text() != "–"
    page.get_by_role("link", name="Reports", exact=True).first.click()
    assert page.locator(".library .card").count() == 4


def test_the_theme_is_remembered_and_shared(visitor, site):
    page = visitor.open(site + "/", scheme="light")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Change theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.goto(site + "/reports")
    assert page.evaluate(ground) == dark
    assert page.evaluate("localStorage.getItem('evertick-theme')") == "dark"
    page.get_by_role("button", name="Change theme").click()
    assert page.evaluate(ground) == light


def test_sign_in_write_and_sign_out(visitor):
    behind: World = world(token=TOKEN)
    visitor.expected.append("401 (Unauthorized)")
    with serving(behind) as url:
        page = visitor.open(url + "/")
        assert page.get_by_role("button", name="Refresh the quotes").count() == 0
        page.get_by_role("link", name="Sign in", exact=True).click()
        page.get_by_label("Token").fill("not the token")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("That is not the token.").wait_for()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(url + "/")
        page.get_by_role("button", name="Refresh the quotes").click()
        page.get_by_text(f"{len(universe.load())} quotes saved.").wait_for()
        assert behind.runner.ran == 1
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("link", name="Sign in", exact=True).wait_for()
        visitor.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_works_offline_under_its_policy(visitor, site, scheme):
    page = visitor.open(site + "/docs", scheme=scheme)
    foreign = []
    page.on("request", lambda request: None if request.url.startswith((site, "data:")) else foreign.append(request.url))
    page.locator(".opblock").first.wait_for()
    described = page.evaluate("fetch('/openapi.json').then((answer) => answer.json())")["paths"]
    assert page.locator(".opblock").count() == sum(len(methods) for methods in described.values())
    page.locator("#operations-status-status_healthz .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table tbody .response-col_status").get_by_text("200", exact=True).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    assert foreign == []


@pytest.mark.parametrize("width", [390, 1440])
def test_sources_are_a_table_or_blocks_that_say_what_they_hold(visitor, accessible, site, width):
    page = visitor.open(site + "/sources", width=width)
    page.get_by_role("heading", name="Where the prices come from").wait_for()
    row = page.locator("[data-source=coingecko]")
    assert row.get_by_role("cell").count() == 5
    assert "9,412 of 10,000" in row.inner_text()
    said = page.evaluate(
        "getComputedStyle(document.querySelector('[data-source=coingecko] td:nth-of-type(4)'), '::before').content"
    )
    assert said == ('"Requests left today" / ""' if width == 390 else "none")
    assert page.get_by_role("table").count() == 1
    page.get_by_role("link", name="Markets", exact=True).click()
    page.locator(".credits").get_by_role("link", name="CoinGecko").wait_for()
