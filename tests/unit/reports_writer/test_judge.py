"""What of a model's text may be published: true sentences pass, and each kind of wrong one is struck."""

from __future__ import annotations

import random
import re

import pytest

from evertick.reports.blocks import Number
from evertick.reports.writer.judge import HEADLINE, LEAST, POINT
from unit.reports_writer.judging import FINE, alone, given, judged, passes, renderer, why

TRUE = {
    "en": (
        "The S&P 500 fell 1.59% to 6,890.00, while Bitcoin gained 1.36% to 86,500 USD.",
        "World indices went separate ways, with 15 up and 22 down.",
        "All coins together are worth 2.94T USD after losing 2.41%.",
        "XRP lost 7.86%, its widest swing in 208 sessions.",
        "Gold (−0.13%) and EUR/USD (−0.03%) barely moved.",
        "Of the new 52-week marks, 6 are highs and 1 is on the low side.",
        "In Vietnam VN-Index added 0.35% although 15 of 21 Vietnamese shares declined.",
        "The Fear & Greed index stands at 22, in extreme fear.",
        "A 1.22% gain took Crude oil (WTI) to $58.00.",
    ),
    "vi": (
        "S&P 500 mất 1,59%, lùi về 6.890,00, trong khi Bitcoin tăng 1,36% lên 86.500 USD.",
        "Trên thế giới có 15 chỉ số tăng và 22 chỉ số giảm.",
        "Vốn hóa toàn thị trường tiền số còn 2,94 nghìn tỷ USD, giảm 2,41%.",
        "Có 6 mã lập đỉnh 52 tuần so với 1 mã về đáy.",
        "XRP giảm 7,86%, phiên biến động mạnh nhất trong 208 phiên.",
        "Vàng gần như đứng yên ở 4.060,00 USD (−0,13%).",
        "Đô la Mỹ tăng 0,26% lên 26.350 đồng.",
        "VN-Index tăng 0,35% nhưng 15/21 cổ phiếu Việt Nam đi xuống.",
        "VIX hạ nhiệt về 23,40 (−6,34%).",
    ),
}


@pytest.mark.parametrize(("language", "sentence"), [(code, s) for code in TRUE for s in TRUE[code]])
def test_true_sentences_pass_and_are_shown_as_they_were_written(language: str, sentence: str) -> None:
    shown = passes(language, sentence)
    assert shown is not None, why(language, sentence)
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == sentence


@pytest.mark.parametrize(
    ("language", "sentence", "reason"),
    [
        ("en", "Bitcoin is up 1.36% at 99,999 USD.", "'99,999', which is no fact"),
        ("en", "Bitcoin is up 13.6% at 86,500 USD.", "'13.6%', which is no fact"),
        ("en", "Bitcoin is up 1.4% at 86,500 USD.", "'1.4%', which is no fact"),
        ("en", "Bitcoin is up 1,36% at 86,500 USD.", "shows '1"),
        ("vi", "Bitcoin tăng 1.36% lên 86.500 USD.", "shows '1"),
        ("vi", "Bitcoin tăng 13,6% lên 86.500 USD.", "'13,6%', which is no fact"),
        ("en", "Gold fell 1.59% to 4,060.00 USD.", "which is a fact of SPX and not of Gold"),
        ("en", "A fall of 1.59% was the day's deepest.", "which is a fact of SPX"),
        ("en", "The S&P 500 rose 1.59% to 6,890.00.", "'1.59%', with the wrong direction"),
        ("en", "The S&P 500 lost −1.59%, and Nikkei 225 fell +0.97%.", "'[+]0.97%', with the wrong direction"),
        ("en", "The S&P 500 climbed to 6,890.00 in the end.", "'6,890.00', with the wrong direction"),
        ("en", "For the S&P 500 it was 1.59% on the day.", "without a word on its direction"),
        ("en", "World indices went separate ways, with 22 up and 15 down.", "'22', with the wrong direction"),
        ("vi", "Trên thế giới có 22 chỉ số tăng và 15 chỉ số giảm.", "'22', with the wrong direction"),
        ("en", "Of the new 52-week marks, 1 are highs and 6 are lows.", "'1', with the wrong direction"),
        ("en", "Of the new 52-week marks, 6 are highs and 6 are lows.", "'6', which is no fact"),
        ("vi", "Có 1 mã lập đỉnh 52 tuần so với 6 mã về đáy.", "'1', with the wrong direction"),
        ("en", "In all there were 15 of them in the race.", "'15', where it is about something else"),
        ("en", "Crude oil (WTI) gains 1.22% to €58.00.", "given without EUR"),
        ("en", "Crude oil (WTI) gains 1.22% to 58.00 EUR.", "given without EUR"),
        ("en", "Crude oil (WTI) gains 1.22% to 58.00 thousand USD.", "counts in words: 'thousand'"),
        ("en", "The Fear & Greed index stands at 22%, in extreme fear.", "followed by '%'"),
        ("en", "All coins together are worth 2.94B USD after losing 2.41%.", "no fact"),
        ("vi", "Vốn hóa toàn thị trường tiền số còn 2,94 tỷ USD, giảm 2,41%.", "no fact"),
        ("en", "XRP lost 7.86%, its widest swing in 208 weeks.", "speaks of 'weeks'"),
        ("en", "This week VN-Index gained 0.35% to 1,650.00.", "speaks of 'week'"),
        ("vi", "Trong tuần, VN-Index tăng 0,35% lên 1.650,00.", "speaks of 'tuần'"),
        ("en", "Stocks everywhere had a day to remember.", "shows no figure"),
        ("en", "VN-Index gained 0.35%, and two of three banks did so too.", "counts in words: 'two'"),
        ("vi", "VN-Index tăng 0,35%, một nửa cổ phiếu giảm điểm.", "counts in words: 'một nửa'"),
        ("en", "Investors should look at Gold at 4,060.00 USD.", "advises: 'should'"),
        ("en", "Gold at 4,060.00 USD is a bargain, so buy it.", "advises: 'bargain'"),
        ("vi", "Nhà đầu tư nên gom thêm Vàng ở 4.060,00 USD.", "advises: 'nên'"),
        ("vi", "Bitcoin tăng 1,36%, cơ hội giải ngân rất tốt.", "advises: 'cơ hội'"),
        ("en", "Bitcoin gained 1.36% and will rise further.", "foretells: 'will'"),
        ("vi", "Bitcoin tăng 1,36% và sẽ còn đi lên.", "foretells: 'sẽ'"),
        ("en", "VN-Index gained 0.35% because the Fed cut rates.", "gives a reason: 'because'"),
        ("vi", "VN-Index tăng 0,35% nhờ dòng tiền ngoại.", "gives a reason: 'nhờ'"),
        ("vi", "Bitcoin rose 1,36% to 86.500 USD in this session.", "is not in the language 'vi'"),
        ("vi", "Bitcoin tang 1,36% len 86.500 USD trong phien.", "is not in the language 'vi'"),
        ("vi", "Bitcoin a gagné 1,36% à 86.500 USD après la séance.", "is not in the language 'vi'"),
        ("en", "Bitcoin tăng 1.36% lên 86,500 USD.", "is not in the language 'en'"),
        ("en", "Bitcoin steigt deutlich um 1.36% auf 86,500 USD.", "is not in the language 'en'"),
        ("en", "Bitcoin 上涨 1.36% 至 86,500 USD.", "is no sentence|is not in the language"),
        ("en", "Bitcoin is up 1.36%, see [the rest](http://evil.example/x).", "is not plain text"),
        ("en", "Bitcoin is up 1.36%, see www.evil.example for the rest.", "is not plain text"),
        ("en", "Bitcoin is up {n0} and 1.36% at its end.", "is not plain text"),
        ("en", "Bitcoin is up 1.36% \N{ROCKET} at 86,500 USD.", "is not plain text"),
        ("en", "Bitcoin is up \u202e1.36% at 86,500 USD.", "is not plain text"),
        ("en", "Bitcoin is up 1.36% on 23 November 2026.", "'23', which is no fact"),
        ("en", "Bitcoin (1.36%).", "is no sentence"),
        ("en", "Bitcoin is up 1.36%" + " as it is" * 60 + ".", f"more than {POINT}"),
    ],
)  # fmt: skip
def test_what_is_struck(language: str, sentence: str, reason: str) -> None:
    assert passes(language, sentence) is None
    assert re.search(reason, why(language, sentence)), why(language, sentence)


@pytest.mark.parametrize("language", ["en", "vi"])
def test_every_changed_figure_is_struck(language: str) -> None:
    """Any one digit of any figure of a true sentence, changed: the sentence is struck, or says another fact of it as truly."""
    own = random.Random(7)
    changed = 0
    for sentence in (*TRUE[language], *FINE[language]):
        names = re.compile("|".join(map(re.escape, given(language).names)))
        spots = [
            m.start()
            for m in re.finditer(r"\d", names.sub(lambda m: "x" * len(m.group()), sentence))
            if not re.match(r"\d*[- ](?:week|tuần)", sentence[m.start() :])
        ]
        for spot in spots:
            digit = own.choice([d for d in "123456789" if d != sentence[spot]])
            wrong = sentence[:spot] + digit + sentence[spot + 1 :]
            assert passes(language, wrong) is None, wrong
            changed += 1
    assert changed > 80


def test_figures_are_facts_in_places_and_names_link_to_their_cards() -> None:
    written = alone("en", "The S&P 500 fell 1.59% to 6,890.00.").written
    assert written is not None
    line = written.points[3]
    assert line.text == "The {a0} fell {n0} to {n1}."
    assert line.origins == ("SPX.change", "SPX.price")
    assert line.numbers[0] == Number(pytest.approx(1.5942, abs=1e-4), "percent")  # type: ignore[arg-type]
    assert (line.names[0].text, line.names[0].link, line.tone) == ("S&P 500", "card-SPX", "down")
    html = renderer("en").words.html(written.sentences()[3])
    assert 'data-rule="model"' in html
    assert '"model":"stub-1"' in html
    assert '"SPX.change":' in html
    assert '<a href="#card-SPX">S&amp;P 500</a>' in html


def test_markup_goes_and_its_text_stays() -> None:
    text = (
        "# **Crude oil (WTI) gains 1.22% to 58.00 USD**\n\n"
        "1. <b>Nikkei 225</b> climbs 0.97% to 50,100.00.<script>steal()</script>\n"
        "* Bitcoin is <a href='javascript:alert(1)' onclick=x>up 1.36%</a> at 86,500 USD.\n"
        "- <img src=x onerror=alert(1)>Gold (-0.13%) is at 4,060.00 USD.\n"
    )
    verdict = judged("en", text=text)
    assert verdict.struck == ()
    assert verdict.written is not None
    words = renderer("en").words
    assert words.plain(verdict.written.lead) == "Crude oil (WTI) gains 1.22% to 58.00 USD"
    assert [words.plain(s) for s in verdict.written.sentences()] == [
        "Nikkei 225 climbs 0.97% to 50,100.00.",
        "Bitcoin is up 1.36% at 86,500 USD.",
        "Gold (−0.13%) is at 4,060.00 USD.",
    ]
    html = "".join(map(words.html, verdict.written.sentences()))
    assert re.findall(r"<(\w+)", html.replace("<span", "").replace("<b", "").replace("<a", "")) == []
    assert "onerror" not in html
    assert "javascript" not in html


def test_markup_that_was_escaped_stays_out() -> None:
    assert "is not plain text" in why("en", "Bitcoin &lt;script&gt;alert(1)&lt;/script&gt; is up 1.36%.")


def test_what_a_model_thinks_first_is_no_text() -> None:
    first, *rest = FINE["en"]
    text = "<think>Buy 99 of them!\nYes.</think>\n" + "\n".join([first, *(f"- {line}" for line in (first, *rest))])
    verdict = judged("en", text=text)
    assert verdict.struck == ()
    assert verdict.sentences == 4


def test_a_point_ends_at_its_first_sentence_that_is_struck() -> None:
    assert passes("en", "Gold (−0.13%) is at 4,060.00 USD. It will rise. Bitcoin is up 1.36%.") == (
        "Gold (−0.13%) is at 4,060.00 USD."
    )
    both = passes("en", "Gold (−0.13%) is at 4,060.00 USD. On the day Bitcoin is up 1.36%.")
    assert both == "Gold (−0.13%) is at 4,060.00 USD. On the day Bitcoin is up 1.36%."


def test_a_first_sentence_that_is_struck_gives_way_to_the_next() -> None:
    lines = FINE["en"]
    verdict = judged("en", "A day to remember for everybody", *(f"- {line}" for line in lines))
    assert verdict.written is not None
    assert renderer("en").words.plain(verdict.written.lead) == lines[0]
    assert len(verdict.written.points) == 3
    assert verdict.struck == ("shows no figure, so nothing can be checked",)


def test_a_headline_is_shorter_than_a_point() -> None:
    lines = FINE["en"]
    long = "Crude oil (WTI) gains 1.22% to 58.00 USD" + ", and so on" * 12
    assert HEADLINE < len(long) < POINT
    verdict = judged("en", long, *(f"- {line}" for line in lines))
    assert verdict.struck == (f"has {len(long)} characters, more than {HEADLINE}",)


def test_too_little_is_nothing() -> None:
    first, *rest = FINE["en"]
    assert LEAST == 3
    few = judged("en", first, *(f"- {line}" for line in rest))
    assert few.written is None
    assert few.struck == ()
    assert judged("en", "").written is None
    assert judged("en", "I am sorry, I cannot help with that.").written is None


def test_of_a_flood_only_the_first_points_count() -> None:
    flood = judged("en", FINE["en"][0], *(f"- {line}" for line in FINE["en"] * 2_000))
    assert flood.written is not None
    assert len(flood.written.points) == 8
    assert flood.sentences == 24
