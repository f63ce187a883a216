"""Bodies of reports as objects: in a bucket that speaks S3, or in a folder; one object for each part, written in a stream.

A part up to `CHUNK` goes by one request, a larger one as a multipart upload of such chunks, one on its way while the next
fills: so many bytes are in memory, however long the part is. It is read in ranges of `RANGE`, each a request of its own, so that
a slow reader holds no connection; its last range is handed out only when the hash of the whole is that of its metadata.

Who is killed within an upload leaves one that nobody completes. S3 does not list those among the objects; a rule of the
bucket removes them (docs/how-to/keep-bodies-in-object-storage.md). Every other end aborts its upload.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from evertick.archive.connection import to_the_end
from evertick.errors import ArchiveError, ArchiveFull, ArchiveReadOnly, ArchiveUnavailable, BodyLost
from evertick.model import PartMeta
from evertick.settings import ArchiveSettings

CHUNK = 5 << 20
"""Bytes of a chunk of an upload: the least that S3 takes."""
RANGE = 256 << 10
"""Bytes of one read."""
PIECE = 64 << 10
CHECK = 16
"""Pieces between two looks whether the draft is still ours."""
LISTED = 1000
"""Objects named by one answer of a store."""
CONNECT_S = 5.0
REQUEST_S = 30.0
"""One request at most, its body included."""
RETRIES = 3
RETRY_S = 60.0
"""After so long a request that failed is not repeated."""
ABORT_S = 10.0

Held = Callable[[str, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Stored:
    key: str
    report: str
    token: int


class Objects:
    """`evertick.archive.bodies.Bodies` at ``location`` (``s3://bucket/…`` or ``file:///…``). ``held`` raises `Fenced`."""

    def __init__(self, location: str, settings: ArchiveSettings, held: Held) -> None:
        self.location = location
        self._held = held
        self._local = location.startswith("file:")
        self._store = _folder(location) if self._local else _bucket(location, settings)
        self._attributes: Any = None if self._local else {"Content-Type": "application/gzip"}

    def sink(self, report: str, token: int, part: str) -> Upload:
        return Upload(self, _key(report, token, part), lambda: self._held(report, token))

    async def put(self, key: str, pieces: Sequence[bytes] | AsyncIterator[bytes]) -> None:
        """Store an object: all at once, or streamed from an iterator. Raises `ArchiveError`, and what the iterator raises."""
        streamed = isinstance(pieces, AsyncIterator)
        body: Any = pieces if isinstance(pieces, AsyncIterator) else iter(pieces)
        with self._errors("written"):
            await obstore.put_async(
                self._store,
                key,
                body,
                attributes=self._attributes,
                use_multipart=streamed,
                chunk_size=CHUNK,
                max_concurrency=1,
            )

    async def stored(self, report: str, token: int) -> Mapping[str, int]:
        found = {}
        with self._errors("listed"):
            async for some in obstore.list(self._store, f"{report}/{token}", chunk_size=LISTED):
                found.update({one["path"].rpartition("/")[2]: one["size"] for one in some})
        return found

    async def read(self, report: str, token: int, part: PartMeta) -> AsyncIterator[bytes]:
        key = _key(report, token, part.part)
        digest = sha256()
        start = 0
        while start < part.stored:
            length = min(RANGE, part.stored - start)
            body = await self._range(key, start, length)
            if len(body) != length:
                raise BodyLost(f"{self.location}/{key} is shorter than it was stored.", hint=_LOST)
            digest.update(body)
            start += length
            if start == part.stored and digest.hexdigest() != part.sha256:
                raise BodyLost(f"{self.location}/{key} is not what was stored.", hint=_LOST)
            for at in range(0, length, PIECE):
                yield body[at : at + PIECE]

    async def remove(self, report: str, hidden: Callable[[], Awaitable[bool]]) -> None:
        keys: list[str] = []
        with self._errors("listed"):
            async for some in obstore.list(self._store, report, chunk_size=LISTED):
                keys += [one["path"] for one in some]
        if keys and await hidden():
            await self.delete(keys)

    async def older(self, than: datetime) -> AsyncIterator[list[Stored]]:
        """The objects that were there before that time, as a store lists them, up to `LISTED` at once."""
        with self._errors("listed"):
            async for some in obstore.list(self._store, chunk_size=LISTED):
                found = [_parsed(one["path"]) for one in some if one["last_modified"] < than]
                yield [one for one in found if one is not None]

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are no error."""
        with self._errors("deleted"):
            if not self._local:
                await obstore.delete_async(self._store, keys)
                return
            for key in keys:
                with suppress(FileNotFoundError):
                    await obstore.delete_async(self._store, key)

    async def ping(self) -> None:
        """One request. Raises `ArchiveError`."""
        with self._errors("listed"):
            async for _ in obstore.list(self._store, "nothing", chunk_size=1):
                return

    async def _range(self, key: str, start: int, length: int) -> bytes:
        with self._errors("read", key):
            return (await obstore.get_range_async(self._store, key, start=start, length=length)).to_bytes()

    @contextmanager
    def _errors(self, doing: str, key: str = "") -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            ours = translate(error, self.location, doing, key)
            # A refusal repeats parts of the request, among them the key's name: it goes no further.
            raise ours from (None if isinstance(ours, ArchiveReadOnly) else error)


class Upload:
    """The sink of one part: see `evertick.archive.bodies.Sink`."""

    def __init__(self, objects: Objects, key: str, held: Callable[[], Awaitable[None]]) -> None:
        self._objects = objects
        self._key = key
        self._held = held
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._count = 0
        self._putting: asyncio.Task[None] | None = None
        self._passing: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._aborted = False

    async def add(self, piece: bytes) -> None:
        self._count += 1
        if self._count % CHECK == 0:
            await self._held()
        if self._putting is not None:
            await self._pass(piece)
            return
        self._waiting.append(piece)
        self._size += len(piece)
        if self._size > CHUNK:
            self._putting = asyncio.ensure_future(self._objects.put(self._key, self._stream()))

    async def close(self) -> None:
        await self._held()
        if self._putting is None:
            await self._objects.put(self._key, self._waiting)
            self._waiting.clear()
            return
        await self._pass(None)
        await self._putting

    async def abort(self) -> None:
        """A stream that fails makes the client abort its upload; cancelled, it would leave it as it is."""
        self._aborted = True
        self._waiting.clear()
        if self._putting is None:
            return
        while not self._passing.empty():
            self._passing.get_nowait()
        self._passing.put_nowait(None)
        await to_the_end(self._ended(self._putting))

    async def _ended(self, putting: asyncio.Task[None]) -> None:
        await asyncio.wait((putting,), timeout=ABORT_S)
        if not putting.done():
            putting.cancel()
        with suppress(asyncio.CancelledError, _Aborted, ArchiveError):
            await putting

    async def _pass(self, piece: bytes | None) -> None:
        """Hand on one piece when the last has been taken; raises what ended the upload meanwhile."""
        assert self._putting is not None
        if self._passing.full():
            passing = asyncio.ensure_future(self._passing.put(piece))
            try:
                await asyncio.wait((passing, self._putting), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not passing.done():
                    passing.cancel()
            if passing.cancelled() or not passing.done():
                await self._putting
        else:
            self._passing.put_nowait(piece)
        if self._putting.done():
            await self._putting

    async def _stream(self) -> AsyncIterator[bytes]:
        while self._waiting:
            yield self._waiting.popleft()
        while (piece := await self._passing.get()) is not None:
            yield piece
        if self._aborted:
            raise _Aborted


class _Aborted(Exception):
    pass


def _key(report: str, token: int, part: str) -> str:
    return f"{report}/{token}/{part}"


def _parsed(key: str) -> Stored | None:
    """None for what is none of ours."""
    report, _, rest = key.partition("/")
    token, _, part = rest.partition("/")
    return Stored(key, report, int(token)) if token.isdigit() and part and "/" not in part else None


def _folder(location: str) -> Any:
    from obstore.store import LocalStore

    try:
        return LocalStore(location.removeprefix("file://"), mkdir=True, automatic_cleanup=True)
    except (BaseError, OSError, ValueError) as error:
        raise translate(error, location, "opened") from error


def _bucket(location: str, settings: ArchiveSettings) -> Any:
    """What ``settings`` does not say comes from the variables ``AWS_…``, or from the role of the machine."""
    from obstore.store import S3Store

    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    secrets = {"access_key_id": settings.access_key_id, "secret_access_key": settings.secret_access_key}
    given: dict[str, Any] = {name: value.get_secret_value() for name, value in secrets.items() if value is not None}
    given |= {
        name: value
        for name, value in (("endpoint", settings.endpoint), ("region", settings.region))
        if value is not None
    }
    endpoint = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    try:
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=given,  # type: ignore[arg-type]
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_S),
                "timeout": timedelta(seconds=REQUEST_S),
                "pool_idle_timeout": timedelta(seconds=20),
            },
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_S),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2,
                },
            },
        )  # fmt: skip
    except (BaseError, ValueError) as error:
        raise ArchiveUnavailable(
            f"{location} cannot be opened.", hint="Check ARCHIVE__BODIES, ARCHIVE__ENDPOINT and the AWS_… variables"
        ) from error


# --- what an error of the store means --------------------------------------------------------------------------------

_LOST = "Somebody else deleted or changed it. Bring it back from a backup of the bucket, or delete the report"
_FULL = re.compile(
    r"InsufficientStorage|507 |QuotaExceeded|StorageFull|StorageQuota|os error 28\b|os error 122\b|No space left", re.I
)
_REFUSED = re.compile(r"os error (1|13|30)\b|\b40[13] ")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3}[\w ]{0,40})")
_CAUSES = (
    ("Connection refused", "connection refused"),
    ("TimedOut", "no answer in time"),
    ("operation timed out", "no answer in time"),
    ("dns error", "its name cannot be resolved"),
    ("certificate", "its certificate is not trusted"),
    ("connection closed", "the connection broke"),
    ("Connection reset", "the connection broke"),
    ("kind: Body", "its answer broke off"),
)


def translate(error: Exception, location: str, doing: str, key: str = "") -> ArchiveError:
    """The error of ours that an error of obstore means. Of its text no more than a status, a code or a known cause is
    repeated: it holds whole answers of the server."""
    text = str(error)
    code = _CODE.search(text)
    why = code[1] if code else next((said for sign, said in _CAUSES if sign in text), "")
    if not why:
        status = _STATUS.search(text)
        why = status[1].strip() if status else "its answer is not understood"
    if "NoSuchBucket" in text:
        return ArchiveUnavailable(f"{location}: there is no such bucket.", hint="Make it, or check ARCHIVE__BODIES")
    if isinstance(error, FileNotFoundError) or "InvalidRange" in text:
        where = f"{location}/{key}" if key else location
        return BodyLost(f"{where} is not there.", hint=_LOST)
    if _FULL.search(text):
        return ArchiveFull(f"{location} is full ({why}).", hint="Free some space there; the next run writes again")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _REFUSED.search(text):
        return ArchiveReadOnly(
            f"{location} may not be {doing} ({why}).",
            hint="Check the keys, and that they may get, put, list and delete objects there",
        )
    return ArchiveUnavailable(
        f"{location} cannot be {doing} ({why}).", hint="Is the store running and ARCHIVE__ENDPOINT right?"
    )
