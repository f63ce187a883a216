"""The check of rendered reports: right ones pass, and each kind of wrong number stops the publication."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest

from evertick.errors import ReportRejected
from evertick.reports.analyse import analyse, daily_moves
from evertick.reports.blocks import Cards, Head, Number, Section, Table, Text
from evertick.reports.catalogue import Catalogue
from evertick.reports.check import Check
from evertick.reports.collect import examine
from evertick.reports.findings import FIELDS, Findings
from evertick.reports.render import Renderer
from evertick.reports.sections.cards import cards
from evertick.reports.shown import Grammar
from evertick.reports.workflow import make_report
from evertick.reports.write import first_sentence, write
from unit.reports import samples
from unit.reports.test_workflow import SLOT, Clock, Store

ZONE = "Asia/Ho_Chi_Minh"
LANGUAGES = ("vi", "en")


@cache
def renderer(language: str) -> Renderer:
    return Renderer(language, Catalogue.load(language), ZONE)


def market(seed: int, count: int = 8) -> Findings:
    """A report's findings over a few instruments, with prices and moves of its own."""
    own = random.Random(seed)
    rows = own.sample(samples.instruments(), count)
    moves = {
        i.id: daily_moves(samples.make_bars(i)) for i in samples.instruments() if i.id in ("SPX", "BTC", "VNINDEX")
    }
    found, kept = [], {}
    for instrument in rows:
        quote = samples.quote(instrument)
        quote = replace(quote, price=quote.price * own.uniform(0.9, 1.1), change_pct=own.choice([0.0, own.gauss(0, 3)]))
        facts, series = examine(instrument, quote, samples.make_bars(instrument), moves, samples.NOW)
        found.append(facts)
        if series is not None:
            kept[instrument.id] = series
    return analyse(
        found, kept, snapshot_as_of=samples.AS_OF, made=samples.NOW, day=samples.NOW.date(), sources=samples.SOURCES
    )


def head(findings: Findings) -> Head:
    title = Text("Morning market report")
    said = first_sentence(findings)
    return Head("20261123T093000-1bdac559", title, findings.as_of, findings.made, LANGUAGES, said)


async def pages(findings: Findings) -> dict[str, bytes]:
    top = head(findings)
    made = {}
    for language in LANGUAGES:
        sections = write(findings, cards(findings, samples.bars))
        made[language] = b"".join([piece async for piece in renderer(language).render(sections, top)])
    return made


async def check(findings: Findings, made: dict[str, bytes], size: int = 5_000) -> Check:
    """The check of finished pages, given in pieces of ``size`` bytes."""
    checked = Check(findings)
    for language, page in made.items():
        reading = checked.page(language, renderer(language).words, ZONE, head(findings))
        await walk(reading.follow(write(findings, cards(findings, samples.bars))))
        for start in range(0, len(page), size):
            await reading.read(page[start : start + size])
        reading.close()
    checked.close()
    return checked


async def walk(sections: Iterator[Section]) -> None:
    """Asks for every block and row, as a renderer does."""
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Table):
                list(block.rows)
            elif isinstance(block, Cards):
                async for card in block.cards:
                    list(card.bars.rows if card.bars else ())


@cache
def small() -> Findings:
    rows = [
        i
        for i in samples.instruments()
        if i.id in ("SPX", "DAX", "VNINDEX", "FPT", "BTC", "ETH", "US10Y", "VIX", "EURUSD")
    ]
    found, kept = [], {}
    for instrument in rows:
        facts, series = examine(instrument, samples.quote(instrument), samples.make_bars(instrument), {}, samples.NOW)
        found.append(facts)
        if series is not None:
            kept[instrument.id] = series
    return analyse(
        found, kept, snapshot_as_of=samples.AS_OF, made=samples.NOW, day=samples.NOW.date(), sources=samples.SOURCES
    )


_made: dict[str, bytes] = {}


async def made() -> dict[str, bytes]:
    """The pages of `small`, rendered once."""
    if not _made:
        _made.update(await pages(small()))
    return dict(_made)


async def test_a_right_report_passes_in_pieces_of_any_size() -> None:
    rendered = await made()
    for size in (997, 65_536):
        checked = await check(small(), rendered, size)
        vi, en = (page.account for page in checked.pages)
        assert vi.numbers == en.numbers > 800
        assert vi.traced == en.traced > 250
        assert vi.said == en.said


@pytest.mark.parametrize("block", range(5))
async def test_random_reports_pass(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        findings = market(seed, 1 + seed % 5)
        await check(findings, await pages(findings), 65_536)


def once(pattern: str, new: str | Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    def change(page: str) -> str:
        changed, count = re.subn(pattern, new, page, count=1, flags=re.DOTALL)
        assert count == 1, pattern
        return changed

    return change


def swapped(page: str) -> str:
    """Two cells of one row in each other's place."""
    return once(r"(<tr><th scope=\"row\" class=\"q\">[^<]*</th>)(<td>[^<]*</td>)(<td>[^<]*</td>)", r"\1\3\2")(page)


def next_digit(match: re.Match[str]) -> str:
    return match[1] + str((int(match[2]) + 1) % 10)


WRONG: dict[str, tuple[str, Callable[[str], str], str]] = {
    "a digit of a sentence": (
        "en",
        once(r"(<span class=\"s[^>]*\"move\.[^>]*>[^<]*?)(\d)(?=[\d.,]*%)", next_digit),
        "rule move",
    ),
    "a digit of a cell": ("vi", once(r"(<td>\d*)(\d)(?=,\d\d</td>)", next_digit), "row"),
    "a digit of a statistic": ("en", once(r"(<dd>[\d,]*)(\d)", next_digit), "card"),
    "a digit of a figure's label": ("en", once(r"(aria-label=\"[^\"]*between [\d,]*)(\d)", next_digit), "figure"),
    "a digit of a tile": ("en", once(r"(class=\"tile-price\">[\d,]*)(\d)", next_digit), "headline-sparks"),
    "a digit of a tile of the map": (
        "vi",
        once(r"(<g data-card[^>]*><title>[^<]*?)(\d)(?=%)", next_digit),
        "figure market-map",
    ),
    "a sign": ("en", once(r"<td class=\"down\">−", '<td class="down">+'), "row"),
    "a minus that is a hyphen": ("en", once(r"<td class=\"down\">−", '<td class="down">-'), "row"),
    "a lost sign": ("vi", once(r"<td class=\"up\">\+", '<td class="up">'), "row"),
    "a decimal comma": ("vi", once(r"(<td>\d+),(\d\d</td>)", r"\1.\2"), "row"),
    "English separators in Vietnamese": ("vi", once(r"<td>(\d)\.(\d{3}),(\d\d)<", r"<td>\1,\2.\3<"), "row"),
    "a lost percent sign": ("en", once(r"(<td class=\"up\">[^<]*)%<", r"\1<"), "row"),
    "another unit of size": ("en", once(r"(<td>\d+\.\d+)M</td>", r"\1B</td>"), "row"),
    "two cells": ("en", swapped, "row"),
    "a row too few": ("en", once(r"<tr><th scope=\"row\">.*?</tr>\n", ""), "row"),
    "a number between two cells": (
        "en",
        once(r"(<tr><th scope=\"row\" class=\"q\">[^<]*</th>)(<td>)", r"\1 42 \2"),
        "'42'",
    ),
    "two rows in one": ("en", once(r"(<tr><th scope=\"row\" class=\"q\">[^\n]*)</tr>\n<tr>", r"\1"), "rows"),
    "a cell of a row in the next": (
        "vi",
        once(r"(<tr><th scope=\"row\" class=\"q\">[^\n]*)(<td>[^\n]*</td>)</tr>\n<tr>", r"\1</tr>\n<tr>\2"),
        "rows",
    ),
    "the title of a statistic": ("en", once(r"<dt>SMA 50</dt>", "<dt>SMA 20</dt>"), "SMA 50"),
    "a date": ("en", once(r"<th scope=\"row\" class=\"q\">\d\d?\sNov", '<th scope="row" class="q">1 Oct'), "row"),
    "a time": ("vi", once(r"(<dd><time[^>]*>)23/11/2026", r"\g<1>23/11/2027"), "times"),
    "a number of nobody": ("en", once(r"(<p class=\"prose\">)", r"\1About 42 more. "), "'42'"),
    "a sentence without its rule": ("en", once(r" data-rule=\"move\.\w+\"", ""), "rule"),
    "a headline": ("en", once(r"(<meta name=\"description\" content=\"[^\"]*?)(\d)", next_digit), "description"),
    "a page that ends early": ("en", lambda page: page[: len(page) // 2], "is not on the page"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_page_is_rejected(what: str) -> None:
    language, change, told = WRONG[what]
    rendered = await made()
    rendered[language] = change(rendered[language].decode()).encode()
    with pytest.raises(ReportRejected) as rejected:
        await check(small(), rendered)
    assert any(told in reason and reason.startswith(language) for reason in rejected.value.reasons), rejected.value


@pytest.mark.parametrize("name", ["price", "change", "rsi14", "ret_1m", "sma200", "low_52w", "vol20"])
async def test_a_fact_that_changed_after_rendering_is_rejected(name: str) -> None:
    findings = small()
    spx = findings.get("SPX")
    assert spx is not None
    values = spx.values[:]
    values[FIELDS.index(name)] *= 1.01
    changed = replace(findings, facts=tuple(replace(f, values=values) if f is spx else f for f in findings.facts))
    with pytest.raises(ReportRejected, match=r"card SPX|rule|table"):
        await check(changed, await made())


async def test_a_fact_that_changes_between_the_pages_is_rejected() -> None:
    findings = market(3)
    checked = Check(findings)
    findings.facts[0].values[FIELDS.index("price")] += 1
    with pytest.raises(ReportRejected, match=f"the facts of {findings.facts[0].id} changed"):
        checked.close()


async def test_languages_that_differ_are_rejected() -> None:
    """Each page agrees with its own blocks, but these are not the same."""
    findings, other = market(5), market(5)
    checked = Check(findings)
    other.facts[0].values[FIELDS.index("macd")] += 5
    for language, facts in (("vi", findings), ("en", other)):
        top = head(facts)
        reading = checked.page(language, renderer(language).words, ZONE, top)
        reading.account.findings = facts
        async for piece in renderer(language).render(reading.follow(write(facts, cards(facts, samples.bars))), top):
            await reading.read(piece)
        reading.close()
    with pytest.raises(ReportRejected, match="section cards: en says other numbers than vi"):
        checked.close()


async def test_what_waits_is_about_one_piece_of_the_page() -> None:
    findings = samples.findings()
    reading = Check(findings).page("en", renderer("en").words, ZONE, head(findings))
    waiting = []
    async for piece in renderer("en").render(
        reading.follow(write(findings, cards(findings, samples.bars))), head(findings)
    ):
        await reading.read(piece)
        waiting.append(len(reading._notes))
        assert len(reading._text) - reading._at < 150_000
    reading.close()
    assert max(waiting) < 150


class Lying(Renderer):
    """Writes one wrong digit."""

    async def render(self, sections, head):  # type: ignore[no-untyped-def]
        async for piece in super().render(sections, head):
            yield re.sub(rb"(<dd>)(\d)", lambda m: m[1] + str((int(m[2]) + 1) % 10).encode(), piece, count=1)


async def test_a_report_with_a_wrong_number_is_not_published() -> None:
    store = Store()
    rows = samples.instruments()[:6]
    lying = Lying("en", Catalogue.load("en"), ZONE)
    lying.css = lambda: b"css"  # type: ignore[method-assign]
    lying.js = lambda: b"js"  # type: ignore[method-assign]
    with pytest.raises(ReportRejected, match="en, section cards, card"):
        await make_report(
            SLOT,
            snapshot=samples.snapshot(rows),
            bars=samples.bars,
            store=store,
            renderers={"en": lying},
            universe=rows,
            clock=Clock(),
            timezone=ZONE,
        )
    assert store.published is None
    assert "publish" not in store.log


@pytest.mark.parametrize(
    ("language", "text", "number", "right"),
    [
        ("en", "1,234.50", Number(1234.5), True),
        ("vi", "1.234,50", Number(1234.5), True),
        ("vi", "1,234.50", Number(1234.5), False),
        ("en", "1234.50", Number(1234.5), False),
        ("en", "12,34.50", Number(1234.5), False),
        ("en", "0.00", Number(-0.001), True),
        ("en", "−0.00", Number(-0.001), False),
        ("vi", "000", Number(0.0), False),
        ("en", "+0.00%", Number(0.004, "percent", signed=True), False),
        ("vi", "−2,41%", Number(-2.41, "percent"), True),
        ("vi", "2,94\N{NO-BREAK SPACE}nghìn\N{NO-BREAK SPACE}tỷ", Number(2.94e12, "compact"), True),
        ("en", "2.94T", Number(2.94e12, "compact"), True),
        ("en", "2.94B", Number(2.94e12, "compact"), False),
        ("en", "2.94T\N{NO-BREAK SPACE}USD", Number(2.94e12, "compact", unit="USD"), True),
        ("en", "5.00 USD", Number(5, unit="EUR"), False),
        ("en", "–", Number(None), True),
        ("en", "1.00", Number(None), False),
    ],
)
def test_numbers_are_read_by_the_rules_of_the_language(language: str, text: str, number: Number, right: bool) -> None:
    grammar = Grammar(language, Catalogue.load("en"), ZONE)
    assert grammar.is_shown(grammar.plain(text), number) is right
