"""What a run of a source amounted to: its status, when to ask it again, who is asked for what. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from evertick.errors import SourceError, SourceRateLimited
from evertick.model import Instrument, Quote, SourceStatus
from evertick.sources.reading import Answer, leapt, symbol_of

REST_S = 60.0
"""After a request to slow down that does not say for how long; doubled with every one that follows."""
LONGEST_REST_S = 1800.0
FAILED_RUNS = 4
"""Runs that fail in a row before a public provider is given a rest."""
STRIKES = 20
"""Runs after which a price on another scale than the last known one is believed: the unit did change."""
_NAMED = 3


def assign(
    instruments: Sequence[Instrument],
    preference: Mapping[str, Sequence[str]],
    unwell: Collection[str],
    resting: Collection[str],
) -> dict[str, list[Instrument]]:
    """Which source is asked for which instruments.

    ``preference`` holds the enabled sources with their namespaces, the preferred first. An instrument is asked of the first that knows it;
    when that one is ``unwell`` (its last run failed) the next one is asked as well; one that is ``resting`` is not asked.
    """
    work: dict[str, list[Instrument]] = {name: [] for name in preference}
    for instrument in instruments:
        for name, namespaces in preference.items():
            if symbol_of(instrument, namespaces) is None:
                continue
            if name not in resting:
                work[name].append(instrument)
            if name not in resting and name not in unwell:
                break
    return work


def status(
    name: str,
    asked: Sequence[Instrument],
    answer: Answer,
    before: SourceStatus | None,
    now: datetime,
    duration_s: float,
) -> SourceStatus:
    """The status after a run that brought ``answer``."""
    got = len(answer.quotes)
    first = answer.failures[0] if answer.failures else None
    # An answer without one usable price is as good as none, whatever HTTP said of it.
    state = "failing" if not got else "ok" if got >= len(asked) and first is None else "partial"
    return SourceStatus(
        name=name,
        state=state,
        quotes=got,
        last_success=now if got else before.last_success if before else None,
        error=None if state == "ok" else complaint(asked, answer),
        error_kind=None if state == "ok" else first.kind if first else "malformed" if answer.refused else "missing",
        duration_s=round(duration_s, 3),
    )


def complaint(asked: Sequence[Instrument], answer: Answer) -> str:
    """In a line: the first failure, else what was refused and why, else what is missing."""
    if answer.failures:
        more = f" (and {len(answer.failures) - 1} more)" if len(answer.failures) > 1 else ""
        return str(answer.failures[0])[:400] + more
    if answer.refused:
        few = [f"{k}: {why}" for k, why in list(answer.refused.items())[:_NAMED]]
        return f"{_counted(len(answer.refused), 'price')} refused: {'; '.join(few)}{_more(len(answer.refused))}"
    there = {q.id for q in answer.quotes}
    missing = [i.id for i in asked if i.id not in there]
    return f"{_counted(len(missing), 'instrument')} missing: {', '.join(missing[:_NAMED])}{_more(len(missing))}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _more(n: int) -> str:
    return " …" if n > _NAMED else ""


def rest(errors: Sequence[SourceError], failed_runs: int, now: datetime, own: bool) -> datetime | None:
    """Until when a source is not asked; ``None``: not at all.

    A provider's own ``Retry-After`` counts always. Without one, and for a public provider (not ``own``) that failed
    again and again, the rest doubles up to half an hour. ``failed_runs`` counts the run that just ended, if it failed.
    """
    limits = [e for e in errors if isinstance(e, SourceRateLimited)]
    if told := [e.retry_after for e in limits if e.retry_after is not None]:
        return now + timedelta(seconds=max(1.0, *told))
    if limits:
        return now + timedelta(seconds=_doubled(max(0, failed_runs - 1)))
    if not own and failed_runs >= FAILED_RUNS:
        return now + timedelta(seconds=_doubled(failed_runs - FAILED_RUNS + 2))
    return None


def _doubled(times: int) -> float:
    return min(REST_S * 2 ** min(times, 10), LONGEST_REST_S)


def on_scale(answer: Answer, known: Mapping[str, tuple[float, int]]) -> tuple[Answer, dict[str, tuple[float, int]]]:
    """``answer`` without the prices that leapt away from the last known ones, and what is known after it.

    ``known``: id to (last believed price, how often in a row another scale was seen).
    """
    quotes: list[Quote] = []
    refused = dict(answer.refused)
    after: dict[str, tuple[float, int]] = dict(known)
    for quote in answer.quotes:
        last, strikes = known.get(quote.id, (quote.price, 0))
        if leapt(quote.price, last) and strikes + 1 < STRIKES:
            after[quote.id] = (last, strikes + 1)
            refused[quote.id] = f"price {quote.price:g}, {quote.price / last:.4g} times the last known one"
            continue
        after[quote.id] = (quote.price, 0)
        quotes.append(quote)
    return Answer(quotes, refused, answer.failures), after
