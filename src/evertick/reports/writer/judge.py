"""Judges what a model wrote: sanitised, cut into sentences, and every sentence held against the facts that were given.

Pure. A figure counts only in the very form in which the page will show it (`evertick.reports.shown`, the number check's own
reading), behind the name it belongs to, and with the direction it has. What is struck is told in a few words; what stays is
made of facts put into the model's wording (`evertick.reports.written`), so that the page shows no digit that the model wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from unicodedata import normalize

import nh3

from evertick.reports.blocks import Name, Number
from evertick.reports.shown import MINUS, Grammar
from evertick.reports.writer.brief import Brief, Given
from evertick.reports.writer.lexicon import Lexicon
from evertick.reports.written import Line, Written

LEAST = 3
"""Points that must be left."""
MOST = 8
LINES = 24
"""Of an answer, no more are looked at."""
HEADLINE, POINT = 160, 320
"""Characters of a headline and of a sentence at most."""
WORDS = 3
REACH = 40
"""Characters around a count in which its direction is looked for."""

_THOUGHT = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_BULLET = re.compile(r"^(?:[-*•–—]|\d{1,2}[.)])\s+")
_DECORATION = re.compile(r"^[#>\s]+|\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)")
_SPLIT = re.compile(r"(?<=[.!?…])(?<!\W[A-Z]\.)\s+(?=[^\Wa-z\d_]|[“\"(+−\d])")
_WORD = re.compile(r"[^\W\d_]+")
_BEHIND = re.compile(r"[-\s]?([^\W\d_]+)")
_UNPRINTABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_FOREIGN = re.compile(r"[<>{}`|\\]|\]\(|https?:|www\.|[\U0001f000-\U0001faff]", re.IGNORECASE)
_CURRENCY = re.compile(r"\s?([A-Z]{3})(?!\w)")
_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₫": "VND"}
_MULTIPLIER = re.compile(
    r"\s?(?:k|m|bn|b|tn|t|thousand|million|billion|trillion|nghìn|ngàn|triệu|tỷ|tỉ|percent|phần trăm|%|‰)(?!\w)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    written: Written | None
    """What may be published; ``None``: too little is left."""
    sentences: int
    struck: tuple[str, ...]
    """Why, one for each sentence that was struck."""


class _Struck(Exception):
    """A sentence may not be published; the reason in a few words."""


def judge(text: str, brief: Brief, grammar: Grammar, lexicon: Lexicon, model: str) -> Verdict:
    """What of a model's ``text`` may stand in place of the rules' headline and points."""
    bench = _Bench(brief, grammar, lexicon)
    struck: list[str] = []
    kept: list[Line] = []
    headed = False
    for position, line in enumerate(_lines(text)):
        whole = _judged(bench, line, HEADLINE if position == 0 else POINT, struck)
        if whole is not None:
            headed = headed or position == 0
            kept.append(whole)
    count = sum(len(_sentences(line)) for line in _lines(text))
    headline, *points = kept or [Line("", (), ())]
    if not headed:  # as among the rules, the first point is the headline then
        points = kept
    points = points[:MOST]
    if len(points) < LEAST:
        return Verdict(None, count, tuple(struck))
    return Verdict(Written(model, headline, tuple(points)), count, tuple(struck))


def _judged(bench: _Bench, line: str, longest: int, struck: list[str]) -> Line | None:
    """A line up to its first sentence that is struck: what follows may hang on it."""
    good: list[Line] = []
    for sentence in _sentences(line):
        try:
            if len(sentence) > longest:
                raise _Struck(f"has {len(sentence)} characters, more than {longest}")
            good.append(bench.sentence(sentence, first=good))
        except _Struck as why:
            struck.append(str(why))
            break
    return _joined(good) if good else None


def _lines(text: str) -> Iterator[str]:
    """The lines of an answer as plain text; markup and what stands in scripts is gone."""
    text = unescape(nh3.clean(_THOUGHT.sub("", text), tags=set()))
    lines = (" ".join(line.split()) for line in normalize("NFC", text).splitlines())
    bare = (_DECORATION.sub("", _BULLET.sub("", _DECORATION.sub("", line))).strip(' "“”') for line in lines)
    for _, line in zip(range(LINES), (line for line in bare if line), strict=False):
        yield line


def _sentences(line: str) -> list[str]:
    return [piece for piece in _SPLIT.split(line) if piece]


class _Bench:
    """What all sentences of one answer are held against."""

    def __init__(self, brief: Brief, grammar: Grammar, lexicon: Lexicon) -> None:
        self._brief = brief
        self._grammar = grammar
        self._lexicon = lexicon
        # No pattern: `re` keeps those it compiled, and the names are others in every report.
        self._names = [(name.lower(), name) for name in sorted(brief.names, key=lambda name: -len(name))]
        self._literals = {pair for said in (*brief.statements, *brief.figures) for pair in self._wordings(said)}

    def sentence(self, text: str, first: Sequence[Line] = ()) -> Line:
        """The sentence with facts in place of its figures. ``first`` are those before it in its line. Raises `_Struck`."""
        grammar = self._grammar
        if _FOREIGN.search(text) or _UNPRINTABLE.search(text):
            raise _Struck("is not plain text")
        text = grammar.glued(re.sub(r"(?<![\w.,)])[-–](?=\d)", MINUS, text))
        names = self._named(text)
        plain = self._masked(text, names)
        lower = plain.lower()
        for reason, pattern in self._lexicon.refused:
            if found := pattern.search(lower):
                raise _Struck(f"{reason}: {found.group()!r}")
        words = _WORD.findall(lower)
        if len(words) + len(names) < WORDS:
            raise _Struck("is no sentence")
        if not self._lexicon.is_in(words):
            raise _Struck(f"is not in the language {self._brief.language!r}")
        figures = self._figures(text, plain, lower, names)
        self._periods(lower, figures)
        base = (sum(len(line.numbers) for line in first), sum(len(line.names) for line in first))
        return self._placed(text, figures, names, base)

    # --- names

    def _named(self, text: str) -> list[tuple[int, int, str]]:
        """Where names of the brief stand as words of their own, the longest first where two could; in the order of the text."""
        lower = text.lower()
        if len(lower) != len(text):
            lower = text
        found: list[tuple[int, int, str]] = []
        taken = bytearray(len(text) + 1)
        for sought, name in self._names:
            start = lower.find(sought)
            while start >= 0:
                end = start + len(sought)
                apart = not (start and text[start - 1].isalnum()) and not text[end : end + 1].isalnum()
                if apart and not any(taken[start:end]):
                    taken[start:end] = b"\1" * len(sought)
                    found.append((start, end, name))
                start = lower.find(sought, end)
        return sorted(found)

    def _masked(self, text: str, names: Sequence[tuple[int, int, str]]) -> str:
        """The plain form of a text of the same length, with nothing where names stand."""
        plain = self._grammar.plain(text)
        for start, end, _ in names:
            plain = plain[:start] + "\0" * (end - start) + plain[end:]
        return plain

    def _wordings(self, said: str) -> Iterator[tuple[str, str]]:
        """Numbers of a given line that are no facts, each with the word behind it: ``200`` and ``day``."""
        plain = self._masked(said, self._named(said))
        own = [given for given in self._brief.given if given.said == said]
        for match in self._grammar.found(plain):
            if not any(self._grammar.end(plain, match, given.number) for given in own):
                yield match.group(), _next_word(plain, match.end())

    # --- figures

    def _figures(
        self, text: str, plain: str, lower: str, names: Sequence[tuple[int, int, str]]
    ) -> list[tuple[int, int, Given]]:
        """Where figures stand and which facts they are."""
        figures: list[tuple[int, int, Given]] = []
        before = 0
        for match in self._grammar.found(plain):
            if match.start() < before:
                continue
            ends = [
                (end, given)
                for given in self._brief.given
                if (end := self._grammar.end(plain, match, given.number)) is not None
                and (given.owner is not None or given not in (used for _, _, used in figures))
            ]
            if not ends and (match.group(), _next_word(plain, match.end())) in self._literals:
                continue
            shown = text[match.start() : match.end() + 1].strip(" .,;:)")
            if not ends:
                raise _Struck(f"shows {shown!r}, which is no fact it was given")
            reasons = []
            for end, given in ends:
                reason = self._wrong(text, plain, lower, names, (before, match.start(), end), given)
                if reason is None:
                    figures.append((match.start(), end, given))
                    before = end
                    break
                reasons.append(reason)
            else:
                raise _Struck(f"shows {shown!r}, {reasons[0]}")
        if not figures:
            raise _Struck("shows no figure, so nothing can be checked")
        return figures

    def _wrong(
        self,
        text: str,
        plain: str,
        lower: str,
        names: Sequence[tuple[int, int, str]],
        place: tuple[int, int, int],
        given: Given,
    ) -> str | None:
        """Why the number at ``place`` (end of the one before, start, end) is not this fact; ``None`` when it is."""
        before, start, end = place
        if (unit := self._unit(text, start, end, given)) is not None:
            return unit
        nearest = self._nearest(names, start, end)
        if given.owner is not None:
            if nearest is None or self._brief.names[nearest][0] != given.owner:
                return f"which is a fact of {given.owner}" + (f" and not of {nearest}" if nearest else "")
        elif not self._same_matter(lower, given):
            return "where it is about something else"
        name_end = max((e for _, e, _ in names if e <= start), default=0)
        return self._direction(lower, given, (max(name_end, before), before, start, end))

    def _nearest(self, names: Sequence[tuple[int, int, str]], start: int, end: int) -> str | None:
        """The last name before a number, else the first behind it."""
        ahead = [name for s, _, name in names if s < start]
        return ahead[-1] if ahead else next((name for s, _, name in names if s >= end), None)

    def _unit(self, text: str, start: int, end: int, given: Given) -> str | None:
        """A figure may bear no other currency or scale than it was given with."""
        if given.number.style in ("decimal", "integer") and (found := _MULTIPLIER.match(text, end)):
            return f"followed by {found.group().strip()!r}"
        said = _SIGNS.get(text[start - 1 : start]) or _SIGNS.get(text[end : end + 1])
        if said is None and (code := _CURRENCY.match(text, end)):
            said = code[1]
        if said is not None and said not in given.said:
            return f"given without {said}"
        return None

    def _same_matter(self, lower: str, given: Given) -> bool:
        """A fact of no single instrument: the sentence must share words with the line that says it."""
        matter = set(_WORD.findall(given.said.lower())) - self._lexicon.common
        return len(matter & set(_WORD.findall(lower))) >= min(2, len(matter))

    def _direction(self, lower: str, given: Given, place: tuple[int, int, int, int]) -> str | None:
        near, before, start, end = place
        number = given.number
        signed = number.signed and (number.value or 0.0) != 0
        wanted = given.way or given.leaning or ((1 if (number.value or 0.0) > 0 else -1) if signed else 0)
        if wanted == 0:
            if number.style == "integer" and given.owner is None:
                return self._count(lower, given, before, start, end)
            return None
        said = self._last_way(lower, near, start)
        if said == 0 and given.way:
            said = self._last_way(lower, before, start) or self._behind(lower, end)
            if said == 0:
                return "without a word on its direction"
        return "with the wrong direction" if said and said != wanted else None

    def _count(self, lower: str, given: Given, before: int, start: int, end: int) -> str | None:
        """Of "15 up, 22 down" the numbers may not change places."""
        told = self._grammar.plain(given.said).lower()
        for match in self._grammar.found(told):
            if self._grammar.end(told, match, given.number) is not None:
                one = self._bearing(told, match.start(), match.end())
                other = self._bearing(lower, start, end)
                return "with the wrong direction" if one and other and one != other else None
        return None

    def _bearing(self, lower: str, start: int, end: int) -> int:
        return self._behind(lower, end) or self._last_way(lower, max(0, start - REACH), start)

    def _last_way(self, lower: str, start: int, end: int) -> int:
        found = list(self._lexicon.moves.finditer(lower, start, end))
        return self._lexicon.way(found[-1]) if found else 0

    def _behind(self, lower: str, end: int) -> int:
        """The direction that is told soon behind a number, before the next fact."""
        near = lower[: end + REACH]
        numbers = (m for m in self._grammar.found(near) if m.start() >= end)
        stop = next(
            (m.start() for m in numbers if (m.group(), _next_word(near, m.end())) not in self._literals), len(near)
        )
        found = self._lexicon.moves.search(lower, end, stop)
        return self._lexicon.way(found) if found else 0

    def _periods(self, lower: str, figures: Sequence[tuple[int, int, Given]]) -> None:
        """Weeks, months and records are spoken of only where a fact that is used does."""
        said = " ".join(given.said.lower() for _, _, given in figures)
        for match in self._lexicon.periods.finditer(lower):
            if match.group() not in said:
                raise _Struck(f"speaks of {match.group()!r}, which its facts do not")

    def _placed(
        self,
        text: str,
        figures: Sequence[tuple[int, int, Given]],
        names: Sequence[tuple[int, int, str]],
        base: tuple[int, int],
    ) -> Line:
        """The wording, with a place for every figure and for every name written as the language writes it."""
        numbers: list[Number] = []
        origins: list[str] = []
        linked: list[Name] = []
        spots: list[tuple[int, int, str]] = []
        for start, end, given in figures:
            spots.append((start, end, f"{{n{base[0] + len(numbers)}}}"))
            numbers.append(given.number)
            origins.append(given.origin)
        for start, end, name in names:
            if text[start:end] == name:
                spots.append((start, end, f"{{a{base[1] + len(linked)}}}"))
                linked.append(self._brief.names[name][1])
        pieces, at = [], 0
        for start, end, spot in sorted(spots):
            pieces += [text[at:start], spot]
            at = end
        pieces.append(text[at:])
        ways = {
            (g.number.value or 0.0) > 0 if g.number.signed else g.way > 0
            for _, _, g in figures
            if g.way or g.number.signed
        }
        tone = "neutral" if len(ways) != 1 else "up" if ways.pop() else "down"
        return Line("".join(pieces), tuple(numbers), tuple(origins), tuple(linked), tone)


def _joined(lines: Sequence[Line]) -> Line:
    if len(lines) == 1:
        return lines[0]
    return Line(
        " ".join(line.text for line in lines),
        tuple(n for line in lines for n in line.numbers),
        tuple(o for line in lines for o in line.origins),
        tuple(n for line in lines for n in line.names),
        lines[0].tone,
    )


def _next_word(plain: str, at: int) -> str:
    found = _BEHIND.match(plain, at)
    return found[1].lower() if found else ""
