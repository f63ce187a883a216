"""CoinGecko, CoinPaprika, Binance and OKX through the real HTTP client, of the simulated ones: right, and going wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from evertick.errors import SourceError, SourceRateLimited, SourceRefused
from evertick.model import Group, Instrument
from evertick.settings import HttpSettings
from evertick.simulator import Faults, Market, MarketClock, base_urls, serve
from evertick.simulator.faults import KINDS, SLOW
from evertick.sources.binance import BATCH, Binance
from evertick.sources.coingecko import CoinGecko
from evertick.sources.coinpaprika import CoinPaprika
from evertick.sources.http import Http, open_http
from evertick.sources.okx import Okx
from evertick.sources.reading import AHEAD_AT_MOST, Answer
from evertick.universe import load

NOW = datetime(2026, 11, 25, 15, 7, tzinfo=UTC)
"""A whole minute: CoinGecko and CoinPaprika look at the market once in each."""
SOURCES = (CoinGecko, CoinPaprika, Binance, Okx)
COINS = tuple(i for i in load() if i.group is Group.CRYPTO)
NEAR = 1e-3
"""A few hundredths of a percent lie between two providers of one price."""
FAULTS = sorted(set(KINDS) - set(SLOW) - {"bomb", "deep"})


class Clock:
    """Stands still at the market's time."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


@dataclass
class Bench:
    market: Market
    faults: Faults
    http: Http
    bases: dict[str, str]

    def source(self, kind: type[Any], api_key: str | None = None) -> Any:
        return kind(Clock(), self.bases[kind.name], api_key)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(COINS, 7, MarketClock(NOW, 0))


@pytest.fixture
async def bench(market: Market) -> AsyncIterator[Bench]:
    faults = Faults()
    async with serve(market, faults) as address, open_http(HttpSettings()) as http:
        yield Bench(market, faults, http, base_urls(address))


def known(name: str) -> list[Instrument]:
    return [i for i in COINS if name in i.symbols]


def near(answer: Answer, right: dict[str, float]) -> None:
    """Eight decimals are all that Binance gives of a price, however small."""
    for quote in answer.quotes:
        assert quote.price == pytest.approx(right[quote.id], rel=NEAR, abs=1e-8), quote
        assert quote.as_of <= NOW + AHEAD_AT_MOST


def prices(market: Market) -> dict[str, float]:
    return {i.id: market.price(i, NOW.timestamp()) for i in COINS if ":" not in i.symbols.get("coingecko", "")}


@pytest.mark.parametrize("kind", [CoinGecko, Binance, Okx], ids=lambda kind: kind.name)
async def test_every_coin_has_the_price_of_the_one_market(bench: Bench, kind: type[Any]) -> None:
    coins = [i for i in known(kind.name) if ":" not in i.symbols[kind.name]]
    assert len(coins) > 40
    answer = await bench.source(kind).fetch(bench.http, coins)
    assert ({q.id for q in answer.quotes}, dict(answer.refused), list(answer.failures)) == (
        {i.id for i in coins},
        {},
        [],
    )
    near(answer, prices(bench.market))
    assert all(q.source == kind.name and q.volume and q.day_high and q.day_low for q in answer.quotes)


async def test_the_whole_market_is_the_same_for_those_who_count_it(bench: Bench) -> None:
    totals = [i for i in known("coinpaprika") if "coingecko" in i.symbols]
    assert totals
    first, second = [(await bench.source(kind).fetch(bench.http, totals)).quotes for kind in (CoinGecko, CoinPaprika)]
    for one, other in zip(first, second, strict=True):
        assert (one.id, one.as_of) == (other.id, other.as_of)
        assert other.price == pytest.approx(one.price, rel=NEAR)


async def test_years_of_bars_in_pages_are_the_markets_days(bench: Bench) -> None:
    bitcoin = bench.market.find("binance", "BTCUSDT")
    assert bitcoin is not None
    since = NOW.date() - timedelta(days=2500)
    (bars,) = await bench.source(Binance).bars(bench.http, [bitcoin], since)
    assert bars.dates() == [since + timedelta(days=n) for n in range(2501)]
    assert bench.faults.stats()["requests"]["binance"] == 3
    whole = bench.market.columns(bitcoin, since.toordinal(), NOW.toordinal() - 1)
    assert list(bars.close[:-1]) == pytest.approx(whole.close, rel=NEAR)
    assert bars.close[-1] == pytest.approx(bench.market.price(bitcoin, NOW.timestamp()), rel=NEAR)
    assert all(volume > 0 for volume in bars.volume)


async def test_an_unknown_symbol_is_found_among_many(bench: Bench) -> None:
    coins = known("binance")
    nobody = replace(coins[7], id="NOBODY", symbols={"binance": "NOBODYUSDT"})
    binance = bench.source(Binance)
    for asked in (2 * 5, 0):  # halving a batch of twenty, and then nothing is looked for any more
        before = bench.faults.stats()["requests"]["binance"]
        answer = await binance.fetch(bench.http, [*coins[:9], nobody, *coins[9:]])
        assert answer.refused == {"NOBODY": "NOBODYUSDT: a symbol that Binance does not know"}
        assert len(answer.quotes) == len(coins)
        batches = -(-(len(coins) + 1) // BATCH)
        assert bench.faults.stats()["requests"]["binance"] - before <= batches + asked
    (none,) = await binance.bars(bench.http, [nobody], date(2026, 1, 1))
    assert len(none) == 0


@pytest.mark.parametrize(
    ("fault", "kind", "wait"),
    [("418", SourceRateLimited, 90), ("429", SourceRateLimited, 90), ("200ratelimit", SourceRateLimited, 90),
     ("451", SourceRefused, None), ("403html", SourceRefused, None)],
)  # fmt: skip
async def test_binance_is_obeyed_and_asked_once(
    bench: Bench, fault: str, kind: type[SourceError], wait: float | None
) -> None:
    bench.faults.replace([f"binance={fault}"])
    with pytest.raises(kind) as caught:
        await bench.source(Binance).fetch(bench.http, known("binance"))
    assert getattr(caught.value, "retry_after", None) == pytest.approx(wait, abs=1)
    assert bench.faults.stats()["requests"]["binance"] == 1


@pytest.mark.parametrize("kind", SOURCES, ids=lambda kind: kind.name)
async def test_a_request_to_slow_down_with_http_200_is_one(bench: Bench, kind: type[Any]) -> None:
    bench.faults.replace([f"{kind.name}=200ratelimit"])
    with pytest.raises(SourceRateLimited):
        await bench.source(kind).fetch(bench.http, known(kind.name))


async def test_a_wrong_key_is_refused_and_not_shown(bench: Bench) -> None:
    with pytest.raises(SourceRefused) as caught:
        await bench.source(CoinGecko, "bad-key-123").fetch(bench.http, known("coingecko"))
    assert "API Key Missing" in str(caught.value)
    assert "bad-key-123" not in str(caught.value) + repr(caught.value)
    assert (await bench.source(CoinGecko, "CG-good").fetch(bench.http, known("coingecko"))).quotes


@pytest.mark.parametrize("kind", SOURCES, ids=lambda kind: kind.name)
async def test_whatever_goes_wrong_no_wrong_price_gets_in(bench: Bench, kind: type[Any]) -> None:
    asked = known(kind.name)[:6]
    source = bench.source(kind)
    right = {q.id: q.price for q in (await source.fetch(bench.http, asked)).quotes}
    for fault in FAULTS:
        bench.faults.replace([f"{kind.name}={fault}"])
        try:
            near(await source.fetch(bench.http, asked), right)
        except SourceError as error:
            assert error.provider == kind.name, fault
    assert {q.id for q in (await reset(bench, source, asked)).quotes} == set(right)


async def test_whatever_goes_wrong_no_wrong_bar_gets_in(bench: Bench) -> None:
    asked, since = known("binance")[:1], NOW.date() - timedelta(days=40)
    binance = bench.source(Binance)
    (whole,) = await binance.bars(bench.http, asked, since)
    right = dict(zip(whole.day, whole.close, strict=True))
    for fault in FAULTS:
        bench.faults.replace([f"binance={fault}"])
        try:
            (bars,) = await binance.bars(bench.http, asked, since)
        except SourceError:
            continue
        if fault not in ("stale", "future"):  # days of their own, all of them shifted alike
            assert {day: right[day] for day in bars.day} == dict(zip(bars.day, bars.close, strict=True)), fault
        assert all(day <= NOW.toordinal() for day in bars.day)


async def reset(bench: Bench, source: Any, asked: list[Instrument]) -> Answer:
    bench.faults.replace([])
    return await source.fetch(bench.http, asked)
