"""The verdict page of a soak in a browser, from a file, as whoever was sent it opens it."""

from __future__ import annotations

import pytest

from evertick.soak import page as soak_page
from unit.soak.samples import soak


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("soak") / "soak.html"
    soak_page.write(soak(), path)
    return path.as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
def test_it_is_accessible_and_fits(visitor, accessible, shifted, file, width, scheme):
    page = visitor.open(file, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.get_by_role("heading", level=1).inner_text() == "FAIL"
    assert page.locator("svg[role=img]").count() == 2
    assert shifted(page) < 0.001
    accessible(page)


def test_every_scheme_draws_its_own_colours(visitor, file):
    colours = set()
    for scheme in ("light", "dark"):
        page = visitor.open(file, scheme=scheme)
        colours.add(page.evaluate("getComputedStyle(document.querySelector('.v-before path.rss')).stroke"))
    assert len(colours) == 2


def test_it_prints_whole(visitor, file):
    page = visitor.open(file)
    page.emulate_media(media="print")
    hidden = page.evaluate(
        "[...document.querySelectorAll('section')].filter((s) => s.getBoundingClientRect().height < 20).length"
    )
    assert hidden == 0
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every((s) => getComputedStyle(s).overflowX === 'visible')"
    )
