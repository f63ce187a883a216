"""Vietcombank: the rates at which the bank buys and sells currencies, in VND, as it publishes them a few times a day.

Reference rates, not a market. The bank asks for no more than one request every five minutes, in a comment at the top of
the file itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree

from evertick.errors import SourceMalformed
from evertick.model import Clock, Instrument, Quote
from evertick.sources.http import Getter
from evertick.sources.markup import elements
from evertick.sources.reading import Answer, decimal, symbol_of, wrong
from evertick.sources.vietnam import ZONE

BASE_URL = "https://portal.vietcombank.com.vn"
RATES = "/Usercontrols/TVPortal.TyGia/pXML.aspx"
_BYTES = 128 << 10
_AMOUNT = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?|\d{1,12}(\.\d+)?", re.ASCII)
_TIME = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) +(\d{1,2}):(\d\d):(\d\d) +([AP])M", re.ASCII)
_WIDEST: Final = 1.25
"""Selling rate by buying rate at most; the rouble's, the widest, is 1.11."""
_DOLLAR: Final = (10_000.0, 100_000.0)
"""VND for a dollar, far below and above what it has been since 1995: outside, the file is in another unit."""


class Vietcombank:
    name = "vietcombank"
    title = "Vietcombank"
    namespaces = ("vietcombank",)
    per_day: int | None = None
    every_s = 300.0
    needs_key = False
    rate = (1, 300.0)
    """What the file itself asks for."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """All rates with one request. Raises `SourceError`."""
        body = await http.get_text(self.name, self._base + RATES, {"b": "10"}, form="xml", at_most=_BYTES)
        return parse_rates(body, instruments, self._clock.now())


def parse_rates(body: bytes, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes in VND for one unit of each currency: the middle between the rates of buying by transfer and of selling.

    Cash (``Buy``) is left out: it has a margin of its own. Currencies that are not in the file are simply not in the
    answer. Raises `SourceMalformed`.
    """
    rates, as_of = _read(body)
    if (
        (dollar := rates.get("USD")) is not None
        and not isinstance(dollar, str)
        and not _DOLLAR[0] < dollar < _DOLLAR[1]
    ):
        raise SourceMalformed("vietcombank", RATES, f"a dollar of {dollar:g} VND", expected="rates in VND")
    quotes: list[Quote] = []
    refused: dict[str, str] = {}
    for instrument in instruments:
        rate = rates.get(symbol_of(instrument, Vietcombank.namespaces) or "")
        if rate is None:
            continue
        reason = rate if isinstance(rate, str) else wrong(instrument, rate, as_of, now)
        if reason is None and as_of is not None and not isinstance(rate, str):
            quotes.append(Quote(instrument.id, rate, as_of, "vietcombank"))
        else:
            refused[instrument.id] = reason or "no time"
    return Answer(quotes, refused)


def _read(body: bytes) -> tuple[dict[str, float | str], datetime | None]:
    """Currency to its middle rate, or to why it has none; and when they were published."""
    for _ in elements("vietcombank", RATES, body):
        pass  # a document type is refused here, before anything is built
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError):
        raise SourceMalformed("vietcombank", RATES, "broken XML", expected="XML") from None
    if root.tag != "ExrateList":
        raise SourceMalformed("vietcombank", RATES, f"XML of <{_plain(root.tag)}>", expected="<ExrateList>")
    rates: dict[str, float | str] = {}
    for row in root.iter("Exrate"):
        code = row.get("CurrencyCode", "").strip()
        rate = _middle(row.get("Transfer", ""), row.get("Sell", ""))
        rates[code] = rate if rates.get(code, rate) == rate else "two different rates"
    if not rates:
        raise SourceMalformed("vietcombank", RATES, "no <Exrate>", expected="one for every currency")
    return rates, _time(root.findtext("DateTime", ""))


def _middle(transfer: str, sell: str) -> float | str:
    """The middle of two rates, or why there is none."""
    buys, sells = _amount(transfer), _amount(sell)
    if buys is None or sells is None:
        return "no rate of selling" if sells is None else "no rate of buying by transfer"
    if not buys <= sells <= buys * _WIDEST:
        return f"buys at {buys:g} and sells at {sells:g}"
    return round((buys + sells) / 2, 6)


def _amount(text: str) -> float | None:
    """The number of ``26,080.00``; ``None`` for ``-``, which means that there is none, and for what is no number."""
    text = text.strip()
    found = decimal(text.replace(",", "")) if len(text) < 30 and _AMOUNT.fullmatch(text) else None
    return found if found is not None and found > 0 else None


def _time(text: str) -> datetime | None:
    """The instant of ``7/13/2026 10:00:00 AM``, in Vietnam's time: month, day, year."""
    match = _TIME.fullmatch(text.strip()) if len(text) < 60 else None
    if match is None or not 1 <= int(match[4]) <= 12:
        return None
    month, day, year, hour, minute, second = (int(match[n]) for n in range(1, 7))
    hour = hour % 12 + (12 if match[7] == "P" else 0)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=ZONE).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:40]
