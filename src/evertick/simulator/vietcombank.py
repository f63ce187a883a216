"""Vietcombank as the simulator speaks it: its rates of exchange as XML, set three times a day around the market's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

from starlette.requests import Request

from evertick.simulator.answers import HTML, XML, Answer, Failure, RouteOf
from evertick.simulator.market import Market
from evertick.simulator.vietnam import ZONE, local

BASE = "/vietcombank"
SET_AT = (time(8, 30), time(11, 0), time(14, 30))
CURRENCIES = {
    "AUD": "AUSTRALIAN DOLLAR", "CAD": "CANADIAN DOLLAR", "CHF": "SWISS FRANC", "CNY": "YUAN RENMINBI",
    "DKK": "DANISH KRONE", "EUR": "EURO", "GBP": "POUND STERLING", "HKD": "HONGKONG DOLLAR", "JPY": "YEN",
    "KRW": "KOREAN WON", "NOK": "NORWEGIAN KRONER", "SAR": "SAUDI RIAL", "SEK": "SWEDISH KRONA",
    "SGD": "SINGAPORE DOLLAR", "THB": "THAILAND BAHT", "USD": "US DOLLAR",
}  # fmt: skip
"""In the order of the file."""
NOT_BOUGHT = ("DKK", "NOK", "SAR", "SEK")
"""Not taken in notes: the rate is a dash."""
_HEAD = "<!--For reference only. Only one request every 5 minutes!-->\n<ExrateList>\n"
_TAIL = "  <Source>Joint Stock Commercial Bank for Foreign Trade of Vietnam - Vietcombank</Source>\n</ExrateList>\n"


def set_at(at: float) -> datetime:
    """When the rates of ``at`` (seconds since 1970) were set."""
    now = local(at)
    moments = [datetime.combine(now.date() - timedelta(days=back), t, ZONE) for back in (0, 1) for t in SET_AT]
    return max(moment for moment in moments if moment <= now)


async def rates(market: Market, request: Request) -> Answer:
    """``pXML.aspx?b=10``"""
    moment = set_at(market.clock.at())
    hour = moment.hour % 12 or 12
    shown = f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {'AM' if moment.hour < 12 else 'PM'}"
    rows = []
    for code, name in CURRENCIES.items():
        cash, transfer, sell = market.bank_rates(code, moment.timestamp())
        buy = "-" if code in NOT_BOUGHT else f"{cash:,.2f}"
        rows.append(
            f'  <Exrate CurrencyCode="{code}" CurrencyName="{name:<20}" Buy="{buy}" Transfer="{transfer:,.2f}" '
            f'Sell="{sell:,.2f}" />\n'
        )
    return Answer(f"{_HEAD}  <DateTime>{shown}</DateTime>\n{''.join(rows)}{_TAIL}", media=XML)


ROUTES: Sequence[RouteOf] = (("GET", "/Usercontrols/TVPortal.TyGia/pXML.aspx", rates),)
FAILURES: Mapping[str, Failure] = {
    "403": Answer("<html><head><title>403 Forbidden</title></head><body>Forbidden</body></html>", 403, media=HTML),
    "404": Answer("<html><head><title>Runtime Error</title></head><body>Not found</body></html>", 404, media=HTML),
}
