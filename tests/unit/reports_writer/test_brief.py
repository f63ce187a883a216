from __future__ import annotations

import pytest

from evertick.reports.shown import Grammar
from evertick.reports.writer.brief import FIGURES, STATEMENTS
from evertick.reports.writer.prompt import messages
from unit.reports_writer.judging import ZONE, given, renderer


@pytest.mark.parametrize("language", ["en", "vi"])
def test_a_model_is_told_little_and_every_number_of_it_is_known(language: str) -> None:
    told = given(language)
    assert len(told.statements) == STATEMENTS
    assert len(told.figures) == FIGURES
    assert {name for _, name in told.names.values()}
    grammar = Grammar(language, renderer(language).words.catalogue, ZONE)
    for line in told.figures:
        price = [g for g in told.given if g.said == line and g.origin.endswith(".price")]
        assert len(price) == 1
        plain = grammar.plain(line.partition(": ")[2])
        first = next(grammar.found(plain))
        assert grammar.end(plain, first, price[0].number) is not None


def test_directions_are_those_of_the_facts() -> None:
    ways = {g.origin: g.way for g in given("en").given if not g.number.signed}
    assert (ways["SPX.change"], ways["BTC.change"], ways["crypto.cap_down"]) == (-1, 1, -1)
    assert ways["VNINDEX.price"] == 0


def test_the_messages_name_the_language_and_hold_the_facts_as_data() -> None:
    system, user = messages(given("vi"))
    assert (system["role"], user["role"]) == ("system", "user")
    assert "Tiếng Việt (vi)" in system["content"]
    assert user["content"].startswith("FACTS\n")
    assert user["content"].endswith("\nEND")
    assert "S&P 500: 6.890,00 (−1,59%)" in user["content"]
    assert sum(len(m["content"].encode()) for m in (system, user)) < 6_000
    assert messages(given("vi")) == [system, user]
