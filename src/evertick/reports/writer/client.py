"""Chat completions of an OpenAI-compatible endpoint, streamed, with a bound on whatever comes.

Bounds: one time-out for everything, pauses and repetitions included; 1 MB over the wire, a line of 64 KB, 32 KB of text. The
answer is asked for without compression, and refused if it comes compressed all the same. The key is in one header and nowhere
else; no error carries it. Repeated are a refusal for now (429, 5xx) and a connection that was never made: nothing was begun then.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Protocol

import httpx2
from pydantic_core import from_json

from evertick.errors import WriterError
from evertick.model import Clock
from evertick.settings import WriterSettings

ATTEMPTS = 4
WIRE = 1 << 20
LINE = 64 << 10
TEXT = 32 << 10
SAID = 4096
"""Bytes of an error page that are read."""
PAUSE_S = 0.5
"""Before the first repetition; it doubles."""
_ENDED = frozenset({"stop", "eos", "end_turn"})
_EXCERPT = 120


class Response(Protocol):
    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def aiter_raw(self) -> AsyncIterator[bytes]: ...


class Poster(Protocol):
    """The server's HTTP client, as far as it is needed here: see `evertick.sources.http.Http.posting`."""

    def posting(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str], *, timeout: float
    ) -> AbstractAsyncContextManager[Response]:
        """Sends ``body`` as JSON and gives the answer to read while it comes. Raises `httpx2.HTTPError`."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    tokens_in: int | None
    tokens_out: int | None
    """As the endpoint counts them; ``None`` if it does not say."""


class _Again(WriterError):
    """Not now; ``wait`` in seconds if the endpoint says how long."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class _Unsupported(WriterError):
    """Refused because of one of the parameters."""

    def __init__(self, message: str, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class Client:
    def __init__(self, http: Poster, settings: WriterSettings, clock: Clock) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._url = f"{settings.base_url or ''}/chat/completions"

    async def complete(self, messages: Sequence[Mapping[str, str]], max_tokens: int | None = None) -> Answer:
        """The model's answer. Raises `WriterError`, also for one that was cut short."""
        settings = self._settings
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": max_tokens or settings.max_tokens,
        }
        try:
            async with asyncio.timeout(settings.timeout):
                return await self._tried(body, self._clock.monotonic() + settings.timeout)
        except TimeoutError as error:
            raise WriterError(f"no whole answer within {settings.timeout:g} s", billed=True) from error

    async def _tried(self, body: dict[str, Any], deadline: float) -> Answer:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._asked(body)
            except _Unsupported as error:  # dialects differ in two parameters
                if not _adapt(body, error.parameter):
                    raise
            except _Again as error:
                wait = PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.8, 1.2) if error.wait is None else error.wait
                if attempt == ATTEMPTS:
                    raise WriterError(f"{error.message}, {ATTEMPTS} times") from error
                if self._clock.monotonic() + wait > deadline:
                    raise WriterError(f"{error.message}; to ask again after {wait:.0f} s would be too late") from error
                await self._clock.sleep(wait)
        raise WriterError("refused in every dialect")

    async def _asked(self, body: Mapping[str, Any]) -> Answer:
        key = self._settings.api_key
        secret = key.get_secret_value() if key else ""
        headers = {"accept": "text/event-stream", "accept-encoding": "identity"}
        if secret:
            headers["authorization"] = f"Bearer {secret}"
        try:
            async with self._http.posting(self._url, body, headers, timeout=self._settings.timeout) as response:
                encoding = response.headers.get("content-encoding", "identity").strip().lower()
                if encoding not in ("", "identity"):
                    raise WriterError(f"an answer in {_plain(encoding)[:20]}, which was not asked for", billed=True)
                if response.status_code != 200:
                    raise _refusal(response, await _start(response), secret, self._clock.now())
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind != "text/event-stream":
                    came = _plain(kind)[:40] or "no content type"
                    raise WriterError(f"{came} came, expected text/event-stream", billed=True)
                return await _read(response, secret)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise _Again("no connection") from error
        except httpx2.TimeoutException as error:
            raise WriterError(f"silence for {self._settings.timeout:g} s", billed=True) from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise WriterError("the connection broke off", billed=True) from error
        except httpx2.InvalidURL as error:
            raise WriterError("WRITER__BASE_URL is not an address") from error


def _adapt(body: dict[str, Any], parameter: str) -> bool:
    """Leave a parameter out, or call it what newer models do; ``False`` when that was done already."""
    if parameter == "stream_options":
        return body.pop("stream_options", None) is not None
    if "max_tokens" not in body:
        return False
    body["max_completion_tokens"] = body.pop("max_tokens")
    return True


def _refusal(response: Response, said: bytes, secret: str, now: datetime) -> WriterError:
    status = response.status_code
    text = f"HTTP {status}{_said(said, secret)}"
    if status == 429 or status >= 500:
        return _Again(text, _wait(response.headers.get("retry-after"), now))
    if status in (400, 422):
        for parameter, sign in (("stream_options", b"stream_options"), ("max_tokens", b"max_completion_tokens")):
            if sign in said:
                return _Unsupported(text, parameter)
    hint = {401: "Look at WRITER__API_KEY.", 404: "Look at WRITER__BASE_URL and WRITER__MODEL."}.get(status, "")
    return WriterError(text, hint=hint)


def _wait(value: str | None, now: datetime) -> float | None:
    """A ``Retry-After`` in seconds, whether it is a number or a date; ``None`` for neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), 86_400.0) if isfinite(seconds) else None


async def _start(response: Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece[: SAID - len(body)]
        if len(body) >= SAID:
            break
    return bytes(body)


def _said(body: bytes, secret: str) -> str:
    """What an error says, in a few words, without the key should it repeat that."""
    text = _plain(body.decode("utf-8", "replace"))
    if text.startswith("<"):
        title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
        text = title[1].strip() if title else "an HTML page"
    elif message := re.search(r'"(?:message|detail|error)"\s*:\s*"((?:[^"\\]|\\.){1,300})', text):
        text = message[1]
    if secret:
        text = text.replace(secret, "…")
    return f": {text[:_EXCERPT]}" if text else ""


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


# --- the stream


async def _read(response: Response, secret: str) -> Answer:
    """The text out of the stream of events; nothing of the stream is kept."""
    events, coming = _Events(), _Coming()
    async for piece in response.aiter_raw():
        for data in events.feed(piece):
            if data == b"[DONE]":
                return coming.answer()
            try:
                chunk = from_json(data, cache_strings=False)
            except ValueError:
                raise WriterError("a piece of the answer is no JSON", billed=True) from None
            coming.add(chunk, secret)
    if coming.finish is None:
        raise WriterError("the answer breaks off", billed=True)
    return coming.answer()


class _Events:
    """The ``data`` of server-sent events, out of pieces that are cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._came = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self._came += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if self._came > WIRE or len(self._rest) > LINE:
            raise WriterError("an answer without end", billed=True)
        for line in lines:
            field_name, _, value = line.rstrip(b"\r").partition(b":")
            if field_name == b"data" and (value := value.strip()):
                yield value


@dataclass(slots=True)
class _Coming:
    """An answer as far as it came."""

    pieces: list[str] = field(default_factory=list)
    size: int = 0
    finish: str | None = None
    tokens: tuple[int | None, int | None] = (None, None)

    def add(self, chunk: Any, secret: str) -> None:
        if not isinstance(chunk, dict):
            raise WriterError("a piece of the answer is no object", billed=True)
        if error := chunk.get("error"):
            message = error.get("message") if isinstance(error, dict) else error
            raise WriterError(f"an error in the answer{_said(str(message).encode(), secret)}", billed=True)
        if isinstance(usage := chunk.get("usage"), dict):
            self.tokens = (_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            return
        choice = choices[0] if isinstance(choices[0], dict) else {}
        delta = choice.get("delta")
        if isinstance(delta, dict):
            if delta.get("refusal"):
                raise WriterError("the model refuses", billed=True)
            if isinstance(text := delta.get("content"), str):
                self.pieces.append(text)
                self.size += len(text.encode("utf-8", "replace"))
                if self.size > TEXT:
                    raise WriterError(f"more than {TEXT >> 10} KB of text", billed=True)
        if isinstance(finish := choice.get("finish_reason"), str):
            self.finish = finish

    def answer(self) -> Answer:
        if self.finish == "length":
            raise WriterError("cut off at WRITER__MAX_TOKENS", billed=True)
        if self.finish == "content_filter":
            raise WriterError("held back by the endpoint's content filter", billed=True)
        if self.finish is not None and self.finish not in _ENDED:
            raise WriterError(f"ended for another reason ({_plain(self.finish)[:30]})", billed=True)
        text = "".join(self.pieces)
        if not text.strip():
            raise WriterError("an answer without text", billed=True)
        return Answer(text, *self.tokens)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None
