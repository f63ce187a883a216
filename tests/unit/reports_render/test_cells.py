from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from evertick.errors import ReportError
from evertick.reports.blocks import Column, Name, Number, Spark, Table, Text
from evertick.reports.render.cells import PEEK, headings, rows
from unit.reports_render.words_for_tests import words

TODAY = date(2026, 11, 23)


def written(kinds: list[str], *cells: list[object], brief: int | None = None) -> list[str]:
    table = Table("t", Text("T"), [Column(Text(kind), kind) for kind in kinds], cells, brief)
    return [row.strip() for row in rows(table, words(), TODAY)]


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [
        ("number", Number(1.5), "<td>1.50</td>"),
        ("number", Number(None), '<td class="flat">–</td>'),
        ("number", None, '<td class="flat">–</td>'),
        ("number", Number(1.5, signed=True), '<td class="up">+1.50</td>'),
        ("change", Number(-1.5, "percent", 1, True), '<td class="down">−1.5%</td>'),
        ("change", Number(None, "percent", 1, True), '<td class="flat">–</td>'),
        ("text", Text("a <b>"), '<td class="l">a &lt;b&gt;</td>'),
        ("text", None, '<td class="l">–</td>'),
        ("state", Text("Lunch break"), '<td class="l"><i class="dot lunch-break"></i>Lunch break</td>'),
        ("time", date(2026, 11, 20), '<td class="l q">20\xa0Nov\xa02026</td>'),
        ("time", None, '<td class="l q">–</td>'),
        ("range", Number(None), '<td class="g">–</td>'),
        ("spark", None, '<td class="g">–</td>'),
        ("spark", Spark([1.0], Text("One")), '<td class="g">–</td>'),
    ],
)
def test_writes_a_cell_of_each_kind(kind: str, value: object, cell: str) -> None:
    assert written(["name", kind], [Name("A", "card-A"), value]) == [
        f'<tr><th scope="row"><a href="#card-A">A</a></th>{cell}</tr>'
    ]


def test_times_of_today_have_no_date() -> None:
    today, before = datetime(2026, 11, 23, 9, 30, tzinfo=UTC), datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    row = written(["name", "time", "time"], [Name("A"), today, before])[0]
    assert ">16:30</time>" in row
    assert ">20\xa0Nov\xa016:30</time>" in row


def test_a_range_stays_on_its_track_and_says_where_it_is() -> None:
    row = written(["name", "range", "range"], [Name("A"), Number(0.25), Number(7.0)])[0]
    assert 'aria-label="25% of the 52-week range"' in row
    assert 'cx="27%"' in row
    assert 'cx="96%"' in row


def test_a_spark_has_its_label_and_colour() -> None:
    row = written(["name", "spark"], [Name("A"), Spark([1, 2, 3], Text("Rising"), "up")])[0]
    assert 'class="sp up"' in row
    assert 'aria-label="Rising"' in row


def test_units_leave_room_in_the_whole_column_and_only_there() -> None:
    first, second = written(
        ["name", "number", "number"], [Name("A"), Number(1, unit="USD"), Number(2)], [Name("B"), Number(3), Number(4)]
    )
    assert first.endswith("<td>1.00<small>\xa0USD</small></td><td>2.00</td></tr>")
    assert second.endswith("<td>3.00<small></small></td><td>4.00</td></tr>")


def test_a_rank_before_the_name_does_not_head_the_row() -> None:
    columns = [Column(Text("Rank")), Column(Text("Coin"), "name"), Column(Text("Price"))]
    assert (
        headings(columns, words())
        == '<th scope="col" class="rank">Rank</th><th scope="col" class="rh">Coin</th><th scope="col">Price</th>'
    )
    assert written(["number", "name"], [Number(1, "integer"), Name("BTC")]) == [
        '<tr><td class="rank">1</td><th scope="row">BTC</th></tr>'
    ]


def test_a_table_of_dates_is_headed_by_them() -> None:
    assert written(["time", "number"], [date(2026, 11, 20), Number(1)])[0].startswith(
        '<tr><th scope="row" class="q">20\xa0Nov\xa02026</th>'
    )


def test_rows_beyond_the_brief_are_marked() -> None:
    marked = written(["name"], [Name("A")], [Name("B")], [Name("C")], brief=2)
    assert [row.startswith('<tr class="x">') for row in marked] == [False, False, True]


def test_rows_are_made_as_they_are_read() -> None:
    made = 0

    def endless() -> Iterator[list[object]]:
        nonlocal made
        while True:
            made += 1
            yield [Name("A"), Number(1.0)]

    table = Table("t", Text("T"), [Column(Text("n"), "name"), Column(Text("p"))], endless())
    walk = rows(table, words(), TODAY)
    for _ in range(PEEK + 10):
        next(walk)
    assert made == PEEK + 10


def test_a_row_of_another_width_is_an_error() -> None:
    with pytest.raises(ReportError, match="table t: row 1 has 1 cells for 2 columns"):
        written(["name", "number"], [Name("A")])
