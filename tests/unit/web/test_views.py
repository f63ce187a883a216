"""What the dashboard decides: who leads, what folds, which card stands where."""

from __future__ import annotations

from evertick import universe
from evertick.board.document import document
from evertick.web.pages.views import SHOWN, SPARE, Card, balanced, leading, market, spark
from unit.web.fakes import NOW, snapshot


def shown() -> object:
    instruments = universe.load()
    return market(document(snapshot(), instruments, NOW, spark=True), instruments)


def test_every_instrument_is_in_one_card_and_in_order():
    view = shown()
    cards = [card for column in view.columns for card in column]
    ids = [row.id for card in cards for row in (*card.rows, *card.more)]
    assert sorted(ids) == sorted(i.id for i in universe.load())
    order = {i.id: n for n, i in enumerate(universe.load())}
    for card in cards:
        for rows in (card.rows, card.more):
            assert [order[r.id] for r in rows] == sorted(order[r.id] for r in rows)


def test_headlines_lead():
    assert [r.id for r in shown().headlines] == ["SPX", "VNINDEX", "BTC", "GOLD", "USDVND", "VIX"]


def test_a_universe_without_the_leader_takes_the_first_of_the_group():
    instruments = universe.Universe.of([i for i in universe.load() if i.id not in ("SPX", "VIX") and i.group != "fx"])
    view = market(document(snapshot(), instruments, NOW), instruments)
    ids = [r.id for r in view.headlines]
    assert ids[0] == "DJI" and "USDVND" not in ids and len(ids) == 5


def test_no_quotes_no_cards():
    view = market({"as_of": None, "quotes": [], "sources": []}, universe.load())
    assert view.headlines == [] and view.columns == [[], []]


def test_breadth_counts_all_rows():
    for column in shown().columns:
        for card in column:
            assert card.up + card.down + card.flat == card.count == len(card.rows) + len(card.more)
            assert abs(sum(card.bar) - 100) < 0.05


def test_every_region_leads():
    regions = ["americas"] * 10 + ["europe"] * 20 + ["asia"] * 15 + ["africa"]
    chosen = leading(regions, regions, 8, 3)
    assert len(chosen) == 8
    assert {regions[i] for i in chosen} == {"americas", "europe", "asia", "africa"}
    assert leading(regions, ["world"] * 46, 8, 3) == set(range(8))


def test_a_few_more_rows_are_not_folded():
    rows = list(range(SHOWN + SPARE))
    assert leading(rows, ["x"] * len(rows), SHOWN, SPARE) == set(rows)
    assert len(leading([*rows, 99], ["x"] * (len(rows) + 1), SHOWN, SPARE)) == SHOWN


def card(id: str, rows: int) -> Card:
    return Card(id, id, [None] * rows, (), 0, 0, 0)  # type: ignore[list-item]


def test_columns_are_of_about_equal_height():
    placed = balanced([card("a", 12), card("b", 12), card("c", 12), card("d", 3), card("e", 12), card("f", 5)], 2)
    heights = [sum(len(c.rows) + 2.5 for c in column) for column in placed]
    assert abs(heights[0] - heights[1]) <= 5
    assert placed[0][0].id == "a"
    for column in placed:
        assert [c.id for c in column] == sorted(c.id for c in column)
    assert balanced([], 2) == [[], []]


def test_lines():
    assert spark([]) == spark([1.0]) == ""
    assert spark([5, 5], 10, 10, 1) == "M0 5L10 5"
    assert spark([1, 2], 96, 28, 2) == "M0 26L96 2"
