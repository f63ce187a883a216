"""The naive twin does the work of a day for real, and keeps what it says it keeps."""

import asyncio
import gc
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evertick import universe
from evertick.settings import Settings, SourceSettings, load
from evertick.simulator import Market, MarketClock, base_urls, serve
from evertick.soak import naive
from evertick.soak.naive_service import After, Before, ReportState, create_tables
from evertick.soak.naive_work import Work, open_work
from evertick.soak.tape import AFTER, BEFORE

START = datetime(2026, 11, 26, tzinfo=UTC)
FIELDS = ("html_content", "css_content", "js_content", "html_content_en", "js_content_en")
FEW = ("SPX", "VNINDEX", "BTC", "ETH", "EURUSD", "GOLD", "US10Y", "VIX")


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = universe.BUILT_IN.read_text().splitlines()
    header = next(line for line in lines if line.startswith("id,"))
    file = tmp_path_factory.mktemp("universe") / "few.csv"
    file.write_text("\n".join([header, "-*", *(line for line in lines if line.split(",")[0] in FEW)]) + "\n")
    return file


@pytest.fixture
async def upstream(few: Path) -> AsyncIterator[str]:
    async with serve(Market(universe.load(few), clock=MarketClock(START, 0))) as address:
        yield address


@pytest.fixture
def settings(few: Path, tmp_path: Path) -> Settings:
    return load(environ={}, data_dir=tmp_path / "twin", universe=few)


def asking(settings: Settings, upstream: str) -> Settings:
    return settings.model_copy(
        update={"sources": {name: SourceSettings(base_url=url) for name, url in base_urls(upstream).items()}}
    )


@contextmanager
def unmeasured(job: str) -> Iterator[None]:
    yield


@pytest.fixture
async def work(settings: Settings, upstream: str) -> AsyncIterator[Work]:
    async with open_work(asking(settings, upstream), naive.Stepped(START)) as opened:
        await create_tables(opened)
        yield opened


async def test_before_keeps_every_client_state_and_result(work: Work) -> None:
    service = Before(work, unmeasured)
    for _ in range(3):
        await service.refresh()
    for _ in range(2):
        await service.iterate()
    gc.collect()
    assert work.clients() == await work.answering() == len(service.runs) == 3
    assert [len(run["data"]["indices"]) for run in service.runs] == [len(FEW)] * 3
    assert len(service.states) == len(service.results) == 2
    assert all(getattr(state, field) for state in service.states.values() for field in FIELDS)
    assert all(result["state"] is service.states[result["report_id"]] for result in service.results)
    for client in service.clients:
        await client.__aexit__(None, None, None)


async def test_after_keeps_nothing(work: Work) -> None:
    service = After(work, unmeasured)
    for _ in range(3):
        await service.refresh()
    state = await service.save()
    assert not any(getattr(state, field) for field in FIELDS)
    assert state.report_id == 1
    del state
    await service.iterate()
    assert work.clients() == await work.answering() == 0
    assert not [each for each in gc.get_objects() if type(each) is ReportState]


async def test_both_save_the_pages_that_evertick_would_make(work: Work) -> None:
    before, after = Before(work, unmeasured), After(work, unmeasured)
    await before.refresh()
    kept = await before.save()
    await after.save()
    from sqlalchemy import text

    async with work.engine.connect() as connection:
        rows = (await connection.execute(text(f"SELECT {', '.join(FIELDS)} FROM market_reports"))).all()
    assert rows[0] == tuple(getattr(kept, field) for field in FIELDS) == rows[1]
    assert kept.html_content.startswith("<!doctype html>")
    assert kept.html_content.rstrip().endswith("</html>")
    assert 'lang="vi"' in kept.html_content
    assert 'lang="en"' in kept.html_content_en
    await before.clients[0].__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("manner", "servers"),
    [
        (AFTER, False),
        (BEFORE, True),
        pytest.param(BEFORE, False, marks=pytest.mark.long),
        pytest.param(AFTER, True, marks=pytest.mark.long),
    ],
)
async def test_its_tape(
    manner: str, servers: bool, settings: Settings, upstream: str, request: pytest.FixtureRequest
) -> None:
    if servers:
        settings = load(
            environ={},
            data_dir=settings.data_dir,
            universe=settings.universe,
            redis_url=request.getfixturevalue("redis_url"),
            database_url=request.getfixturevalue("postgres_database"),
        )
    told: list[dict[str, float]] = []
    tape = await naive.play(
        manner,
        settings,
        upstream,
        days=8 / 480,
        start=START,
        reports=160,
        progress=lambda line: told.append(dict(line)),
    )
    assert tape.name == manner
    assert tape.crashed is None
    assert tape.runs == {"refresh_indices": {"ok": 8}, "save_report": {"ok": 3}, "report": {"ok": 3}}
    assert [moment.at for moment in tape.moments] == [0, 3 * 180, 6 * 180]
    assert [line["refreshes"] for line in told] == list(range(1, 9))
    assert told[-1]["at"] == 7 * 180
    assert tape.connections_leaked == (8 if manner == BEFORE else 0)
    assert tape.kept_per_report is not None
    assert tape.kept_per_iteration is not None
    if manner == BEFORE:
        assert tape.kept_per_report > 500_000
        assert tape.kept_per_iteration >= tape.kept_per_report
        assert (tape.looks[-1].heap or 0) - (tape.looks[0].heap or 0) > 2 * 500_000
    else:
        assert tape.kept_per_report < 200_000
    assert max(look.rss or 0 for look in tape.looks) == tape.peak_rss
    json.dumps(tape.looks, allow_nan=False)


@pytest.mark.long
async def test_at_its_limit_the_tape_tells_the_crash(settings: Settings, upstream: str) -> None:
    tape = await naive.play(BEFORE, settings, upstream, days=1, start=START, limit=1 << 20)
    assert tape.crashed is not None
    assert tape.crashed.startswith("out of memory: ")
    assert tape.crashed.endswith("the limit is 1 MB")
    assert (tape.moments[-1].kind, tape.moments[-1].text) == ("crash", tape.crashed)
    assert tape.days < 1


async def test_a_twin_that_is_killed_leaves_a_tape(settings: Settings, upstream: str) -> None:
    import os

    def kill(line: object) -> None:
        if line["refreshes"] == 3:  # type: ignore[index]
            pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_ours(p, settings.data_dir)]
            assert len(pids) == 1
            os.kill(pids[0], signal.SIGKILL)

    tape = await naive.play(BEFORE, settings, upstream, days=1, start=START, reports=0, progress=kill)
    assert tape.crashed == "ended with -9"
    assert tape.runs["refresh_indices"]["ok"] >= 3
    assert tape.moments[-1].kind == "crash"


def _is_ours(process: Path, folder: Path) -> bool:
    try:
        arguments = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"evertick.soak.naive" in arguments and str(folder).encode() in arguments


@pytest.mark.long
async def test_a_cancelled_twin_is_gone(settings: Settings, upstream: str) -> None:
    begun = asyncio.Event()
    playing = asyncio.create_task(
        naive.play(BEFORE, settings, upstream, days=1, start=START, reports=0, progress=lambda line: begun.set())
    )
    await asyncio.wait_for(begun.wait(), 60)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert not [p for p in Path("/proc").iterdir() if p.name.isdigit() and _is_ours(p, settings.data_dir)]


@pytest.mark.long
async def test_wrong_settings_are_said(settings: Settings, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "evertick.soak.naive", "--manner", "before", "--upstream", "http://127.0.0.1:9", "--data",
        str(tmp_path), "--tape", str(tmp_path / "t.json"), "--days", "0.01", cwd=tmp_path,
        env={"EVERTICK_TIMEZONE": "Nowhere", "PATH": ""}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 1
    assert "TIMEZONE=Nowhere" in said.decode()
