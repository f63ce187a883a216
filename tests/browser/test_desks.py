"""The choice of a desk, in Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from evertick.model import Snapshot
from unit.web.fakes import NOW, SOURCES, World, quotes, serving
from unit.web.test_desks import desk, several


@pytest.fixture(scope="module")
def world() -> World:
    return several(
        desk("world"), desk("asia", "vietnam", "N225", timezone="Asia/Tokyo"), desk("coins", "crypto"), token=None
    )


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    with serving(world) as url:
        yield url


@pytest.mark.parametrize("width", [1440, 390])
def test_the_header_leads_to_another_desk(
    open_page: Callable[..., Page], accessible: Callable[..., None], address: str, world: World, width: int
) -> None:
    page = open_page(f"{address}/?desk=asia", width=width)
    expect(page.locator("[data-q=N225]").first).to_be_visible()
    expect(page.locator("[data-q=BTC]")).to_have_count(0)
    page.locator(".switch summary").click()
    accessible(page)
    page.get_by_role("link", name="Coins", exact=True).click()
    expect(page).to_have_url(f"{address}/?desk=coins")
    expect(page.locator("[data-q=BTC]").first).to_be_visible()
    page.get_by_role("link", name="Reports", exact=True).first.click()
    expect(page).to_have_url(f"{address}/reports?desk=coins")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_desk_goes_on_live_with_its_own_quotes(open_page: Callable[..., Page], address: str, world: World) -> None:
    page = open_page(f"{address}/?desk=asia")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    price = page.locator("[data-q=N225] [data-f=price]").first
    before = price.inner_text()
    with page.expect_response(lambda answer: "part=aside" in answer.url) as aside:
        later = NOW + timedelta(seconds=30)
        world.call(world.board.put, Snapshot(later, quotes(2, later), SOURCES[:1]))
        expect(price).not_to_have_text(before)
    assert "desk=asia" in aside.value.url


def test_desks_are_found_by_name(open_page: Callable[..., Page], accessible: Callable[..., None], address: str) -> None:
    page = open_page(f"{address}/desks")
    accessible(page)
    page.get_by_role("searchbox").fill("coi")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("tbody tr")).to_have_count(1)
