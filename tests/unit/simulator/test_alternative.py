from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import httpx2
import pytest

from evertick.simulator import Market
from evertick.simulator.alternative import classification, index
from unit.simulator.samples import NOW

FNG = "/alternative/fng/"


async def test_thirty_days(client: httpx2.AsyncClient) -> None:
    body = (await client.get(FNG, params={"limit": "30", "format": "json"})).json()
    assert body["name"] == "Fear and Greed Index"
    assert body["metadata"] == {"error": None}
    data = body["data"]
    assert len(data) == 30
    times = [int(row["timestamp"]) for row in data]
    assert times[0] == int(datetime(2026, 11, 25, tzinfo=UTC).timestamp())
    assert all(a - b == 86400 for a, b in pairwise(times))
    assert all(isinstance(value, str) for row in data for value in row.values())
    assert all(5 <= int(row["value"]) <= 95 for row in data)
    assert all(row["value_classification"] == classification(int(row["value"])) for row in data)
    left = int(data[0]["time_until_update"])
    assert left == 86400 - int(NOW.timestamp()) % 86400
    assert all("time_until_update" not in row for row in data[1:])


@pytest.mark.parametrize(("limit", "count"), [(None, 1), ("1", 1), ("many", 1), ("7", 7)])
async def test_limits(client: httpx2.AsyncClient, limit: str | None, count: int) -> None:
    body = (await client.get(FNG, params={"limit": limit} if limit else {})).json()
    assert len(body["data"]) == count


async def test_all_there_is_begins_in_february_2018(client: httpx2.AsyncClient) -> None:
    data = (await client.get(FNG, params={"limit": "0"})).json()["data"]
    assert datetime.fromtimestamp(int(data[-1]["timestamp"]), UTC).date().isoformat() == "2018-02-01"


def test_the_index_follows_the_coins_and_does_not_jump(market: Market) -> None:
    btc = market.instruments["BTC"]
    days = range(NOW.toordinal() - 1500, NOW.toordinal())
    values = {day: index(market, day) for day in days}
    rising = [values[d] for d in days if market.close(btc, d - 1) > 1.12 * market.close(btc, d - 31)]
    falling = [values[d] for d in days if market.close(btc, d - 1) < 0.88 * market.close(btc, d - 31)]
    assert sum(rising) / len(rising) > sum(falling) / len(falling) + 15
    assert all(abs(a - b) < 40 for a, b in pairwise(values.values()))
    assert len(set(values.values())) > 40


@pytest.mark.parametrize(
    ("value", "name"),
    [(0, "Extreme Fear"), (24, "Extreme Fear"), (25, "Fear"), (46, "Neutral"), (55, "Greed"), (76, "Extreme Greed"), (100, "Extreme Greed")],
)  # fmt: skip
def test_bands(value: int, name: str) -> None:
    assert classification(value) == name
