"""What a model is told: sentences of the rules and a few figures, in one language, each number with the fact it is.

Pure. About 3 KB of text a language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any, Protocol

from evertick.reports import landmarks
from evertick.reports.blocks import Name, Number, Sentence, Text
from evertick.reports.findings import Facts, Findings
from evertick.reports.sections.headline import candidates
from evertick.reports.values import change, name, price, size

STATEMENTS = 16
FIGURES = 16
ALSO = ("VIX", "DXY", "US10Y")
"""Get their figures beside those of `landmarks.HEADLINE`."""
_CHANGES = ("change", "ret_1w", "ret_1m", "ret_3m", "ret_ytd", "ret_1y")


class Catalogue(Protocol):
    def text(self, msgid: str) -> str: ...

    def plural(self, msgid: str, plural: str, n: int) -> str: ...


class Words(Protocol):
    """See `evertick.reports.render.words`."""

    @property
    def catalogue(self) -> Catalogue: ...

    def plain(self, value: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Given:
    """One number that the model was given."""

    number: Number
    origin: str
    owner: str | None
    """The instrument it is a fact of."""
    said: str
    """The line it stands in."""
    way: int = 0
    """Of a move written without its sign: the words must say whether it is one up (1) or down (−1)."""
    leaning: int = 0
    """Of a price: which way it came. Words need not say so, but may not say the opposite."""


@dataclass(frozen=True, slots=True)
class Brief:
    language: str
    statements: tuple[str, ...]
    """Sentences of the rules, the most telling first."""
    figures: tuple[str, ...]
    """One line an instrument: name, price, change of the day."""
    given: tuple[Given, ...]
    names: Mapping[str, tuple[str, Name]]
    """As the language calls it: an instrument's id and its name with the link to its card."""


def brief(language: str, findings: Findings, words: Words) -> Brief:
    """The facts for one language. The same findings give the same brief."""
    chosen = list(islice(candidates(findings), STATEMENTS))
    named = [id_ for sentence in chosen for id_ in _owners(sentence)]
    asked = dict.fromkeys((*landmarks.HEADLINE, *ALSO, *named))
    known = {id_: f for id_ in asked if (f := findings.get(id_)) is not None}
    ids = [i for i in known if i not in landmarks.SPECIAL]
    ids = ids[:FIGURES]
    lines: list[str] = []
    given: list[Given] = []
    for f in (known[i] for i in ids):
        line, numbers = _figures(f, words)
        lines.append(line)
        given += numbers
    statements = []
    for sentence in chosen:
        said = words.plain(sentence)
        statements.append(said)
        given += _told(sentence, said, known)
    listed = dict.fromkeys((*ids, *(i for i in named if i in known)))
    names = {words.catalogue.text(known[i].instrument.name): (i, name(known[i])) for i in listed}
    return Brief(language, tuple(statements), tuple(lines), tuple(given), names)


def _figures(f: Facts, words: Words) -> tuple[str, list[Given]]:
    """The line of one instrument. Of a yield the day's change in percent is left out: nobody speaks of it so."""
    moves = f.change is not None and f.instrument.currency != "%"
    text = f"{words.plain(name(f))}: {words.plain(price(f))}"
    if moves:
        text += f" ({words.plain(change(f.change))})"
    given = [Given(_bare(price(f)), f"{f.id}.price", f.id, text, leaning=_way(f.change or 0.0))]
    if moves and f.change is not None:
        given.append(Given(change(f.change), f"{f.id}.change", f.id, text))
        given.append(Given(size(f.change), f"{f.id}.change", f.id, text, _way(f.change)))
    return text, given


def _told(sentence: Sentence, said: str, known: Mapping[str, Facts]) -> Iterator[Given]:
    """The numbers of a rule's sentence, each given to the instrument whose fact it is, if it is one of a named one."""
    owners = [known[i] for i in _owners(sentence) if i in known]
    for place, number in _numbers(sentence.text):
        value = number.value
        if value is None or not isfinite(value):
            continue
        owner, way = next(
            ((f, _sense(f, number)) for f in owners if _is_of(f, value)),
            (owners[0] if len(owners) == 1 else None, 0),
        )
        if not number.signed and place in ("change", "points", "move"):
            way = way or _sense_of(sentence.inputs.values(), value)
        origin = f"{owner.id} " if owner else ""
        leaning = _way(owner.change or 0.0) if owner is not None and value == owner.price else 0
        yield Given(_bare(number), f"{origin}{sentence.rule}", owner.id if owner else None, said, way, leaning)


def _owners(sentence: Sentence) -> Iterator[str]:
    for value in sentence.text.values.values():
        if isinstance(value, Name) and value.link:
            yield value.link.removeprefix("card-")


def _numbers(text: Text) -> Iterator[tuple[str, Number]]:
    for place, value in text.values.items():
        if isinstance(value, Number):
            yield place, value
        elif isinstance(value, int):
            yield place, Number(float(value), "integer")
        elif isinstance(value, Text):
            yield from _numbers(value)


def _is_of(f: Facts, value: float) -> bool:
    return any(abs(v) == abs(value) for v in f.values)


def _sense(f: Facts, number: Number) -> int:
    """The direction of an unsigned number that is the size of one of an instrument's moves."""
    if number.signed or number.value is None:
        return 0
    return _sense_of((getattr(f, name) for name in _CHANGES), number.value)


def _sense_of(values: Iterable[Any], size: float) -> int:
    for value in values:
        value = value.value if isinstance(value, Number) else value
        if isinstance(value, float) and value and abs(value) == size:
            return _way(value)
    return 0


def _way(value: float) -> int:
    return (value > 0) - (value < 0)


def _bare(number: Number) -> Number:
    """Without its unit, which the model writes as it was told."""
    return Number(number.value, number.style, number.decimals, number.signed)
