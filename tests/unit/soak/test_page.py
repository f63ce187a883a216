"""The verdict page: all that a soak found is on it, and nothing on it needs anything else."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest

from evertick.errors import AssetsMissing
from evertick.soak import page
from evertick.soak.tape import Soak
from evertick.web.pages import format
from evertick.web.pages.memory import more
from unit.soak.samples import evertick, soak


def rendered(of: Soak) -> str:
    return "".join(page.render(of))


def said(html: str) -> str:
    """The text of the page, without its style."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html[html.index("<body>") :])))


def test_every_figure_of_the_soak_is_on_it() -> None:
    one = soak()
    text = said(rendered(one))
    expected = [
        one.command,
        "4711",
        "0.1.0",
        "5m 12s",
        "7.8 GB",
        "a processor",
        "3.11.2",
        "2.0.44",
        "vi, en",
        "embedded",
    ]
    for bound in one.bounds:
        expected += [bound.name[1:], bound.why]
    expected += [
        "+293.0 KB a day",
        "256.0 KB a day",
        "1.04×",
        "1.10×",
        "5.4 MB",
        "5.0 MB",
        "not settled",
        "not measured",
    ]
    for tape in one.variants.values():
        expected += [format.size(v) for v in (tape.start_rss, tape.steady_rss, tape.peak_rss, tape.peak_above_steady)]
        expected += [format.size(v) for v in (tape.kept_per_report, tape.kept_per_iteration)]
        expected += [f"{tape.connections_leaked}", format.seconds(tape.seconds), tape.crashed or "no", *tape.notes]
        for growth in (tape.indices, tape.heap, tape.rss):
            assert growth is not None
            expected.append(f"{more(growth.per_day)} ({more(growth.low)} … {more(growth.high)})")
        for job, outcomes in tape.runs.items():
            expected += [job, ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())]
        for kind, count in tape.requests.items():
            expected += [kind, f"{count:,}"]
        for receipt in tape.receipts.values():
            expected += [str(receipt[name]) for name in ("runs", "failed", "overlapped")]
            expected += [format.seconds(receipt[name]) for name in ("median_s", "release_s")]
            expected += [format.size(receipt[name]) for name in ("retained", "freed")]
        expected += [moment.text for moment in tape.moments if moment.kind != "fault"]
    expected += ["−40 B (−400 B … 777 B)", "120 min"]
    for fault in one.faults:
        expected += [fault.kind, fault.what, *fault.found]
    expected += [
        "1.4 s",
        "never",
        "memory kept: heap <2.1 MB> higher",
        "none: slots lost, reports gone",
        "The soak has a note.",
    ]
    assert [each for each in expected if each and each not in text] == []


def test_the_verdict_is_told_first() -> None:
    broken = rendered(soak())
    assert "<title>FAIL" in broken
    assert broken.index(">FAIL<") < broken.index("Bound by bound")
    assert "3 of 6 bounds hold, 1 is broken, 2 could not be measured or settled" in said(broken)
    held = soak(bounds=tuple(b for b in soak().bounds if b.passed is not False))
    assert "<title>PASS" in rendered(held)
    assert "broken" not in said(rendered(held)).split("Memory over time")[0]


def test_it_needs_nothing_else_and_its_policy_says_so() -> None:
    html = rendered(soak())
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert style is not None
    assert policy is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    assert unescape(policy[1]) == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"<script|\bstyle=|\bsrc=|https?://", html.replace(style[0], ""))
    assert set(re.findall(r'href="([^"]*)"', html)) == {"#main", "data:,"}


def test_what_is_not_ours_is_escaped() -> None:
    html = rendered(soak())
    assert "<seeded>" not in html
    assert "<2.1 MB>" not in html


def test_a_file_is_the_same_as_what_is_rendered(tmp_path: Path) -> None:
    page.write(soak(), tmp_path / "soak.html")
    assert (tmp_path / "soak.html").read_text() == rendered(soak())
    again = Soak.of(json.loads(json.dumps(soak().as_json())))
    assert rendered(again) == rendered(soak())


def test_alone_it_has_no_columns_of_twins() -> None:
    text = said(rendered(soak(variants={"evertick": evertick()})))
    assert "Before, diagram" in text
    assert "Before, measured" not in text
    assert "Evertick alone" not in text


def test_what_was_not_measured_is_said() -> None:
    empty = replace(
        evertick(), looks=(), moments=(), runs={}, requests={}, receipts={}, notes=(), start_rss=None, steady_rss=None,
        peak_rss=None, peak_above_steady=None, connections_leaked=None, kept_per_report=None, kept_per_iteration=None,
        indices=None, heap=None, rss=None,
    )  # fmt: skip
    text = said(rendered(soak(variants={"evertick": empty}, bounds=(), faults=(), notes=())))
    assert "Memory over time" not in text
    assert "too few runs to say" in text
    assert "None was set" in text


def test_a_real_time_soak_says_so() -> None:
    text = said(rendered(soak(settings={"real_s": 600.0})))
    assert "10m 00s in real time" in text
    assert "simulated" not in text.split("Bound by bound")[0]


def test_without_its_style_it_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(AssetsMissing, match=r"soak\.css"):
        page.render(soak(), tmp_path / "soak.css")
