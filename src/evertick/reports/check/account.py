"""What is known of one page while it is read: what is wrong on it, what it said, and how its language writes."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from datetime import date
from hashlib import blake2s
from html import unescape
from math import isfinite
from typing import Any

from evertick.errors import ReportRejected
from evertick.reports.blocks import Number, Sentence, Text
from evertick.reports.findings import Facts, Findings
from evertick.reports.shown import Grammar, bare
from evertick.reports.written import RULE

REASONS = 12
"""No more are told."""
TAG_SEEN = re.compile(r'\s(?:aria-label|title|alt|placeholder)="([^"]*\d[^"]*)"')
LOOSE = re.compile(r">[^<]*\d")
_SCRIPT = re.compile(r"<script\b[^>]*>[^<]*</script>")
NOTHING: frozenset[str] = frozenset()


def refuse(reasons: Sequence[str]) -> None:
    if len(reasons) > REASONS:
        reasons = [*reasons[:REASONS], f"and {len(reasons) - REASONS} more"]
    if reasons:
        raise ReportRejected(reasons)


class Account:
    def __init__(self, findings: Findings, language: str, grammar: Grammar, today: date) -> None:
        self.findings = findings
        self.language = language
        self.grammar = grammar
        self.today = today
        """The day of the report in its time zone: times of that day are shown without it."""
        self.numbers = 0
        """Facts that were found on the page and are right."""
        self.traced = 0
        """Those of them whose name on the page promises one fact of one instrument, and which are it."""
        self.said: dict[str, bytes] = {}
        """A digest of the numbers of each section, whatever their order in a sentence of the language."""
        self.reasons: list[str] = []
        self.section, self.name = "head", ""
        """Where on the page, and what is read there."""
        self._values = array("d")
        self._digest = blake2s(digest_size=16)

    # --- what is wrong

    def fail(self, reason: str) -> None:
        where = f"{self.language}, section {self.section}" if self.section != "head" else f"{self.language}, head"
        self.reasons.append(f"{where}, {self.name}: {reason}" if self.name else f"{where}: {reason}")
        if len(self.reasons) > REASONS:
            refuse(self.reasons)

    def gap(self, html: str, aside: frozenset[str] = NOTHING) -> None:
        """What stands between two blocks has no numbers, but those of the label of the box it opens."""
        if "<script" in html:
            html = _SCRIPT.sub("", html)
        texts = [unescape(text) for text in TAG_SEEN.findall(html)]
        if LOOSE.search(html):
            texts.append(bare(html))
        for text in texts:
            if (stray := self.grammar.strays(text, aside)) is not None:
                self.fail(f"before it stands {stray!r}, which is no fact")

    # --- what is said

    def seal(self, section: str) -> None:
        """``section`` begins: what was said before it is that of the one before."""
        self.flush()
        self.said[self.section] = self._digest.digest()
        self._digest = blake2s(digest_size=16)
        self.section = section

    def say(self, values: Sequence[float]) -> None:
        """Numbers that the page shows, in an order that is the same in every language."""
        self.numbers += len(values)
        self._values.extend(values)
        if len(self._values) > 1_000:
            self.flush()

    def flush(self) -> None:
        self._digest.update(self._values.tobytes())
        del self._values[:]

    def compare(self, text: str, *values: Any, alike: bool = True, said: Sequence[float] | None = None) -> None:
        """Holds the numbers of a plain text against those of ``values``, and remembers these as said if all languages say them.

        ``said`` are these numbers, sorted, where they are known already.
        """
        wrong = self.grammar.agrees(text, self.grammar.expected(*values))
        if wrong is not None:
            self.fail(wrong)
        if alike:
            self.say(sorted(numbers(values)) if said is None else said)

    def same(self, *args: Any) -> None:
        """`compare` of the values with the piece of a page that comes last."""
        *values, html = args
        self.compare(bare(html), *values)

    def sentence(
        self, sentence: Sentence, html: str, *, alike: bool = True, said: Sequence[float] | None = None
    ) -> None:
        if f'data-rule="{sentence.rule}"' not in html:
            self.fail("the sentence does not name its rule")
        self.compare(bare(html), sentence, alike=alike, said=said)
        if sentence.rule == RULE:
            self._borne_out(sentence)

    def _borne_out(self, sentence: Sentence) -> None:
        """What a model's sentence says to be a fact of an instrument is that fact; its words tell the direction."""
        for origin, number in sentence.inputs.items():
            id, _, name = origin.rpartition(".")
            facts = self.findings.get(id) if name in ("price", "change") else None
            if facts is not None and isinstance(number, Number):
                fact = getattr(facts, name)
                if fact is None or number.value not in (fact, abs(fact)):
                    self.fail(f"says {number.value!r} is {origin}, which is {fact!r}")
                self.traced += 1

    def promise(self, facts: Facts, name: str, title: str, value: Number) -> None:
        fact = getattr(facts, name)
        if fact != value.value:
            self.fail(f"{title} of {facts.id} is {value.value!r}, but its {name} is {fact!r}")
        self.traced += 1

    def linked(self, link: str | None) -> Facts | None:
        """The facts that a link to a card is about."""
        return self.findings.get(link.removeprefix("card-")) if link else None


def numbers(value: Any) -> Iterator[float]:
    """The numbers of values of the vocabulary, whatever the language makes of them."""
    match value:
        case Number():
            if value.value is not None and isfinite(value.value):
                yield value.value
        case Text():
            yield from numbers(tuple(value.values.values()))
        case Sentence():
            yield from numbers(value.text)
        case dict():
            yield from numbers(tuple(value.values()))
        case tuple() | list():
            for item in value:
                yield from numbers(item)
        case int():
            yield float(value)
