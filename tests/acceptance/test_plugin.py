"""The example package of docs/how-to/add-a-source.md: installed without a network, it works beside the built-in sources."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent

import pytest

from acceptance.processes import environment

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "evertick-source-example"
TOKEN = "t0ken-of-our-own"
UNIVERSE = """\
-*
id,name,group,region,currency,exchange,decimals,core,symbols
BAR,Gold bar,commodities,world,USD,24/7,2,yes,csvprices=bar-1kg
COIN,Gold coin,commodities,world,USD,24/7,2,no,csvprices=coin-1oz
NONE,Nobody has it,commodities,world,USD,24/7,2,no,csvprices=none
"""
SHOW = dedent(
    """
    import asyncio, json, sys
    from datetime import UTC, datetime
    from pathlib import Path

    from evertick.model import SystemClock
    from evertick.settings import HttpSettings, SourceSettings
    from evertick.sources.conductor import Conductor
    from evertick.sources.http import open_http
    from evertick.universe import load

    async def show(universe, settings):
        async with open_http(HttpSettings()) as http:
            conductor = Conductor(http, load(Path(universe)), settings, SystemClock())
            fetched = await conductor.fetch()
        quotes = {q.id: [q.price, q.previous_close, q.source] for q in fetched.quotes}
        states = {s.name: [s.state, s.title, s.quotes, s.note, s.error] for s in fetched.statuses}
        print(json.dumps({"quotes": quotes, "states": states}))

    given = json.loads(sys.argv[2])
    asyncio.run(show(sys.argv[1], {name: SourceSettings(**one) for name, one in given.items()}))
    """
)


class Prices(BaseHTTPRequestHandler):
    """Hands out a file of prices, made a moment ago, to whoever has the token."""

    def do_GET(self) -> None:
        from datetime import UTC, datetime

        at = datetime.now(UTC).isoformat(timespec="seconds")
        rows = ("symbol,price,previous,at", f"bar-1kg,84230.50,84110.00,{at}", f"coin-1oz,2790.00,,{at}")
        welcome = self.headers["authorization"] == f"Bearer {TOKEN}"
        body = ("\n".join(rows) + "\n" if welcome else "who are you?").encode()
        self.send_response(200 if welcome else 401)
        self.send_header("content-type", "text/csv" if welcome else "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Prices) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/prices.csv"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example package in it, and packages that are broken in other ways."""
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    install += ["--disable-pip-version-check", "--target", str(target), str(EXAMPLE)]
    subprocess.run(install, check=True, capture_output=True, timeout=100, env=environment())
    _package(target, "thief", "yahoo = json:JSONDecoder")
    _package(target, "broken", "broken = no_such_module:Source")
    _package(target, "hollow", "hollow = json:JSONDecoder")
    return target


def _package(site: Path, name: str, point: str) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[evertick.sources]\n{point}\n")


def run(site: Path, universe: Path, sources: dict[str, dict[str, str]]) -> tuple[dict, str]:
    """What a process that has the packages of ``site`` shows, and what it logs."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(universe), json.dumps(sources)],
        env=environment(PYTHONPATH=str(site)), cwd=universe.parent, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *logged, last = done.stdout.strip().splitlines()
    return json.loads(last), "\n".join(logged) + done.stderr


@pytest.fixture
def universe(tmp_path: Path) -> Path:
    file = tmp_path / "universe.csv"
    file.write_text(UNIVERSE)
    return file


def test_an_installed_package_is_asked_for_its_symbols(site: Path, universe: Path, address: str) -> None:
    shown, logged = run(site, universe, {"csvprices": {"base_url": address, "api_key": TOKEN}})
    assert shown["quotes"] == {"BAR": [84230.5, 84110.0, "csvprices"], "COIN": [2790.0, None, "csvprices"]}
    assert shown["states"]["csvprices"] == ["partial", "Prices of our own", 2, None, "1 instrument missing: NONE"]
    assert TOKEN not in logged


def test_what_its_server_refuses_is_its_own_state(site: Path, universe: Path, address: str) -> None:
    shown, logged = run(site, universe, {"csvprices": {"base_url": address, "api_key": "wr0ng-token"}})
    state, _, quotes, _, error = shown["states"]["csvprices"]
    assert (state, quotes) == ("failing", 0)
    assert "HTTP 401" in error
    assert "wr0ng-token" not in error + logged


def test_without_its_address_it_is_off_and_says_what_is_missing(site: Path, universe: Path) -> None:
    shown, _ = run(site, universe, {})
    state, _, _, note, _ = shown["states"]["csvprices"]
    assert (state, note) == ("off", "EVERTICK_SOURCES__CSVPRICES__BASE_URL is not set; it is the address of the file")


def test_broken_packages_cost_only_themselves(site: Path, universe: Path, address: str) -> None:
    shown, logged = run(site, universe, {"csvprices": {"base_url": address, "api_key": TOKEN}})
    states = {name: (state, note) for name, (state, _, _, note, _) in shown["states"].items()}
    assert states["broken"] == ("off", "its package cannot be loaded (ModuleNotFoundError); see the log")
    assert states["hollow"][0] == "off"
    assert "its class is no source: it lacks name, title" in states["hollow"][1]
    assert states["yahoo"] == ("idle", "no instrument of the universe has a symbol for it")
    assert "package thief: the name 'yahoo' belongs to a built-in source" in logged
    assert len(shown["quotes"]) == 2
    assert list(states)[-3:] == ["broken", "csvprices", "hollow"]


def test_without_the_package_its_symbols_are_unknown(universe: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(universe), "{}"],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "namespace 'csvprices' is not one of" in done.stderr
