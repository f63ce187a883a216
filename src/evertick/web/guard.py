"""What stands before every route: who may call us by which name, how much may be sent, and which headers go out.

Pure ASGI and one layer only, because it runs for every request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evertick.web.metrics import Traffic
from evertick.web.minutes import Minutes
from evertick.web.problems import Problem, problem_response

log = structlog.get_logger()

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The policy of every page. A route may send another, which then counts."""

DOCS_CSP = CSP.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI writes style attributes; scripts stay ours alone."""

BODY_S = 20
"""Seconds in which the next piece of a body has to come."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
)

_CSP_HEADER = (b"content-security-policy", CSP.encode())


def host_name(header: str) -> str:
    """The name of a Host header without its port: ``[::1]:8000`` → ``::1``."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")


def host_allowed(name: str, extra: Iterable[str]) -> bool:
    """Whether a server that is bound to loopback without a token answers to ``name``.

    A page elsewhere can point its own name at 127.0.0.1 (DNS rebinding) and would then be of our origin; it cannot do so with
    the names of loopback itself.
    """
    return (
        name in ("localhost", "::1")
        or name.endswith(".localhost")
        or (name.startswith("127.") and name.replace(".", "").isdigit())
        or name in extra
    )


class _Unreadable(HTTPException):
    """An HTTPException, because FastAPI makes a plain 400 of whatever else goes wrong while it reads a body."""


class Guard:
    def __init__(
        self,
        app: ASGIApp,
        *,
        traffic: Traffic,
        check_host: bool,
        hosts: tuple[str, ...] = (),
        max_body: int = 64 << 10,
        stopping: Callable[[], bool] = lambda: False,
        minutes: Minutes | None = None,
    ) -> None:
        self.app = app
        self.traffic = traffic
        self.check_host = check_host
        self.hosts = frozenset(h.lower() for h in hosts)
        self.max_body = max_body
        self.minutes = minutes or Minutes()
        self.stopping = stopping
        """True once the server begins to stop: each answer then tells its client not to use the connection again."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        started = 0
        request = self.minutes.begin(scope)
        left = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message["status"]
                headers = message.setdefault("headers", [])
                if not any(name == b"content-security-policy" for name, _ in headers):
                    headers.append(_CSP_HEADER)
                headers.extend(HEADERS)
                if self.stopping():
                    headers.append((b"connection", b"close"))
                self.traffic.seen(scope, started, time.perf_counter() - began)
            await send(message)

        try:
            if refused := self._refused(scope):
                await problem_response(refused, scope["path"])(scope, receive, sending)
                return
            await self.app(
                scope, self._bounded(receive) if scope["method"] not in ("GET", "HEAD") else receive, sending
            )
        except _Unreadable as error:
            if not started:
                await problem_response(Problem(error.status_code, error.detail), scope["path"])(scope, receive, sending)
        except Exception:
            log.exception("request failed", method=scope["method"], path=scope["path"])
            if started:
                raise  # the server closes the connection, so that the reader knows that the answer is not whole
            failure = Problem(500, "The server failed at this request. Its log says why.")
            await problem_response(failure, scope["path"])(scope, receive, sending)
        except asyncio.CancelledError:
            left = True
            raise
        finally:
            self.minutes.end(request, failed=started >= 500 or not (started or left), cancelled=left)

    def _refused(self, scope: Scope) -> Problem | None:
        host = length = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
            elif name == b"content-length":
                length = value
        if self.check_host and not host_allowed(host_name(host.decode("latin-1")), self.hosts):
            return Problem(
                421, "This server is open to its own machine only. Call it as localhost, or set API_TOKEN and HOST."
            )
        if length and (not length.isdigit() or int(length) > self.max_body):
            return self._too_large()
        return None

    def _too_large(self) -> Problem:
        return Problem(
            413, f"The body of a request may have {self.max_body:,} bytes at most.", headers={"Connection": "close"}
        )

    def _bounded(self, receive: Receive) -> Receive:
        size = 0
        complete = False

        async def receiving() -> Message:
            nonlocal size, complete
            if complete:  # from now on it is only the disconnect that can come
                return await receive()
            try:
                async with asyncio.timeout(BODY_S):
                    message = await receive()
            except TimeoutError:
                raise _Unreadable(408, f"The body did not come within {BODY_S} seconds.") from None
            if message["type"] == "http.request":
                size += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if size > self.max_body:
                    raise _Unreadable(413, self._too_large().detail)
            return message

        return receiving
