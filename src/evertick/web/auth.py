"""Who may read and change what.

With ``API_TOKEN``: whoever sends it (``Authorization: Bearer …``), or has signed in on the page (a signed cookie, and a token
against cross-site requests that a form or a script sends back), may change everything. Without: the server is bound to
loopback, and any program of this machine may; a browser may only from our own pages.

A desk without a token is read by everybody. One with a token is closed: that token, sent or signed in with as above, reads and
changes it and no other desk, and ``API_TOKEN`` all of them.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from evertick.desks import Desk, Desks
from evertick.model import Clock
from evertick.web.problems import Problem
from evertick.web.services import WebSettings

COOKIE = "evertick_session"
SESSION_S = 7 * 86_400
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
FAILED_S = 0.3
"""What a wrong token costs, one at a time: guessing stays slow however many connections guess."""

CHALLENGE = {"WWW-Authenticate": "Bearer"}
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks. ``everything``: with ``API_TOKEN``, or on a machine of their own; ``desk``: with the token of that desk."""

    everything: bool = False
    desk: str | None = None
    session: str | None = None

    def may_read(self, desk: Desk) -> bool:
        return desk.token is None or self.may_change(desk)

    def may_change(self, desk: Desk) -> bool:
        return self.everything or desk.id == self.desk


NOBODY = Reader()


class Access:
    """Stateless: a session is its cookie. A changed token ends every session that was begun with it."""

    def __init__(self, settings: WebSettings, clock: Clock, desks: Desks) -> None:
        token = settings.api_token.get_secret_value() if settings.api_token else ""
        self._key = _session_key(token)
        self._desks = desks
        self._closed = any(desk.token is not None for desk in desks)
        # Found by a keyed digest: how long it takes says nothing of a token.
        self._secret = secrets.token_bytes(32)
        self._readers: dict[bytes, Reader] = {}
        for desk in desks:
            if desk.token is not None:
                self._readers[self._digest(desk.token.get_secret_value())] = Reader(desk=desk.id)
        if token:
            self._readers[self._digest(token)] = Reader(everything=True)
        self.needs_token = bool(token)
        self._clock = clock
        self._failing = asyncio.Lock()

    @property
    def closed(self) -> bool:
        """Some desk is not for everybody."""
        return self._closed

    async def of_token(self, given: str) -> Reader | None:
        """Who has this token; nobody is told so slowly."""
        if (reader := self._readers.get(self._digest(given))) is not None:
            return reader
        async with self._failing:
            await self._clock.sleep(FAILED_S)
        return None

    def new_session(self, reader: Reader) -> str:
        """The value of a new session's cookie."""
        body = f"{int(self._clock.now().timestamp())}.{secrets.token_urlsafe(12)}"
        body += f".{reader.desk}" if reader.desk is not None else ""
        return f"{body}.{self._sign('session', body)}"

    def session(self, request: Request) -> str | None:
        """The session of this request, None without a valid one."""
        body, _, signature = request.cookies.get(COOKIE, "").rpartition(".")
        issued = body.partition(".")[0]
        if not issued.isdigit() or not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        age = self._clock.now().timestamp() - int(issued)
        return body if -60 <= age <= SESSION_S else None

    def csrf(self, session: str) -> str:
        return self._sign("csrf", session)

    def known(self, request: Request) -> Reader:
        """Who asks, as far as it is known by now: by a token that was looked at before, by their session, or nobody."""
        if not self.needs_token:
            return Reader(everything=True)
        if (reader := getattr(request.state, "reader", None)) is not None:
            return reader
        session = self.session(request)
        if session is None:
            return NOBODY
        _, _, *desk = session.split(".")
        return Reader(not desk, desk[0] if desk else None, session)

    async def reader(self, request: Request) -> Reader:
        """Who asks. Raises `Problem` for a wrong token, where a right one would make a difference to reading."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if not self._closed or scheme.lower() != "bearer" or getattr(request.state, "reader", None) is not None:
            return self.known(request)
        return await self._let_in(request, given.strip())

    async def _let_in(self, request: Request, token: str) -> Reader:
        reader = await self.of_token(token)
        if reader is None:
            raise Problem(401, "The token is wrong.", headers=CHALLENGE)
        request.state.reader = reader
        return reader

    def page(self, request: Request, desk: Desk | None) -> dict[str, Any]:
        """What every page knows of its reader; what they may do is about ``desk``."""
        reader = self.known(request)
        return {
            "may_write": reader.everything if desk is None else reader.may_change(desk),
            "everything": reader.everything,
            "signed_in": reader.session is not None,
            "needs_token": self.needs_token,
            "csrf": self.csrf(reader.session) if reader.session else "",
        }

    async def check(self, request: Request, bearer: str | None) -> None:
        """Raise `Problem` unless this request may change something: what, its `known` reader says."""
        same_origin(request)
        if not self.needs_token:
            return
        if bearer is not None:
            await self._let_in(request, bearer)
            return
        reader = self.known(request)
        if reader.session is None:
            what = "API_TOKEN, or the token of the desk" if self._closed else "API_TOKEN"
            raise Problem(
                401,
                f"This needs the token: send Authorization: Bearer with {what}, or sign in at /login.",
                headers=CHALLENGE,
            )
        sent = request.headers.get(CSRF_HEADER) or (await form(request)).get(CSRF_FIELD, "")
        if not hmac.compare_digest(sent.encode(), self.csrf(reader.session).encode()):
            raise Problem(403, "The page was open for too long, or the request came from elsewhere. Reload the page.")

    def _digest(self, token: str) -> bytes:
        return blake2b(token.encode(), key=self._secret, digest_size=32).digest()

    def _sign(self, purpose: str, body: str) -> str:
        digest = hmac.new(self._key_of(body), f"{purpose}:{body}".encode(), sha256).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _key_of(self, body: str) -> bytes:
        """A session of a desk is signed with the token of that desk, any other with ``API_TOKEN``."""
        _, _, named = body.partition(".")
        _, _, named = named.partition(".")
        desk = self._desks.get(named) if named else None
        return _session_key(desk.token.get_secret_value()) if desk is not None and desk.token else self._key


def _session_key(token: str) -> bytes:
    return blake2b(token.encode(), key=b"evertick session", digest_size=32).digest()


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
    auto_error=False,
    description="`API_TOKEN`, or the token of a desk; not needed while the server is bound to loopback without one.",
)


async def _writer(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> None:
    await request.app.state.web.access.check(request, credentials.credentials if credentials else None)


async def _keeper(request: Request, _: Annotated[None, Depends(_writer)]) -> None:
    if not request.app.state.web.access.known(request).everything:
        raise Problem(403, "This needs API_TOKEN: the token of a desk opens that desk and no more.")


Writer = Depends(_writer)
"""Dependency of every route that changes something of one desk, which the route looks at itself."""
Keeper = Depends(_keeper)
"""Dependency of every route that changes something of the server."""
