"""Whatever a provider sends: valid payloads, damaged at random, must give right prices, reasons, or our own error.

One line in an adapter's test for each of its parse functions::

    def test_whatever_comes_gives_quotes_or_our_error():
        check_quotes(parse_markets, [coin(), coin("pepe", 2.2e-7)], [BTC, PEPE], NOW)

    def test_whatever_comes_gives_bars_or_our_error():
        check_bars(lambda payload: parse_bars(payload, SPX, SINCE, NOW), chart_answer(), [SPX], NOW)

A payload is what the parse function gets: decoded JSON, or ``bytes`` (CSV, XML). How many damaged ones are tried is
said by the Hypothesis profile (``tests/conftest.py``): 100 by default, 2,500 with ``make test-thorough``.

What is asserted of every damaged payload:

* nothing but a `SourceError` is raised, and what it says fits on a line;
* every quote is of an instrument that was asked for, once, and has a finite price, above zero where the group has no
  prices below it, with an ``as_of`` that is not yet to come; previous close, high and low are on the price's scale;
* every `Bars` is of an instrument that was asked for, has columns of equal length, days strictly ascending and none of
  them yet to come, finite closes on one scale, no high below its low;
* where a single number was changed, the prices are still those of the valid payload or near them, within a factor of
  `LEAP`: another scale must be noticed. A payload that holds nothing to compare a price with says ``on_scale=False``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from hypothesis import given, note
from hypothesis import strategies as st

from evertick.errors import SourceError
from evertick.model import Bars, Group, Instrument, Quote
from evertick.sources.reading import AHEAD_AT_MOST, LEAP, Answer

Draw = Callable[[st.SearchStrategy[Any]], Any]
BELOW_ZERO = {Group.RATES, Group.COMMODITIES}
NEAR_ZERO = 0.5
LONGEST_TEXT = 700
"""Characters of an error or a reason: it is one line of the log and of the page of sources."""
EASTERNMOST = timedelta(hours=14)
"""No exchange's calendar is further ahead of UTC."""


def check_quotes(
    parse: Callable[[Any, Sequence[Instrument], datetime], Answer],
    payload: Any,
    instruments: Sequence[Instrument],
    now: datetime,
    *,
    on_scale: bool = True,
) -> None:
    """Try ``parse(damaged payload, instruments, now)``. The valid payload must give a quote of every instrument."""
    valid = parse(payload, instruments, now)
    prices = {quote.id: quote.price for quote in valid.quotes}
    assert set(prices) == {i.id for i in instruments}, f"the valid payload lacks quotes: {valid.refused}"
    by_id = {i.id: i for i in instruments}
    _sound_answer(valid, by_id, now)

    @given(st.data())
    def whatever_comes(data: st.DataObject) -> None:
        damage = _damaged(payload, data.draw)
        note(damage.what)
        answer = _ours(lambda: parse(damage.payload, instruments, now))
        if answer is None:
            return
        _sound_answer(answer, by_id, now)
        if on_scale and damage.one_number:
            for quote in answer.quotes:
                assert _near(quote.price, prices[quote.id]), f"{quote.id} at {quote.price:g}, not {prices[quote.id]:g}"

    whatever_comes()


def check_bars(
    parse: Callable[[Any], Bars | Sequence[Bars]],
    payload: Any,
    instruments: Sequence[Instrument],
    now: datetime,
    *,
    on_scale: bool = True,
) -> None:
    """Try ``parse(damaged payload)``. The valid payload must give some bars of every instrument; five or more are best."""
    valid = _several(parse(payload))
    closes = {bars.instrument: median(bars.close) for bars in valid if len(bars)}
    assert set(closes) == {i.id for i in instruments}, "the valid payload lacks bars"
    by_id = {i.id: i for i in instruments}
    _sound_bars(valid, by_id, now)

    @given(st.data())
    def whatever_comes(data: st.DataObject) -> None:
        damage = _damaged(payload, data.draw)
        note(damage.what)
        found = _ours(lambda: _several(parse(damage.payload)))
        if found is None:
            return
        _sound_bars(found, by_id, now)
        if on_scale and damage.one_number:
            for bars in found:
                wrong = [c for c in bars.close if not _near(c, closes[bars.instrument])]
                assert not wrong, f"{bars.instrument} closed at {wrong}, usually near {closes[bars.instrument]:g}"

    whatever_comes()


# --- what must hold --------------------------------------------------------------------------------------------------


def _ours(ask: Callable[[], Any]) -> Any:
    """What ``ask`` gives; ``None`` where it raises an error of ours, which must be fit to be shown."""
    try:
        return ask()
    except SourceError as error:
        text = str(error)
        assert error.provider
        assert error.endpoint
        assert len(text) <= LONGEST_TEXT, f"an error of {len(text)} characters"
        assert text.isprintable(), f"an error that is not one line of text: {text!r}"
        return None


def _several(found: Bars | Sequence[Bars]) -> list[Bars]:
    return [found] if isinstance(found, Bars) else list(found)


def _sound_answer(answer: Answer, instruments: Mapping[str, Instrument], now: datetime) -> None:
    ids = [quote.id for quote in answer.quotes]
    assert len(set(ids)) == len(ids), f"an instrument is quoted twice: {ids}"
    assert set(ids) <= set(instruments), f"quotes that nobody asked for: {ids}"
    assert set(answer.refused) <= set(instruments), f"refused what nobody asked for: {list(answer.refused)}"
    assert not set(answer.refused) & set(ids), "both quoted and refused"
    for reason in answer.refused.values():
        assert isinstance(reason, str)
        assert reason.isprintable()
        assert 0 < len(reason) <= LONGEST_TEXT
    for quote in answer.quotes:
        _sound_quote(quote, instruments[quote.id], now)


def _sound_quote(quote: Quote, instrument: Instrument, now: datetime) -> None:
    price = quote.price
    assert type(price) is float, f"a price that is {type(price).__name__}"
    assert math.isfinite(price)
    if instrument.group not in BELOW_ZERO:
        assert price > 0, f"a price of {price:g}"
    assert price != 0 or instrument.group is Group.RATES, "the placeholder 0 taken for a price"
    assert quote.as_of.tzinfo is not None, "as_of without a time zone"
    assert quote.as_of <= now + AHEAD_AT_MOST, f"a price from {quote.as_of}, which is yet to come"
    assert quote.source
    for name in ("change_pct", "previous_close", "day_high", "day_low", "volume", "market_cap"):
        value = getattr(quote, name)
        assert value is None or (type(value) in (int, float) and math.isfinite(value)), f"{name} is {value!r}"
    for name in ("previous_close", "day_high", "day_low"):
        value = getattr(quote, name)
        if value is not None and instrument.group not in BELOW_ZERO:
            assert _near(value, price), f"{name} is {value:g} beside a price of {price:g}"
    for name in ("volume", "market_cap"):
        assert (getattr(quote, name) or 0) >= 0, f"{name} is below zero"
    if quote.day_high is not None and quote.day_low is not None:
        assert quote.day_low <= quote.day_high, "a low above the high"
    assert all(math.isfinite(value) for value in quote.spark)


def _sound_bars(found: Sequence[Bars], instruments: Mapping[str, Instrument], now: datetime) -> None:
    ids = [bars.instrument for bars in found]
    assert len(set(ids)) == len(ids), f"bars of an instrument twice: {ids}"
    assert set(ids) <= set(instruments), f"bars that nobody asked for: {ids}"
    for bars in found:
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        assert {len(column) for column in columns} == {len(bars.day)}, "columns of different lengths"
        days = list(bars.day)
        assert all(a < b for a, b in pairwise(days)), f"days out of order: {bars.dates()}"
        assert not days or days[-1] <= (now + EASTERNMOST).toordinal(), f"a bar of {bars.dates()[-1]}, yet to come"
        assert all(math.isfinite(close) for close in bars.close), "a close that is no number"
        if instruments[bars.instrument].group not in BELOW_ZERO:
            assert all(close > 0 for close in bars.close), "a close that is not above zero"
        for column in (bars.open, bars.high, bars.low, bars.volume):
            assert not any(math.isinf(value) for value in column)
        assert not any(volume < 0 for volume in bars.volume), "a volume below zero"
        assert not any(high < low for high, low in zip(bars.high, bars.low, strict=True)), "a high below its low"


def _near(value: float, usual: float) -> bool:
    """Whether two numbers are on one scale; those that are nearly zero are, whatever their sign."""
    if abs(usual) < NEAR_ZERO and abs(value) < NEAR_ZERO * LEAP and usual * value <= 0:
        return True
    return 1 / LEAP <= value / usual <= LEAP if usual else abs(value) < NEAR_ZERO * LEAP


# --- damage ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Damage:
    payload: Any
    what: str
    """What was done, for the report of a failing case."""
    one_number: bool
    """Only the value of a single number changed, or it is gone."""


def _damaged(payload: Any, draw: Draw) -> _Damage:
    """``payload`` (not changed itself) with one to three things wrong with it."""
    once = _broken_bytes if isinstance(payload, bytes) else _broken_json
    times = draw(st.sampled_from((1, 1, 1, 1, 2, 3)))
    steps: list[str] = []
    numbers: list[bool] = []
    for _ in range(times):
        payload, what, number = once(payload, draw)
        steps.append(what)
        numbers.append(number)
    return _Damage(payload, "; ".join(steps), numbers == [True])


TEXTS = (
    "", " ", "x", "N/A", "-", ".", "null", "None", "NaN", "nan", "Infinity", "-inf", "1e999", "1_000", "0x10", "١٢٣",
    "１２", "1,234.5", "1.234,5", "\x00", "\ud800", "\u202e\u0301💥", "a\nb", "9" * 400, "{}", "[1]", "true", "2026-13-45",
    "2026-02-30", "9999-12-31", "0001-01-01T00:00:00+14:00", "<b>", "%s{0}", "x" * 5000,
)  # fmt: skip
NUMBERS = (0, -0.0, 1, -1, 1e300, -1e300, 1e-300, 10**400, math.nan, math.inf, -math.inf, 2**63, 0.1)
FACTORS = (1000, 0.001, 1000, 0.001, -1, 1e6, 1e-6, 0.6, 1.7)
AHEAD_S = (3600, 86_400, 400 * 86_400, 9_000 * 86_400, -5 * 86_400, -400 * 86_400)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")


def _deep(levels: int = 400) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def _broken_json(payload: Any, draw: Draw) -> tuple[Any, str, bool]:
    """Damage at one place, found by walking down from the top."""
    if isinstance(payload, dict | list) and payload and draw(st.integers(0, 11)):
        key = draw(st.sampled_from(list(payload) if isinstance(payload, dict) else range(len(payload))))
        inner, what, number = _broken_json(payload[key], draw)
        copy: Any = payload.copy()
        if inner is _GONE:
            del copy[key]
        else:
            copy[key] = inner
        # an item that is gone from a list shifts those behind it: more than one number is another one then
        return copy, f"[{key!r}]{what}", number and not (inner is _GONE and isinstance(payload, list))
    if isinstance(payload, dict | list) and payload:
        changed, what = _broken_container(payload, draw)
        return changed, what, False
    return _broken_leaf(payload, draw)


_GONE = object()


def _broken_leaf(value: Any, draw: Draw) -> tuple[Any, str, bool]:
    changed = draw(st.sampled_from(_kinds(value)))
    if changed == "gone":
        return _GONE, " gone", _numeric(value)
    if changed == "retyped":
        other = draw(
            st.sampled_from((None, True, False, [], {}, [value], {"raw": value, "fmt": str(value)}, str(value)))
        )
        return other, f" = {other!r}"[:80], other is None and _numeric(value)
    if changed == "text":
        other = draw(st.sampled_from(TEXTS))
        return other, f" = {other[:40]!r}", False
    if changed == "deep":
        return _deep(), " = nested 400 deep", False
    if changed == "time":
        other = _later(value, draw(st.sampled_from(AHEAD_S)))
        return other, f" = {other!r} for {value!r}", False
    other = _another_number(value, draw)
    return other, f" = {str(other)[:40]!r} for {str(value)[:40]!r}", _numeric(value)


def _kinds(value: Any) -> tuple[str, ...]:
    """The ways to damage a value, the more telling ones more often."""
    general = ("gone", "retyped", "text", "deep", "number")
    if _later(value, 0) is not None:
        return (*general, "time", "time")
    return (*general, "number", "number", "number") if _numeric(value) else general


def _numeric(value: Any) -> bool:
    if isinstance(value, str):
        return _DECIMAL.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _another_number(value: Any, draw: Draw) -> Any:
    """Another number in place of ``value``, written as it is written: most of them on another scale."""
    if _numeric(value) and draw(st.booleans()):
        scaled = float(value) * draw(st.sampled_from(FACTORS))
        return f"{scaled:.10f}" if isinstance(value, str) else scaled
    other = draw(st.sampled_from(NUMBERS))
    return str(other) if isinstance(value, str) else other


def _later(value: Any, seconds: int) -> Any:
    """A time moved by ``seconds``, in the way it is written; ``None`` if ``value`` is none of this century."""
    if isinstance(value, str):
        if value.isascii() and value.isdecimal() and len(value) < 20:
            moved = _later(int(value), seconds)
            return None if moved is None else str(moved)
        try:
            return (datetime.fromisoformat(value) + timedelta(seconds=seconds)).isoformat()
        except (ValueError, OverflowError):
            return None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    for unit in (1, 1000, 1_000_000_000):
        if 946_684_800 <= value // unit < 4_102_444_800:
            return value + seconds * unit
    return None


_TO_CONTAINERS = (
    "retyped", "emptied", "cut", "reordered", "repeated", "wrapped", "filled", "deep", "mixed", "swapped", "swapped", "later",
    "later", "scaled",
)  # fmt: skip


def _broken_container(value: dict[str, Any] | list[Any], draw: Draw) -> tuple[Any, str]:
    how = draw(st.sampled_from(_TO_CONTAINERS))
    if how == "retyped":
        return draw(st.sampled_from((None, 0, 1.5, True, "", "x"))), " retyped"
    if how == "emptied":
        return type(value)(), " emptied"
    if how == "deep":
        return _deep(), " nested 400 deep"
    if how == "wrapped":
        return draw(st.sampled_from(([value], {"data": value}, {"error": value}, {"0": value}))), " wrapped"
    if how == "later":
        seconds = draw(st.sampled_from(AHEAD_S))
        return _everywhere(value, lambda v: _later(v, seconds)), f" with all its times {seconds} s later"
    if how == "scaled":
        factor = draw(st.sampled_from(FACTORS))
        return _everywhere(value, lambda v: _scaled(v, factor)), f" with all its numbers times {factor}"
    if isinstance(value, dict):
        return _broken_object(value, how, draw)
    one = draw(st.integers(0, len(value) - 1))
    if how == "cut":
        return value[:one], f" cut to {one}"
    if how == "reordered":
        return draw(st.permutations(value)) if len(value) < 12 else value[::-1], " reordered"
    if how == "repeated":
        return [*value, value[one]], f" with [{one}] repeated"
    if how == "swapped":
        copy = list(value)
        copy[one], copy[one - 1] = copy[one - 1], copy[one]
        return copy, f" with [{one}] and the one before it swapped"
    item = draw(st.sampled_from((None, 0, "x", [], {}, [[]], [None], math.nan, 10**400)))
    return ([item] * len(value) if how == "filled" else [item, *value]), f" {how} with {str(item)[:20]}"


def _broken_object(value: dict[str, Any], how: str, draw: Draw) -> tuple[Any, str]:
    names = list(value)
    one = draw(st.sampled_from(names))
    if how == "cut":
        return {k: value[k] for k in names[: names.index(one)]}, f" cut before {one}"
    if how == "reordered":  # the values under one another's names
        return dict(zip(names, [*value.values()][::-1], strict=True)), " with its values reversed"
    if how == "repeated":
        return dict.fromkeys(names, value[one]), f" with {one} in place of all"
    if how == "swapped":
        other = names[names.index(one) - 1]
        return value | {one: value[other], other: value[one]}, f" with {one} and {other} swapped"
    if how == "mixed":
        return list(value.values()), " as a list"
    return {k.upper() if how == "filled" else k: v for k, v in value.items()}, " with other names"


def _everywhere(value: Any, change: Callable[[Any], Any]) -> Any:
    """``value`` with every leaf changed for which ``change`` gives something else than ``None``."""
    if isinstance(value, dict):
        return {k: _everywhere(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [_everywhere(v, change) for v in value]
    changed = change(value)
    return value if changed is None else changed


def _scaled(value: Any, factor: float) -> Any:
    """A number times ``factor``; ``None`` for times and for what is no number."""
    if not _numeric(value) or _later(value, 0) is not None:
        return None
    return f"{float(value) * factor:.10f}" if isinstance(value, str) else value * factor


# --- bytes -----------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    rb"\d{4}-\d\d?-\d\d?|\d\d?/\d\d?/\d{4}|\d\d?:\d\d(?::\d\d)?"  # dates and times of day
    rb'|(?<=")\d{1,3}(?:,\d{3})+(?:\.\d+)?(?=")|(?<![\w./:-])-?\d+(?:\.\d+)?(?![\w.:/-])'
)
_DATES = (
    b"2099-12-31", b"12/31/2099", b"2026-13-45", b"13/45/2026", b"02/30/2026", b"0000-00-00", b"", b"N/A", b"9999-12-31",
    b"12/31/9999", b"1/1/0001", b"99:99:99",
)  # fmt: skip
_CELLS = (
    b"", b"N/A", b"-", b".", b"nan", b"inf", b"-inf", b"1e999", b"1_000", b"0", b"-1", b"1e300", b"1e-300", b"\xff\xfe",
    "１２".encode(), b'"', b"'", b"&", b"<", b"a\nb", b"a,b", b"9" * 400, b"\x00",
)  # fmt: skip
_BODIES = (
    b"", b" ", b"\xef\xbb\xbf", b"null", b"{}", b"<", b"<a/>", b"<a>", b"\x00", b"\xff\xfe", b"No data", b",\n,\n", b"\n\n\n",
    b"<!DOCTYPE html><html><head><title>Will be right back</title></head></html>",
    b'<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]><z>&d;&d;</z>',
    b'<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a SYSTEM "file:///etc/hostname">]><z>&a;</z>',
    b'<?xml version="1.0" encoding="x-none"?><a/>',
    b"<a>" * 2000 + b"</a>" * 2000,
    b"x" * 200_000,
    b"a," * 50_000,
)  # fmt: skip


_WAYS = (*["token"] * 8, "cut", "line", "line", "cell", "cell", "bytes", "whole", "encoded", "long", "later")


def _broken_bytes(body: bytes, draw: Draw) -> tuple[bytes, str, bool]:
    how = draw(st.sampled_from(_WAYS))
    tokens = list(_TOKEN.finditer(body)) if how == "token" else []
    if how == "token" and tokens:
        return _other_token(body, draw(st.sampled_from(tokens)), draw)
    if how == "cut":
        at = draw(st.integers(0, max(0, len(body) - 1)))
        return body[:at], f"cut to {at} bytes", False
    if how == "line":
        return (*_other_lines(body, draw), False)
    if how == "cell":
        return (*_other_cell(body, draw), False)
    if how == "whole":
        other = draw(st.sampled_from(_BODIES))
        return other, f"in its place {other[:40]!r}", False
    if how == "later":
        days = draw(st.sampled_from(AHEAD_S)) // 86_400
        return _TOKEN.sub(lambda token: _later_date(token[0], days), body), f"all dates {days} days later", False
    if how == "encoded":
        text = body.decode("utf-8", "replace")
        name = draw(st.sampled_from(("utf-16", "utf-32", "utf-8-sig", "utf-7")))
        return text.encode(name), f"encoded as {name}", False
    at = draw(st.integers(0, len(body)))
    piece = b"7" * 140_000 if how == "long" else draw(st.binary(min_size=1, max_size=6))
    rest = body[at:] if draw(st.booleans()) else body[at + len(piece) :]
    return body[:at] + piece + rest, f"{piece[:6]!r} ({len(piece)} bytes) at {at}", False


def _other_token(body: bytes, token: re.Match[bytes], draw: Draw) -> tuple[bytes, str, bool]:
    """Another number in place of a number, another date in place of a date."""
    text = token[0]
    number = not re.search(rb"[/:]|\d-", text)
    if not number:
        other = draw(st.sampled_from(_DATES))
    elif draw(st.integers(0, 2)):
        scaled = float(text.replace(b",", b"")) * draw(st.sampled_from(FACTORS))
        other = (f"{scaled:,.6f}" if b"," in text else f"{scaled:.6f}").encode()
    else:
        other = draw(st.sampled_from(_CELLS))
    # a comma, a quote or a bracket adds cells or tags: the numbers behind it move
    plain = number and re.fullmatch(rb"[\w.+-]*", other) is not None
    what = f"{other[:30]!r} for {text!r} at {token.start()}"
    return body[: token.start()] + other + body[token.end() :], what, plain


def _later_date(text: bytes, days: int) -> bytes:
    """A date moved by ``days``, in the way it is written; what is none stays as it is."""
    for form in ("%Y-%m-%d", "%m/%d/%Y"):
        try:
            moved = datetime.strptime(text.decode(), form) + timedelta(days=days)
        except (ValueError, OverflowError):
            continue
        return moved.strftime(form).encode()
    return text


def _other_lines(body: bytes, draw: Draw) -> tuple[bytes, str]:
    lines = body.splitlines(keepends=True) or [b""]
    at = draw(st.integers(0, len(lines) - 1))
    how = draw(st.sampled_from(("gone", "repeated", "first", "reversed", "blank", "crlf")))
    if how == "gone":
        del lines[at]
    elif how == "repeated":
        lines.append(lines[at])
    elif how == "first":
        lines.insert(0, lines.pop(at))
    elif how == "reversed":
        lines.reverse()
    elif how == "blank":
        lines[at] = b"\n"
    else:
        lines = [line.rstrip(b"\r\n") + b"\r\n" for line in lines]
    return b"".join(lines), f"line {at} {how}"


def _other_cell(body: bytes, draw: Draw) -> tuple[bytes, str]:
    """A cell of a CSV line, or what stands between two blanks of an XML tag, changed, gone or twice."""
    lines = body.split(b"\n")
    at = draw(st.integers(0, len(lines) - 1))
    between = b"," if b"," in lines[at] and b"=" not in lines[at] else b" "
    cells = lines[at].split(between)
    n = draw(st.integers(0, len(cells) - 1))
    how = draw(st.sampled_from(("other", "gone", "twice")))
    if how == "other":
        cells[n] = draw(st.sampled_from(_CELLS))
    elif how == "gone":
        del cells[n]
    else:
        cells.insert(n, cells[n])
    lines[at] = between.join(cells)
    return b"\n".join(lines), f"line {at}, cell {n} {how}"
