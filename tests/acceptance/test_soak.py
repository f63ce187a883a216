"""The soak from outside: the real server in a process of its own, on a clock that its parent moves."""

from __future__ import annotations

from pathlib import Path

from evertick.settings import load
from evertick.soak.driver import opened, surroundings
from evertick.soak.plan import Plan


async def test_a_server_that_is_killed_goes_on_at_the_same_instant(tmp_path: Path) -> None:
    plan = Plan(instruments=12, refreshes=480)
    async with surroundings(plan, tmp_path) as around, opened(plan, load(environ={}), tmp_path, around) as scene:
        stage = scene.stage
        before = await stage.advance(1799)
        assert before.at >= 1799
        assert before.runs["refresh_indices"] == {"ok": 10}
        assert before.runs["save_report"] == {"ok": 1}
        address, pid = stage.url, stage.pid
        after = await stage.restart()
        assert after.at >= before.at
        assert (stage.url, stage.starts) == (address, 2)
        assert stage.pid != pid
        later = await stage.advance(3599)
        assert later.runs["refresh_indices"] == {"ok": 10}
        async with scene.archive() as archive:
            await scene.recorder.collect(archive.receipts)
            reports = await archive.reports.list()
        assert await stage.stop() == 0
    refreshes = [r for r in scene.recorder.receipts if r.job == "refresh_indices"]
    assert len(refreshes) == 20
    assert len({r.pid for r in refreshes}) == 2
    assert len(reports.items) == 1
