"""The built files: only those of the manifest, under their hashed names."""

from __future__ import annotations

import json

import pytest

from evertick.errors import AssetsMissing
from evertick.web.problems import Problem
from evertick.web.static import Assets


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"site.css": "site-abc.css"}))
    (tmp_path / "site-abc.css").write_text("p{}")
    (tmp_path / "secret.txt").write_text("no")
    return tmp_path


def test_addresses(folder):
    assets = Assets(folder)
    assert assets.address("site.css") == "/static/site-abc.css"
    assert assets.file("site-abc.css") == folder / "site-abc.css"
    with pytest.raises(AssetsMissing, match="make install"):
        assets.address("other.css")


@pytest.mark.parametrize("name", ["secret.txt", "../manifest.json", "manifest.json", "site.css", ""])
def test_nothing_else_is_a_file_of_ours(folder, name):
    with pytest.raises(Problem) as caught:
        Assets(folder).file(name)
    assert caught.value.status == 404


@pytest.mark.parametrize("content", [None, "{", ""])
def test_without_a_build_it_says_what_to_do(tmp_path, content):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(AssetsMissing, match="make install"):
        Assets(tmp_path).address("site.css")


async def test_served_as_immutable(client):
    page = (await client.get("/")).text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = await client.get(address)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/css")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-length"] == str(len(answer.content))
    head = await client.head(address)
    assert head.content == b"" and head.headers["content-length"] == answer.headers["content-length"]
    assert (await client.get("/static/manifest.json")).status_code == 404
    assert (await client.get("/static/..%2f..%2fapp.py")).status_code == 404


async def test_icon(client):
    answer = await client.get("/favicon.ico")
    assert answer.headers["content-type"] == "image/svg+xml" and b"<svg" in answer.content


async def test_the_api_works_without_a_build_and_pages_say_what_to_do(calls, filled, monkeypatch, tmp_path):
    monkeypatch.setattr("evertick.web.app.Assets", lambda: Assets(tmp_path))
    async with calls(filled) as client:
        assert (await client.get("/api/v1/indices")).status_code == 200
        answer = await client.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 503 and answer.json()["hint"] == "Run: make install"
