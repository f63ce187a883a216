"""The simulator's web application: the providers and a control route, each provider behind the faults in force."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from evertick.errors import SettingsError
from evertick.simulator.answers import Endpoint, respond
from evertick.simulator.broken import broken, consent
from evertick.simulator.faults import GROUPS, KINDS, Faults
from evertick.simulator.market import Market
from evertick.simulator.providers import PROVIDERS, Provider

MAX_BODY = 64 << 10


def create_app(market: Market, faults: Faults | None = None) -> Starlette:
    """An ASGI application that answers as the providers would, of ``market``, with ``faults``."""
    faults = faults if faults is not None else Faults(seed=market.seed)

    def route(provider: Provider, method: str, path: str, endpoint: Endpoint) -> Route:
        async def answer(request: Request) -> Response:
            kind = faults.choose(provider.name, request.url.path.removeprefix(provider.base))
            if kind is None:
                return respond(request, await endpoint(market, request))
            return await broken(kind, provider, market, request, lambda: endpoint(market, request))

        return Route(provider.base + path, answer, methods=[method])

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
        here = str(request.base_url).rstrip("/")
        lines = [
            f"Evertick's simulated market of {len(market.instruments)} instruments, seed {market.seed}.",
            "Providers:",
            *(f"  {name}: {method} {p.base}{path}" for name, p in PROVIDERS.items() for method, path, _ in p.routes),
            "Control: GET, POST /control/faults; GET /control/stats; GET, POST /control/clock",
            "Settings of a server that asks this one:",
            *(f"  EVERTICK_SOURCES__{name.upper()}__BASE_URL={here}{p.base}" for name, p in PROVIDERS.items()),
        ]
        return PlainTextResponse("\n".join(lines) + "\n")

    async def collect_consent(request: Request) -> Response:
        return consent()

    routes = [
        *(route(provider, *one) for provider in PROVIDERS.values() for one in provider.routes),
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
