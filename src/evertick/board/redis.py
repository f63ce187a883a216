"""The board that several processes share: one JSON document in Redis, with a message on every update.

``evertick:market_indices``          the document (see `evertick.board.document`), with a time to live
``evertick:market_indices:updated``  a channel: the ``as_of`` of every new document

Redis is imported when a board is opened, not with this module: it costs 7 MB that an embedded server does not need.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import structlog

from evertick.board.document import NotASnapshot, dumps, iso, loads
from evertick.errors import BoardError, BoardUnavailable, SettingsError
from evertick.model import Snapshot
from evertick.universe import Universe

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

log = structlog.get_logger()
T = TypeVar("T")

KEY = "evertick:market_indices"
CHANNEL = "evertick:market_indices:updated"
POOL = 4
"""Connections at most: the poll, a reader or two and the subscription."""
HEARD_S = 15.0
"""How often a quiet subscription is asked whether it still lives."""


@asynccontextmanager
async def open_redis(
    url: str, ttl_s: int = 7 * 86400, *, universe: Universe | None = None, timeout_s: float = 5.0
) -> AsyncIterator[RedisBoard]:
    """Open the board at ``url`` (``redis://``, ``rediss://`` or ``unix://``); connects when first used.

    With ``universe`` the document names what each quote is of. Raises `SettingsError` for a URL that cannot be one.
    """
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import ConstantBackoff
    from redis.exceptions import ConnectionError as Lost

    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=POOL,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            socket_keepalive=True,
            health_check_interval=30,
            # One more try on a new connection: those in the pool are dead after Redis was restarted.
            retry=Retry(ConstantBackoff(0.05), 1, supported_errors=(Lost,)),
            client_name="evertick",
        )
    except ValueError as error:
        raise SettingsError(
            "REDIS_URL is not the address of a Redis; write redis://[user:password@]host:6379/0"
        ) from error
    client = Redis.from_pool(pool)
    try:
        yield RedisBoard(client, _place(url), ttl_s, universe)
    finally:
        await client.aclose()


class RedisBoard:
    kind = "redis"

    def __init__(self, client: Redis, place: str, ttl_s: int, universe: Universe | None) -> None:
        self._client = client
        self._place = place
        self._ttl_s = ttl_s
        self._universe = universe
        self._lost = False
        self._corrupt = False

    async def load(self) -> Snapshot | None:
        try:
            body = await self._asked(self._read())
            if body is None:
                return None
            snapshot = loads(body if isinstance(body, bytes) else body.encode())
        except NotASnapshot as error:
            if not self._corrupt:
                log.warning("board document not used", key=KEY, error=str(error))
            self._corrupt = True
            return None
        self._corrupt = False
        return snapshot

    async def _read(self) -> bytes | str | None:
        from redis.exceptions import ResponseError

        try:
            body: bytes | str | None = await self._client.get(KEY)
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            raise NotASnapshot("the key holds another type; the next save replaces it") from error
        return body

    async def save(self, snapshot: Snapshot) -> None:
        body = dumps(snapshot, self._universe)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(KEY, body, ex=self._ttl_s)
            pipe.publish(CHANNEL, iso(snapshot.as_of))
            await self._asked(pipe.execute())

    async def ping(self) -> None:
        await self._asked(self._client.ping())

    def connections(self) -> int:
        return sum(count for count, _ in self._client.connection_pool.get_connection_count())

    @asynccontextmanager
    async def updates(self) -> AsyncIterator[AsyncIterator[datetime]]:
        pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            await self._asked(pubsub.subscribe(CHANNEL))
            yield self._heard(pubsub)
        finally:
            await pubsub.aclose()

    async def _heard(self, pubsub: PubSub) -> AsyncIterator[datetime]:
        while True:
            newest: datetime | None = None
            message = await self._asked(pubsub.get_message(timeout=HEARD_S))
            while message is not None:  # a slow reader has several waiting: only the newest counts
                newest = _told(message) or newest
                message = await self._asked(pubsub.get_message(timeout=0))
            if newest is not None:
                yield newest

    async def _asked(self, answer: Awaitable[T]) -> T:
        """``answer``, with the driver's errors as ours; the loss of Redis is logged once, and its return once."""
        from redis.exceptions import ConnectionError as Lost
        from redis.exceptions import RedisError
        from redis.exceptions import TimeoutError as TooLate

        try:
            got = await answer
        except (Lost, TooLate, OSError) as error:
            refused = _wants_password(error)
            if not self._lost:
                log.warning("board lost", place=self._place, error=_why(error))
            self._lost = True
            if refused:
                raise BoardUnavailable(
                    f"Redis at {self._place} refuses the user or password.", hint="Correct them in REDIS_URL."
                ) from error
            raise BoardUnavailable(
                f"Redis at {self._place} cannot be reached: {_why(error)}.",
                hint="Start it, or take REDIS_URL away to keep the board in this process.",
            ) from error
        except RedisError as error:
            raise BoardError(
                f"Redis at {self._place} refused: {_why(error)}.",
                hint="Its own log and INFO say more; Evertick goes on as soon as it accepts.",
            ) from error
        if self._lost:
            log.info("board back", place=self._place)
        self._lost = False
        return got


def _told(message: Any) -> datetime | None:
    """The instant in a message of the channel; anybody may publish there, so anything may come."""
    data = message.get("data")
    try:
        at = datetime.fromisoformat(data.decode()) if isinstance(data, bytes) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _place(url: str) -> str:
    """Host and port, or the socket's path: never the user or the password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}" if parts.scheme != "unix" else parts.path


def _wants_password(error: BaseException) -> bool:
    from redis.exceptions import AuthenticationError

    return isinstance(error, AuthenticationError) or "HELLO must be called with the client already" in str(error)


def _why(error: BaseException) -> str:
    """The server's own words; of what failed in a pipeline not the command, which holds the whole document."""
    text = str(error).rpartition(" of pipeline caused error: ")[2].strip("(),.'\" ")
    return text[:200] or type(error).__name__
