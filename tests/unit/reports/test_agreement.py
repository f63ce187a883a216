"""Both languages say the same numbers: each fact is formatted from itself, and only the separators differ."""

from __future__ import annotations

import re
from datetime import datetime

from evertick.reports.blocks import Number, Sentence, Table, Text
from evertick.reports.catalogue import Catalogue
from evertick.reports.render import Renderer
from evertick.reports.sections.cards import cards
from evertick.reports.write import write
from unit.reports import samples
from unit.reports.reading import everything

WORDS = {language: Renderer(language, Catalogue.load(language), "Asia/Ho_Chi_Minh").words for language in ("vi", "en")}


def digits(text: str) -> str:
    return re.sub(r"\D", "", text)


async def test_every_number_has_the_same_digits_and_sign_in_both_languages() -> None:
    numbers = [
        v
        for v in await everything(write(samples.findings(), cards(samples.findings(), samples.bars)))
        if isinstance(v, Number)
    ]
    assert len(numbers) > 5_000
    for number in numbers:
        vi, en = (words.plain(number) for words in WORDS.values())
        assert digits(vi) == digits(en), number
        assert ("−" in vi, "+" in vi) == ("−" in en, "+" in en), number


async def test_every_sentence_shows_each_of_its_numbers_in_both_languages() -> None:
    for value in await everything(write(samples.findings(), cards(samples.findings(), samples.bars))):
        if isinstance(value, Sentence):
            for words in WORDS.values():
                said = words.plain(value)
                assert "{" not in said
                wording = value.text.plural or value.text.msgid
                for place, shown in value.text.values.items():
                    if isinstance(shown, Number | int) and f"{{{place}}}" in wording:
                        assert words.plain(shown) in said, (value.rule, said)


async def test_a_sentence_and_its_table_cannot_disagree() -> None:
    """The price and change of a card's first sentence are those of its head and of the first row of its table."""
    findings = samples.findings()
    for section in write(findings, cards(findings, samples.bars)):
        for block in section.blocks:
            if isinstance(block, Table) and block.id == "indices-table":
                for row in block.rows:
                    id_ = row[0].link.removeprefix("card-")
                    f = findings.get(id_)
                    assert f is not None
                    assert (row[2].value, row[3].value) == (f.price, f.change)


async def test_no_text_is_left_without_words() -> None:
    for value in await everything(write(samples.findings(), cards(samples.findings(), samples.bars))):
        if isinstance(value, Text | datetime):
            assert WORDS["vi"].plain(value).strip()
