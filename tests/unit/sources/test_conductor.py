from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from evertick.errors import SettingsError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import SourceStatus
from evertick.settings import SourceSettings
from evertick.sources import conductor as conducting
from evertick.sources.conductor import Conductor
from evertick.universe import Universe

from .answers import BTC, CAP, DOM, FNG, GLOBAL, NOW, SPX, VIX, chart_answer, coin, fng, item, spark_answer
from .fakes import FakeHttp, FixedClock

UNIVERSE = Universe.of([SPX, VIX, BTC, CAP, DOM, FNG])
OWN = {
    "yahoo": SourceSettings(base_url="http://127.0.0.1:1/yahoo"),
    "coingecko": SourceSettings(base_url="http://127.0.0.1:1/coingecko"),
    "alternative": SourceSettings(base_url="http://127.0.0.1:1/alternative"),
}


class Providers:
    """All three answer well, but for those in ``broken``: provider to what it answers instead."""

    def __init__(self) -> None:
        self.broken: dict[str, Any] = {}

    def __call__(self, url: str, params: dict[str, str]) -> Any:
        name = next(n for n in ("yahoo", "coingecko", "alternative") if f"/{n}" in url or f".{n}." in url or n in url)
        if name in self.broken:
            answer = self.broken[name]
            return answer(url, params) if callable(answer) else answer
        if "spark" in url:
            return spark_answer(*(item(s, 66500.0 if s == "BTC-USD" else 100.0) for s in params["symbols"].split(",")))
        if "chart" in url:
            return chart_answer()
        if "global" in url:
            return GLOBAL
        return [coin()] if "markets" in url else fng("47", "33")


@pytest.fixture
def providers() -> Providers:
    return Providers()


@pytest.fixture
def http(providers: Providers) -> FakeHttp:
    return FakeHttp(providers)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def conductor(http: FakeHttp, clock: FixedClock) -> Conductor:
    return Conductor(http, UNIVERSE, OWN, clock)


def states(fetched: Any) -> dict[str, str]:
    """Of the three that know an instrument of this universe."""
    return {s.name: s.state for s in fetched.statuses if s.name in OWN}


def of(fetched: Any, name: str) -> SourceStatus:
    return next(s for s in fetched.statuses if s.name == name)


ALL_OK = {"yahoo": "ok", "coingecko": "ok", "alternative": "ok"}


async def test_all_sources_are_asked_and_every_instrument_once(conductor: Conductor, http: FakeHttp):
    assert conductor.statuses == ()
    with capture_logs() as logs:
        fetched = await conductor.fetch()
    assert sorted(q.id for q in fetched.quotes) == sorted(i.id for i in UNIVERSE)
    assert states(fetched) == ALL_OK
    assert fetched.statuses == conductor.statuses
    assert all(of(fetched, name).last_success == NOW and of(fetched, name).error is None for name in OWN)
    assert len(http.asked) == 4
    assert logs == []


async def test_a_source_that_fails_costs_only_its_quotes_and_is_logged_once(
    conductor: Conductor, providers: Providers, clock: FixedClock
):
    await conductor.fetch()
    with capture_logs() as logs:
        providers.broken["yahoo"] = SourceRefused("yahoo", "/v7/finance/spark", "HTTP 403")
        for _ in range(5):
            clock.pass_(3600)
            fetched = await conductor.fetch()
        failing = of(fetched, "yahoo")
        providers.broken.clear()
        for _ in range(3):
            clock.pass_(3600)
            recovered = await conductor.fetch()
    assert states(fetched) == ALL_OK | {"yahoo": "failing"}
    assert sorted(q.id for q in fetched.quotes) == ["BTC", "BTC_DOM", "CRYPTO_CAP", "FNG"]
    assert (failing.error, failing.error_kind) == ("yahoo /v7/finance/spark: HTTP 403", "refused")
    assert failing.last_success == NOW
    assert states(recovered) == ALL_OK
    kept = of(recovered, "yahoo")
    assert (kept.error, kept.last_error, kept.last_error_at) == (None, failing.error, NOW + timedelta(hours=5))
    assert [(e["event"], e["source"], e["log_level"]) for e in logs] == [
        ("source failing", "yahoo", "warning"),
        ("source recovered", "yahoo", "info"),
    ]


async def test_what_was_unavailable_is_asked_twice_and_anything_else_once(
    conductor: Conductor, providers: Providers, http: FakeHttp, clock: FixedClock
):
    answers = iter([SourceUnavailable("alternative", "/fng/", "HTTP 502"), fng("47")])
    providers.broken["alternative"] = lambda url, params: next(answers)
    assert states(await conductor.fetch()) == ALL_OK
    http.asked.clear()
    clock.pass_(3600)
    providers.broken["alternative"] = SourceMalformed("alternative", "/fng/", "an empty answer")
    await conductor.fetch()
    assert len([url for url, _, _ in http.asked if "fng" in url]) == 1


async def test_a_provider_that_asks_for_rest_is_left_alone_until_then(
    conductor: Conductor, providers: Providers, http: FakeHttp, clock: FixedClock
):
    await conductor.fetch()
    providers.broken["yahoo"] = SourceRateLimited("yahoo", "/v7", "HTTP 429", retry_after=300)
    first = of(await conductor.fetch(), "yahoo")
    assert (first.state, first.error_kind, first.retry_at) == ("failing", "rate_limited", NOW + timedelta(seconds=300))
    providers.broken.clear()
    http.asked.clear()
    clock.pass_(180)
    second = of(await conductor.fetch(), "yahoo")
    assert (second.state, second.quotes, second.retry_at, second.last_success) == ("resting", 0, first.retry_at, NOW)
    assert second.error == "yahoo /v7: HTTP 429"
    assert not [url for url, _, _ in http.asked if "yahoo" in url]
    bars, failures = await conductor.bars([SPX], date(2026, 1, 1))
    assert (bars, str(failures["SPX"])) == ([], "yahoo daily bars: resting for 120 s more")
    clock.pass_(121)
    third = of(await conductor.fetch(), "yahoo")
    assert (third.state, third.retry_at) == ("ok", None)


async def test_while_coingecko_fails_yahoo_answers_for_the_coins_in_the_same_run(
    conductor: Conductor, providers: Providers
):
    providers.broken["coingecko"] = SourceRefused("coingecko", "/", "HTTP 403")
    first = await conductor.fetch()
    assert [(q.id, q.source) for q in first.quotes if q.id == "BTC"] == [("BTC", "yahoo")]
    providers.broken.clear()
    recovered = await conductor.fetch()
    assert [(q.id, q.source) for q in recovered.quotes if q.id == "BTC"] == [("BTC", "coingecko")]


async def test_some_missing_is_partial(conductor: Conductor, providers: Providers):
    providers.broken["yahoo"] = spark_answer(item("^VIX", 16.0), item("^GSPC", 0.0))
    fetched = await conductor.fetch()
    assert (states(fetched)["yahoo"], of(fetched, "yahoo").error) == ("partial", "1 price refused: SPX: price 0")


async def test_a_price_that_leaps_from_one_run_to_the_next_is_refused(conductor: Conductor, providers: Providers):
    await conductor.fetch()
    providers.broken["yahoo"] = spark_answer(item("^VIX", 16.0), item("^GSPC", 100_000.0, chartPreviousClose=100_000.0))
    fetched = await conductor.fetch()
    assert of(fetched, "yahoo").error == "1 price refused: SPX: price 100000, 1000 times the last known one"


async def test_a_source_that_is_off_is_not_asked_and_says_so(http: FakeHttp, clock: FixedClock):
    settings = OWN | {"coingecko": SourceSettings(enabled=False), "alternative": SourceSettings(enabled=False)}
    fetched = await Conductor(http, UNIVERSE, settings, clock).fetch()
    assert states(fetched) == {"yahoo": "ok", "coingecko": "off", "alternative": "off"}
    assert sorted(q.id for q in fetched.quotes) == ["BTC", "SPX", "VIX"]  # the coin that Yahoo knows too


async def test_all_off_is_an_empty_run(http: FakeHttp, clock: FixedClock):
    settings = {name: SourceSettings(enabled=False) for name in OWN}
    conductor = Conductor(http, UNIVERSE, settings, clock)
    fetched = await conductor.fetch()
    assert (fetched.quotes, set(states(fetched).values())) == ((), {"off"})
    assert of(fetched, "yahoo").note == "switched off by EVERTICK_SOURCES__YAHOO__ENABLED"
    assert (await conductor.bars([SPX], date(2026, 1, 1)), conductor.batches([SPX])) == (([], {}), [])


async def test_a_source_that_nobody_needs_is_idle_and_says_so(http: FakeHttp, clock: FixedClock):
    fetched = await Conductor(http, Universe.of([SPX]), OWN, clock).fetch()
    assert states(fetched) == {"yahoo": "ok", "coingecko": "idle", "alternative": "idle"}
    assert of(fetched, "alternative").note == "no instrument of the universe has a symbol for it"


async def test_a_run_ends_within_its_budget_with_what_came_in_time(
    conductor: Conductor, providers: Providers, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conducting, "BUDGET_S", 0.05)
    providers.broken["coingecko"] = lambda url, params: GLOBAL if "global" in url else asyncio.sleep(60)
    fetched = await conductor.fetch()
    gecko = of(fetched, "coingecko")
    assert (gecko.state, gecko.quotes, gecko.error_kind) == ("partial", 2, "unavailable")
    assert "no answer within the 0.03 s of a round" in gecko.error


async def test_an_adapter_that_stumbles_is_a_failing_source_not_a_failing_poll(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
):
    def stumble(*args: Any) -> None:
        raise KeyError("price")

    monkeypatch.setattr("evertick.sources.alternative.parse_fng", stumble)
    monkeypatch.setattr("evertick.sources.yahoo.parse_spark", stumble)
    with capture_logs() as logs:
        fetched = await conductor.fetch()
    assert states(fetched) == {"yahoo": "failing", "coingecko": "ok", "alternative": "failing"}
    assert "an answer the adapter cannot read (KeyError)" in of(fetched, "yahoo").error
    assert [e["event"] for e in logs].count("source adapter failed") == 2


async def test_being_cancelled_is_passed_on(conductor: Conductor, providers: Providers):
    providers.broken["yahoo"] = lambda url, params: asyncio.sleep(60)
    run = asyncio.create_task(conductor.fetch())
    await asyncio.sleep(0.02)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert len(asyncio.all_tasks()) == 1


async def test_bars(conductor: Conductor, http: FakeHttp, providers: Providers):
    (bars,), failures = await conductor.bars([SPX], date(2026, 1, 1))
    assert (bars.instrument, len(bars), failures) == ("SPX", 3, {})
    http.asked.clear()
    assert await conductor.bars([FNG], date(2026, 1, 1)) == ([], {})
    assert http.asked == []
    providers.broken["yahoo"] = SourceMalformed("yahoo", "/v8", "an empty answer")
    bars, failures = await conductor.bars([SPX], date(2026, 1, 1))
    assert (bars, str(failures["SPX"])) == ([], "yahoo /v8: an empty answer")


async def test_a_rate_limit_on_bars_rests_the_quotes_too(conductor: Conductor, providers: Providers):
    providers.broken["yahoo"] = SourceRateLimited("yahoo", "/v8", "HTTP 429", retry_after=60)
    _, failures = await conductor.bars([SPX], date(2026, 1, 1))
    assert isinstance(failures["SPX"], SourceRateLimited)
    providers.broken.clear()
    assert states(await conductor.fetch())["yahoo"] == "resting"


async def test_the_key_goes_to_its_provider_and_into_no_status(http: FakeHttp, clock: FixedClock, providers: Providers):
    settings = OWN | {"coingecko": SourceSettings(base_url="http://h/coingecko", api_key=SecretStr("CG-hush"))}
    conductor = Conductor(http, UNIVERSE, settings, clock)
    providers.broken["coingecko"] = SourceRefused("coingecko", "/global", "HTTP 401")
    with capture_logs() as logs:
        fetched = await conductor.fetch()
    assert {"x-cg-demo-api-key": "CG-hush"} in [headers for _, _, headers in http.asked]
    assert "hush" not in f"{fetched} {logs}"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"bloomberg": SourceSettings()}, "SOURCES__BLOOMBERG is not a source; they are coingecko, "),
        ({"yahoo": SourceSettings(base_url="127.0.0.1:8080")}, "SOURCES__YAHOO__BASE_URL is not an address"),
        ({"YAHOO": SourceSettings(base_url="ftp://h")}, "SOURCES__YAHOO__BASE_URL is not an address"),
        ({"yahoo": SourceSettings(base_url="http://")}, "SOURCES__YAHOO__BASE_URL is not an address"),
    ],
)
def test_wrong_settings_are_told(http: FakeHttp, clock: FixedClock, settings: dict, why: str):
    with pytest.raises(SettingsError, match=why):
        Conductor(http, UNIVERSE, settings, clock)
