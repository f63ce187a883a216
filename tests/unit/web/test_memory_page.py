"""The page of memory: what it says, and how a timeline becomes a drawing, a table and numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.errors import ArchiveUnavailable
from evertick.memory.account import Course, Mark
from evertick.model import MemorySample
from evertick.web.pages.memory import PROMISES, address, blocks, more, share, traffic
from evertick.web.pages.timeline import COLUMNS, drawing
from unit.web.fakes import NOW, TOKEN, MemoryStore, account, world

UTC = ZoneInfo("UTC")
MB = 1 << 20


def sample(process: str, minutes_ago: float, rss: int | None = 90 * MB, budget: int = 256 * MB) -> MemorySample:
    return MemorySample(
        process=process, at=NOW - timedelta(minutes=minutes_ago), step_s=60, rss=rss, rss_max=rss and rss + MB,
        heap=rss and rss - 70 * MB, blocks=1, fds=9, sockets=3, threads=2, tasks=5, connections=1, pss=None, uss=None, budget=budget,
    )  # fmt: skip


def course(samples: Sequence[MemorySample], marks: Sequence[Mark] = (), hours: float = 24) -> Course:
    return Course(NOW - timedelta(hours=hours), NOW, 60, samples, marks)


async def test_one_look_tells_whether_it_grows_and_how_the_budget_stands(client):
    page = (await client.get("/memory")).text
    assert '<h2 id="m-verdict">Flat</h2><p class="sentence">RSS −0.01 MB a day, at most 0.02, over 23 h</p>' in page
    assert "Budget ok</strong><span>81 MB of 256 MB are in use" in page
    assert page.index("m-verdict") < page.index("m-timeline") < page.index("m-breakdown") < page.index("m-receipts")
    assert "−10.7 KB (−39.5 KB … +17.5 KB)" in page


async def test_the_figure_the_table_and_the_numbers_of_the_script_are_the_same(client):
    page = (await client.get("/memory")).text
    data = json.loads(re.search(r'id="timeline-data"[^>]*>(.*?)</script>', page, re.S)[1])
    points = sum(len(line["columns"]) for line in data["lines"])
    table = page[page.index('data-live="points"') : page.index("</table>")]
    assert table.count("<tr") - 1 == points
    assert COLUMNS <= points <= COLUMNS + 1
    strokes = re.findall(r'<path class="rss" d="(M[^"]+)"/></g>', page)
    assert sum(d.count("L") + 1 for d in strokes) == points
    assert len(strokes) == 2 and table.count(" begins</td>") == 1  # a restart is a gap
    assert "1 start, 7 reports, 480 refreshes" in page
    assert len(re.findall(r'<line class="restart"', page)) == 1
    assert '<line class="limit"' in page


async def test_ranges_jobs_and_pages_are_links_that_keep_each_other(client):
    page = (await client.get("/memory?range=7d&job=report")).text
    assert '<a href="/memory?job=report&amp;range=7d" aria-current="true">7 days</a>' in page
    assert '<a href="/memory?job=report">24 hours</a>' in page
    assert '<a href="/memory?range=7d">All</a>' in page
    assert page.count('aria-current="true"') == 2
    assert (await client.get("/memory?range=2y", headers={"Accept": "text/html"})).status_code == 422
    assert (await client.get("/memory?cursor=wrong", headers={"Accept": "text/html"})).status_code == 400
    for span in ("1h", "6h", "30d", "90d"):
        assert (await client.get(f"/memory?range={span}")).status_code == 200


def test_addresses_leave_out_what_says_nothing():
    assert address({"job": "", "range": "24h"}) == "/memory"
    assert address({"job": "report", "range": "1h", "cursor": "5"}) == "/memory?cursor=5&job=report&range=1h"


async def test_components_requests_and_diagnoses(client):
    page = (await client.get("/memory")).text
    for text in (
        "456 of 480 runs measured in 24 h, growth a day 0 B (−36 B … +49 B)",
        "<td>480</td><td>456</td><td>0 B</td><td>0 B (−36 B … +49 B)</td><td>1.0 MB</td><td>0</td><td>0</td>",
        "<span>about 50 MB</span>",
        "<span>about 100 KB</span>",
        "<span>902 B</span>",
        "Connections leaked in 24 h",
        "crash at about 650 MB",
        "<code>/api/v1/indices/stream</code>",
        "<code>evertick/board/poll.py:71</code>",
        "Types that grew",
        "Connections open at its end: database 1.",
        "Ask who leaks",
    ):
        assert text in page, text
    assert "Tasks that grew" not in page


async def test_what_the_flow_diagrams_promise_has_its_row():
    statement = await account(world().clock).statement()
    assert {what for _, _, what, *_ in PROMISES} <= {row.what for row in statement.rows}
    assert [b.bars[2].value for b in blocks(statement)][1:3] == ["902 B", "502 B"]
    for block in blocks(statement):
        before, after, here = block.bars
        assert before.width > after.width > here.width


async def test_nothing_measured_is_said_and_not_drawn(calls, monkeypatch):
    async def nothing(self, *given):
        return []

    async def none(self, *given):
        for row in ():
            yield row

    for name, empty in {"samples": none, "figures": none, "web": nothing, "diagnoses": nothing}.items():
        monkeypatch.setattr(MemoryStore, name, empty)
    async with calls(world(filled=False)) as client:
        page = (await client.get("/memory")).text
    for text in (
        "Too early to say",
        "0 min measured",
        "nothing was measured",
        "too early",
        "No requests were counted yet",
        "None was made yet",
        "No receipts",
    ):
        assert text in page, text


async def test_without_the_database_the_page_tells_what_it_knows(calls, filled, monkeypatch):
    async def away(*given, **named):
        raise ArchiveUnavailable("The database cannot be reached.")

    monkeypatch.setattr(filled.receipts, "recent", away)
    async with calls(filled) as client:
        page = await client.get("/memory")
    assert page.status_code == 200
    assert "The database cannot be reached." in page.text and "No verdict now" in page.text
    assert "81.4 MB" in page.text and "Budget ok" in page.text


async def test_asking_from_the_page_needs_the_session_and_its_token(calls):
    async with calls(world(token=TOKEN)) as client:
        page = (await client.get("/memory")).text
        assert "Sign in to: ask who leaks" in page and "<form" not in page[page.index("m-verdict") :]
        assert (await client.post("/memory/diagnose")).status_code == 401
        signed = await client.post("/login", data={"token": TOKEN, "next": "/memory"})
        client.cookies.update(signed.cookies)
        csrf = re.search(r'data-csrf="([^"]+)"', (await client.get("/memory")).text)[1]
        assert (await client.post("/memory/diagnose", data={"csrf": "wrong"})).status_code == 403
        begun = await client.post("/memory/diagnose", data={"csrf": csrf})
        assert (begun.status_code, begun.headers["location"]) == (303, "/memory#diagnoses")
        page = (await client.get("/memory")).text
        assert "A diagnosis has been running since 21:30." in page and "Ask who leaks</button>" not in page


async def test_names_from_elsewhere_are_text(calls, monkeypatch):
    hostile = "</script><img src=x>/7/1764000000"

    async def samples(self, since, until, step_s, process=None):
        for n in range(30, 0, -1):
            yield sample(hostile, n)

    monkeypatch.setattr(MemoryStore, "samples", samples)
    async with calls(world()) as client:
        page = (await client.get("/memory")).text
    assert "<img" not in page and "&lt;img src=x&gt;/7" in page


async def test_no_style_and_no_script_of_the_page_itself(client):
    page = (await client.get("/memory")).text
    assert " style=" not in page and "<style" not in page
    assert re.findall(r"<script(?! src=| type=\"application/json\")[^>]*>", page) == []
    assert re.search(r'<script src="/static/memory-\w+\.js" defer>', page)
    assert "memory-" not in (await client.get("/")).text


# --- the drawing -----------------------------------------------------------------------------------------------------


def test_processes_one_after_the_other_share_a_colour_and_those_at_the_same_time_do_not():
    first, second = [sample("a/1/1", n) for n in range(600, 300, -1)], [sample("a/2/2", n) for n in range(299, 0, -1)]
    after = drawing(course([*first, *second]), UTC)
    assert [line.track for line in after.lines] == [0, 0] and not after.together
    beside = drawing(course([*first, *second, *(sample("b/9/1", n) for n in range(600, 0, -1))]), UTC)
    assert sorted((line.name, line.track) for line in beside.lines) == [("a/1", 0), ("a/2", 0), ("b/9", 1)]
    assert [line.name for line in beside.together] == ["a/2", "b/9"]
    larger = drawing(course([sample("a/1/1", 5, 90 * MB), sample("b/9/1", 5, 95 * MB), sample("c/3/1", 5)]), UTC)
    assert larger.newest is not None and larger.newest[0].name == "b/9"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1439), st.none() | st.integers(0, 2 << 30)), max_size=300),
    st.sampled_from([1 / 60, 1, 24, 24 * 90]),
)
def test_whatever_was_measured_is_drawn_within_the_box_with_few_points(found, hours):
    samples = sorted((sample(f"p/{p}/1", at, rss) for p, at, rss in found), key=lambda s: s.at)
    drawn = drawing(course(samples, hours=hours), UTC)
    assert all(len(line.points) <= COLUMNS for line in drawn.lines)
    assert len(drawn.levels) <= 6
    for stroke in drawn.strokes:
        for x, y in re.findall(r"[ML](\d+) (-?[\d.]+)", stroke.rss):
            assert 0 <= int(x) <= 960 and 0 <= float(y) <= 200
    assert all(0 <= tick.at <= 100 for tick in (*drawn.times, *drawn.levels))
    assert len(drawn.rows) == sum(len(line.points) for line in drawn.lines)
    json.dumps(drawn.data, allow_nan=False)


def test_a_column_holds_the_median_and_the_highest():
    spike = [sample("a/1/1", 10 + n / 10, rss) for n, rss in enumerate((90 * MB, 91 * MB, 140 * MB))]
    (line,) = drawing(course(spike), UTC).lines
    (point,) = line.points
    assert (point.rss, point.top) == (91 * MB, 141 * MB)


def test_a_limit_far_above_is_told_and_not_drawn():
    far = drawing(course([sample("a/1/1", n, budget=8 << 30) for n in range(60, 0, -1)]), UTC)
    assert (far.limit, far.limit_at, far.data["limit"]) == (8 << 30, None, None)
    near = drawing(course([sample("a/1/1", n) for n in range(60, 0, -1)]), UTC)
    assert near.limit_at is not None and 0 < near.limit_at < 100


def test_marks_that_fall_together_are_drawn_once_and_counted_all():
    marks = [Mark(NOW - timedelta(minutes=31, seconds=s), "refresh") for s in range(10)]
    drawn = drawing(course([sample("a/1/1", n) for n in range(60, 0, -1)], marks), UTC)
    assert drawn.counts["refresh"] == 10 and drawn.marks["refresh"].count("M") == 1
    assert sum(row.refreshes for row in drawn.rows) == 10


@pytest.mark.parametrize(
    ("hours", "form"), [(1, r"\d\d:\d0"), (24, r"\d\d:00"), (24 * 7, r"\d+ Nov"), (24 * 90, r"\d+ (Aug|Sep|Oct|Nov)")]
)
def test_times_are_told_in_the_zone_of_the_settings(hours, form):
    ticks = drawing(course([], hours=hours), ZoneInfo("Asia/Kolkata")).times
    assert 3 <= len(ticks) <= 7
    assert all(re.fullmatch(form, tick.label) for tick in ticks)
    assert [t.at for t in ticks] == sorted(t.at for t in ticks)


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_the_scale_of_the_bars_never_turns_round(a, b):
    low, high = sorted((a, b))
    assert 0 <= share(low) <= share(high) <= 100


async def test_requests_are_told_by_one_and_the_most_asked_for_first():
    found = traffic(await MemoryStore().web(NOW, NOW))
    assert [t.receipt.route for t in found] == ["/api/v1/indices", "/", "/api/v1/indices/stream"]
    assert found[1].kept == -10 and found[1].mean_s == pytest.approx(0.01)
    assert more(-0.2) == "0 B"
