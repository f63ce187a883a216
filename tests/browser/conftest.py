"""A real Chromium. Whatever a page writes to the console fails its test, violations of the policy among it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

SHIFTS = """() => new Promise((resolve) => {
  let sum = 0;
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) sum += entry.value; })
    .observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(sum), 50)));
})"""


@dataclass
class Visitor:
    """Opens pages and remembers what they complained of. ``expected`` are parts of console messages that may come."""

    browser: Browser
    said: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def open(self, url: str, *, width: int = 1440, scheme: str = "light", javascript: bool = True) -> Page:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=javascript
        )
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.goto(url)
        return page

    def close(self) -> None:
        for context in self.browser.contexts:
            context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if not any(part in message.text for part in self.expected):
            self.said.append(f"{message.type}: {message.text}")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    # Of a module, not of the session: while Playwright's synchronous half is open, its loop is the thread's loop.
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    visitor = Visitor(browser)
    yield visitor
    visitor.close()
    assert visitor.said == []


@pytest.fixture
def open_page(visitor: Visitor) -> Callable[..., Page]:
    return visitor.open


@pytest.fixture
def accessible() -> Callable[..., None]:
    """Asserts that axe finds nothing in a page."""

    def check(page: Page, **options: Any) -> None:
        found = Axe().run(page, **options)
        assert found.violations_count == 0, found.generate_report()

    return check


@pytest.fixture
def shifted() -> Callable[[Page], float]:
    """The sum of all layout shifts of a page so far."""
    return lambda page: page.evaluate(SHIFTS)
