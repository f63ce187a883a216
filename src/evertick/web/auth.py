"""Who may change something.

With ``API_TOKEN``: whoever sends it (``Authorization: Bearer …``), or has signed in on the page (a signed cookie, and a token
against cross-site requests that a form or a script sends back). Without: the server is bound to loopback, and any program of
this machine may; a browser may only from our own pages.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import blake2b, sha256
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from evertick.model import Clock
from evertick.web.problems import Problem
from evertick.web.services import WebSettings

COOKIE = "evertick_session"
SESSION_S = 7 * 86_400
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
FAILED_S = 0.3
"""What a wrong token costs, one at a time: guessing stays slow however many connections guess."""

FORM = "application/x-www-form-urlencoded"


class Access:
    """Stateless: a session is its cookie. A changed ``API_TOKEN`` ends every session."""

    def __init__(self, settings: WebSettings, clock: Clock) -> None:
        token = settings.api_token.get_secret_value() if settings.api_token else ""
        self._token = token.encode()
        self._key = blake2b(self._token, key=b"evertick session", digest_size=32).digest()
        self._clock = clock
        self._failing = asyncio.Lock()

    @property
    def needs_token(self) -> bool:
        return bool(self._token)

    async def token_fits(self, given: str) -> bool:
        if hmac.compare_digest(given.encode(), self._token):
            return True
        async with self._failing:
            await self._clock.sleep(FAILED_S)
        return False

    def new_session(self) -> str:
        """The value of a new session's cookie."""
        body = f"{int(self._clock.now().timestamp())}.{secrets.token_urlsafe(12)}"
        return f"{body}.{self._sign('session', body)}"

    def session(self, request: Request) -> str | None:
        """The session of this request, None without a valid one."""
        body, _, signature = request.cookies.get(COOKIE, "").rpartition(".")
        issued = body.partition(".")[0]
        if not issued.isdigit() or not hmac.compare_digest(signature, self._sign("session", body)):
            return None
        age = self._clock.now().timestamp() - int(issued)
        return body if -60 <= age <= SESSION_S else None

    def csrf(self, session: str) -> str:
        return self._sign("csrf", session)

    def page(self, request: Request) -> dict[str, Any]:
        """What every page knows of its reader."""
        session = self.session(request) if self.needs_token else None
        return {
            "may_write": session is not None or not self.needs_token,
            "signed_in": session is not None,
            "needs_token": self.needs_token,
            "csrf": self.csrf(session) if session else "",
        }

    async def check(self, request: Request, bearer: str | None) -> None:
        """Raise `Problem` unless this request may change something."""
        same_origin(request)
        if not self.needs_token:
            return
        if bearer is not None:
            if not await self.token_fits(bearer):
                raise Problem(401, "The token is wrong.", headers={"WWW-Authenticate": "Bearer"})
            return
        session = self.session(request)
        if session is None:
            raise Problem(
                401,
                "This needs the token: send Authorization: Bearer with API_TOKEN, or sign in at /login.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        sent = request.headers.get(CSRF_HEADER) or (await form(request)).get(CSRF_FIELD, "")
        if not hmac.compare_digest(sent.encode(), self.csrf(session).encode()):
            raise Problem(403, "The page was open for too long, or the request came from elsewhere. Reload the page.")

    def _sign(self, purpose: str, body: str) -> str:
        digest = hmac.new(self._key, f"{purpose}:{body}".encode(), sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def same_origin(request: Request) -> None:
    """Raise `Problem` where a browser says that another site sent this. Programs say nothing, and pass."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Problem(403, "Another site sent this request.")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise Problem(403, "Another site sent this request.")


async def form(request: Request) -> dict[str, str]:
    """The fields of a submitted form, the first value of each; empty for another kind of body."""
    if not is_form(request):
        return {}
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise Problem(400, "The form cannot be read.") from error
    return {name: values[0] for name, values in fields.items()}


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def local_path(target: str | None) -> str:
    """Where to go after signing in: a path of this server and nothing else."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or not target.isprintable():
        return "/"
    return target


def set_session(response: Response, value: str, *, secure: bool) -> None:
    response.set_cookie(COOKIE, value, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure, path="/")


_bearer = HTTPBearer(
    auto_error=False, description="`API_TOKEN`; not needed while the server is bound to loopback without one."
)


async def _writer(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> None:
    await request.app.state.web.access.check(request, credentials.credentials if credentials else None)


Writer = Depends(_writer)
"""Dependency of every route that changes something."""
