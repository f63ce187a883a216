"""Every error Evertick raises on purpose, and nothing else.

::

    EvertickError
    ├── SettingsError            a setting is unknown or impossible; nothing was started
    ├── AssetsMissing            the page assets were not built into this installation
    ├── SourceError              a market-data provider did not answer as it should
    │   ├── SourceUnavailable    no connection, time-out, 5xx, or an answer over the byte cap
    │   ├── SourceRateLimited    the provider asked us to wait (``retry_after`` in seconds)
    │   ├── SourceRefused        401, 403, 418, 451: the request will not succeed by repeating it
    │   └── SourceMalformed      an answer came, and it is not the shape the adapter knows
    ├── BoardError               the board of latest quotes failed
    │   └── BoardUnavailable     Redis cannot be reached
    ├── ArchiveError             the database failed
    │   ├── ArchiveUnavailable   it cannot be reached, or went away
    │   ├── ArchiveFull          no space is left on its disk
    │   ├── ArchiveReadOnly      it may not be written
    │   ├── ArchiveLocked        another process holds it for too long
    │   ├── DataFolderInUse      another Evertick runs on this data folder
    │   ├── SchemaMismatch       its schema is not the one this version works with
    │   ├── BodyLost             a part of a report is not where it was stored, or not as it was
    │   ├── NotFound             there is no such report, part or slot
    │   └── BadCursor            a page was asked for with a cursor that no list handed out (also a ``ValueError``)
    ├── ReportError              a report could not be made
    │   ├── ReportRejected       validation found reasons not to publish it (``reasons``)
    │   └── WriterError          the AI writer gave no text that may be used; the rules' text stands
    ├── SoakError                a soak could not be run: a program it needs is missing, or did not start
    │   ├── ServerEnded          the measured server ended, killed on purpose or by itself
    │   └── NoAnswer             a reader's request was not answered
    └── JobError                 a job could not be run to its end
        ├── Fenced               the lease went to another worker; what this one did does not count
        ├── JobTimedOut          the job ran past its ``max_run``
        └── JobRefused           not accepted now (memory budget, full queue); ``reason`` says why

An error carries the resource it is about and keeps its cause (``raise … from``). None of them ever carries a secret.
"""

from __future__ import annotations

from collections.abc import Sequence


class EvertickError(Exception):
    """Root of the tree. ``hint`` says what the reader can do about it."""

    hint: str = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint

    @property
    def message(self) -> str:
        return str(self.args[0])

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}. {self.hint}" if self.hint else self.message


class SettingsError(EvertickError):
    pass


class AssetsMissing(EvertickError):
    pass


class SourceError(EvertickError):
    """``provider`` and ``endpoint`` (path without query, so without keys), what was expected and what came."""

    kind = "error"

    def __init__(self, provider: str, endpoint: str, came: str, *, expected: str = "", hint: str = "") -> None:
        text = f"{provider} {endpoint}: {came}"
        super().__init__(f"{text}, expected {expected}" if expected else text, hint=hint)
        self.provider = provider
        self.endpoint = endpoint
        self.came = came
        self.expected = expected


class SourceUnavailable(SourceError):
    kind = "unavailable"


class SourceRateLimited(SourceError):
    kind = "rate_limited"

    def __init__(
        self, provider: str, endpoint: str, came: str, *, retry_after: float | None = None, expected: str = ""
    ) -> None:
        super().__init__(provider, endpoint, came, expected=expected)
        self.retry_after = retry_after


class SourceRefused(SourceError):
    kind = "refused"


class SourceMalformed(SourceError):
    kind = "malformed"


class BoardError(EvertickError):
    pass


class BoardUnavailable(BoardError):
    pass


class ArchiveError(EvertickError):
    pass


class ArchiveUnavailable(ArchiveError):
    pass


class ArchiveFull(ArchiveError):
    pass


class ArchiveReadOnly(ArchiveError):
    pass


class ArchiveLocked(ArchiveError):
    pass


class DataFolderInUse(ArchiveError):
    pass


class SchemaMismatch(ArchiveError):
    pass


class BodyLost(ArchiveError):
    pass


class NotFound(ArchiveError):
    pass


class BadCursor(ArchiveError, ValueError):
    pass


class ReportError(EvertickError):
    pass


class ReportRejected(ReportError):
    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("report rejected: " + "; ".join(reasons))
        self.reasons = tuple(reasons)


class WriterError(ReportError):
    """``billed``: the endpoint may have worked, and counts it."""

    def __init__(self, message: str, *, billed: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.billed = billed


class SoakError(EvertickError):
    pass


class ServerEnded(SoakError):
    pass


class NoAnswer(SoakError):
    pass


class JobError(EvertickError):
    pass


class Fenced(JobError):
    pass


class JobTimedOut(JobError):
    pass


class JobRefused(JobError):
    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.reason = reason
