from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from evertick.errors import SettingsError
from evertick.sources.listing import BUILT_IN, GROUP, Listed, chosen
from evertick.universe import NAMESPACES

from .fakes import FixedClock


def point(name: str, value: str = "acme:Acme") -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_every_built_in_source_is_what_its_line_says():
    for listed in BUILT_IN:
        source = listed.load()
        assert (source.name, source.title, source.needs_key) == (listed.name, listed.title, listed.needs_key)
        assert listed.name in NAMESPACES
        assert set(source.namespaces) <= set(NAMESPACES)
        requests, seconds = source.rate
        assert requests >= 1
        assert seconds > 0
        assert source.every_s >= 0
        assert hasattr(source, "bars") == hasattr(source, "bars_at_once")
        source(FixedClock(), "http://h", None)


DOCS = Path(__file__).parents[3] / "docs" / "reference" / "sources"
HEADINGS = [
    "Endpoint", "What it gives", "Symbols", "Limits", "Terms and attribution", "Failure forms covered", "Known weaknesses",
]  # fmt: skip


@pytest.mark.parametrize("listed", BUILT_IN, ids=lambda one: one.name)
def test_every_source_has_its_page_with_the_same_headings(listed: Listed):
    page = (DOCS / f"{listed.name}.md").read_text(encoding="utf-8")
    assert re.findall("^## (.*)$", page, re.MULTILINE) == HEADINGS
    assert f"`{listed.name}`" in page
    assert not listed.needs_key or f"`EVERTICK_SOURCES__{listed.name.upper()}__API_KEY`" in page


def test_the_table_of_the_docs_has_the_sources_in_their_order():
    """With whether they need a key, their requests a day, and what they are asked for how often."""
    rows = [row for row in (DOCS / "README.md").read_text(encoding="utf-8").splitlines() if row.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if ".md)" in row]
    assert [cell[1] for cell in cells] == [f"[`{one.name}`]({one.name}.md)" for one in BUILT_IN]
    for listed, cell in zip(BUILT_IN, cells, strict=True):
        source = listed.load()
        assert (cell[3] == "yes") == listed.needs_key
        assert source.per_day is None or f"{source.per_day:,} a day" in cell[4]
        assert re.match(rf"{source.rate[0]} (a|an|in) ", cell[4])
        assert (cell[5].split(",")[0] == "run") == (source.every_s == 0)
        assert [name.strip("` ") for name in cell[6].split(",")] == list(source.namespaces)
        assert ("; bars" in cell[2]) == hasattr(source, "bars")


def test_no_name_is_there_twice():
    names = [listed.name for listed in BUILT_IN]
    assert len(set(names)) == len(names)


def test_sources_of_packages_come_after_the_built_in_ones():
    found, refused = chosen(BUILT_IN, [point("acme"), point("zeta")])
    assert [one.name for one in found[len(BUILT_IN) :]] == ["acme", "zeta"]
    assert (found[: len(BUILT_IN)], refused) == (BUILT_IN, [])


def test_a_package_may_not_take_the_name_of_another_source():
    found, refused = chosen(BUILT_IN, [point("acme"), point("acme", "other:Acme"), point("yahoo", "evil:Yahoo")])
    assert [one.name for one in found] == [*(one.name for one in BUILT_IN), "acme"]
    assert refused == [
        "package other:Acme: the name 'acme' belongs to package acme:Acme",
        "package evil:Yahoo: the name 'yahoo' belongs to a built-in source",
    ]


@pytest.mark.parametrize("name", ["", "x", "Acme", "acme corp", "acme-corp", "acme__key", "9acme", "a" * 40, "mục"])
def test_a_name_that_no_setting_can_have_is_refused(name: str):
    found, refused = chosen((), [point(name)])
    assert found == ()
    assert "is no name for a source" in refused[0]


class Whole:
    name, title, namespaces, rate = "acme", "Acme", ("acme",), (1, 1.0)
    per_day, every_s, needs_key = None, 0.0, False

    async def fetch(self, http, instruments): ...


class Renamed(Whole):
    name = "other"


class Hasty(Whole):
    async def bars(self, http, instruments, since): ...


class Bare:
    name = "acme"

    async def fetch(self, http, instruments): ...


def here(name: str) -> Listed:
    return Listed("acme", "acme", False, point=point("acme", f"{__name__}:{name}"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Bare", "it lacks title, namespaces, rate, per_day, every_s, needs_key"),
        ("Hasty", "it lacks bars_at_once"),
        ("Renamed", "its class is called 'other', its entry point 'acme'"),
        ("pytest", "it lacks name, title, namespaces, rate, per_day, every_s, needs_key, fetch"),
    ],
)
def test_a_class_that_is_no_source_says_what_it_lacks(name: str, why: str):
    with pytest.raises(SettingsError, match=why):
        here(name).load()


def test_a_whole_class_is_loaded_and_one_that_is_not_there_raises_what_its_import_raises():
    assert here("Whole").load() is Whole
    with pytest.raises(AttributeError):
        here("Missing").load()
