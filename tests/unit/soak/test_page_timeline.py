from dataclasses import replace

from evertick.soak.page_timeline import COLUMNS, figure
from evertick.soak.tape import Look
from unit.soak.samples import MB, evertick, looks, twin

TITLES = {"evertick": "Evertick", "before": "Before", "after": "After"}


def test_all_variants_have_the_same_axes() -> None:
    drawn = figure([evertick(), twin("before", 27 * MB, 21.5, crashed="out of memory")], TITLES)
    assert drawn is not None
    assert not drawn.log
    assert (drawn.levels[0].label, drawn.levels[-1].label) == ("0", "700 MB")
    assert [tick.label for tick in drawn.times] == [f"{h} h" for h in range(0, 25, 3)]
    ours, before = drawn.lines
    assert ours.end is None
    assert before.end is not None
    assert 89 < before.end[0] < 91
    assert "ended after 21.5 h" in before.said
    assert "Evertick: from 79.0 MB to 79.0 MB, at most 79.0 MB" in drawn.said
    assert ours.rss.count("L") == COLUMNS - 1
    assert before.rss.count("L") < COLUMNS - 20


def test_where_a_flat_line_would_lie_on_the_axis_the_scale_is_logarithmic() -> None:
    drawn = figure([evertick(), twin("before", 100 * MB, 24)], TITLES)
    assert drawn is not None
    assert drawn.log
    assert [tick.label for tick in drawn.levels] == ["64 MB", "128 MB", "256 MB", "512 MB", "1 GB", "2 GB", "4 GB"]
    flat = {point.split(" ")[1] for point in drawn.lines[0].rss[1:].split("L")}
    assert len(flat) == 1
    assert 0 < float(flat.pop()) < 260


def test_the_highest_of_a_column_is_in_the_band() -> None:
    spiked = [*looks(24, 79 * MB, 0), Look(43_200.5, 200 * MB, None, None, None)]
    drawn = figure([evertick(looks=tuple(spiked))], TITLES)
    assert drawn is not None
    assert "at most 200.0 MB" in drawn.said
    assert [row.values[0][1] for row in drawn.rows if row.until == "13 h"] == ["200.0 MB"]
    assert drawn.rows[0].values[0] == ("79.0 MB", "79.0 MB", "39.5 MB")


def test_rows_are_few_whatever_the_length() -> None:
    for days in (0.01, 1.0, 30.0, 400.0):
        tape = replace(evertick(), days=days, looks=looks(days * 24, 79 * MB, 0, max(1, int(days * 500))))
        drawn = figure([tape], TITLES)
        assert drawn is not None
        assert 1 <= len(drawn.rows) <= 32
        assert 2 <= len(drawn.times) <= 41


def test_nothing_seen_is_no_figure() -> None:
    assert figure([evertick(looks=())], TITLES) is None
    one = figure([evertick(looks=(Look(0.0, 5 * MB, None, None, None),))], TITLES)
    assert one is not None
    assert one.lines[0].rss.endswith("h3")
    assert one.lines[0].heap == ""
