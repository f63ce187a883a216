"""`evertick db backfill` from outside: killed in the middle, run again, beside a server, with a provider that fails."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from acceptance.processes import evertick, running
from evertick import universe
from evertick.model import Instrument

HEADER = "id,name,group,region,currency,exchange,decimals,core,symbols\n-*\n"


def rows(wanted: Callable[[Instrument], bool]) -> str:
    """A file with these instruments of the built-in universe in place of all of them."""
    chosen = [
        f"{i.id},{i.id},{i.group},{i.region},{i.currency},{i.exchange},{i.decimals},yes,"
        + " ".join(
            f"{namespace}={symbol}" for namespace, symbol in i.symbols.items() if namespace in ("yahoo", "binance")
        )
        for i in universe.load()
        if wanted(i)
    ]
    return HEADER + "\n".join(chosen) + "\n"


def stored(folder: Path) -> dict[str, int]:
    """Rows of bars by instrument, as another process sees them."""
    path = folder / "evertick-data" / "evertick.db"
    if not path.is_file():
        return {}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'bar_series'").fetchall():
            return {}
        return dict(database.execute("SELECT instrument, count(*) FROM bars GROUP BY instrument"))


def test_a_killed_backfill_goes_on_where_it_was(folder: Path, against: Mapping[str, str]) -> None:
    folder.mkdir()
    (folder / "mine.csv").write_text(rows(lambda i: "yahoo" in i.symbols))
    against = {**against, "EVERTICK_UNIVERSE": "mine.csv"}
    with running("db", "backfill", cwd=folder, env=against) as command:
        command.until(lambda: len(stored(folder)) >= 20, "twenty instruments")
        command.kill()
    before = stored(folder)
    done = evertick("db", "backfill", "--json", cwd=folder, env=against)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["failed"] == {}
    assert len(before) <= summary["already"] < summary["instruments"], (
        "what was there was fetched again, or nothing left"
    )
    assert summary["already"] + summary["fetched"] + len(summary["without_bars"]) == summary["instruments"]
    after = stored(folder)
    assert {id: after[id] for id in before} == before
    assert len(after) == summary["instruments"] - len(summary["without_bars"]) > 100

    again = evertick("db", "backfill", cwd=folder, env=against)
    assert again.returncode == 0
    assert re.search(r"^0 daily bars of 0 instruments fetched", again.stdout, re.M), again.stdout


def test_progress_in_plain_lines_and_every_failure_in_plain_words(folder: Path, against: Mapping[str, str]) -> None:
    folder.mkdir()
    (folder / "few.csv").write_text(rows(lambda i: i.id in ("SPX", "NDX", "DJI", "VIX", "BTC")))
    dead = {"EVERTICK_SOURCES__YAHOO__BASE_URL": "http://127.0.0.2:1", "EVERTICK_UNIVERSE": "few.csv"}
    done = evertick("db", "backfill", "--years", "1", cwd=folder, env={**against, **dead})
    assert "Daily bars: 5 of 5 instruments" in done.stderr
    assert re.search(r"daily bars of 1 instruments fetched in .* s, 365 days back", done.stdout), done.stdout
    assert done.returncode == 1
    assert re.search(r"^failed: SPX: yahoo .*no connection", done.stdout, re.M), done.stdout
    assert "4 instruments failed; run the same again" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_beside_a_running_server_it_says_what_to_do(folder: Path, against: Mapping[str, str]) -> None:
    with running("serve", cwd=folder, env=against) as server:
        url = server.address()
        done = evertick("db", "backfill", cwd=folder, env=against)
        assert done.returncode == 1
        assert url in done.stderr and "by itself" in done.stderr
        assert server.stop() == 0
