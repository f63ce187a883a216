"""The providers that the simulator plays: one module each, listed here.

A provider's module, ``simulator/<name>.py``, says

* ``BASE``: what follows the simulator's own address in the provider's ``BASE_URL``, for example ``/binance``;
* ``ROUTES``: (method, path below ``BASE``, endpoint), in the order in which they are tried;
* ``FAILURES`` (may be left out): what this provider itself sends for a fault of `evertick.simulator.faults.ANSWERED`:
  ``{"429": Answer({"code": -1003, …}, 429)}``, or a function of market and request that makes the answer. A fault
  that is not in it gets the general form of `evertick.simulator.broken`.

An endpoint is ``async def f(market: Market, request: Request) -> Answer``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from evertick.simulator import (
    alphavantage,
    alternative,
    binance,
    cboe,
    coingecko,
    coinpaprika,
    ecb,
    finnhub,
    fmp,
    fred,
    kbs,
    massive,
    okx,
    tiingo,
    treasury,
    twelvedata,
    vci,
    vietcombank,
    vndirect,
    vps,
    yahoo,
)
from evertick.simulator.answers import Failure, RouteOf

MODULES: tuple[ModuleType, ...] = (
    coingecko,
    coinpaprika,
    binance,
    okx,
    alternative,
    vps,
    vndirect,
    kbs,
    vci,
    vietcombank,
    cboe,
    yahoo,
    treasury,
    fred,
    ecb,
    twelvedata,
    finnhub,
    fmp,
    tiingo,
    massive,
    alphavantage,
)


@dataclass(frozen=True, slots=True)
class Provider:
    name: str
    base: str
    routes: Sequence[RouteOf]
    failures: Mapping[str, Failure]


def _provider(module: ModuleType) -> Provider:
    name = module.__name__.rpartition(".")[2]
    return Provider(name, module.BASE, module.ROUTES, getattr(module, "FAILURES", {}))


PROVIDERS: Mapping[str, Provider] = {p.name: p for p in map(_provider, MODULES)}
BASES: Mapping[str, str] = {p.name: p.base for p in PROVIDERS.values()}
"""What follows the simulator's own address in a provider's ``BASE_URL``."""
