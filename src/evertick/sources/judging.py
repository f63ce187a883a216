"""What a run of a source amounted to: its status, which of its prices are believed, when it is asked again. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import SPARK_POINTS, Bars, Instrument, Quote, SourceStatus
from evertick.sources.reading import AHEAD_AT_MOST, Answer, leapt

REST_S, LONGEST_REST_S = 60.0, 1800.0
"""The first rest of a public provider, doubled with every failure that follows, and the longest."""
OWN_REST_S, OWN_LONGEST_REST_S = 5.0, 60.0
"""Those of a source at an address of the user's own, who may be about to repair it."""
MOST_REST = timedelta(days=1, minutes=10)
"""No rest is longer: what a provider asks for is cut to a day. One that ends later was reckoned by a clock that ran ahead."""
FAILED_RUNS = 3
"""Runs that fail in a row before a provider is given a rest; one that refuses is given it at once."""
STRIKES = 20
"""Runs after which a price on another scale than the last known one is believed: the unit did change."""
FEW = 3
"""A source that has none of so few instruments may well not know them: that alone does not make it a failing one."""
_NAMED = 3
_NUMBERS = ("price", "change_pct", "previous_close", "day_high", "day_low", "volume", "market_cap")


@dataclass(slots=True)
class Breaker:
    """Closed while a source answers; open, and the source not asked, until ``retry_at``; from then on half-open: one small
    request decides whether it closes or opens again for twice as long."""

    own: bool = False
    failed: int = 0
    """Failures in a row."""
    retry_at: datetime | None = None

    def open(self, now: datetime) -> bool:
        return in_force(self.retry_at, now)

    def half_open(self, now: datetime) -> bool:
        return self.retry_at is not None and not self.open(now)

    def told(self, failed: bool, errors: Sequence[SourceError], now: datetime) -> None:
        """What a run ended with. A request to slow down opens it even when other parts of the run went well."""
        self.failed = self.failed + 1 if failed else 0
        self.retry_at = rest(errors, self.failed, now, self.own)


def in_force(until: datetime | None, now: datetime) -> bool:
    """Whether a source rests until then. Not until a time that only a wrong clock can have named, and be it remembered
    beyond a restart."""
    return until is not None and now < until <= now + MOST_REST


def rest(errors: Sequence[SourceError], failed_runs: int, now: datetime, own: bool) -> datetime | None:
    """Until when a source is not asked; ``None``: it may be asked at once.

    A provider's own ``Retry-After`` counts always. Without one the rest doubles. ``failed_runs`` counts the run that just
    ended, if it failed.
    """
    limits = [e for e in errors if isinstance(e, SourceRateLimited)]
    if told := [e.retry_after for e in limits if e.retry_after is not None]:
        return now + timedelta(seconds=max(1.0, *told))
    if limits:
        return now + timedelta(seconds=_doubled(max(0, failed_runs - 1), own))
    if failed_runs and not own and any(isinstance(e, SourceRefused) for e in errors):
        return now + timedelta(seconds=_doubled(failed_runs, own))
    if failed_runs >= FAILED_RUNS:
        return now + timedelta(seconds=_doubled(failed_runs - FAILED_RUNS, own))
    return None


def _doubled(times: int, own: bool) -> float:
    first, longest = (OWN_REST_S, OWN_LONGEST_REST_S) if own else (REST_S, LONGEST_REST_S)
    return min(first * 2 ** min(times, 10), longest)


def failed(asked: Sequence[Instrument], answer: Answer) -> bool:
    """Whether a run brought nothing: an answer without one usable price is as good as none, whatever HTTP said of it."""
    return not answer.quotes and bool(answer.failures or answer.refused or len(asked) >= FEW)


def status(
    name: str,
    asked: Sequence[Instrument],
    answer: Answer,
    before: SourceStatus | None,
    now: datetime,
    duration_s: float,
    advice: str = "",
) -> SourceStatus:
    """The status after a run that brought ``answer``; ``advice`` is put after an error."""
    got = len(answer.quotes)
    first = answer.failures[0] if answer.failures else None
    well = got >= len(asked) and first is None
    state = "failing" if failed(asked, answer) else "ok" if well else "partial"
    error = None if well else f"{complaint(asked, answer)}{'. ' + advice if advice else ''}"
    return SourceStatus(
        name=name,
        state=state,
        quotes=got,
        last_success=now if got else before.last_success if before else None,
        error=error,
        error_kind=None if well else first.kind if first else "malformed" if answer.refused else "missing",
        duration_s=round(duration_s, 3),
        last_error=error or (before.last_error if before else None),
        last_error_at=now if error else before.last_error_at if before else None,
    )


def complaint(asked: Sequence[Instrument], answer: Answer) -> str:
    """In a line: the first failure, else what was refused and why, else what is missing."""
    if answer.failures:
        more = f" (and {len(answer.failures) - 1} more)" if len(answer.failures) > 1 else ""
        return str(answer.failures[0])[:400] + more
    if answer.refused:
        few = [f"{k}: {why}" for k, why in list(answer.refused.items())[:_NAMED]]
        return f"{_counted(len(answer.refused), 'price')} refused: {'; '.join(few)}{_more(len(answer.refused))}"[:400]
    there = {q.id for q in answer.quotes}
    missing = [i.id for i in asked if i.id not in there]
    return f"{_counted(len(missing), 'instrument')} missing: {', '.join(missing[:_NAMED])}{_more(len(missing))}"


def advice(name: str, answer: Answer, keyed: bool) -> str:
    """What the reader can do about the first failure; empty where waiting is all there is to do."""
    error = answer.failures[0] if answer.failures else None
    variable = f"EVERTICK_SOURCES__{name.upper()}__"
    if isinstance(error, SourceRefused) and keyed:
        return f"Check {variable}API_KEY"
    if isinstance(error, SourceRateLimited) and not keyed and "used up" in error.came:
        return f"{variable}PER_DAY sets how many there are"
    if isinstance(error, SourceError) and error.came.startswith("no connection"):
        return "Check that this machine can reach it"
    return ""


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _more(n: int) -> str:
    return " …" if n > _NAMED else ""


def sound(answer: Answer, asked: Collection[str], now: datetime) -> Answer:
    """``answer`` with nothing in it that the board could not keep, whatever an adapter let pass.

    Quotes of instruments that were not asked for are left out. Of two of one instrument the later one in the list counts.
    """
    quotes: dict[str, Quote] = {}
    refused = {k: why for k, why in answer.refused.items() if k in asked}
    for quote in answer.quotes:
        if quote.id not in asked:
            continue
        if reason := _unsound(quote, now):
            refused[quote.id] = reason
        else:
            quotes[quote.id] = quote
    refused = {k: v for k, v in refused.items() if k not in quotes}
    return Answer(list(quotes.values()), refused, answer.failures, answer.later)


def _unsound(quote: Quote, now: datetime) -> str | None:
    numbers = [value for name in _NUMBERS if (value := getattr(quote, name)) is not None]
    if not all(math.isfinite(value) for value in (*numbers, *quote.spark)):
        return "a number that is none"
    if quote.as_of.tzinfo is None:
        return "a time without a zone"
    if quote.as_of > now + AHEAD_AT_MOST:
        return f"a price from {quote.as_of:%Y-%m-%d %H:%M} UTC, which is yet to come"
    if len(quote.spark) > SPARK_POINTS:
        return f"{len(quote.spark)} points in its line, at most {SPARK_POINTS} are drawn"
    return None


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
    return Answer(quotes, refused, answer.failures, answer.later), after


def check_bars(name: str, bars: Bars, known: Mapping[str, tuple[float, int]]) -> None:
    """Raise `SourceMalformed` for bars that are out of order, uneven, or on another scale than the instrument's price."""
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    if any(len(column) != len(bars.day) for column in columns):
        raise SourceMalformed(name, bars.instrument, "columns of different lengths", expected="daily bars")
    if any(b <= a for a, b in zip(bars.day, bars.day[1:], strict=False)):
        raise SourceMalformed(name, bars.instrument, "days out of order", expected="daily bars")
    if not all(map(math.isfinite, bars.close)):
        raise SourceMalformed(name, bars.instrument, "a close that is no number", expected="daily bars")
    last = known.get(bars.instrument)
    if len(bars) and last is not None and leapt(bars.close[-1], last[0]):
        came = f"a last close of {bars.close[-1]:g}, {bars.close[-1] / last[0]:.4g} times the last known price"
        raise SourceMalformed(name, bars.instrument, came, expected="daily bars")
