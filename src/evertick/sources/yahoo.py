"""Yahoo: quotes of everything that trades (``v7/finance/spark``, 20 symbols a request) and daily bars (``v8/finance/chart``).

No key, no cookie. Both endpoints are undocumented: whatever is not the shape known here is an error that says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote as quoted
from zoneinfo import ZoneInfo

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceUnavailable
from evertick.model import Bars, Clock, Instrument, Quote
from evertick.sources import daily
from evertick.sources.http import Getter
from evertick.sources.judging import in_force
from evertick.sources.reading import (
    BELOW_ZERO,
    Answer,
    first,
    instant,
    kind,
    leapt,
    line,
    mapping,
    number,
    positive,
    spark,
    wrong,
)

HOSTS = ("https://query1.finance.yahoo.com", "https://query2.finance.yahoo.com")
BATCH = 20
"""Symbols that one spark request may name; more is an HTTP 400."""
AT_ONCE = 3
COOL_DOWN_S = 60.0
"""After a request to slow down that does not say for how long; at an address of the user's own only as long as told."""
SPARK = "/v7/finance/spark"
CHART = "/v8/finance/chart/"
_SPARK_BYTES = 2 << 20
_CHART_BYTES = 4 << 20
_EVENING_BEFORE = timedelta(hours=12)
"""So long before the midnight of a day, which its bar may be stamped with, futures and currencies trade for it."""


class Yahoo:
    name = "yahoo"
    title = "Yahoo Finance"
    namespaces = ("yahoo",)
    per_day: int | None = None
    every_s = 0.0
    needs_key = False
    bars_at_once = 1
    rate = (30, 10.0)
    """At most the first in every span of the second, in seconds."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._hosts: tuple[str, ...] = (base_url.rstrip("/"),) if base_url else HOSTS
        self._cool_down_s = 0.0 if base_url else COOL_DOWN_S
        self._rests_until: datetime | None = None

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices. A batch that fails costs its own instruments; raises `SourceError` when all do.

        After a request to slow down no further batch is sent.
        """
        parts: list[Answer] = []
        failures: list[SourceError] = []
        batches = iter([instruments[n : n + BATCH] for n in range(0, len(instruments), BATCH)])

        async def worker() -> None:
            for batch in batches:
                try:
                    parts.append(await self._spark(http, batch))
                except SourceError as error:
                    failures.append(error)
                if any(isinstance(f, SourceRateLimited) for f in failures):
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(worker())
        if failures and not parts:
            raise failures[0]
        return Answer(
            [q for part in parts for q in part.quotes],
            {k: v for part in parts for k, v in part.refused.items()},
            failures,
        )

    async def _spark(self, http: Getter, batch: Sequence[Instrument]) -> Answer:
        params = {"symbols": ",".join(i.symbols[self.name] for i in batch), "range": "1d", "interval": "5m"}
        payload = await self._get(http, SPARK, params, _SPARK_BYTES)
        await asyncio.sleep(0)
        return parse_spark(payload, batch, self._clock.now())

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` (the exchange's calendar) to now, today's unfinished one included; a request each.

        Adjusted for splits, not for dividends: the ``close``, not the ``adjclose``. Of what has no symbol at Yahoo, or
        is not known there: no bars. Raises `SourceError`.
        """
        return [await self._chart(http, instrument, since) for instrument in instruments]

    async def _chart(self, http: Getter, instrument: Instrument, since: date) -> Bars:
        symbol = instrument.symbols.get(self.name)
        if symbol is None:
            return Bars.empty(instrument.id)
        start = datetime(since.year, since.month, since.day, tzinfo=UTC) - timedelta(days=1)
        now = self._clock.now()
        params = {
            "interval": "1d",
            "period1": str(max(0, int(start.timestamp()))),
            "period2": str(int(now.timestamp()) + 86_400),
        }
        try:
            payload = await self._get(http, CHART + quoted(symbol, safe=""), params, _CHART_BYTES)
        except SourceMalformed as error:
            if error.came.startswith("HTTP 404"):  # "No data found, symbol may be delisted"
                return Bars.empty(instrument.id)
            raise
        return parse_bars(payload, instrument, since, now)

    async def _get(self, http: Getter, path: str, params: Mapping[str, str], at_most: int) -> Any:
        """From the host that answered last; when it cannot be reached, from the other.

        Both are doors of one house: a request to slow down from one holds for both, and while it holds none is asked.
        """
        now = self._clock.now()
        if self._rests_until is not None and in_force(self._rests_until, now):
            wait = (self._rests_until - now).total_seconds()
            raise SourceRateLimited(self.name, path, f"asked to slow down, resting for {wait:.0f} s", retry_after=wait)
        failure: SourceUnavailable | None = None
        for host in self._hosts:
            try:
                payload = await http.get_json(self.name, host + path, params, at_most=at_most)
            except SourceUnavailable as error:
                failure = failure or error
            except SourceRateLimited as error:
                self._rests_until = self._clock.now() + timedelta(seconds=error.retry_after or self._cool_down_s)
                raise
            else:
                if host != self._hosts[0]:
                    self._hosts = (host, *(other for other in self._hosts if other != host))
                return payload
        assert failure is not None
        raise failure


def parse_spark(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes from a spark answer. Symbols Yahoo does not know are simply not in it. Raises `SourceMalformed`."""
    items = _result(payload, "spark", SPARK)
    by_symbol = {i.symbols["yahoo"]: i for i in instruments if "yahoo" in i.symbols}
    quotes: dict[str, Quote] = {}
    refused: dict[str, str] = {}
    for item in items:
        symbol = mapping(item).get("symbol")
        instrument = by_symbol.get(symbol) if isinstance(symbol, str) else None
        if instrument is None:
            continue
        answer = first(mapping(item).get("response"))
        quote = _quote(answer, instrument, now)
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            quotes[instrument.id] = quote
    if items and not quotes and not refused:
        raise SourceMalformed("yahoo", SPARK, "items of other symbols than those asked for")
    return Answer(list(quotes.values()), {k: v for k, v in refused.items() if k not in quotes})


def _quote(answer: Mapping[str, Any], instrument: Instrument, now: datetime) -> Quote | str:
    """A quote, or why there is none."""
    meta = mapping(answer.get("meta"))
    price, as_of = number(meta.get("regularMarketPrice")), instant(meta.get("regularMarketTime"))
    # With range=1d the close before the range is yesterday's; intraday answers say it outright.
    previous = number(meta.get("previousClose"))
    if previous is None or previous == 0:
        previous = number(meta.get("chartPreviousClose"))
    if previous is not None and previous < 0 and instrument.group not in BELOW_ZERO:
        previous = None
    if reason := wrong(instrument, price, as_of, now, previous):
        return reason
    assert price is not None and as_of is not None
    change = number(meta.get("regularMarketChangePercent"))
    if previous is not None and previous > 0:
        change = (price / previous - 1) * 100
    closes = first(mapping(answer.get("indicators")).get("quote")).get("close")
    return Quote(
        id=instrument.id,
        price=price,
        as_of=as_of,
        source="yahoo",
        change_pct=change,
        previous_close=previous or None,
        day_high=_near(price, meta.get("regularMarketDayHigh")),
        day_low=_near(price, meta.get("regularMarketDayLow")),
        volume=positive(meta.get("regularMarketVolume")),
        spark=spark(line(closes), price),
    )


def _near(price: float, value: object) -> float | None:
    """A high or a low; 0 stands for "not known" there."""
    found = positive(value)
    return None if found is None or leapt(price, found) else found


def parse_bars(payload: object, instrument: Instrument, since: date, now: datetime) -> Bars:
    """Daily bars from a chart answer; rows without a close dropped, sorted, one a day. Raises `SourceMalformed`."""
    endpoint = CHART + instrument.symbols["yahoo"]
    result = _result(payload, "chart", endpoint)
    if not result:
        return Bars.empty(instrument.id)
    block = mapping(result[0])
    meta = mapping(block.get("meta"))
    stamps = block.get("timestamp")
    if not stamps:
        return Bars.empty(instrument.id)  # a shell of something delisted
    if (granularity := meta.get("dataGranularity")) != "1d":
        raise SourceMalformed("yahoo", endpoint, f"bars of {str(granularity)[:10]}", expected="bars of 1d")
    columns = first(mapping(block.get("indicators")).get("quote"))
    names = ("open", "high", "low", "close", "volume")
    table = [columns.get(name) for name in names]
    if not isinstance(stamps, list) or not isinstance(table[3], list):
        raise SourceMalformed("yahoo", endpoint, "no list of closes", expected="columns of equal length")
    if any(isinstance(column, list) and len(column) != len(stamps) for column in table):
        raise SourceMalformed("yahoo", endpoint, "columns of different lengths", expected="columns of equal length")
    rows = _rows(stamps, [c if isinstance(c, list) else [None] * len(stamps) for c in table], meta, instrument, now)
    if not rows:
        raise SourceMalformed("yahoo", endpoint, "no usable bar among those sent", expected="bars of 1d")
    return daily.bars(instrument, [rows[day] for day in sorted(rows) if day >= since.toordinal()])


def _rows(
    stamps: list[Any], columns: Sequence[list[Any]], meta: Mapping[str, Any], instrument: Instrument, now: datetime
) -> dict[int, daily.Row]:
    """Day to row. Of two rows of one day the later one counts: the last bar is often sent twice."""
    zone = _zone(meta)
    seconds = number(meta.get("gmtoffset")) or 0.0
    offset = timedelta(seconds=seconds if abs(seconds) <= 86_400 else 0)
    latest = now + _EVENING_BEFORE
    newest: dict[int, float] = {}
    rows: dict[int, daily.Row] = {}
    for n, stamp in enumerate(stamps):
        at = instant(stamp)
        if at is None or at > latest:
            continue
        # A daily bar is stamped with the session's opening, in UTC: the day is the exchange's own.
        day = (at.astimezone(zone) if zone else at + offset).toordinal()
        if newest.get(day, -1.0) > at.timestamp():
            continue
        opened, high, low, close, volume = (number(column[n]) for column in columns)
        row = daily.row(instrument, day, close, opened, high, low, volume)
        if row is not None:
            newest[day] = at.timestamp()
            rows[day] = row
    return rows


def _zone(meta: Mapping[str, Any]) -> ZoneInfo | None:
    name = meta.get("exchangeTimezoneName")
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (OSError, ValueError, KeyError):  # a zone that is not there is a KeyError
        return None


def _result(payload: object, root: str, endpoint: str) -> list[Any]:
    """The list below ``root``. Raises `SourceMalformed` for an error that the answer reports, and for any other shape."""
    body = mapping(payload).get(root) if isinstance(payload, dict) else None
    if not isinstance(body, dict):
        reported = mapping(mapping(payload).get("finance")).get("error")
        if mapping(reported).get("code") == "Too Many Requests":
            raise SourceRateLimited("yahoo", endpoint, _reported(reported))
        came = _reported(reported) if reported else f"{kind(payload)} without '{root}'"
        raise SourceMalformed("yahoo", endpoint, came, expected=f"an object with '{root}'")
    if body.get("error"):
        raise SourceMalformed("yahoo", endpoint, _reported(body["error"]))
    result = body.get("result")
    if not isinstance(result, list):
        raise SourceMalformed("yahoo", endpoint, f"{kind(result)} as '{root}.result'", expected="a list")
    return result


def _reported(error: object) -> str:
    said = mapping(error)
    text = f"{said.get('code', 'error')}: {said.get('description', '')}"
    return "".join(c for c in text if c.isprintable())[:160]
