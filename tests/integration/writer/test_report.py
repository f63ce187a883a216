"""Whole reports of the real server with a model that writes: what readers get, what is saved, and what stays when it fails."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from evertick import doctor, remote, universe
from evertick.app import Server, check, open_server
from evertick.errors import SettingsError
from evertick.reports import landmarks
from evertick.settings import Settings, SourceSettings, load
from evertick.simulator import Faults, Market, base_urls, serve
from evertick.web.app import create_app
from integration.writer import stub

KEY = "sk-a-very-secret-key"
LIE = {"vi": "Bitcoin tăng 77,77% lên 1.000.000 USD.", "en": "Bitcoin jumped 77.77% to 1,000,000 USD."}
DISCLOSED = {"vi": "do mô hình ngôn ngữ stub-1 viết", "en": "written by a language model (stub-1)"}


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    chosen = [i for i in universe.load(None) if i.id in landmarks.HEADLINE]
    rows = "".join(
        f"{i.id},{i.name},{i.group},{i.region},{i.currency},{i.exchange},{i.decimals},yes,"
        f"{' '.join(f'{k}={v}' for k, v in i.symbols.items())}\n"
        for i in chosen
    )
    head = "id,name,group,region,currency,exchange,decimals,core,symbols\n-*\n"
    (tmp_path / "universe.csv").write_text(head + rows)
    async with serve(Market(universe.load(None)), Faults()) as upstream:
        yield load(
            environ={},
            memory_limit=8 << 30,  # this process is the tests' as well
            data_dir=tmp_path / "data",
            universe=tmp_path / "universe.csv",
            job_attempts=1,
            sources={name: SourceSettings(base_url=url) for name, url in base_urls(upstream).items()},
        )


def with_writer(settings: Settings, url: str, **more: Any) -> Settings:
    writer = {"base_url": url, "model": "stub-1", "api_key": KEY, "timeout": 30, **more}
    return load(environ={}, **(settings.model_dump() | {"writer": writer}))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Server, remote.Remote]]:
    async with open_server(settings, roles=("work",)) as server:
        app = create_app(server.services())
        async with app.state.web.feed.watching(), remote.inside(app, settings) as client:
            yield server, client


async def report(server: Server, client: remote.Remote) -> dict[str, Any]:
    await server.runner.run_now("refresh_indices")
    slot = await server.runner.run_now("report")
    assert slot.result is not None, slot.error
    meta: dict[str, Any] = await client.get(f"/api/v1/reports/{slot.result['report']}")
    return meta


async def page(client: remote.Remote, id: str, language: str) -> str:
    part = "html" if language == "vi" else f"html_{language}"
    return b"".join([p async for p in client.download(f"/api/v1/reports/{id}/parts/{part}")]).decode()


def points(html: str) -> list[str]:
    """The key points as a reader sees them."""
    (listed,) = re.findall(r'<ol class="points">(.*?)</ol>', html, re.DOTALL)
    return [unescape(re.sub(r"<[^>]+>", "", li)).strip() for li in re.findall(r"<li.*?</li>", listed, re.DOTALL)]


async def test_a_report_in_a_models_words(settings: Settings):
    async with stub.serving(stub.says(stub.honest)) as model:
        meta, everything = await made_with(settings, model)
    # The endpoint is gone by now for good, and the saved facts are enough.
    async with opened(settings) as (server, client):
        made = await client.post(f"/api/v1/reports/{meta['id']}/render")
        assert {p["part"] for p in made} == {"html", "css", "js", "html_en", "js_en"}
        assert [p["part"] for p in made if not p["same"]] == []
        other = await report(server, client)
        assert "stub-1" not in await page(client, other["id"], "en")
        found = await client.get(f"/api/v1/reports/{meta['id']}/diff/{other['id']}")
        assert "The headline is another one (vi, en)." in found["words"]
        facts = b"".join([p async for p in client.download(f"/api/v1/reports/{meta['id']}/parts/facts")]).decode()
    assert '"written"' in facts
    assert KEY not in everything + facts
    for file in settings.data_dir.iterdir():
        assert KEY.encode() not in file.read_bytes()


async def made_with(settings: Settings, model: stub.Stub) -> tuple[dict[str, Any], str]:
    """A report whose pages are the model's words; its metadata, and all that can be read of it."""
    async with opened(with_writer(settings, model.url)) as (server, client):
        meta = await report(server, client)
        assert [w for w in meta["warnings"] if "AI writer" in w] == []
        assert "author" in meta["stages_s"]
        assert [r.language for r in model.requests] == ["vi", "en"]
        everything = json.dumps(meta)
        for request in model.requests:
            html = await page(client, meta["id"], request.language)
            first, *rest = (line.removeprefix("- ") for line in stub.honest(request).splitlines())
            assert points(html) == rest
            assert meta["headline"][request.language].replace("\N{NO-BREAK SPACE}", " ") == first
            assert DISCLOSED[request.language] in unescape(html)
            assert html.count('data-rule="model"') == len(rest) + 1
            # what the policy of the pages does not allow is not there
            assert not re.search(r"<script(?! src=| type=\"application/json\")|\sstyle=|\son\w+=", html)
            everything += html
        return meta, everything


async def test_a_wrong_figure_is_struck_and_where_a_language_fails_the_rules_text_stands_in_it(settings: Settings):
    lies = stub.says(stub.with_line(lambda request: LIE[request.language]))
    half = stub.unless(lambda body: "(en)" in body["messages"][0]["content"], stub.resets, stub.says(stub.honest))
    async with (
        stub.serving(lies, lies, half) as model,
        opened(with_writer(settings, model.url)) as (server, client),
    ):
        first = await report(server, client)
        for language, shown in (("vi", "77,77%"), ("en", "77.77%")):
            html = await page(client, first["id"], language)
            assert "77" + shown[2:] not in html
            assert DISCLOSED[language] in unescape(html)
            (warning,) = [w for w in first["warnings"] if w.startswith(f"AI writer, {language}")]
            assert re.search(rf"1 of \d sentences struck: shows '{shown}', which is no fact it was given", warning)

        second = await report(server, client)
        assert second["warnings"][0] == "AI writer, vi: the rules' text stands: the connection broke off"
        vi, en = [await page(client, second["id"], language) for language in ("vi", "en")]
        assert 'data-rule="model"' not in vi
        assert "stub-1" not in vi
        assert 'data-rule="model"' in en
        assert all(p["same"] for p in await client.post(f"/api/v1/reports/{second['id']}/render"))


async def test_settings_that_cannot_be_are_refused_before_anything_is_opened(settings: Settings):
    with pytest.raises(SettingsError, match="WRITER__LANGUAGES=fr"):
        check(with_writer(settings, "http://127.0.0.1:1/v1", languages=("fr",)))


async def test_the_doctor_asks_the_endpoint(settings: Settings):
    async def found(*replies: stub.Reply) -> doctor.Check:
        async with stub.serving(*replies) as model:
            checks = await doctor.examine(with_writer(settings, model.url))
            assert len(model.requests) == 1
            assert model.requests[0].body["max_tokens"] <= 16
        assert KEY not in repr(checks)
        return next(c for c in checks if c.name == "AI writer stub-1")

    well = await found(stub.says("ready"))
    assert (well.ok, well.found) == (True, "it answers; it counts tokens")
    ill = await found(stub.error("401 Unauthorized", "no such key"))
    assert (ill.ok, ill.found, ill.hint) == (False, "HTTP 401: no such key", "Look at WRITER__API_KEY.")
    assert "AI writer" not in repr([c.name for c in await doctor.examine(settings)])
