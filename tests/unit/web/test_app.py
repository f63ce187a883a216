"""The application as a whole: its lifespan, and what it takes of the settings."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx2
import pytest
from pydantic import SecretStr

from evertick.settings import Settings, SourceSettings
from evertick.web import WebSettings
from evertick.web.app import create_app
from unit.web.fakes import NOW, serving, snapshot


async def test_the_lifespan_watches_the_board_and_lets_go(filled):
    app = create_app(filled.services)
    async with app.router.lifespan_context(app):
        web = app.state.web
        await web.feed.wait(0)
        filled.board.put(snapshot(2, NOW.replace(minute=33)))
        assert await web.feed.wait(1) == 2
    assert not filled.board.subscribers and web.feed.closed and web.streams.stopping.is_set()


async def test_a_lifespan_of_ones_own(filled):
    entered = []

    @asynccontextmanager
    async def own(app):
        entered.append(app)
        yield

    app = create_app(filled.services, own)
    async with app.router.lifespan_context(app):
        assert entered == [app] and not filled.board.subscribers


async def test_two_applications_share_nothing(filled):
    one, two = create_app(filled.services), create_app(filled.services)
    assert one.state.web is not two.state.web
    await one.state.web.feed.body()
    assert two.state.web.feed.snapshot is None


def test_served_for_real(filled):
    with serving(filled) as url:
        answer = httpx2.get(url + "/api/v1/indices")
        assert answer.status_code == 200 and "server" not in answer.headers
    assert not filled.board.subscribers


@pytest.mark.parametrize(
    ("settings", "notice"),
    [
        ({}, False),
        ({"sources": {"yahoo": SourceSettings(base_url="http://127.0.0.1:9/yahoo")}}, True),
        ({"sources": {"yahoo": SourceSettings(base_url="http://127.0.0.1:9/yahoo", enabled=False)}}, False),
        ({"sources": {"yahoo": SourceSettings(base_url="https://mirror.example/yahoo")}}, False),
    ],
)
def test_simulated_prices_are_said_to_be(settings, notice):
    assert bool(WebSettings.of(Settings(**settings)).notice) is notice


def test_what_the_web_takes_of_the_settings():
    settings = Settings(api_token=SecretStr("x" * 20), host="0.0.0.0", locales=("en",), timezone="UTC")
    taken = WebSettings.of(settings, stream_clients=3)
    assert (taken.loopback, taken.locales, taken.timezone, taken.stream_clients) == (False, ("en",), "UTC", 3)
    assert "x" * 20 not in repr(taken)
