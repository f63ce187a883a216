"""The dashboard while it lives: prices change in their places, and orders are followed to their end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from evertick import universe
from evertick.model import SlotState
from unit.web.fakes import NOW, World, serving, snapshot, world

CELLS = """() => [...document.querySelectorAll("[data-q]")].map((node) => [
  node.dataset.q, node.dataset.t, node.classList.contains("stale"),
  ...[...node.querySelectorAll("[data-f]")].map((cell) => `${cell.className} ${cell.title} ${cell.textContent}`),
  ...[...node.querySelectorAll(".spark, .spark path")].map((part) => `${part.getAttribute("class")} ${part.getAttribute("d")}`),
])"""

BREADTH = """() => [...document.querySelectorAll("[data-group]")].map((card) => [card.dataset.group,
  ...[...card.querySelectorAll(".breadth [data-f]")].map((count) => count.textContent),
  ...[...card.querySelectorAll(".breadth rect")].map((bar) => Number(bar.getAttribute("width")).toFixed(1))])"""


@pytest.fixture
def behind() -> World:
    return world(heartbeat_s=0.2)


@pytest.fixture
def site(behind: World) -> Iterator[str]:
    with serving(behind) as url:
        yield url


def live(page) -> None:
    page.locator("#live[data-state=live]").wait_for()


@pytest.mark.parametrize("width", [390, 1440])
def test_an_update_changes_cells_and_moves_nothing(visitor, shifted, behind, site, width):
    page = visitor.open(site + "/", width=width)
    live(page)
    price = page.locator("tr[data-q=SPX] [data-f=price]")
    before = price.inner_text()
    boxes = "() => [...document.querySelectorAll('.tiles li, .card, tr')].map((n) => JSON.stringify(n.getBoundingClientRect()))"
    places = page.evaluate(boxes)[:60]
    behind.clock.move(180)
    behind.call(behind.board.put, snapshot(2, NOW.replace(minute=33)))
    page.locator("#live time", has_text="21:33:00").wait_for()
    assert price.inner_text() != before
    assert re.search(r"fresh-(up|down)", page.locator("tr[data-q=SPX]").get_attribute("class"))
    assert page.evaluate(boxes)[:60] == places
    assert shifted(page) < 0.001


def test_what_the_script_writes_is_what_the_server_writes(visitor, behind, site):
    page = visitor.open(site + "/")
    live(page)
    late = snapshot(3, NOW.replace(minute=33))
    crypto = next(i for i, q in enumerate(late.quotes) if q.id == "CRYPTO_CAP")
    odd = list(late.quotes)
    odd[0] = replace(odd[0], change_pct=None)
    odd[1] = replace(odd[1], change_pct=0.004, as_of=NOW.replace(hour=9))
    odd[2] = replace(odd[2], spark=(1.0,) * 5)
    odd[crypto] = replace(odd[crypto], price=3.456e12, change_pct=-1234.5)
    behind.call(behind.board.put, replace(late, quotes=tuple(odd)))
    page.locator("#live time", has_text="21:33:00").wait_for()
    patched, breadth = page.evaluate(CELLS), page.evaluate(BREADTH)
    page.route("**/stream*", lambda route: route.abort())  # the server's own words, before any update
    visitor.expected.append("ERR_FAILED")
    page.reload()
    assert patched == page.evaluate(CELLS)
    assert breadth == page.evaluate(BREADTH)


def test_the_page_says_when_the_server_is_away(visitor, behind, site):
    visitor.expected += ["503 (Service Unavailable)", "ERR_"]
    page = visitor.open(site + "/")
    live(page)
    behind.call(behind.web.streams.stopping.set)
    behind.call(behind.web.feed.close)
    page.locator("#live[data-state=lost]").wait_for()
    assert page.get_by_text("Reconnecting").is_visible()


def test_a_page_without_quotes_fills_by_itself(visitor):
    empty = world(filled=False, heartbeat_s=0.2)
    with serving(empty) as url:
        page = visitor.open(url + "/")
        page.get_by_text("No quotes yet").wait_for()
        live(page)
        empty.call(empty.board.put, snapshot())
        page.locator("tr[data-q=SPX]").wait_for()
        visitor.close()


def test_refreshing(visitor, behind, site):
    behind.runner.run = lambda: behind.board.put(snapshot(2, NOW.replace(minute=33)))
    page = visitor.open(site + "/")
    live(page)
    page.get_by_role("button", name="Refresh the quotes").click()
    page.get_by_text(f"{len(universe.load())} quotes saved.").wait_for()
    page.locator("#live time", has_text="21:33:00").wait_for()


def test_a_refresh_that_fails_says_why(visitor, behind, site):
    visitor.expected.append("502 (Bad Gateway)")
    behind.runner.outcome = {"state": SlotState.FAILED, "error": "Redis cannot be reached."}
    page = visitor.open(site + "/")
    page.get_by_role("button", name="Refresh the quotes").click()
    page.get_by_role("status").get_by_text("Redis cannot be reached.").wait_for()


@pytest.mark.parametrize("path", ["/", "/reports"])
def test_a_report_is_followed_to_its_link(visitor, behind, site, path):
    behind.runner.script = [
        {"after": 0.1, "state": SlotState.LEASED, "progress": {"done": 0.3, "stage": "collect", "text": "daily bars 60 of 400"}},
        {"after": 0.3, "progress": {"done": 0.8, "stage": "render"}},
        {"after": 0.3, "state": SlotState.DONE, "result": {"report": "20261124T143000-1"}},
    ]  # fmt: skip
    page = visitor.open(site + path)
    page.get_by_role("button", name="Make a report now").click()
    page.get_by_text("daily bars 60 of 400").wait_for()
    link = page.get_by_role("link", name="Open the report")
    link.wait_for()
    assert link.get_attribute("href") == "/reports/20261124T143000-1"
    assert page.get_by_role("progressbar").get_attribute("value") == "1"


def test_a_report_that_fails_says_why(visitor, behind, site):
    behind.runner.script = [{"state": SlotState.FAILED, "error": "report rejected: no quotes"}]
    page = visitor.open(site + "/")
    page.get_by_role("button", name="Make a report now").click()
    page.get_by_text("report rejected: no quotes").wait_for()


def test_without_scripts_orders_are_forms(visitor, behind, site):
    page = visitor.open(site + "/", javascript=False)
    page.get_by_role("button", name="Make a report now").click()
    page.wait_for_url("**/reports?job=*")
    assert len(behind.ledger.slots) == 1
    page.goto(site + "/")
    page.get_by_role("button", name="Refresh the quotes").click()
    page.wait_for_url(site + "/")
    assert behind.runner.ran == 1
