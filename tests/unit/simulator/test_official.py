"""The ECB, the US Treasury, FRED and Cboe: what their files hold at which hour, and that they are of one market."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from evertick.simulator import Faults, Market, MarketClock, cboe, create_app
from unit.simulator.samples import INSTRUMENTS, instrument

EVENING = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)
"""Wednesday, half past six in New York: the day's yields are out. Thursday is Thanksgiving."""
MORE = (
    *(i for i in INSTRUMENTS if i.id != "VIX"),
    instrument("VIX", "volatility", "XCBO", region="americas", yahoo="^VIX", cboe="VIX"),
    instrument("VVIX", "volatility", "XCBO", region="americas", cboe="VVIX"),
    instrument("SPREAD", "rates", "FED", region="americas", fred="BAMLH0A0HYM2"),
)
ECB = "/ecb/stats/eurofxref/eurofxref-"
TREASURY = "/treasury/resource-center/data-chart-center/interest-rates/daily-treasury-rates.csv/{}/all"
GRAPH = "/fred/graph/fredgraph.csv"
OBSERVATIONS = "/fred/fred/series/observations"


@pytest.fixture
def market() -> Market:
    return Market(MORE, 1, MarketClock(EVENING, 0))


@pytest.fixture
async def client(market: Market) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_app(market, Faults()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://simulator") as found:
        yield found


async def cubes(client: httpx2.AsyncClient, file: str) -> dict[str, dict[str, float]]:
    answer = await client.get(ECB + file)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/xml")
    days = re.split(r'<Cube time="', answer.text)[1:]
    return {day[:10]: {k: float(v) for k, v in re.findall(r'currency="(\w+)" rate="([\d.]+)"', day)} for day in days}


async def rows(client: httpx2.AsyncClient, path: str, **params: Any) -> list[dict[str, str]]:
    answer = await client.get(path, params=params)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/csv")
    return list(csv.DictReader(answer.text.splitlines()))


async def year(client: httpx2.AsyncClient, of: int) -> list[dict[str, str]]:
    return await rows(client, TREASURY.format(of), type="daily_treasury_yield_curve", field_tdr_date_value=of)


# --- ECB ---


async def test_the_rates_are_those_of_the_market_at_four(client: httpx2.AsyncClient, market: Market):
    days = await cubes(client, "hist-90d.xml")
    at = datetime(2026, 11, 24, 15, 0, tzinfo=UTC).timestamp()
    assert days["2026-11-24"]["USD"] == round(market.price(market.instruments["EURUSD"], at), 4)
    assert days["2026-11-24"]["JPY"] == pytest.approx(market.price(market.instruments["EURJPY"], at), rel=1e-3)
    assert days["2026-11-24"].keys() >= {"USD", "JPY", "GBP", "CHF", "CNY"}
    assert "VND" not in days["2026-11-24"]
    assert list(days) == sorted(days, reverse=True)
    assert 60 < len(days) < 66
    assert (await cubes(client, "daily.xml")) == {"2026-11-25": days["2026-11-25"]}


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        ("2026-11-25T14:59:00+00:00", "2026-11-24"),  # a minute before four in Frankfurt
        ("2026-11-25T15:00:00+00:00", "2026-11-25"),
        ("2026-11-29T12:00:00+00:00", "2026-11-27"),  # Sunday
        ("2026-07-01T14:00:00+00:00", "2026-07-01"),  # summer
        ("2026-04-06T20:00:00+00:00", "2026-04-02"),  # Easter Monday: no rates since Maundy Thursday
        ("2026-05-01T20:00:00+00:00", "2026-04-30"),
        ("2026-12-26T20:00:00+00:00", "2026-12-24"),
    ],
)
async def test_rates_come_at_four_on_target_days(client: httpx2.AsyncClient, market: Market, now: str, newest: str):
    market.clock.set(datetime.fromisoformat(now))
    assert list(await cubes(client, "daily.xml")) == [newest]


async def test_the_lev_was_in_the_file_until_bulgaria_took_the_euro(client: httpx2.AsyncClient, market: Market):
    market.clock.set(datetime(2026, 1, 20, 18, tzinfo=UTC))
    days = await cubes(client, "hist-90d.xml")
    assert {day for day, rates in days.items() if "BGN" in rates} == {day for day in days if day < "2026"}


# --- Treasury ---


async def test_the_curve_is_that_of_the_market_newest_first(client: httpx2.AsyncClient, market: Market):
    found = await year(client, 2026)
    assert found[0]["Date"] == "11/25/2026"
    assert found[-1]["Date"] == "01/02/2026"
    day = date(2026, 11, 25).toordinal()
    assert float(found[0]["10 Yr"]) == pytest.approx(market.close(market.instruments["US10Y"], day), abs=0.006)
    assert float(found[0]["3 Mo"]) == round(market.curve(day)[3], 2)
    assert {"07/03/2026", "09/07/2026"}.isdisjoint(row["Date"] for row in found)


@pytest.mark.parametrize(("now", "newest"), [(22, "11/24/2026"), (23, "11/25/2026")])
async def test_yields_come_at_six_in_new_york(client: httpx2.AsyncClient, market: Market, now: int, newest: str):
    market.clock.set(datetime(2026, 11, 25, now, 0, tzinfo=UTC))
    assert (await year(client, 2026))[0]["Date"] == newest
    market.clock.set(datetime(2026, 11, 26, 23, 30, tzinfo=UTC))
    assert (await year(client, 2026))[0]["Date"] == "11/25/2026"  # Thanksgiving


async def test_columns_change_by_year_and_a_year_begins_without_rows(client: httpx2.AsyncClient, market: Market):
    columns = {of: set((await year(client, of))[0]) for of in (2017, 2021, 2024, 2025)}
    assert columns[2025] - columns[2024] == {"1.5 Month"}
    assert columns[2024] - columns[2021] == {"4 Mo"}
    assert columns[2021] - columns[2017] == {"2 Mo"}
    early = [row for row in await year(client, 2025) if row["Date"].startswith("01/")]
    assert {row["1.5 Month"] for row in early} == {"N/A"}
    market.clock.set(datetime(2027, 1, 1, 12, tzinfo=UTC))
    assert await year(client, 2027) == []
    assert (await client.get(TREASURY.format("x"))).status_code == 404


# --- FRED ---


async def test_series_are_of_the_same_curve_a_day_later(client: httpx2.AsyncClient, market: Market):
    found = await rows(client, GRAPH, id="DGS2,DGS10,T10Y2Y", cosd="2026-11-02")
    assert (found[0]["observation_date"], found[-1]["observation_date"]) == ("2026-11-02", "2026-11-24")
    yields = {row["Date"]: row for row in await year(client, 2026)}
    for row in found:
        day = date.fromisoformat(row["observation_date"])
        if day == date(2026, 11, 11):  # Veterans Day
            assert (row["DGS2"], row["DGS10"]) == ("", "")
            continue
        assert (row["DGS2"], row["DGS10"]) == (yields[f"{day:%m/%d/%Y}"]["2 Yr"], yields[f"{day:%m/%d/%Y}"]["10 Yr"])
        assert float(row["T10Y2Y"]) == pytest.approx(float(row["DGS10"]) - float(row["DGS2"]), abs=0.011)


async def test_parts_of_a_yield_add_up_and_what_the_universe_has_is_there(client: httpx2.AsyncClient, market: Market):
    names = "DGS10,DFII10,T10YIE,DFF,SOFR,BAMLH0A0HYM2"
    newest = (await rows(client, GRAPH, id=names, cosd="2026-11-20"))[-1]
    real, inflation = float(newest["DFII10"]), float(newest["T10YIE"])
    assert real + inflation == pytest.approx(float(newest["DGS10"]), abs=0.011)
    assert float(newest["SOFR"]) == pytest.approx(float(newest["DFF"]) + 0.03)
    day = date(2026, 11, 24).toordinal()
    assert float(newest["BAMLH0A0HYM2"]) == pytest.approx(market.close(market.instruments["SPREAD"], day), abs=0.006)


async def test_the_policy_rate_stands_still_within_a_month_and_moves_by_quarters(client: httpx2.AsyncClient):
    months: dict[str, set[float]] = {}
    for row in await rows(client, GRAPH, id="DFF", cosd="2024-01-01"):
        if row["DFF"]:
            months.setdefault(row["observation_date"][:7], set()).add(float(row["DFF"]))
    assert all(len(values) == 1 for values in months.values())
    moves = {round((b.copy().pop() - a.copy().pop()) * 100) for a, b in pairwise(months.values())}
    assert moves <= {-50, -25, 0, 25, 50}
    assert 0 in moves


@pytest.mark.parametrize("names", ["", "NOPE", "DGS10,NOPE", "DGS11"])
async def test_one_unknown_series_is_a_page(client: httpx2.AsyncClient, names: str):
    answer = await client.get(GRAPH, params={"id": names})
    assert answer.status_code == 404
    assert answer.text.startswith("<!DOCTYPE html>")


async def test_the_api_wants_a_key_and_writes_numbers_as_text(client: httpx2.AsyncClient):
    asked = {"series_id": "DGS10", "file_type": "json", "observation_start": "2026-11-10"}
    answer = (await client.get(OBSERVATIONS, params={**asked, "api_key": "anything"})).json()
    values = {row["date"]: row["value"] for row in answer["observations"]}
    assert values["2026-11-11"] == "."
    graph = await rows(client, GRAPH, id="DGS10", cosd="2026-11-10")
    assert {row["observation_date"]: row["DGS10"] or "." for row in graph} == values


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"api_key": ""}, "Variable api_key is not set."),
        ({"api_key": "bad-key"}, "The value for variable api_key is not registered."),
        ({"series_id": "NOPE"}, "The series does not exist."),
    ],
)
async def test_the_apis_errors(client: httpx2.AsyncClient, changed: dict[str, str], why: str):
    asked = {"series_id": "DGS10", "file_type": "json", "api_key": "anything", **changed}
    answer = await client.get(OBSERVATIONS, params=asked)
    assert (answer.status_code, answer.json()) == (400, {"error_code": 400, "error_message": f"Bad Request.  {why}"})


# --- Cboe ---


async def history(client: httpx2.AsyncClient, name: str) -> list[dict[str, str]]:
    return await rows(client, f"/cboe/api/global/us_indices/daily_prices/{name}_History.csv")


async def test_a_history_has_every_day_of_the_market_oldest_first(client: httpx2.AsyncClient, market: Market):
    found = await history(client, "VIX")
    vix = market.instruments["VIX"]
    whole = market.columns(vix, cboe.FIRST_DAY, date(2026, 11, 25).toordinal())
    assert [row["DATE"] for row in found] == [f"{date.fromordinal(day):%m/%d/%Y}" for day in whole.days]
    for name in ("open", "high", "low", "close"):
        assert [float(row[name.upper()]) for row in found] == getattr(whole, name)
    closes = await history(client, "VVIX")
    assert set(closes[-1]) == {"DATE", "VVIX"}


@pytest.mark.parametrize(("hour", "newest"), [(22, "11/24/2026"), (23, "11/25/2026")])
async def test_a_close_is_in_the_file_that_evening(client: httpx2.AsyncClient, market: Market, hour: int, newest: str):
    market.clock.set(datetime(2026, 11, 25, hour, 0, tzinfo=UTC))
    assert (await history(client, "VIX"))[-1]["DATE"] == newest


async def test_an_index_that_is_not_there_is_denied(client: httpx2.AsyncClient):
    for file in ("NOPE_History.csv", "VIX.csv"):
        answer = await client.get("/cboe/api/global/us_indices/daily_prices/" + file)
        assert answer.status_code == 403
        assert "AccessDenied" in answer.text
