"""One line for one event: for people on a console, or JSON for a collector. Secrets are masked whatever logs them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

_SECRET_NAME = re.compile(r"(?i)(api_?key|token|secret|password|authorization|cookie)")
_SECRET_IN_TEXT = re.compile(
    r"(?i)((?:api_?key|token|secret|password)=)[^&\s\"']+|(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)|(bearer\s+)\S+"
)


def mask(text: str) -> str:
    """``text`` without the values of keys and tokens and the passwords of URLs.

    >>> mask("GET /q?apikey=abc123&s=1 redis://user:pass@host/0")
    'GET /q?apikey=•••&s=1 redis://user:•••@host/0'
    """
    return _SECRET_IN_TEXT.sub(lambda m: f"{m[1] or m[2] or m[3]}•••", text)


def _masked(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = "•••"
        elif isinstance(value, str):
            event[name] = mask(value)
    return event


class _Lossy:
    """A stream that costs a line, and not the work that logged it, when its disk is full or its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: closed
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure(form: str = "console", level: str = "info", stream: TextIO | None = None) -> None:
    """Once, by whatever runs as a program; a library that logs earlier gets structlog's own defaults."""
    stream = stream or sys.stderr
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True)
        if form == "json"
        else structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.processors.format_exc_info,
        _masked,
    ]
    last = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=24, sort_keys=False)
    )
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy(stream))),
        cache_logger_on_first_use=True,
    )
    # What other libraries say, only from warnings on, in the same form.
    logging.basicConfig(handlers=[_Forward()], level=max(number, logging.WARNING), force=True)


class _Forward(logging.Handler):
    """Hands a record of the standard library's logging on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=error)
