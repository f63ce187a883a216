"""Numbers and times as a reader of one language sees them, read back from the page.

Nothing here formats a number: a shown text is brought to a plain form by the separators of the language (CLDR, the same file
the renderer reads) and compared with the fact, rounded to the decimals it is to be shown with. So a fault of the formatting
code, of a template or of a translation is found, and not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from datetime import date, datetime
from html import unescape
from math import isfinite
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from evertick.reports.blocks import Name, Number, Sentence, Text
from evertick.reports.render import cldr

DASH = "–"
"""What stands for an unknown value."""
NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
WORDINGS = 256
"""Sentences that are kept in pieces: cards say the same ones."""
_TAG = re.compile(r"""<(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_PLACE = re.compile(r"\{(\w+)\}")
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"[+\N{MINUS SIGN}]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?")

Expected = str | Number
"""What a text must show next: digits that belong to its wording, as they are, or a fact."""


class Catalogue(Protocol):
    def text(self, msgid: str) -> str: ...

    def plural(self, msgid: str, plural: str, n: int) -> str: ...


class Grammar:
    """How one language writes numbers. ``timezone`` is the one the report's times are in."""

    def __init__(self, language: str, catalogue: Catalogue, timezone: str) -> None:
        habits = cldr.habits(language)
        self.catalogue = catalogue
        self._zone = ZoneInfo(timezone)
        self._decimal, self._group = str(habits["decimal"]), str(habits["group"])
        self._english = (self._decimal, self._group) == (".", ",")
        self._percent = self.plain(habits["percent"])
        scales = {self.plain(suffix): divisor for _, divisor, prefix, suffix in habits["scales"] if not prefix}
        self._scales = sorted(((s, d) for s, d in scales.items() if s.strip(" ,")), key=lambda scale: -len(scale[0]))
        self._dates: dict[str, list[list[Any]]] = habits["dates"]
        self._wordings: dict[str, list[tuple[str, list[str]]]] = {}

    def plain(self, text: str) -> str:
        """``text``, which may be a piece of a page, with a comma between thousands and a point before decimals."""
        if self._english:
            return text
        return text.replace(self._decimal, "\1").replace(self._group, ",").replace("\1", ".")

    # --- one number

    def is_shown(self, text: str, n: Number) -> bool:
        """Whether a plain ``text`` without tags is ``n`` and nothing else (its unit may follow)."""
        value = n.value
        if value is None or not isfinite(value):
            return text == DASH
        style = n.style
        if style == "compact":
            match = _NUMBER.match(text)
            return match is not None and self._compact(match.group(), text[match.end() :], n, value)
        wanted = form(n, value)
        if style == "percent":
            return text == wanted + self._percent
        return text == wanted or (n.unit != "" and text.startswith(wanted) and self._is_unit(text[len(wanted) :], n))

    def _is_unit(self, tail: str, n: Number) -> bool:
        return tail.lstrip(f"{NBSP},") == self.plain(self.catalogue.text(n.unit))

    def _at(self, text: str, match: re.Match[str], n: Number) -> bool:
        """Whether the number found in a plain ``text`` is ``n``, with what must follow it."""
        value = n.value or 0.0
        if n.style == "compact":
            return self._compact(match.group(), text[match.end() :], n, value)
        if n.style == "percent" and not text.startswith(self._percent, match.end()):
            return False
        return match.group() == form(n, value)

    def _compact(self, shown: str, tail: str, n: Number, value: float) -> bool:
        scale = next((divisor for suffix, divisor in self._scales if tail.startswith(suffix)), 1.0)
        decimals = len(shown.partition(".")[2])
        if decimals != n.decimals and (scale != 1.0 or decimals != min(1, n.decimals)):
            return False
        read = float(shown.replace(",", "").replace(MINUS, "-"))
        if shown != written(read, decimals, n.signed):
            return False
        return abs(read * scale - value) <= 0.5000001 * 10.0**-decimals * scale + 1e-9 * abs(value)

    # --- texts

    def expected(self, *values: Any) -> list[Expected]:
        """What values of the vocabulary must show, in the order of this language's wording."""
        found: list[Expected] = []
        for value in values:
            self._expect(value, found)
        return found

    def _expect(self, value: Any, found: list[Expected]) -> None:
        match value:
            case Text():
                self._message(value, found)
            case Name():
                found += self.literal(self.catalogue.text(value.text))
            case Number():
                if value.value is not None and isfinite(value.value):
                    found.append(value)
                if value.unit:
                    found += self.literal(self.catalogue.text(value.unit))
            case Sentence():
                self._message(value.text, found)
            case str():
                found += self.literal(value)
            case tuple() | list():
                for item in value:
                    self._expect(item, found)
            case datetime():
                found += self.literal(self.moment(value))
            case date():
                found += self.literal(self.day("date", value))
            case int():
                found.append(Number(float(value), "integer"))
            case float():
                found.append(Number(value))

    def _message(self, text: Text, found: list[Expected]) -> None:
        values = text.values
        wording = self.catalogue.text(text.msgid)
        if text.plural is not None:
            n = values["n"]
            count = int((n.value or 0) if isinstance(n, Number) else n)
            wording = self.catalogue.plural(text.msgid, text.plural, count)
        pieces = self._pieces(wording)
        if any([place and place not in values for place, _ in pieces]):  # noqa: C419 — a list is faster
            pieces = self._pieces(text.msgid)  # the renderer lets English stand in, too
        for place, numbers in pieces:
            if place:
                self._expect(values[place], found)
            else:
                found += numbers

    def _pieces(self, wording: str) -> list[tuple[str, list[str]]]:
        """A wording's places, and the numbers that stand between them as a part of it."""
        found = self._wordings.get(wording)
        if found is None:
            if len(self._wordings) >= WORDINGS:
                self._wordings.clear()
            split = _PLACE.split(wording)
            found = [(piece, []) if i & 1 else ("", self.literal(piece)) for i, piece in enumerate(split)]
            found = self._wordings[wording] = [piece for piece in found if piece[0] or piece[1]]
        return found

    def name(self, value: Any) -> str:
        """What a name, a text or a day is called in the language."""
        match value:
            case Name():
                return self.catalogue.text(value.text)
            case Text():
                wording = _PLACE.split(self.catalogue.text(value.msgid))
                return "".join([self.name(value.values[w]) if i & 1 else w for i, w in enumerate(wording)])
            case date():
                return self.day("date", value)
            case _:
                return str(value)

    def literal(self, text: str) -> list[str]:
        """The numbers that belong to a wording or a name, in plain form: "200" of "200-day average"."""
        return _NUMBER.findall(self.plain(text)) if _DIGIT.search(text) else []

    def agrees(self, text: str, expected: Iterable[Expected]) -> str | None:
        """Compares the numbers of a text with what it must show; ``None`` when they agree, else what is wrong."""
        wanted = iter(expected)
        text = self.plain(text)
        for match in _NUMBER.finditer(text):
            want = next(wanted, None)
            if want is None:
                return f"shows {match.group()!r}, which is no fact of it"
            if not (match.group() == want if isinstance(want, str) else self._at(text, match, want)):
                return f"shows {match.group() + text[match.end() : match.end() + 6].rstrip()!r}, expected {told(want)}"
        missing = next(wanted, None)
        return None if missing is None else f"does not show {told(missing)}"

    def found(self, text: str) -> Iterator[re.Match[str]]:
        """The numbers in a plain ``text``, whatever they are."""
        return _NUMBER.finditer(text)

    def end(self, text: str, match: re.Match[str], n: Number) -> int | None:
        """Where ``n`` ends in a plain ``text``, its percent sign or scale included; ``None`` when ``match`` is not ``n``."""
        if n.value is None or not isfinite(n.value) or not self._at(text, match, n):
            return None
        if n.style == "percent":
            return match.end() + len(self._percent)
        if n.style != "compact":
            return match.end()
        return match.end() + max((len(s) for s, _ in self._scales if text.startswith(s, match.end())), default=0)

    def glued(self, text: str) -> str:
        """``text`` with the spaces that do not break before percent signs and scales, where somebody wrote plain ones."""
        for tail in (self._percent, *(suffix for suffix, _ in self._scales)):
            if NBSP in tail:
                text = re.sub(rf"(?<=\d){re.escape(tail.replace(NBSP, ' '))}(?!\w)", tail, text)
        return text

    def strays(self, text: str, known: Set[str]) -> str | None:
        """The first number of a text whose plain form is not among ``known``."""
        return next((shown for shown in _NUMBER.findall(self.plain(text)) if shown not in known), None)

    def forms(self, value: Any) -> Iterator[str]:
        """The plain forms of the numbers in a value, for `strays`; a bare float may be shown with 0 to 4 decimals."""
        if isinstance(value, float):
            if isfinite(value):
                for decimals in range(5):
                    shown = form(Number(value, decimals=decimals), value)
                    yield from (shown, f"+{shown}")
            return
        for item in self.expected(value):
            if isinstance(item, str):
                yield item
            elif item.style != "compact":
                yield form(item, item.value or 0.0)
            else:
                for scale in (1.0, *(divisor for _, divisor in self._scales)):
                    read = (item.value or 0.0) / scale
                    yield from (form(Number(read, decimals=d), read) for d in {item.decimals, min(1, item.decimals)})

    # --- times

    def day(self, name: str, day: date) -> str:
        """A day by one of the language's patterns (`cldr.read`); a moment is of the day it is in the report's time zone."""
        if isinstance(day, datetime):
            day = day.astimezone(self._zone).date()
        return "".join([_part(kind, value, day) for kind, value in self._dates[name]])

    def moment(self, at: datetime) -> str:
        return f"{self.day('date', at)} {self.clock(at)}"

    def clock(self, at: datetime) -> str:
        return f"{at.astimezone(self._zone):%H:%M}"

    def short(self, at: datetime, today: date) -> str:
        """As cells show it: the clock of today's, day and clock of others."""
        here = at.astimezone(self._zone).date()
        return self.clock(at) if here == today else f"{self.day('day', at)} {self.clock(at)}"

    def offset(self, at: datetime) -> str:
        """Hours from UTC with their sign, ``+7`` or ``−3:30``; nothing in UTC itself."""
        passed = at.astimezone(self._zone).utcoffset()
        minutes = int(passed.total_seconds() // 60) if passed else 0
        hours, rest = divmod(abs(minutes), 60)
        sign = "+" if minutes > 0 else "\N{MINUS SIGN}"
        return f"{sign}{hours}{f':{rest:02d}' if rest else ''}" if minutes else ""

    def local(self, at: datetime) -> date:
        return at.astimezone(self._zone).date()


def form(n: Number, value: float) -> str:
    """A fact as it must be shown, in plain form: ``−1,234.50``, ``+0.3``, ``0.00`` for what rounds to zero."""
    return written(value, 0 if n.style == "integer" else n.decimals, n.signed)


def written(value: float, decimals: int, signed: bool) -> str:
    text = f"{value:,.{decimals}f}"
    if text[0] == "-":
        return MINUS + text[1:] if text.strip("-0.") else text[1:]
    return "+" + text if signed and text.strip("0.") else text


def told(want: Expected) -> str:
    if isinstance(want, str):
        return repr(want)
    return "a dash" if want.value is None else f"{want.value:.10g} as {want.style} with {want.decimals} decimals"


def bare(html: str) -> str:
    """The text of a piece of a page as it is seen: without tags, entities and spaces that do not break."""
    text = _TAG.sub("", html) if "<" in html else html
    if "&" in text:
        text = unescape(text)
    return text


def _part(kind: str, value: Any, day: date) -> str:
    match kind:
        case "text":
            return str(value)
        case "year":
            return f"{day.year % 100:02d}" if value == 2 else f"{day.year}"
        case "day":
            return f"{day.day:0{value}d}"
        case "month":
            return f"{day.month:0{value}d}"
        case "weekdays":
            return str(value[day.weekday()])
        case _:
            return str(value[day.month - 1])
