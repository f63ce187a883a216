"""The whole report, as blocks."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from evertick.model import Bars, Group, Instrument
from evertick.reports.blocks import Banner, Card, Cards, Figure, KeyPoints, Name, Number, Sentence, Table, Text
from evertick.reports.findings import Findings, facts
from evertick.reports.sections.ahead import timeline
from evertick.reports.sections.cards import cards
from evertick.reports.write import first_sentence, write
from unit.reports import samples
from unit.reports.reading import english, everything


async def no_bars(instrument: Instrument) -> Bars:
    return Bars.empty(instrument.id)


async def said(findings: Findings) -> list[object]:
    return await everything(write(findings, cards(findings, samples.bars)))


def test_the_sections() -> None:
    sections = list(write(samples.findings(), cards(samples.findings(), samples.bars)))
    assert [s.number for s in sections] == list(range(1, 15))
    assert len({s.id for s in sections}) == len(sections)
    assert [s.id for s in sections if not s.brief] == ["cards"]


async def test_the_same_findings_read_the_same() -> None:
    first, second = [
        [repr(v) for v in await said(samples.findings()) if isinstance(v, Sentence | Number | Name | Text)]
        for _ in "12"
    ]
    assert first == second


async def test_another_day_reads_differently() -> None:
    one, other = samples.findings(), replace(samples.findings(), day=samples.NOW.date() + timedelta(days=1))

    async def sentences(findings: Findings) -> list[str]:
        return [english(s) for s in await said(findings) if isinstance(s, Sentence)]

    first, second = await sentences(one), await sentences(other)
    assert len(first) == len(second) > 300
    assert sum(a != b for a, b in zip(first, second, strict=True)) > len(first) / 3


async def test_every_text_has_the_values_of_its_places() -> None:
    for value in await said(samples.findings()):
        if isinstance(value, Text | Sentence):
            text = english(value)
            assert "{" not in text
            assert "nan" not in text.lower().split()


async def test_numbers_are_finite_or_unknown() -> None:
    for value in await said(samples.findings()):
        if isinstance(value, Number):
            assert value.value is None or math.isfinite(value.value)
        elif isinstance(value, float):
            assert math.isfinite(value)


async def test_a_number_in_a_sentence_is_its_fact() -> None:
    """What a sentence shows is among the facts that fired it, but for the sign, which the words may tell."""
    wrong = []
    for value in await said(samples.findings()):
        if isinstance(value, Sentence):
            known = {round(abs(v), 9) for v in value.inputs.values() if isinstance(v, int | float)}
            for place, shown in value.text.values.items():
                if isinstance(shown, Number) and shown.value is not None and round(abs(shown.value), 9) not in known:
                    wrong.append((value.rule, place))
    assert not wrong


async def test_every_link_leads_to_a_card() -> None:
    values = await said(samples.findings())
    cards = {f"card-{v.id}" for v in values if isinstance(v, Card)}
    links = {v.link for v in values if isinstance(v, Name) and v.link}
    assert len(cards) == samples.findings().quoted
    assert links <= cards


async def test_what_has_no_card_is_named_without_a_link() -> None:
    found = samples.findings()
    lost = {"NATGAS", "FNG"}
    values = await said(
        replace(found, facts=tuple(facts(f.instrument, {}) if f.id in lost else f for f in found.facts))
    )
    cards = {v.id for v in values if isinstance(v, Card)}
    assert len(cards) == found.quoted - len(lost)
    assert {v.link for v in values if isinstance(v, Name) and v.link} <= {f"card-{id_}" for id_ in cards}


async def test_no_card_links_to_itself() -> None:
    for card in [v for v in await said(samples.findings()) if isinstance(v, Card)]:
        assert repr(f"card-{card.id}") not in repr(card.sentences)


def test_ranks_of_movers_count_through_the_class() -> None:
    found = samples.findings()
    for section in write(found, cards(found, samples.bars)):
        if section.id != "movers":
            continue
        tables = {b.id: b for b in section.blocks if isinstance(b, Table)}
        ranks = [row[0].value for row in tables["movers-indices-table"].rows]
        total, ends = found.breadth[Group.INDICES].total, len(found.movers[Group.INDICES].top)
        assert ranks == [*range(1, ends + 1), *range(total - ends + 1, total + 1)]


async def test_ids_of_tables_and_figures_are_unique() -> None:
    ids = [v.id for v in await said(samples.findings()) if isinstance(v, Table | Figure)]
    assert len(ids) == len(set(ids))


async def test_rows_are_as_wide_as_their_columns() -> None:
    for section in write(samples.findings(), cards(samples.findings(), samples.bars)):
        for block in section.blocks:
            if isinstance(block, Table):
                rows = list(block.rows)
                assert rows, block.id
                assert {len(row) for row in rows} == {len(block.columns)}, block.id


def test_eight_key_points_the_first_of_them_the_headline() -> None:
    blocks = list(next(iter(write(samples.findings(), cards(samples.findings(), samples.bars)))).blocks)
    points = next(b for b in blocks if isinstance(b, KeyPoints)).points
    assert len(points) == 8
    assert len({english(p) for p in points}) == 8
    assert points[0] == first_sentence(samples.findings())
    banner = next(b for b in blocks if isinstance(b, Banner))
    assert banner.tone == "warn"
    sparks = next(b for b in blocks if isinstance(b, Figure))
    assert len(sparks.data["items"]) == 6


async def test_one_quote_is_enough_for_a_report() -> None:
    row = next(i for i in samples.instruments() if i.id == "GOLD")
    alone = replace(
        samples.findings(),
        facts=(facts(row, {"price": 4000.0}, source="yahoo", fresh=True),),
        sources=(),
        breadth={},
        movers={},
        correlation=None,
        lines=(),
        falls=(),
    )
    values = await everything(write(alone, cards(alone, no_bars)))
    card = next(v for v in values if isinstance(v, Card))
    assert (card.bars, card.year, card.chart) == (None, None, None)
    assert english(first_sentence(alone))


async def test_every_class_alone_makes_a_report() -> None:
    for group in Group:
        members = tuple(f for f in samples.findings().facts if f.group is group)
        few = replace(
            samples.findings(),
            facts=members,
            breadth={g: b for g, b in samples.findings().breadth.items() if g is group},
            movers={g: m for g, m in samples.findings().movers.items() if g is group},
            correlation=None,
            lines=(),
            falls=(),
        )
        assert await everything(write(few, cards(few, samples.bars)))


# --- parts of sections


def figure(id_: str) -> Figure:
    return next(
        b
        for s in write(samples.findings(), cards(samples.findings(), samples.bars))
        for b in s.blocks
        if isinstance(b, Figure) and b.id == id_
    )


def test_lines_start_at_100_and_share_their_days() -> None:
    data = figure("indices-lines").data
    assert len(data["series"]) == 6
    for series in data["series"]:
        assert len(series["values"]) == len(data["dates"]) <= 131
        assert series["values"][0] == 100.0
        assert None not in series["values"]
    assert data["dates"] == sorted(data["dates"])
    assert data["dates"][-1] == samples.AS_OF.date()


def test_the_map_has_every_market_once() -> None:
    groups = figure("market-map").data["groups"]
    shorts = [item["short"] for g in groups for item in g["items"]]
    assert len(shorts) == len(set(shorts)) >= 120
    assert all(0.3 <= item["weight"] <= 8 for g in groups for item in g["items"])
    assert not {"FNG", "CRYPTO_CAP", "BTC_DOM"} & set(shorts)


def test_shares_add_up() -> None:
    assert sum(item["value"].value for item in figure("crypto-dominance").data["items"]) == 100


def test_the_drawdown_is_never_above_zero() -> None:
    data = figure("risk-drawdown").data
    assert len(data["dates"]) == len(data["values"])
    assert max(data["values"]) <= 0


def test_sessions_ahead_stay_within_their_day() -> None:
    data = figure("ahead-timeline").data
    assert data["end"] - data["start"] == timedelta(hours=24)
    for row in data["rows"]:
        for start, end in row["spans"]:
            assert data["start"] <= start < end <= data["end"]
    tokyo = next(r for r in data["rows"] if r["name"].text == "Tokyo")
    assert len(tokyo["spans"]) == 2, "morning and afternoon"


def test_on_a_saturday_the_sessions_ahead_begin_with_the_next_opening() -> None:
    data = timeline(["XLON", "FX"], datetime(2026, 11, 28, 9, 13, tzinfo=UTC)).data
    assert data["start"] == datetime(2026, 11, 29, 22, tzinfo=UTC), "currencies open in Wellington"
    assert [len(row["spans"]) for row in data["rows"]] == [1, 1]


async def test_a_card_of_a_year() -> None:
    section = next(s for s in write(samples.findings(), cards(samples.findings(), samples.bars)) if s.id == "cards")
    (block,) = section.blocks
    assert isinstance(block, Cards)
    card = await anext(aiter(block.cards))
    assert card.id == "SPX"
    assert card.chart is not None
    assert card.bars is not None
    assert card.year is not None
    assert {len(card.chart[k]) for k in ("day", "open", "high", "low", "close")} == {260}
    assert card.chart["day"] == sorted(set(card.chart["day"]))
    rows = list(card.bars.rows)
    assert len(rows) == 10
    assert rows[0][0] == samples.AS_OF.date()
    assert rows[0][4].value == card.price.value
    assert rows[0][5].value == card.change.value
    assert len(card.year.data["dates"]) <= 91
    assert len(card.statistics) >= 25
    assert all(number.value is not None for _, number in card.statistics)


def test_the_figures_of_the_vietnamese_market() -> None:
    data = figure("vietnam-session").data
    assert len(data["times"]) == len(data["values"]) == 87
    assert data["values"][-1] == samples.findings().get("VNINDEX").price  # type: ignore[union-attr]
    rows = figure("vietnam-advances").data["rows"]
    assert [(r["up"].value, r["flat"].value, r["down"].value) for r in rows] == [
        (212, 57, 108),
        (74, 60, 81),
        (120, 190, 260),
    ]


def test_the_curve_goes_from_short_to_long() -> None:
    data = figure("rates-curve").data
    now = data["series"][0]["values"]
    assert len(data["terms"]) == len(now) >= 4
    assert now[-1] == samples.findings().get("US30Y").price  # type: ignore[union-attr]
    assert [english(term) for term in data["terms"]][-1] == "30Y"


def test_what_has_no_history_leaves_its_figure_out() -> None:
    bare = replace(samples.findings(), intraday=None, spread=None, rates=None, strength=None, months=(), calendar=None)
    drawn = {b.id for s in write(bare, cards(bare, samples.bars)) for b in s.blocks if isinstance(b, Figure | Table)}
    gone = {
        "vietnam-session",
        "rates-spread",
        "currencies-heat",
        "currencies-crosses",
        "seasonality-months",
        "seasonality-days",
    }
    assert not gone & drawn
    whole = {
        b.id
        for s in write(samples.findings(), cards(samples.findings(), samples.bars))
        for b in s.blocks
        if isinstance(b, Figure | Table)
    }
    assert gone <= whole
