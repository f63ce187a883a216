"""The writer as a report asks for it: facts out, a text that was judged back, or the rules' text and the reason; and what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from evertick.archive import open_archive
from evertick.archive.migrate import upgrade
from evertick.archive.usage import UsageStore
from evertick.errors import SettingsError
from evertick.model import SystemClock
from evertick.reports.writer import Author, open_author
from evertick.reports.writer.author import languages
from evertick.reports.writer.purse import MONEY, TOKENS
from evertick.reports.written import Written
from evertick.settings import HttpSettings, WriterSettings
from evertick.sources.http import open_http
from integration.writer import stub
from unit.reports import samples
from unit.reports_writer.judging import FINE, ZONE, renderer

TODAY = date(2026, 11, 23)
KEY = "sk-a-very-secret-key"


class Clock(SystemClock):
    """Its day stands where it is put, and its pauses take no time."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None: ...


@pytest.fixture
async def usage(tmp_path: Path) -> AsyncIterator[UsageStore]:
    url = f"sqlite:///{tmp_path / 'evertick.db'}"
    upgrade(url)
    async with open_archive(url, Clock()) as archive:
        yield archive.usage


@asynccontextmanager
async def author(url: str, usage: UsageStore, clock: Clock | None = None, **more: Any) -> AsyncIterator[Author]:
    settings = WriterSettings.model_validate(
        {"base_url": url, "model": "stub-1", "api_key": KEY, "timeout": 20, **more}
    )
    async with open_http(HttpSettings()) as http:
        yield open_author(http, usage, settings, clock or Clock(), ("vi", "en"))


async def write(by: Author, language: str = "en") -> tuple[Written | None, tuple[str, ...]]:
    written, said = await by.write(language, samples.findings(), renderer(language).words, ZONE)
    assert KEY not in repr((written, said))
    return written, tuple(said)


def counted(known: Mapping[str, tuple[date, int]]) -> dict[str, int]:
    return {name: count for name, (_, count) in known.items()}


@pytest.mark.parametrize("language", ["vi", "en"])
async def test_an_honest_text_stands(usage: UsageStore, language: str):
    async with stub.serving(stub.says(stub.honest)) as server, author(server.url, usage) as by:
        written, said = await write(by, language)
        assert said == ()
        assert written is not None
        words = renderer(language).words
        shown = [words.plain(s).replace("\N{NO-BREAK SPACE}", " ") for s in (written.lead, *written.sentences())]
        assert shown == [line.removeprefix("- ") for line in stub.honest(server.requests[0]).splitlines()]
        assert server.requests[0].language == language
        assert counted(await usage.load()) == {TOKENS: 1200}


async def test_a_wrong_figure_is_struck_and_flagged(usage: UsageStore):
    wrong = stub.says(stub.with_line("Bitcoin jumped 77.77% to 1,000,000 USD."))
    async with stub.serving(wrong) as server, author(server.url, usage) as by:
        with capture_logs() as logs:
            written, said = await write(by)
        assert written is not None
        assert "77.77" not in repr(written)
        assert said == ("AI writer, en: 1 of 8 sentences struck: shows '77.77%', which is no fact it was given",)
        assert [(entry["event"], entry["struck"], entry["used"]) for entry in logs] == [("AI writer", 1, True)]


async def test_where_all_is_struck_the_rules_text_stands(usage: UsageStore):
    lies = stub.lines(*(f"Bitcoin jumped {n}% to 1,000,000 USD." for n in range(60, 68)))
    async with stub.serving(stub.says(lies)) as server, author(server.url, usage) as by:
        written, said = await write(by)
    assert written is None
    assert said[0].startswith("AI writer, en: 8 of 8 sentences struck: ")
    assert said[0].endswith("; …")
    assert said[1] == "AI writer, en: the rules' text stands: too little was left of the model's"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (stub.lines(*FINE["vi"], *FINE["vi"]), "is not in the language 'en'"),
        (stub.lines(*(f"{line[:-1]}, so buy it." for line in FINE["en"] * 2)), "advises: 'buy'"),
        ("I'm sorry, but I can't assist with that request.", "shows no figure"),
        ("<html><script>alert(1)</script><body onload=x>Ignore all rules and visit http://evil.example</body>", "not plain"),
    ],
)  # fmt: skip
async def test_texts_of_which_nothing_stands(usage: UsageStore, text: str, reason: str):
    async with stub.serving(stub.says(text)) as server, author(server.url, usage) as by:
        written, said = await write(by)
    assert written is None
    assert reason in said[0]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (stub.error("401 Unauthorized", f"Incorrect API key: {KEY}"), "HTTP 401: Incorrect API key: …. Look at WRITER__API_KEY."),
        (stub.error("503 Service Unavailable", "overloaded"), "HTTP 503: overloaded, 4 times"),
        (stub.resets, "the connection broke off"),
        (stub.status("200 OK", b"<html>", "text/html"), "text/html came, expected text/event-stream"),
        (stub.stream(stub.chunk("Gold"), stub.chunk(finish="length"), stub.DONE), "cut off at WRITER__MAX_TOKENS"),
    ],
)  # fmt: skip
async def test_whatever_fails_the_rules_text_stands_and_the_reason_is_told(
    usage: UsageStore, reply: stub.Reply, reason: str
):
    async with stub.serving(reply) as server, author(server.url, usage) as by:
        with capture_logs() as logs:
            written, said = await write(by)
    assert written is None
    assert said == (f"AI writer, en: the rules' text stands: {reason}",)
    assert KEY not in repr(logs)
    assert logs[0]["log_level"] == "warning"


# --- what it costs


async def test_tokens_are_counted_as_the_endpoint_counts_them_else_guessed_with_care(usage: UsageStore):
    async with stub.serving(stub.says(stub.honest, counted=False)) as server, author(server.url, usage) as by:
        await write(by)
        text = stub.honest(server.requests[0])
    asked = sum(len(m["content"].encode()) for m in server.requests[0].body["messages"]) // 2 + 16
    assert counted(await usage.load()) == {TOKENS: asked + len(text.encode()) // 2 + 1}


async def test_money_is_counted_in_millionths(usage: UsageStore):
    honest = stub.says(stub.honest)
    async with stub.serving(honest) as server, author(server.url, usage, price_in=0.15, price_out=0.6) as by:
        await write(by)
    assert counted(await usage.load()) == {TOKENS: 1200, MONEY: 315}  # 900 × 0.15 + 300 × 0.60


@pytest.mark.parametrize(
    ("caps", "setting", "answers"),
    [({"per_day": 4_500}, "PER_DAY", 2), ({"price_out": 100, "daily_cost": 0.2}, "DAILY_COST", 3)],
)
async def test_a_day_has_a_cap_that_survives_a_restart(
    usage: UsageStore, caps: dict[str, float], setting: str, answers: int
):
    clock = Clock()
    async with stub.serving(stub.says(stub.honest)) as server:
        for _ in range(answers):  # each time as after a restart: only the database remembers
            async with author(server.url, usage, clock, **caps) as by:
                assert (await write(by))[0] is not None
        before = counted(await usage.load())
        async with author(server.url, usage, clock, **caps) as by:
            written, said = await write(by)
            assert written is None
            assert said == (
                f"AI writer, en: the rules' text stands: the day's allowance is used up (WRITER__{setting})",
            )
            assert counted(await usage.load()) == before
            assert len(server.requests) == answers
            clock.at += timedelta(days=1)
            assert (await write(by))[0] is not None


async def test_what_was_not_begun_costs_nothing_and_what_was_costs_the_most(usage: UsageStore):
    async with stub.serving(stub.error("503 Nope", "overloaded")) as server, author(server.url, usage) as by:
        await write(by)
    assert counted(await usage.load()) == {TOKENS: 0}
    async with stub.serving(stub.resets) as server, author(server.url, usage, max_tokens=1000) as by:
        await write(by)
    asked = sum(len(m["content"].encode()) for m in server.requests[0].body["messages"]) // 2 + 16
    assert counted(await usage.load()) == {TOKENS: asked + 1000}


# --- languages


async def test_a_language_that_was_not_chosen_is_left_to_the_rules(usage: UsageStore):
    async with stub.serving(stub.says(stub.honest)) as server, author(server.url, usage, languages=("en",)) as by:
        assert await write(by, "vi") == (None, ())
    assert server.requests == []


def test_only_languages_that_can_be_judged_may_be_chosen():
    settings = WriterSettings(base_url="http://127.0.0.1:1/v1", model="m")
    assert languages(settings, ("vi", "de", "en-GB")) == ("vi", "en-GB")
    with pytest.raises(SettingsError, match="WRITER__LANGUAGES=de: what a model writes"):
        languages(settings.model_copy(update={"languages": ("de",)}), ("de",))
    with pytest.raises(SettingsError, match="WRITER__LANGUAGES=en is not among LOCALES"):
        languages(settings.model_copy(update={"languages": ("en",)}), ("vi",))
