"""Turns bars and quotes into facts, and facts into findings. Pure: no I/O, no clock.

`measure` looks at one instrument with its bars (about 1.5 ms for 500 of them); `analyse` looks across all of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from heapq import nlargest, nsmallest
from math import fsum, isfinite, sqrt
from operator import mul
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from evertick import sessions
from evertick.model import Bars, Group, Instrument, Quote, Session, SourceStatus
from evertick.reports import indicators as i
from evertick.reports import landmarks
from evertick.reports.findings import FIELDS, NAN, Breadth, Facts, Findings, Matrix, Movers, Series, Some, facts

T = TypeVar("T", bound=Any)

MOVERS = 15
"""Top and bottom of each class."""
YEAR_BARS_LEAST = 120
"""A "52-week" high or low needs at least this many bars to be called one."""
SHORT = 60
"""Bars: below it most indicators of an instrument are unknown, which its keeper should know."""
KEPT_DAYS = 400
"""Calendar days of closes kept of a landmark: twelve whole months and the close before them."""
SEASONS_DAYS = 1_900
"""Of those whose months are told: the same month in up to five earlier years, as far as bars are stored."""
MISSED = 6
"""Calendar days by which a bar may be older than the session that a return counts from: the provider left some out."""
LONGEST_HOLIDAY = 30
FITS = (0.2, 5.0)
"""A quote further than this from the last close is about something else than the bars (another unit, a split)."""


def measure(
    instrument: Instrument,
    quote: Quote | None,
    bars: Bars,
    *,
    zone: ZoneInfo,
    benchmark: Mapping[int, float],
    session: Session = Session.CLOSED,
    fresh: bool = False,
) -> Facts:
    """All facts of one instrument. ``bars`` already has the quote in it (`with_quote`); ``benchmark`` is day to log return."""
    if quote is None:
        return facts(instrument, {}, session=session)
    known: dict[str, float | None] = {
        "price": quote.price,
        "change": quote.change_pct,
        "previous_close": quote.previous_close,
        "day_high": quote.day_high,
        "day_low": quote.day_low,
        "volume": quote.volume,
        "market_cap": quote.market_cap,
        "bars": len(bars),
    }
    if quote.breadth is not None:
        known |= {name: float(getattr(quote.breadth, name)) for name in ("advances", "declines", "unchanged")}
    if known["change"] is None and quote.previous_close:
        known["change"] = 100 * (quote.price / quote.previous_close - 1)
    if len(bars) > 1:
        known.update(_of_bars(bars, instrument.exchange, benchmark))
        if known["change"] is None and bars.close[-2] > 0 and _day(quote, zone) == bars.day[-1]:
            known["change"] = 100 * (bars.close[-1] / bars.close[-2] - 1)
        if known["volume"] is None:
            known["volume"] = bars.volume[-1]
    if instrument.group is Group.VIETNAM and instrument.currency == "VND" and known["volume"] is not None:
        known["turnover"] = quote.price * known["volume"]
    return facts(
        instrument,
        known,
        as_of=quote.as_of,
        source=quote.source,
        fresh=fresh,
        session=session,
        spark=quote.spark or bars.last(32).close,
    )


def _of_bars(bars: Bars, exchange: str, benchmark: Mapping[int, float]) -> dict[str, float | None]:
    close = bars.close
    returns = i.log_returns(close)
    periods = i.DAYS_A_YEAR if exchange == "24/7" else i.SESSIONS_A_YEAR
    start = i.year_start(bars.day)
    year = close[start:]
    low, high = i.reach(bars.low[start:], bars.high[start:])
    high, low = max(high, max(year)), min(low, min(year))
    sums = i.running(close)
    sma50, sma200 = i.Average(sums, 50), i.Average(sums, 200)
    ema12, ema26, macd, signal, histogram = i.averages(close)
    lower, _, upper = i.bollinger(close)
    fall, deepest = i.fall(year)
    beta, correlation = i.beta_correlation(*i.paired(bars.day, returns, benchmark))
    before = i.deviation(returns[-61:-1]) if len(returns) > 60 else NAN
    known: dict[str, float | None] = {
        "high_52w": high,
        "low_52w": low,
        "position_52w": i.position(close[-1], low, high),
        "sma20": sum(close[-20:]) / 20 if len(close) >= 20 else NAN,
        "sma50": sma50[-1],
        "sma200": sma200[-1],
        "ema12": ema12,
        "ema26": ema26,
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "rsi14": i.strength(close),
        "band_lower": lower,
        "band_upper": upper,
        "atr14": i.atr(bars.high, bars.low, close),
        "vol20": i.volatility(returns, 20, periods),
        "vol60": i.volatility(returns, 60, periods),
        "drawdown": fall,
        "max_drawdown": deepest,
        "z60": i.zscore(close),
        "beta60": beta,
        "correlation60": correlation,
        "sigma": returns[-1] / before if before > 1e-12 else NAN,
        "biggest_in": i.sessions_to_as_large(returns),
        "streak": i.streak(close),
        "cross": i.cross(sma50, sma200),
        "turn200": i.turn(close, sma200),
    }
    if len(year) >= YEAR_BARS_LEAST:
        known["new_52w"] = (close[-1] > max(year[:-1])) - (close[-1] < min(year[:-1]))
    for name, target in i.reference_days(date.fromordinal(bars.day[-1])).items():
        began = session_until(exchange, target)
        known[name] = i.change_since(bars.day, close, began, gap=MISSED)
        if (then := f"close_{name.removeprefix('ret_')}") in FIELDS:
            known[then] = i.level_at(bars.day, close, began, gap=MISSED)
    return known


def session_until(exchange: str, day: int) -> int:
    """The last session of the exchange on or before ``day``, both ordinals; ``day`` where its calendar shows none for a month."""
    for back in range(LONGEST_HOLIDAY):
        if sessions.is_trading_day(exchange, date.fromordinal(day - back)):
            return day - back
    return day


def with_quote(bars: Bars, quote: Quote | None, zone: ZoneInfo) -> Bars:
    """The bars up to the quote: today's bar takes its price, or begins with it. An older quote changes nothing.

    Bars that are about something else (a price outside `FITS` times the last close) are left out altogether.
    """
    if quote is None or not len(bars):
        return bars
    last = bars.close[-1]
    if last > 0 and not FITS[0] < quote.price / last < FITS[1]:
        return Bars.empty(bars.instrument)
    day = _day(quote, zone)
    if day < bars.day[-1]:
        return bars
    days, opened, high, low, close, volume = (
        bars.day[:],
        bars.open[:],
        bars.high[:],
        bars.low[:],
        bars.close[:],
        bars.volume[:],
    )
    if day > bars.day[-1]:
        days.append(day)
        for column, value in (
            (opened, NAN),
            (high, quote.price),
            (low, quote.price),
            (close, quote.price),
            (volume, NAN),
        ):
            column.append(value)
    close[-1] = quote.price
    high[-1] = max(v for v in (high[-1], quote.price, quote.day_high) if v is not None and v == v)
    low[-1] = min(v for v in (low[-1], quote.price, quote.day_low) if v is not None and v == v)
    return Bars(bars.instrument, days, opened, high, low, close, volume)


def _day(quote: Quote, zone: ZoneInfo) -> int:
    return quote.as_of.astimezone(zone).date().toordinal()


def daily_moves(bars: Bars, n: int = 120) -> dict[int, float]:
    """Day (ordinal) to log return, for the newest ``n`` bars: what others are compared with."""
    newest = bars.last(n)
    return dict(zip(newest.day[1:], i.log_returns(newest.close), strict=True))


def closes(bars: Bars) -> Series:
    """The closes of `KEPT_DAYS`, kept for the figures that need more than one instrument or more than a year."""
    days = SEASONS_DAYS if bars.instrument in landmarks.SEASONS else KEPT_DAYS
    start = bisect_left(bars.day, bars.day[-1] - days) if len(bars) else 0
    return Series(bars.instrument, bars.day[start:], bars.close[start:])


def last_year(series: Series) -> Series:
    start = i.year_start(series.day)
    return Series(series.id, series.day[start:], series.values[start:])


def analyse(
    found: Sequence[Facts],
    kept: Mapping[str, Series],
    *,
    snapshot_as_of: datetime,
    made: datetime,
    day: date,
    sources: Sequence[SourceStatus] = (),
    intraday: Series | None = None,
) -> Findings:
    """Looks across the instruments: breadth, movers, correlations, currencies, lines over a year, months, warnings."""
    groups = dict.fromkeys(f.group for f in found if f.id not in landmarks.SPECIAL and f.price is not None)
    pairs = set(landmarks.CURRENCIES.values())
    by_id = {f.id: f for f in found if f.id in pairs}

    def members(group: Group) -> Iterator[Facts]:
        return (f for f in found if f.group is group and f.id not in landmarks.SPECIAL and f.price is not None)

    year = {name: last_year(series) for name, series in kept.items()}
    rates, strength = currencies(by_id)
    return Findings(
        as_of=snapshot_as_of,
        made=made,
        day=day,
        facts=tuple(found) if isinstance(found, list) else found,
        sources=tuple(sources),
        breadth={group: Breadth.among(members(group)) for group in groups},
        movers={group: movers(members(group)) for group in groups},
        correlation=correlations([year[name] for name in landmarks.MATRIX if name in year]),
        lines=tuple(year[name] for name in landmarks.LINES if name in year)[: landmarks.LINES_SHOWN],
        falls=tuple(year[name] for name in landmarks.DRAWDOWN if name in year),
        intraday=intraday,
        spread=spread(year),
        rates=rates,
        strength=strength,
        months=tuple(s for name in landmarks.SEASONS if name in kept and len((s := months(kept[name])).day)),
        same_month=tuple(
            s for name in landmarks.SEASONS if name in kept and len((s := same_month(kept[name], day)).day) > 1
        ),
        calendar=next((daily(kept[name]) for name in landmarks.SEASONS if name in kept), None),
        warnings=tuple(warnings(found, sources)),
    )


def spread(year: Mapping[str, Series]) -> Series | None:
    """Ten years less two, on the days that both have; ``None`` when there is no line to draw."""
    long, short = (year.get(name) for name in landmarks.SPREAD)
    if long is None or short is None:
        return None
    days, values = i.difference(long.day, long.values, short.day, short.values)
    return Series("-".join(landmarks.SPREAD), days, values) if len(days) > 1 else None


def months(series: Series, n: int = 12) -> Series:
    """The newest ``n`` monthly returns."""
    firsts, returns = i.month_returns(series.day, series.values)
    return Series(series.id, firsts[-n:], returns[-n:])


def same_month(series: Series, day: date) -> Series:
    """The returns of the month of ``day``, of this year and of earlier ones."""
    firsts, returns = i.month_returns(series.day, series.values)
    chosen = [n for n, first in enumerate(firsts) if date.fromordinal(first).month == day.month]
    return Series(series.id, array("i", (firsts[n] for n in chosen)), array("d", (returns[n] for n in chosen)))


def daily(series: Series) -> Series:
    """The daily changes of the last year, in percent."""
    start = max(1, i.year_start(series.day))
    return Series(series.id, series.day[start:], i.changes(series.values[start - 1 :]))


def currencies(found: Mapping[str, Facts]) -> tuple[Matrix | None, Matrix | None]:
    """Cross rates and their one-day changes among `landmarks.CURRENCIES` that have both; ``None`` when fewer than three."""
    worth: dict[str, float] = {}
    moves: dict[str, float] = {}
    for code, pair in landmarks.CURRENCIES.items():
        f = found.get(pair)
        if not pair:
            worth[code], moves[code] = 1.0, 0.0
        elif f is not None and f.price is not None and f.price > 0 and f.change is not None and f.change > -100:
            against = pair.startswith("USD")
            worth[code] = 1 / f.price if against else f.price
            moves[code] = 100 * (100 / (100 + f.change) - 1) if against else f.change
    if len(worth) < 3:
        return None, None
    ids = tuple(worth)
    return (
        Matrix(ids, i.cross_rates(list(worth.values())), 0),
        Matrix(ids, i.cross_changes(list(moves.values())), 0),
    )


def movers(members: Iterable[Facts]) -> Movers:
    """The strongest and the weakest by 1D change, at most half of the class each so that none is in both; ties by id.

    Yields go by basis points: their change in percent says how low they are.
    """
    known = 0

    def changes() -> Iterator[tuple[float, str]]:
        nonlocal known
        for f in members:
            move = f.bp_1d if f.group is Group.RATES else f.change
            if move is not None:
                known += 1
                yield -round(move, 9), f.id  # 4.52 less 4.51 and 3.52 less 3.51 are a tie

    top, bottom = ends(changes(), MOVERS)
    n = min(MOVERS, known // 2)
    return Movers(tuple(id_ for _, id_ in top[:n]), tuple(id_ for _, id_ in bottom[:n]))


def ends(items: Iterable[T], n: int) -> tuple[list[T], list[T]]:
    """The ``n`` smallest, the smallest first, and the ``n`` largest, the largest first; no more than twice as many are held."""
    least: list[T] = []
    most: list[T] = []
    some: list[T] = []
    for item in items:
        some.append(item)
        if len(some) == 4 * n:
            least, most = nsmallest(n, least + some), nlargest(n, most + some)
            some.clear()
    return nsmallest(n, least + some), nlargest(n, most + some)


def correlations(series: Sequence[Series], n: int = 60, least: int = 30) -> Matrix | None:
    """Pearson correlation of the daily log returns of each pair, over the newest ``n`` days that all of them traded.

    The same days for every pair make it one consistent matrix. Where they have fewer than ``least`` in common, the one with the
    shortest history is left out; ``None`` when fewer than two remain.
    """
    moves = {s.id: _moves(s) for s in series}
    days: list[int] = []
    while len(moves) >= 2:
        days = sorted(set.intersection(*(set(m) for m in moves.values())))[-n:]
        if len(days) >= least:
            break
        del moves[min(moves, key=lambda id_: len(moves[id_]))]
    if len(moves) < 2:
        return None
    ids = tuple(moves)
    columns = [_standardised([moves[id_][day] for day in days]) for id_ in ids]
    cells = array("d", (1.0 if a is b else max(min(sum(map(mul, a, b)), 1.0), -1.0) for a in columns for b in columns))
    return Matrix(ids, cells, len(days))


def _moves(series: Series) -> dict[int, float]:
    returns = zip(series.day[1:], i.log_returns(series.values), strict=True)
    return {day: move for day, move in returns if isfinite(move)}


def _standardised(values: Sequence[float]) -> list[float]:
    """Shifted to mean 0 and scaled to length 1, so that a product of two is their correlation; NaN if nothing moves."""
    mean = fsum(values) / len(values)
    apart = [v - mean for v in values]
    length = sqrt(sum(map(mul, apart, apart)))
    return [v / length for v in apart] if length > 1e-12 else [NAN] * len(apart)


def warnings(found: Sequence[Facts], sources: Sequence[SourceStatus]) -> Iterable[str]:
    """What a keeper of the server should know, in plain English, each at most 200 characters."""
    for source in sources:
        if source.state not in ("ok", "idle", "off"):
            yield f"{source.name}: {source.state}" + (f" ({source.error})" if source.error else "")[:160]
    kinds: tuple[tuple[str, Callable[[Facts], bool]], ...] = (
        ("no quote", lambda f: f.price is None),
        ("stale quotes", lambda f: f.price is not None and not f.fresh),
        (
            f"fewer than {SHORT} daily bars",
            lambda f: f.price is not None and f.id not in landmarks.SPECIAL and (f.bars or 0) < SHORT,
        ),
    )
    for what, concerns in kinds:
        some = Some.of(f for f in found if concerns(f))
        if some.count:
            ids = ", ".join(f.id for f in some.first)
            yield f"{what}: {some.count} ({ids}{', …' if some.count > len(some.first) else ''})"
