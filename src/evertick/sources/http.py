"""The one HTTP client towards the providers: one connection pool, one TLS context, and a bound on whatever comes.

An answer is read in pieces and cut off at a cap, both as it comes over the wire and unpacked, within one time-out for
the whole. What is not the JSON, CSV or XML that was asked for becomes an error that says what came instead. Errors never
carry a query, a header or a key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

import httpx2
from pydantic_core import from_json

from evertick import __version__
from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.settings import HttpSettings

USER_AGENT = f"Mozilla/5.0 (compatible; Evertick/{__version__})"
KEEP_S = 15.0
"""An idle connection is kept this long: over the batches of one run, not until the next."""
LONGEST_WAIT_S = 86_400.0
"""A provider that asks for more than a day of rest is asked again after a day."""
_EXCERPT = 120
_TYPES = {
    # text/plain: what VNDirect calls its numbers; they begin with a bracket all the same
    "JSON": re.compile(r"(application|text)/([\w.+-]*\+)?(json|javascript|x-javascript)\b|text/plain\b", re.IGNORECASE),
    # text/plain and octet-stream: files that a plain file server hands out
    "CSV": re.compile(r"text/(csv|plain|comma-separated-values)\b|application/(csv|x-csv|octet-stream|vnd\.ms-excel)\b", re.IGNORECASE),
    "XML": re.compile(r"(application|text)/([\w.+-]*\+)?xml\b", re.IGNORECASE),
}  # fmt: skip
_ACCEPT = {
    "JSON": "application/json",
    "CSV": "text/csv, text/plain;q=0.9, */*;q=0.5",
    "XML": "application/xml, text/xml",
}
_TITLE = re.compile(rb"<title[^>]*>\s*([^<]{1,200})", re.IGNORECASE)
_HTML = re.compile(
    rb"(<\?xml[^>]{0,200}\?>)?\s*(<!--.{0,300}?-->\s*)*<(!doctype\s+html|html|head|body|title|meta|script)\b",
    re.I | re.S,
)
_CONSENT = re.compile(r"consent", re.IGNORECASE)
_SECRET = re.compile("key|token|secret|password", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
_CHALLENGES = (b"just a moment", b"/__verify", b"cf-chl", b"captcha", b"proof of work", b"proof-of-work")
_REFUSED = {
    401: "the key is missing or wrong",
    402: "not in the plan of this key",
    403: "access denied",
    418: "banned for a while for asking too often",
    451: "not available from this place",
}


class Getter(Protocol):
    """What a source needs of HTTP: `Http`, or the conductor's wrapper with limits and retries around it.

    Every method raises `SourceError` and nothing else; ``at_most`` caps the answer below the setting's cap, in bytes.
    """

    async def get_json(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        """The decoded JSON at ``url``."""

    async def post_json(
        self,
        provider: str,
        url: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        """The decoded JSON that answers ``body``, sent as JSON. For questions only: it may be sent twice."""

    async def get_text(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        form: Literal["csv", "xml"],
        at_most: int | None = None,
    ) -> bytes:
        """The body at ``url`` as it came, unpacked, without a byte-order mark; its type and first bytes are those of ``form``."""


@asynccontextmanager
async def open_http(settings: HttpSettings) -> AsyncIterator[Http]:
    """Open the client; it connects when first used and closes every connection on leaving."""
    for name in ("httpx2", "httpcore2"):  # they log every request at INFO, with its query
        logging.getLogger(name).setLevel(logging.WARNING)
    transport = _Transport(
        limits=httpx2.Limits(
            max_connections=settings.connections,
            max_keepalive_connections=settings.connections,
            keepalive_expiry=KEEP_S,
        )
    )
    own: Mapping[str, httpx2.AsyncBaseTransport] = {
        f"all://{host}": transport for host in ("127.0.0.1", "localhost", "[::1]")
    }  # a proxy from the environment is not asked for what runs on this machine
    client = httpx2.AsyncClient(
        transport=transport if not _proxied() else None,
        mounts=own,
        headers={"user-agent": USER_AGENT, "accept-encoding": "gzip, deflate"},
        timeout=httpx2.Timeout(settings.read_timeout, connect=settings.connect_timeout, pool=settings.total_timeout),
        limits=httpx2.Limits(max_connections=settings.connections, keepalive_expiry=KEEP_S),
        follow_redirects=False,
    )
    async with client:
        yield Http(client, transport, settings)


def _proxied() -> bool:
    from urllib.request import getproxies

    return any(getproxies().get(scheme) for scheme in ("http", "https", "all"))


class _Transport(httpx2.AsyncHTTPTransport):
    @property
    def open_connections(self) -> int:
        return len(self._pool.connections)


class Http:
    """``provider`` in the methods below only names who is asked, for the errors."""

    def __init__(self, client: httpx2.AsyncClient, transport: _Transport, settings: HttpSettings) -> None:
        self._client = client
        self._transport = transport
        self._settings = settings

    def open_connections(self) -> int:
        """Connections to providers, idle ones too (those through a proxy are not counted)."""
        return self._transport.open_connections

    async def get_json(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        return _decoded(provider, url, await self._ask("JSON", provider, url, params, headers, at_most=at_most))

    async def post_json(
        self,
        provider: str,
        url: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
    ) -> Any:
        return _decoded(provider, url, await self._ask("JSON", provider, url, None, headers, body, at_most=at_most))

    async def get_text(
        self,
        provider: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        form: Literal["csv", "xml"],
        at_most: int | None = None,
    ) -> bytes:
        return await self._ask(form.upper(), provider, url, params, headers, at_most=at_most)

    def posting(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str], *, timeout: float
    ) -> AbstractAsyncContextManager[httpx2.Response]:
        """An answer that is read while it comes, for a caller who bounds it and knows its errors: those of httpx2.

        ``timeout`` in seconds is that of a silence; a connection must be there within the setting's time.
        """
        patience = httpx2.Timeout(timeout, connect=self._settings.connect_timeout)
        return self._client.stream("POST", url, json=body, headers=headers, timeout=patience)

    async def _ask(
        self,
        form: str,
        provider: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        body: Mapping[str, Any] | None = None,
        *,
        at_most: int | None,
    ) -> bytes:
        """The body of the answer, checked to begin as ``form`` does; asked with POST if there is a ``body``."""
        endpoint = _endpoint(url)
        cap = min(at_most or self._settings.max_bytes, self._settings.max_bytes)
        method = "GET" if body is None else "POST"
        secrets = _secrets(params, headers, body)
        sent = {"accept": _ACCEPT[form], **(headers or {})}
        try:
            async with (
                asyncio.timeout(self._settings.total_timeout),
                self._client.stream(method, url, params=params, headers=sent, json=body) as response,
            ):
                came = await _read(provider, endpoint, response, cap)
                _check_status(provider, endpoint, response, came, form, secrets)
                _check_form(provider, endpoint, came, response.headers.get("content-type", ""), form, secrets)
                return came.removeprefix(_BOM)
        except TimeoutError as error:
            raise SourceUnavailable(
                provider, endpoint, f"no whole answer within {self._settings.total_timeout:g} s"
            ) from error
        except httpx2.TimeoutException as error:
            raise SourceUnavailable(provider, endpoint, _timed_out(error, self._settings)) from error
        except (httpx2.TransportError, httpx2.StreamError) as error:
            raise SourceUnavailable(provider, endpoint, f"{_failed(error)} ({_reason(error)})") from error
        except httpx2.InvalidURL as error:
            raise SourceRefused(provider, endpoint, "its BASE_URL is not an address") from error


def _decoded(provider: str, url: str, body: bytes) -> Any:
    endpoint = _endpoint(url)
    try:
        # Twice as fast as the standard library. Its cache of strings would fill up with times and prices: 1 MB for good.
        return from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        pass  # which says better what is wrong with it
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise SourceMalformed(provider, endpoint, "JSON nested too deep", expected="JSON") from None
    except ValueError as error:
        what = str(error) if isinstance(error, _NotANumber) else f"broken JSON ({_reason(error)})"
        raise SourceMalformed(provider, endpoint, what, expected="JSON") from None


async def _read(provider: str, endpoint: str, response: httpx2.Response, cap: int) -> bytes:
    """The body, unpacked; no more than ``cap`` bytes of it are ever held, packed or not."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise SourceMalformed(provider, endpoint, f"content-encoding {encoding[:20]}", expected="gzip or none")
    unpack = None if encoding in ("identity", "") else zlib.decompressobj(wbits=47)
    body, came = bytearray(), 0
    async for piece in response.aiter_raw():
        came += len(piece)
        if unpack is not None and piece:
            piece = _unpacked(provider, endpoint, unpack, piece, cap - len(body) + 1)
        body += piece
        if came > cap or len(body) > cap:
            raise SourceUnavailable(provider, endpoint, "an answer without end", expected=f"at most {cap} bytes")
    if unpack is not None and came and not unpack.eof:
        raise SourceUnavailable(provider, endpoint, "a compressed answer that breaks off")
    return bytes(body)


def _unpacked(provider: str, endpoint: str, unpack: Any, piece: bytes, room: int) -> bytes:
    try:
        return bytes(unpack.decompress(piece, room))
    except zlib.error:
        raise SourceMalformed(provider, endpoint, "a body that is not the gzip it says it is") from None


def _check_status(
    provider: str, endpoint: str, response: httpx2.Response, body: bytes, form: str, secrets: Iterable[str]
) -> None:
    status = response.status_code
    wait = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
    if response.headers.get("cf-mitigated") == "challenge" or (_html(body, form) and _challenge(body)):
        raise SourceRefused(provider, endpoint, f"HTTP {status}, a page that asks whether we are human", expected=form)
    if 300 <= status < 400:
        where = response.headers.get("location", "")
        if _CONSENT.search(where):
            raise SourceRefused(provider, endpoint, "a redirect to a page that asks for consent", expected=form)
        raise SourceMalformed(provider, endpoint, f"HTTP {status}, a redirect", expected=form)
    said = _said(body, secrets)
    if status == 429:
        raise SourceRateLimited(provider, endpoint, f"HTTP 429{said}", retry_after=wait)
    if status in _REFUSED:
        raise SourceRefused(provider, endpoint, f"HTTP {status}, {_REFUSED[status]}{said}")
    if status >= 500:
        raise SourceUnavailable(provider, endpoint, f"HTTP {status}{said}")
    if status != 200:
        raise SourceMalformed(provider, endpoint, f"HTTP {status}{said}", expected="HTTP 200")


def _check_form(provider: str, endpoint: str, body: bytes, kind: str, form: str, secrets: Iterable[str]) -> None:
    """Whether ``body`` begins like ``form`` (``JSON``, ``CSV`` or ``XML``) and comes with a content type of it, or none."""
    start = _start(body)
    came = None
    if not start:
        came = "an empty answer"
    elif _html(body, form):
        title = _TITLE.search(body[:4096])
        came = f"an HTML page '{_masked(_plain(title[1]), secrets)}'" if title else "an HTML page"
    elif form == "JSON" and start[:1] not in (b"{", b"["):
        came = f"text '{_masked(_plain(body[:60]), secrets)}'"
    elif form == "CSV" and start[:1] in (b"{", b"["):
        came = f"JSON{_said(body, secrets)}"
    elif form == "CSV" and not _text(start):
        came = "bytes that are no text"
    elif form == "XML" and start[:1] != b"<":
        came = f"text '{_masked(_plain(body[:60]), secrets)}'" if _text(start) else "bytes that are no text"
    elif kind and not _TYPES[form].match(kind.strip()):
        came = f"content type {_plain(kind[:40].encode())}"
    if came is not None:
        raise SourceMalformed(provider, endpoint, came, expected=form)


def _start(body: bytes) -> bytes:
    """The first 64 bytes, less a byte-order mark and what is blank."""
    return body[:64].lstrip(b"\xef\xbb\xbf \t\r\n") or body.lstrip(b" \t\r\n")[:64]


def _text(start: bytes) -> bool:
    return not any(byte < 32 and byte not in b"\t\r\n\f" for byte in start)


def retry_after(value: str | None, now: datetime) -> float | None:
    """A ``Retry-After`` in seconds (it may be a number or a date), at most a day; ``None`` for one that is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if math.isfinite(seconds) else None


class _NotANumber(ValueError):
    pass


def _no_constant(text: str) -> float:
    raise _NotANumber(f"{text} in place of a number")


def _html(body: bytes, form: str) -> bool:
    """Whether a page came: where XML is asked for, a ``<`` alone does not say so."""
    if form == "XML":
        return _HTML.match(body[:4096].removeprefix(_BOM).lstrip()) is not None
    return _start(body)[:1] == b"<"


def _challenge(body: bytes) -> bool:
    text = body[:16_384].lower()
    return any(sign in text for sign in _CHALLENGES) or b"noindex" in text[:256]


def _endpoint(url: str) -> str:
    """The path alone: a query may hold a key."""
    try:
        return _plain(unquote(urlsplit(url).path).encode()) or "/"
    except ValueError:
        return "/"


def _secrets(
    params: Mapping[str, str] | None, headers: Mapping[str, str] | None, body: Mapping[str, Any] | None
) -> list[str]:
    """Whatever an answer might echo that nobody should read: keys among the parameters, and every header that was given."""
    # what follows a scheme (Bearer, Token, apikey) is the key
    values = [word for value in (headers or {}).values() for word in (value, *value.split()[1:])]
    for given in (params or {}, body or {}):
        values += [v for k, v in given.items() if isinstance(v, str) and _SECRET.search(k)]
    return sorted((v for v in values if len(v) >= 4), key=len, reverse=True)


def _said(body: bytes, secrets: Iterable[str]) -> str:
    """What an answer that reports an error says, in a few words: its title or its message, secrets masked."""
    if _start(body)[:1] == b"<":
        title = _TITLE.search(body[:4096])
        text = _plain(title[1]) if title else "an HTML page"
    else:
        text = _plain(body[:2000])
        if message := re.search(r'"(?:description|error_message|message|msg|error)"\s*:\s*"([^"]{1,300})', text):
            text = message[1]
    text = _masked(text, secrets).strip()
    return f": {text[:_EXCERPT]}" if text else ""


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


def _plain(raw: bytes) -> str:
    """Printable text on one line."""
    text = raw.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _timed_out(error: httpx2.TimeoutException, settings: HttpSettings) -> str:
    if isinstance(error, httpx2.ConnectTimeout):
        return f"no connection within {settings.connect_timeout:g} s"
    if isinstance(error, httpx2.PoolTimeout):
        return f"all {settings.connections} connections busy"
    return f"silence for {settings.read_timeout:g} s"


def _failed(error: Exception) -> str:
    if isinstance(error, httpx2.ConnectError):
        return "no connection"
    if isinstance(error, httpx2.UnsupportedProtocol):
        return "its BASE_URL begins with neither http:// nor https://"
    return "the connection broke off"


def _reason(error: BaseException) -> str:
    return _plain(str(error)[:_EXCERPT].encode()) or type(error).__name__


__all__ = ["Getter", "Http", "SourceError", "open_http", "retry_after"]
