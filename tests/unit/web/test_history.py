"""``/api/v1/indices/{id}/history``: ranges, thinning, and what is not there."""

from __future__ import annotations

from itertools import pairwise

import pytest

from evertick.errors import ArchiveUnavailable
from evertick.web.routes.indices import thinned


async def test_a_day_by_default(client):
    answer = await client.get("/api/v1/indices/SPX/history")
    body = answer.json()
    assert set(body) == {"id", "range", "kind", "currency", "times", "prices"}
    assert (body["id"], body["range"], body["kind"], body["currency"]) == ("SPX", "1d", "quotes", "pts")
    assert len(body["times"]) == len(body["prices"]) == 480
    assert body["times"][-1] == "2026-11-24T14:30:00Z"
    assert all(a < b for a, b in pairwise(body["times"]))


@pytest.mark.parametrize(
    ("range", "points", "kind"), [("7d", 3360, "quotes"), ("30d", 2881, "quotes"), ("2y", 105, "days")]
)
async def test_longer_ranges_have_no_more_points_than_a_chart(client, range, points, kind):
    body = (await client.get("/api/v1/indices/SPX/history", params={"range": range})).json()
    assert (len(body["times"]), len(body["prices"]), body["kind"]) == (points, points, kind)


async def test_days_are_days_of_the_exchange(client):
    body = (await client.get("/api/v1/indices/SPX/history", params={"range": "2y"})).json()
    assert body["times"][0] == "2024-11-23"


async def test_an_instrument_without_history_has_empty_lists(client):
    for range in ("1d", "2y"):
        body = (await client.get("/api/v1/indices/BTC/history", params={"range": range})).json()
        assert (body["times"], body["prices"]) == ([], [])


async def test_what_is_unknown_is_said(client):
    missing = await client.get("/api/v1/indices/NO_SUCH/history")
    assert missing.status_code == 404 and "NO_SUCH" in missing.json()["detail"]
    assert (await client.get("/api/v1/indices/SPX/history", params={"range": "5y"})).status_code == 422


async def test_a_database_that_is_away_is_a_503(calls, filled):
    filled.quotes.failure = ArchiveUnavailable("The database cannot be reached.")
    async with calls(filled) as client:
        answer = await client.get("/api/v1/indices/SPX/history")
    assert answer.status_code == 503 and "cannot be reached" in answer.json()["detail"]


def test_the_last_price_of_each_step_is_kept():
    assert thinned([1, 2, 899, 900, 1801], [1.0, 2.0, 3.0, 4.0, 5.0], 900) == ([899, 900, 1801], [3.0, 4.0, 5.0])
