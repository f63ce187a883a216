"""Checks a rendered report: every number on the page is a fact, under the right name, and every language says the same.

The blocks go through `Page.follow` on their way to the renderer, which only notes them in a queue; the page comes back to
`Page.read` in the pieces that go to the archive, and its numbers are read by the rules of the language
(`evertick.reports.shown`).

What is looked at: sentences and their rules, headings, captions, every cell, the heads, statistics and bars of cards, labels,
legends, tiles and bars of figures. Axes are scales and no facts; the JSON for the page script is not text.
"""

from __future__ import annotations

from array import array
from itertools import islice
from typing import Protocol
from zlib import crc32

from evertick.reports.blocks import Head
from evertick.reports.check.account import REASONS, refuse
from evertick.reports.check.page import Page
from evertick.reports.findings import Findings
from evertick.reports.shown import Catalogue, Grammar

__all__ = ["Check", "Page"]


class Words(Protocol):
    @property
    def catalogue(self) -> Catalogue: ...


class Check:
    """The check of one report in all its languages. ``findings`` are the facts its pages are held against."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.pages: list[Page] = []
        self._seals = array("I", (crc32(f.values) for f in findings.facts))

    def page(self, language: str, words: Words, timezone: str, head: Head) -> Page:
        """A reader for the page in ``language``, whose times are those of ``timezone``. Of ``words`` only the catalogue is used."""
        page = Page(self.findings, language, Grammar(language, words.catalogue, timezone), head)
        self.pages.append(page)
        return page

    def close(self) -> None:
        """All pages are read. Raises `ReportRejected` when they differ, or when a fact changed while they were made."""
        changed = (
            f"the facts of {f.id} changed while the report was made"
            for f, before in zip(self.findings.facts, self._seals, strict=True)
            if crc32(f.values) != before
        )
        reasons = list(islice(changed, REASONS))
        for page in self.pages[1:]:
            first, other = self.pages[0].account, page.account
            reasons += [
                f"section {section}: {other.language} says other numbers than {first.language}"
                for section in dict.fromkeys([*first.said, *other.said])
                if first.said.get(section) != other.said.get(section)
            ]
        refuse(reasons)
