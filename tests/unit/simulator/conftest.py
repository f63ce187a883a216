"""A market that stands still on a Wednesday afternoon, and a client that needs no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from evertick.simulator import Faults, Market, MarketClock, create_app
from unit.simulator.samples import INSTRUMENTS, NOW


@pytest.fixture
def clock() -> MarketClock:
    return MarketClock(NOW, speed=0)


@pytest.fixture
def market(clock: MarketClock) -> Market:
    return Market(INSTRUMENTS, seed=1, clock=clock)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def client(market: Market, faults: Faults) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_app(market, faults))
    async with httpx2.AsyncClient(transport=transport, base_url="http://simulator") as found:
        yield found
