"""Talks to the server that already runs on a data folder, so that a command beside it uses it instead of fighting it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from evertick.errors import EvertickError, NotFound
from evertick.settings import Settings

log = structlog.get_logger()

FILE = "server.json"


@contextmanager
def announced(settings: Settings, url: str) -> Iterator[None]:
    """While this lasts, commands on the same data folder find the server at ``url``."""
    file = settings.data_dir / FILE
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        temporary.write_text(json.dumps({"pid": os.getpid(), "url": url}))
        temporary.replace(file)
    except OSError as error:  # a full disk: the server itself can do without
        log.warning("commands will not find this server", path=str(file), error=error.strerror)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def find(settings: Settings) -> str | None:
    """The address of the running server, or None. A file left by a killed server does not count."""
    try:
        url = json.loads((settings.data_dir / FILE).read_text())["url"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return url if isinstance(url, str) and _held(lock_file(settings)) else None


def _held(lock: Path) -> bool:
    """Whether a process holds the lock. Its number would not tell: another may have it by now, in a container surely."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return isinstance(error, PermissionError)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


class Remote:
    """The API of a running server. Errors of the server become ours, with the text of its problem document."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.url = url

    async def get(self, path: str, **params: Any) -> Any:
        return self._answer(await self._client.get(path, params={k: v for k, v in params.items() if v is not None}))

    async def post(self, path: str, body: Any = None) -> Any:
        return self._answer(await self._client.post(path, json=body))

    async def download(self, path: str) -> AsyncIterator[bytes]:
        async with self._client.stream("GET", path) as answer:
            if answer.status_code >= 400:
                await answer.aread()
                self._answer(answer)
            async for piece in answer.aiter_bytes():
                yield piece

    @staticmethod
    def _answer(answer: Any) -> Any:
        if answer.status_code < 400:
            try:
                return answer.json()
            except ValueError as error:
                raise EvertickError("what answers there is not Evertick: its answer is no JSON") from error
        try:
            problem = answer.json()
            text = problem.get("detail") or problem.get("title") or answer.reason_phrase
        except ValueError:
            text = answer.reason_phrase
        if answer.status_code == 404:
            raise NotFound(text)
        raise EvertickError(f"the server answered {answer.status_code}: {text}")


@asynccontextmanager
async def connect(settings: Settings, url: str) -> AsyncIterator[Remote]:
    import httpx2

    headers = {"User-Agent": "evertick-cli"}
    if settings.api_token is not None:
        headers["Authorization"] = f"Bearer {settings.api_token.get_secret_value()}"
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        try:
            yield Remote(client, url)
        except httpx2.TransportError as error:
            raise EvertickError(
                f"the server at {url} does not answer ({error or type(error).__name__})",
                hint="Its log may say why; a server that hangs is to be stopped and started again.",
            ) from error


def lock_file(settings: Settings) -> Path:
    return settings.data_dir / "evertick.lock"


@asynccontextmanager
async def inside(app: Any, settings: Settings) -> AsyncIterator[Remote]:
    """The same API of an application in this process, without a socket."""
    import httpx2

    headers = {"User-Agent": "evertick-cli"}
    if settings.api_token is not None:
        headers["Authorization"] = f"Bearer {settings.api_token.get_secret_value()}"
    url = "http://127.0.0.1"
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=url, headers=headers, timeout=900) as client:
        yield Remote(client, url)


async def export(client: Remote, meta: Any, folder: Path) -> list[Path]:
    """Write the pages of a report and the styles and scripts they link to; the links become relative."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    written = []
    replace: dict[bytes, bytes] = {}
    pages = [p for p in meta["parts"] if p["part"].startswith("html")]
    for part in meta["parts"]:
        if part in pages:
            replace[f"/reports/{meta['id']}/{part['language']}".encode()] = f"{part['language']}.html".encode()
            continue
        kind = part["part"].split("_")[0]
        name = f"{part['part']}.{kind}"
        asset = f"/assets/{part['sha256']}.{kind}"
        replace[asset.encode()] = name.encode()
        written.append(await _save(client, asset, folder / name, {}))
    for part in pages:
        path = f"/reports/{meta['id']}/{part['language']}"
        written.append(await _save(client, path, folder / f"{part['language']}.html", replace))
    return written


async def _save(client: Remote, path: str, to: Path, replace: dict[bytes, bytes]) -> Path:
    """Stream ``path`` to a file; a link that falls on the border of two pieces is replaced all the same."""
    longest = max(map(len, replace), default=1)
    temporary = to.with_name(to.name + ".part")
    with temporary.open("wb") as file:
        rest = b""
        async for piece in client.download(path):
            text = rest + piece
            for old, new in replace.items():
                text = text.replace(old, new)
            keep = longest - 1
            file.write(text[: len(text) - keep] if keep else text)
            rest = text[len(text) - keep :] if keep else b""
        file.write(rest)
    temporary.replace(to)
    return to
