"""VPS: the price board of the Vietnamese exchanges, its indices with their breadth and its shares in batches.

The feed is the broker's own, undocumented: whatever is not the shape known here is an error that says so. Shares are in
thousands of VND. The board of indices shows a time of day and no date, that of shares not even that: a share is dated by
the index of its exchange.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote as quoted

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Breadth, Clock, Instrument, Quote
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, decimal, kind, leapt, mapping, symbol_of, wrong
from evertick.sources.vietnam import (
    FIRST_DAY_LIMIT,
    THOUSAND,
    board_time,
    calendar,
    is_share,
    limit,
    off_scale,
    scaled,
    together,
)

BASE_URL = "https://bgapidatafeed.vps.com.vn"
INDEX_BOARD = "/getlistindexdetail/"
SHARE_BOARD = "/getliststockdata/"
CODES = {"VNINDEX": "10", "VN30": "11", "HNX": "02", "UPCOM": "03"}
"""Its own codes of the indices."""
HEADERS = {"Referer": "https://banggia.vps.com.vn/", "Origin": "https://banggia.vps.com.vn"}
BATCH = 50
"""Shares a request: they are named in the path."""
LOT = 10
"""Shares in one unit of ``lot``."""
LISTED_AT_MOST = 5000
"""Shares of one exchange at most: what breadth can add up to."""
_CLOCKS = {"XSTC": "10", "XHNX": "02"}
"""Exchange to the index that dates its shares."""
_INDEX_BYTES = 64 << 10
_SHARE_BYTES = 1 << 20

Times = Mapping[str, datetime]
"""Code of an index to when it was made."""


class Vps:
    name = "vps"
    title = "VPS Securities"
    namespaces = ("vps", "vn")
    per_day: int | None = None
    every_s = 0.0
    needs_key = False
    rate = (30, 60.0)
    """Its own limit is not known."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices. Without the board of indices there is no time for anything, so its failure is raised; a batch
        of shares that fails costs its own. After a refusal or a request to slow down no further batch is asked for."""
        path = INDEX_BOARD + ",".join(CODES.values())
        board = await http.get_json(self.name, self._base + path, None, HEADERS, at_most=_INDEX_BYTES)
        now = self._clock.now()
        indices, shares = split(instruments)
        times = board_times(board, now)
        parts = [parse_indices(board, indices, now)]
        failures: list[SourceError] = []
        for n in range(0, len(shares), BATCH):
            try:
                parts.append(await self._shares(http, shares[n : n + BATCH], times))
            except SourceError as error:
                failures.append(error)
                if isinstance(error, SourceRateLimited | SourceRefused):
                    break
        if not indices and failures and len(parts) == 1:
            raise failures[0]
        return together(parts, failures)

    async def _shares(self, http: Getter, batch: Sequence[Instrument], times: Times) -> Answer:
        path = SHARE_BOARD + ",".join(quoted(_symbol(i), safe="") for i in batch)
        payload = await http.get_json(self.name, self._base + path, None, HEADERS, at_most=_SHARE_BYTES)
        return parse_shares(payload, batch, times, self._clock.now())


def split(instruments: Sequence[Instrument]) -> tuple[list[Instrument], list[Instrument]]:
    """Indices and shares. What is neither an index of `CODES` nor priced in VND is asked of the share board in vain."""
    indices = [i for i in instruments if _symbol(i) in CODES]
    return indices, [i for i in instruments if _symbol(i) not in CODES]


def board_times(payload: object, now: datetime) -> dict[str, datetime]:
    """When each index on the board was made, by its code; what dates the shares too."""
    found = {}
    for exchange, code in _CLOCKS.items():
        for row in payload if isinstance(payload, list) else []:
            if mapping(row).get("mc") == code and (at := board_time(mapping(row).get("time"), exchange, now)):
                found[code] = at
    return found


def parse_indices(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes of indices from ``/getlistindexdetail``, with breadth. Raises `SourceMalformed`."""
    rows = _by(payload, "mc", INDEX_BOARD)
    if rows and not any(code in rows for code in CODES.values()):
        raise SourceMalformed("vps", INDEX_BOARD, "rows of other indices than those asked for")
    found = {i.id: _index(rows[CODES[_symbol(i)]], i, now) for i in instruments if CODES[_symbol(i)] in rows}
    return _answer(found)


def _index(row: Mapping[str, Any], instrument: Instrument, now: datetime) -> Quote | str:
    """A quote, or why there is none. The change is made of the two levels: in ``ot`` it has no sign."""
    price, previous = scaled(row.get("cIndex"), 1.0), scaled(row.get("oIndex"), 1.0)
    as_of = board_time(row.get("time"), calendar(instrument), now)
    if reason := wrong(instrument, price, as_of, now, previous):
        return reason
    assert price is not None and as_of is not None
    if reason := off_scale(price, share=False):
        return reason
    if previous is not None and abs(price / previous - 1) > limit(instrument, _symbol(instrument)):
        return f"{price:g} after {previous:g}: no index moves further than its shares may"
    return Quote(
        instrument.id,
        price,
        as_of,
        "vps",
        change_pct=None if previous is None else (price / previous - 1) * 100,
        previous_close=previous,
        volume=_count(row.get("vol")),
        breadth=_breadth(row.get("ot")),
    )


def _breadth(text: object) -> Breadth | None:
    """Of ``|change| | |change| in % | value | advances | declines | unchanged``."""
    fields = text.split("|") if isinstance(text, str) and len(text) < 200 else []
    if len(fields) != 6:
        return None
    counts = [int(f) for f in fields[3:] if f.isascii() and f.isdigit() and len(f) < 6]
    if len(counts) < 3 or not 0 < sum(counts) <= LISTED_AT_MOST:
        return None
    return Breadth(*counts)


def parse_shares(payload: object, instruments: Sequence[Instrument], times: Times, now: datetime) -> Answer:
    """Quotes of shares from ``/getliststockdata``, dated by ``times``. Shares it does not know are simply not in it.

    Raises `SourceMalformed`.
    """
    rows = _by(payload, "sym", SHARE_BOARD)
    if rows and not any(_symbol(i) in rows for i in instruments):
        raise SourceMalformed("vps", SHARE_BOARD, "rows of other shares than those asked for")
    return _answer({i.id: _share(rows[_symbol(i)], i, times, now) for i in instruments if _symbol(i) in rows})


def _share(row: Mapping[str, Any], instrument: Instrument, times: Times, now: datetime) -> Quote | str:
    """A quote, or why there is none."""
    if not is_share(instrument, _symbol(instrument)):
        return "not a price in VND, and no index known here"
    price, previous = scaled(row.get("lastPrice"), THOUSAND), scaled(row.get("r"), THOUSAND)
    if price is None and decimal(row.get("lastPrice")) == 0:
        return "no trade yet today"
    as_of = times.get(_CLOCKS[calendar(instrument)]) or max(times.values(), default=None)
    if reason := wrong(instrument, price, as_of, now, previous):
        return reason
    assert price is not None and as_of is not None
    if reason := off_scale(price, share=True) or _beyond(price, previous, row, instrument):
        return reason
    return Quote(
        instrument.id,
        price,
        as_of,
        "vps",
        change_pct=None if previous is None else (price / previous - 1) * 100,
        previous_close=previous,
        day_high=high if (high := _within(row.get("highPrice"), price)) and high >= price else None,
        day_low=low if (low := _within(row.get("lowPrice"), price)) and low <= price else None,
        volume=lots * LOT if (lots := _count(row.get("lot"))) else None,
    )


def _beyond(price: float, previous: float | None, row: Mapping[str, Any], instrument: Instrument) -> str | None:
    """Why a price cannot be the day's: beyond the ceiling or the floor, which the exchange lets nobody cross."""
    if previous is None:
        return "no reference price"
    ceiling, floor = scaled(row.get("c"), THOUSAND), scaled(row.get("f"), THOUSAND)
    if ceiling is None or floor is None:
        far = limit(instrument, _symbol(instrument))
        ceiling, floor = previous * (1 + far), previous * (1 - far)
    if not previous * (1 - FIRST_DAY_LIMIT) <= floor <= previous <= ceiling <= previous * (1 + FIRST_DAY_LIMIT):
        return f"floor {floor:g}, reference {previous:g}, ceiling {ceiling:g} do not fit together"
    if not floor <= price <= ceiling:
        return f"{price:g} VND, which lies beyond floor {floor:g} and ceiling {ceiling:g}"
    full = scaled(row.get("closePrice"), 1.0)  # the reference price once more, in whole VND
    if full is not None and leapt(previous, full):
        return f"a reference price of {previous:g} VND, where closePrice says {full:g}"
    return None


def _answer(found: Mapping[str, Quote | str]) -> Answer:
    """From instrument id to its quote, or to why there is none."""
    return Answer(
        [quote for quote in found.values() if isinstance(quote, Quote)],
        {id: reason for id, reason in found.items() if isinstance(reason, str)},
    )


def _within(value: object, price: float) -> float | None:
    found = scaled(value, THOUSAND)
    return None if found is None or leapt(found, price) else found


def _count(value: object) -> float | None:
    found = decimal(value)
    return found if found is not None and 0 < found < 1e15 else None


def _symbol(instrument: Instrument) -> str:
    return symbol_of(instrument, Vps.namespaces) or ""


def _by(payload: object, key: str, endpoint: str) -> dict[str, Mapping[str, Any]]:
    """The rows of a list of objects by their ``key``; an empty one where two say different things."""
    if not isinstance(payload, list):
        raise SourceMalformed("vps", endpoint, kind(payload), expected="a list of rows")
    found: dict[str, Mapping[str, Any]] = {}
    for row in map(mapping, payload):
        name = row.get(key)
        if isinstance(name, str):
            found[name] = row if found.get(name, row) == row else {}
    return found
