"""The simulator's web application: three providers and a control route, each provider behind the faults in force."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from evertick.errors import SettingsError
from evertick.simulator import alternative, coingecko, yahoo
from evertick.simulator.answers import Answer, respond
from evertick.simulator.broken import broken, consent
from evertick.simulator.faults import GROUPS, KINDS, PROVIDERS, Faults
from evertick.simulator.market import Market

MAX_BODY = 64 << 10
BASES = {"yahoo": "/yahoo", "coingecko": "/coingecko/api/v3", "alternative": "/alternative"}
"""What follows the simulator's own address in a provider's ``BASE_URL``."""

Endpoint = Callable[[Market, Request], Awaitable[Answer]]


def create_app(market: Market, faults: Faults | None = None) -> Starlette:
    """An ASGI application that answers as the providers would, of ``market``, with ``faults``."""
    faults = faults if faults is not None else Faults(seed=market.seed)

    def provider(name: str, path: str, endpoint: Endpoint) -> Route:
        async def answer(request: Request) -> Response:
            kind = faults.choose(name)
            if kind is None:
                return respond(request, await endpoint(market, request))
            return await broken(kind, name, request, lambda: endpoint(market, request))

        return Route(BASES[name] + path, answer)

    async def read_faults(request: Request) -> Response:
        return JSONResponse({"faults": [str(r) for r in faults.rules], "kinds": dict(KINDS), "groups": dict(GROUPS)})

    async def change_faults(request: Request) -> Response:
        """``{"faults": ["yahoo=429:0.3"]}`` puts these in force in place of all others; ``[]`` ends them."""
        rules = (await _body(request)).get("faults")
        if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
            raise SettingsError('send {"faults": ["yahoo=429:0.3", …]}, or an empty list for none')
        faults.replace(rules)
        return JSONResponse({"faults": [str(r) for r in faults.rules]})

    async def stats(request: Request) -> Response:
        return JSONResponse({**faults.stats(), "rules": [str(r) for r in faults.rules], "held": market.sizes()})

    async def read_clock(request: Request) -> Response:
        return JSONResponse(_clock(market))

    async def change_clock(request: Request) -> Response:
        """``{"now": "2026-11-23T09:30:00Z", "speed": 0}``: either or both."""
        body = await _body(request)
        now, speed = body.get("now"), body.get("speed")
        if (now is None and speed is None) or not isinstance(now, str | None) or _no_number(speed):
            raise SettingsError('send {"now": "2026-11-23T09:30:00Z"}, {"speed": 60}, or both')
        try:
            moment = datetime.fromisoformat(now) if now else None
        except ValueError:
            raise SettingsError(f"'{now}' is not a time; write 2026-11-23T09:30:00Z") from None
        market.clock.set(moment, speed)
        return JSONResponse(_clock(market))

    async def index(request: Request) -> Response:
        lines = [
            f"Evertick's simulated market of {len(market.instruments)} instruments, seed {market.seed}.",
            "Providers: " + ", ".join(BASES[name] for name in PROVIDERS),
            "Control: GET, POST /control/faults; GET /control/stats; GET, POST /control/clock",
        ]
        return PlainTextResponse("\n".join(lines) + "\n")

    async def collect_consent(request: Request) -> Response:
        return consent()

    routes = [
        provider("yahoo", "/v8/finance/chart/{symbol}", yahoo.chart),
        provider("yahoo", "/v7/finance/spark", yahoo.spark),
        provider("yahoo", "/v8/finance/spark", yahoo.spark_v8),
        provider("yahoo", "/v7/finance/quote", yahoo.quote),
        provider("coingecko", "/global", coingecko.global_),
        provider("coingecko", "/simple/price", coingecko.simple_price),
        provider("coingecko", "/coins/markets", coingecko.markets),
        provider("coingecko", "/{rest:path}", coingecko.missing),
        provider("alternative", "/fng/", alternative.fng),
        provider("alternative", "/fng", alternative.fng),
        Route("/control/faults", read_faults, methods=["GET"]),
        Route("/control/faults", change_faults, methods=["POST"]),
        Route("/control/stats", stats),
        Route("/control/clock", read_clock, methods=["GET"]),
        Route("/control/clock", change_clock, methods=["POST"]),
        Route("/consent.yahoo.com/v2/collectConsent", collect_consent),
        Route("/", index),
    ]
    return Starlette(routes=routes, exception_handlers={SettingsError: _wrong})


def _clock(market: Market) -> dict[str, Any]:
    return {"now": market.clock.now().astimezone(UTC).isoformat(), "speed": market.clock.speed}


def _no_number(value: Any) -> bool:
    return value is not None and (isinstance(value, bool) or not isinstance(value, int | float))


async def _body(request: Request) -> dict[str, Any]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise SettingsError(f"the body is larger than {MAX_BODY >> 10} KB")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SettingsError("the body must be a JSON object")
    return found


async def _wrong(request: Request, error: Exception) -> Response:
    problem = {"type": "about:blank", "title": "Bad request", "status": 400, "detail": str(error)}
    return JSONResponse(problem, 400, media_type="application/problem+json")
