"""A headline and key points that a language model wrote for one language, as they are kept with the findings.

The figures are not kept as the model wrote them: each is a fact, and so is each name, put into a place of the sentence. So the
page formats them as it does everywhere else, the check reads them back, and the saved facts are enough to render them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from evertick.reports.blocks import Name, Number, Sentence, Text

RULE = "model"
"""What stands where the sentences of rules have their id."""
DISCLOSURE = Text(
    "The headline and the points above were written by a language model ({model}) from the facts of this report. "
    "Each figure in them was checked against these facts; sentences that did not pass were left out."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One or two sentences. ``text`` has the places ``{n0}``, ``{n1}``… for ``numbers`` and ``{a0}``… for ``names``."""

    text: str
    numbers: tuple[Number, ...]
    origins: tuple[str, ...]
    """Of each number: the fact it is (``VNINDEX.change``), or the rule that says it."""
    names: tuple[Name, ...] = ()
    tone: str = "neutral"


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in place of the rules' headline and key points in one language."""

    model: str
    headline: Line
    points: tuple[Line, ...]

    @property
    def lead(self) -> Sentence:
        return self._sentence(self.headline)

    def sentences(self) -> tuple[Sentence, ...]:
        return tuple(map(self._sentence, self.points))

    def disclosure(self) -> Text:
        """Says on the page who wrote this."""
        return Text(DISCLOSURE.msgid, {"model": self.model})

    def _sentence(self, line: Line) -> Sentence:
        places: dict[str, Any] = {f"n{i}": number for i, number in enumerate(line.numbers)}
        places |= {f"a{i}": name for i, name in enumerate(line.names)}
        inputs = {"model": self.model, **dict(zip(line.origins, line.numbers, strict=True))}
        return Sentence(RULE, Text(line.text, places), inputs, line.tone)
