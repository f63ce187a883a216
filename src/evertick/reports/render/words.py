"""Blocks of text in one language, as HTML or as plain text. Everything that is not ours is escaped here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Protocol

from markupsafe import Markup
from markupsafe import escape as _escape

from evertick.errors import ReportError
from evertick.reports.blocks import Name, Number, Sentence, Text
from evertick.reports.render.numbers import DASH, NBSP, Numbers, direction

TITLES = 128
"""Labels that are kept as HTML: those of every card and table are the same."""
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_PLACE = re.compile(r"\{(\w+)\}")
_SPECIAL = re.compile("[&<>\"']")
_TONES = {"up": "up", "down": "down", "warn": "warn"}


class Catalogue(Protocol):
    """What the renderer needs of `evertick.reports.catalogue.Catalogue`."""

    language: str

    def text(self, msgid: str) -> str: ...

    def plural(self, msgid: str, plural: str, n: int) -> str: ...


def esc(text: str) -> str:
    return str(_escape(text)) if _SPECIAL.search(text) else text


def _quoted(text: str) -> str:
    """For an attribute in single quotes: JSON has many double ones, which would each take five bytes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;")


def tone(n: Number) -> str:
    """The class of a signed number: ``up``, ``down``, ``flat``."""
    return ("flat", "up", "down")[direction(n)]


class Words:
    """One language's catalogue and formats together."""

    def __init__(self, catalogue: Catalogue, numbers: Numbers) -> None:
        self.catalogue = catalogue
        self.numbers = numbers
        self._titles: dict[str, str] = {}

    def title(self, text: Text) -> str:
        """A label without values, as HTML; the catalogue has as many as there are."""
        if text.values:
            return self.html(text)
        found = self._titles.get(text.msgid)
        if found is None:
            if len(self._titles) >= TITLES:
                self._titles.clear()
            found = self._titles[text.msgid] = self.html(text)
        return found

    # --- plain text, for labels, titles and metadata

    def plain(self, value: Any) -> str:
        """Any value of the vocabulary as text, not escaped."""
        match value:
            case Text():
                return self._message(value, self.plain, str)
            case Sentence():
                return self.plain(value.text)
            case Number():
                return self.numbers.number(value) + self.unit(value)
            case Name():
                return self.catalogue.text(value.text)
            case str():
                return value
            case tuple() | list():
                return self.numbers.join([self.plain(v) for v in value])
            case _:
                return self._scalar(value)

    # --- HTML

    def html(self, value: Any) -> str:
        """Any value of the vocabulary as HTML."""
        match value:
            case Text():
                return self._message(value, self.html, esc)
            case Sentence():
                return self.sentence(value)
            case Number():
                text = esc(self.numbers.number(value) + self.unit(value)).replace(" ", NBSP)
                return f'<b class="{tone(value)}">{text}</b>' if value.signed else text
            case Name():
                return self.name(value)
            case str():
                return esc(value)
            case tuple() | list():
                return self.numbers.join([self.html(v) for v in value])
            case datetime():
                return f'<time datetime="{value.isoformat(timespec="seconds")}">{self.numbers.moment(value)}</time>'
            case _:
                return esc(self._scalar(value))

    def markup(self, value: Any) -> Markup:
        """`html`, for templates."""
        return Markup(self.html(value))

    def name(self, name: Name) -> str:
        text = esc(self.catalogue.text(name.text))
        return f'<a href="#{esc(name.link)}">{text}</a>' if name.link else text

    def sentence(self, sentence: Sentence) -> str:
        """A sentence with its rule and inputs on it, shown on demand."""
        css = _TONES.get(sentence.tone)
        inputs = f" data-inputs='{_quoted(self.inputs(sentence.inputs))}'" if sentence.inputs else ""
        return (
            f'<span class="s{f" t-{css}" if css else ""}" data-rule="{esc(sentence.rule)}"{inputs}>'
            f"{self.html(sentence.text)}</span>"
        )

    def inputs(self, inputs: Mapping[str, Any]) -> str:
        """The facts that fired a rule, as JSON without needless digits."""
        return _json({k: _fact(v) for k, v in inputs.items()})

    def unit(self, n: Number) -> str:
        """What follows a number: nothing, ``%``, or a currency or unit with a space that does not break."""
        if not n.unit or n.value is None or n.style == "percent":
            return ""
        return n.unit if n.unit == "%" else NBSP + self.catalogue.text(n.unit)

    def say(self, msgid: str, **values: Any) -> str:
        """A message of the templates (see `messages`), plain."""
        return self.plain(Text(msgid, values))

    def _scalar(self, value: Any) -> str:
        match value:
            case None:
                return DASH
            case datetime():
                return self.numbers.moment(value)
            case date():
                return self.numbers.date(value)
            case bool():
                raise ReportError(f"a text holds the value {value}, which has no words")
            case int():
                return self.numbers.integer(value)
            case float():
                return self.numbers.number(Number(value))
            case _:
                raise ReportError(f"a text holds a {type(value).__name__}, which is not part of the vocabulary")

    def _message(self, text: Text, write: Any, literal: Any) -> str:
        catalogue, values = self.catalogue, text.values
        if text.plural is not None:
            wording = catalogue.plural(text.msgid, text.plural, _count(text))
        else:
            wording = catalogue.text(text.msgid)
        if "{" not in wording:
            return literal(wording)
        try:
            return _filled(wording, values, write, literal)
        except KeyError:
            # A translation that names a place the message does not have must not stop a report: English stands in.
            try:
                return _filled(text.msgid, values, write, literal)
            except KeyError as missing:
                raise ReportError(f"no value for the place {missing} of the message {text.msgid!r}") from None


def _filled(wording: str, values: Mapping[str, Any], write: Any, literal: Any) -> str:
    pieces = _PLACE.split(wording)
    return "".join([write(values[piece]) if i & 1 else literal(piece) for i, piece in enumerate(pieces)])


def _count(text: Text) -> int:
    n = text.values["n"]
    if isinstance(n, Number):
        n = n.value or 0
    return int(n)


def _fact(value: Any) -> Any:
    match value:
        case Number():
            return _fact(value.value)
        case float():
            return float(f"{value:.6g}") if math.isfinite(value) else None
        case bool() | int() | str() | None:
            return value
        case datetime():
            return value.isoformat(timespec="seconds")
        case date():
            return value.isoformat()
        case Name():
            return value.text
        case Text():
            return value.msgid
        case Mapping():
            return {str(k): _fact(v) for k, v in value.items()}
        case tuple() | list():
            return [_fact(v) for v in value]
        case _:
            return str(value)
