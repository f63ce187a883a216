"""What the simulator has to know of an instrument to invent its market: size, volatility, and what it moves with."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from math import floor, inf, log10, sqrt
from pathlib import Path

from evertick.model import Group, Instrument
from evertick.simulator.curve import tenor, yield_at_anchor, yield_loads
from evertick.simulator.noise import ALWAYS, FACTORS, WEEKDAYS, draws

Ticks = tuple[tuple[float, float], ...]
"""(price below which it holds, step), in order."""
Shares = Mapping[str, float]
"""Factor to its share of the variance; a negative share means the opposite direction."""


@dataclass(frozen=True, slots=True)
class Traits:
    price: float
    """At the end of the anchor day."""
    decimals: int
    """Of the prices served: the instrument's own, more where its price is small."""
    loads: tuple[tuple[str, float], ...]
    """Walk to its daily size in natural-log points. What is no factor is a walk of its own (``own:…``) or, where it
    must return to its price, a draw of its own for every day (``noise:…``: stablecoins, volatility indices)."""
    sigma: float
    """Daily volatility in natural-log points, all loads together."""
    drift: float
    """A year, in natural-log points."""
    volume: float
    """Of an ordinary day, in units of the instrument (crypto: USD); 0 where there is none."""
    supply: float
    """Coins in circulation; 0 where there are none."""
    first_day: int
    """Ordinal before which there is no history."""
    week: tuple[float, ...]
    far: float = inf
    """How far the price gets from its trend at most, in natural-log points, in the centuries the market reaches."""
    limit: float = 0.0
    """How far a price may go from the close before, as a share of it; 0 where the exchange sets no limit."""
    ticks: Ticks = ()
    """Steps in which prices go where they are not just decimals."""


@dataclass(frozen=True, slots=True)
class Level:
    price: float
    volatility: float | None
    supply: float
    like: str | None


@cache
def levels() -> Mapping[str, Level]:
    """The rows of levels.csv by key: ``namespace=symbol``, or a symbol of any namespace."""
    lines = Path(__file__).with_name("levels.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {
        row["symbol"]: Level(
            float(row["price"]),
            float(row["volatility"]) if row["volatility"] else None,
            float(row["supply"] or 0),
            row["like"] or None,
        )
        for row in rows
    }


# value in USD, volatility against the dollar in percent a year, share of the variance that is the dollar's
CURRENCIES: Mapping[str, tuple[float, float, float]] = {
    "EUR": (1.158, 7.0, 0.75), "GBP": (1.322, 7.5, 0.65), "JPY": (1 / 154.8, 9.5, 0.45), "CHF": (1.247, 7.5, 0.6),
    "AUD": (0.652, 10.0, 0.6), "NZD": (0.566, 10.0, 0.6), "CAD": (1 / 1.402, 6.0, 0.55), "SEK": (1 / 9.5, 9.5, 0.7),
    "NOK": (1 / 10.15, 10.5, 0.6), "DKK": (1 / 6.45, 7.0, 0.75), "CNY": (1 / 7.1, 3.0, 0.5), "CNH": (1 / 7.1, 3.5, 0.5),
    "HKD": (1 / 7.78, 0.6, 0.1), "SGD": (1 / 1.302, 4.5, 0.65), "KRW": (1 / 1462, 8.5, 0.5), "TWD": (1 / 31.2, 5.0, 0.4),
    "INR": (1 / 89.1, 4.0, 0.3), "IDR": (1 / 16650, 6.0, 0.3), "THB": (1 / 32.4, 7.0, 0.4), "MYR": (1 / 4.14, 5.5, 0.35),
    "PHP": (1 / 58.8, 5.5, 0.3), "VND": (1 / 26350, 2.2, 0.25), "MXN": (1 / 18.4, 12.0, 0.25),
    "BRL": (1 / 5.34, 14.0, 0.2), "ZAR": (1 / 17.2, 14.0, 0.3), "TRY": (1 / 42.4, 9.0, 0.05), "PLN": (1 / 3.66, 9.5, 0.6),
    "CZK": (1 / 20.9, 8.5, 0.65), "HUF": (1 / 330, 11.0, 0.55), "ILS": (1 / 3.27, 9.0, 0.3), "SAR": (1 / 3.75, 0.1, 0.1),
    "AED": (1 / 3.6725, 0.05, 0.1), "CLP": (1 / 935, 12.0, 0.25), "COP": (1 / 3760, 13.0, 0.2),
    "ARS": (1 / 1450, 12.0, 0.05), "EGP": (1 / 47.5, 5.0, 0.05), "RUB": (1 / 80, 16.0, 0.05), "NGN": (1 / 1450, 9.0, 0.05),
}  # fmt: skip
PEGS = {"DKK": "EUR"}
DOLLAR_INDEX = {"EUR": 0.576, "JPY": 0.136, "GBP": 0.119, "CAD": 0.091, "SEK": 0.042, "CHF": 0.036}
"""Weights of the ICE US Dollar Index."""

# group or region: volatility in percent a year, drift a year, shares of the variance
_EQUITY: Mapping[str, Shares] = {
    "americas": {"world": 0.62, "americas": 0.24},
    "europe": {"world": 0.50, "europe": 0.36},
    "asia": {"world": 0.30, "asia": 0.42},
    "africa": {"world": 0.18, "africa": 0.30},
    "world": {"world": 0.80},
}
_DEFAULT: Mapping[Group, tuple[float, float]] = {
    Group.INDICES: (16, 0.06),
    Group.VIETNAM: (30, 0.06),
    Group.CRYPTO: (85, 0.0),
    Group.SENTIMENT: (40, 0.0),
    Group.FX: (8, 0.0),
    Group.COMMODITIES: (27, 0.02),
    Group.RATES: (18, 0.0),
    Group.VOLATILITY: (90, 0.0),
    Group.SECTORS: (19, 0.06),
}
_SPECIAL: Mapping[str, Shares] = {
    "^GSPC": {"world": 0.66, "americas": 0.27, "tech": 0.03},
    "^DJI": {"world": 0.62, "americas": 0.28},
    "^IXIC": {"world": 0.55, "americas": 0.20, "tech": 0.18},
    "^NDX": {"world": 0.53, "americas": 0.18, "tech": 0.22},
    "^OEX": {"world": 0.64, "americas": 0.26, "tech": 0.06},
    "vn=VNINDEX": {"world": 0.10, "asia": 0.06, "vietnam": 0.78},
    "vn=VN30": {"world": 0.10, "asia": 0.06, "vietnam": 0.78},
    "vn=HNX": {"world": 0.06, "asia": 0.04, "vietnam": 0.66},
    "vn=UPCOM": {"world": 0.04, "asia": 0.04, "vietnam": 0.60},
    "bitcoin": {"crypto": 0.80, "world": 0.12},
    "ethereum": {"crypto": 0.72, "world": 0.10},
    "GC=F": {"metals": 0.66, "dollar": -0.12, "yields": -0.08},
    "HG=F": {"metals": 0.20, "world": 0.25},
    "ALI=F": {"metals": 0.15, "world": 0.20},
    "NG=F": {"energy": 0.12},
    "XLK": {"world": 0.48, "americas": 0.15, "tech": 0.28},
    "XLC": {"world": 0.48, "americas": 0.18, "tech": 0.10},
    "SMH": {"world": 0.40, "americas": 0.10, "tech": 0.38},
    "SOXX": {"world": 0.40, "americas": 0.10, "tech": 0.38},
    "XLE": {"world": 0.25, "americas": 0.10, "energy": 0.45},
    "XLU": {"world": 0.20, "americas": 0.18, "yields": -0.20},
    "XLRE": {"world": 0.30, "americas": 0.20, "yields": -0.20},
    "GDX": {"world": 0.08, "metals": 0.58, "dollar": -0.08},
    "XME": {"world": 0.35, "americas": 0.10, "metals": 0.25},
    "TLT": {"yields": -0.78, "curve": -0.14},
    "VNM": {"world": 0.12, "asia": 0.08, "vietnam": 0.62},
    "DBA": {"agriculture": 0.55},
}
_FUNDS: Mapping[str, Shares] = {
    "AGG SHY IEF TIP LQD BNDX": {"yields": -0.80},
    "HYG EMB": {"world": 0.40, "yields": -0.20},
    "EWJ EWY EWT EWH EWS EWA THD EIDO INDA MCHI KWEB": {"world": 0.34, "asia": 0.40, "dollar": -0.04},
    "VGK EZU EWG EWU EWQ EWI EWP EWL": {"world": 0.50, "europe": 0.32, "dollar": -0.05},
    "DBC XOP OIH": {"energy": 0.45, "world": 0.20},
}
"""Funds that move with the same factors, by their tickers."""
_FUND = {ticker: shares for tickers, shares in _FUNDS.items() for ticker in tickers.split()}
_METALS = frozenset({"GC=F", "SI=F", "PL=F", "PA=F", "HG=F", "ALI=F"})
_ENERGY = frozenset({"CL=F", "BZ=F", "NG=F", "HO=F", "RB=F", "MTF=F"})
_PAIR = re.compile(r"^([A-Z]{3})?([A-Z]{3})(?:=X)?$")
_VIETNAMESE = frozenset({"vn", "vps", "vndirect", "kbs", "vci"})
_LIMITS = {"XSTC": 0.07, "XHNX": 0.10}
"""Daily price limits of the Vietnamese exchanges, as a share of the reference price."""
_HOSE_TICKS: Ticks = ((10_000, 10), (50_000, 50), (inf, 100))
"""Price steps of shares in Ho Chi Minh City, in VND."""
STRESS_SIZE = 0.26
"""Standard deviation of a stress step of one weekday, by which a volatility index's own volatility is scaled."""


def hashed(name: str) -> float:
    """A number in [0, 1) that belongs to a name, whatever the seed."""
    return draws(f"traits/{name}", 1)[0] / 65536


def traits(instrument: Instrument) -> Traits:
    """What is known of the instrument, or a plausible guess from its group, region and name."""
    if instrument.group is Group.FX:
        if not {"DX-Y.NYB", "DX=F"}.isdisjoint(instrument.symbols.values()):
            return _dollar_index(instrument)
        if pair := _pair(instrument):
            return _rate(instrument, *pair)
    if instrument.group is Group.RATES and (months := tenor(instrument)):
        return _yield(instrument, months)
    return _other(instrument, described(instrument))


def described(instrument: Instrument) -> str | None:
    """The key of the instrument's row in levels.csv."""
    return next((key for key in _keys(instrument) if key in levels()), None)


def _keys(instrument: Instrument) -> Iterator[str]:
    """What a row may call an instrument. A Vietnamese code is always ``vn=CODE``: alone it may be a US ticker."""
    for namespace, symbol in instrument.symbols.items():
        if namespace in _VIETNAMESE:
            yield f"vn={symbol}"
            continue
        yield f"{namespace}={symbol}"
        yield symbol
        if namespace == "yahoo" and symbol.endswith(".VN"):
            yield f"vn={symbol.removeprefix('^').removesuffix('.VN')}"
        if namespace == "cboe":
            yield f"^{symbol}"
    yield f"id={instrument.id}"


def _other(instrument: Instrument, symbol: str | None) -> Traits:
    group = instrument.group
    level = levels()[symbol] if symbol else None
    price = level.price if level else _guess(instrument)
    default, drift = _DEFAULT[group]
    volatility = (level and level.volatility) or default * (0.8 + 0.5 * hashed(instrument.id + "/volatility"))
    root = (level and level.like) or symbol or instrument.id
    always = group in (Group.CRYPTO, Group.SENTIMENT) and root != "GC=F"
    sigma = volatility / 100 / sqrt(365 if always else 252)
    pegged = group is Group.CRYPTO and volatility < 2
    shares = {} if pegged else _shares(group, instrument.region, root)
    own = max(0.0, 1 - sum(abs(s) for s in shares.values()))
    loads = [(f, _size(f, s, sigma)) for f, s in shares.items()]
    if own > 1e-9:
        stays = pegged or group is Group.VOLATILITY
        loads.append((f"{'noise' if stays else 'own'}:{root}", sqrt(own / 2 if stays else own) * sigma))
    supply = (level and level.supply) or (
        10 ** (8 + 2 * hashed(instrument.id)) / price if group is Group.CRYPTO else 0.0
    )
    return Traits(
        price=price,
        decimals=_decimals(instrument, price),
        loads=tuple(loads),
        sigma=sigma,
        drift=0.0 if pegged else min(drift, 0.4 * volatility / 100),
        volume=_volume(instrument, price, supply),
        supply=supply,
        first_day=_first_day(instrument),
        week=ALWAYS if always else WEEKDAYS,
        far=5.0 if group is Group.CRYPTO else 2.5,
        limit=_LIMITS.get(instrument.exchange, 0.0),
        ticks=_HOSE_TICKS if instrument.exchange == "XSTC" and instrument.currency == "VND" else (),
    )


def _shares(group: Group, region: str, root: str) -> Shares:
    if (known := _SPECIAL.get(root) or _FUND.get(root)) is not None:
        return known
    match group:
        case Group.INDICES:
            return _EQUITY.get(region, _EQUITY["world"])
        case Group.SECTORS:
            return {"world": 0.48, "americas": 0.22}
        case Group.VIETNAM:
            return {"world": 0.04, "asia": 0.03, "vietnam": 0.42}
        case Group.CRYPTO:
            return {"crypto": 0.58, "world": 0.07}
        case Group.VOLATILITY:
            return {"stress": 0.92}
        case Group.RATES:
            return {"yields": 0.75}
        case Group.COMMODITIES if root in _METALS:
            return {"metals": 0.52, "dollar": -0.08, "world": 0.06}
        case Group.COMMODITIES if root in _ENERGY:
            return {"energy": 0.74, "world": 0.08}
        case Group.COMMODITIES:
            return {"agriculture": 0.30}
        case _:
            return {}


def _size(factor: str, share: float, sigma: float) -> float:
    assert factor in FACTORS, factor
    size = sqrt(abs(share)) * sigma
    return (size / STRESS_SIZE if factor == "stress" else size) * (1 if share > 0 else -1)


def _guess(instrument: Instrument) -> float:
    """A price for an instrument nobody described."""
    spread = {Group.CRYPTO: (-2, 1.5), Group.RATES: (0.3, 0.7), Group.VOLATILITY: (1.1, 1.5), Group.FX: (-0.1, 2),
              Group.VIETNAM: (4, 5), Group.INDICES: (3, 4.3), Group.SECTORS: (1.5, 2.3)}  # fmt: skip
    low, high = spread.get(instrument.group, (1.0, 2.5))
    if instrument.group is Group.VIETNAM and instrument.currency != "VND":
        low, high = 2.0, 3.3
    return float(f"{10 ** (low + (high - low) * hashed(instrument.id + '/price')):.4g}")


def _decimals(instrument: Instrument, price: float) -> int:
    """At least five significant digits, whatever the instrument is shown with."""
    return max(instrument.decimals, 4 - floor(log10(price)))


def _volume(instrument: Instrument, price: float, supply: float) -> float:
    h = hashed(instrument.id + "/volume")
    match instrument.group:
        case Group.CRYPTO:
            return supply * price * (0.015 + 0.06 * h)
        case Group.INDICES:
            return float(10 ** (8.0 + 1.5 * h))
        case Group.VIETNAM:
            return float(10 ** (5.8 + 1.6 * h)) if instrument.currency == "VND" else 7.5e8
        case Group.SECTORS:
            return float(10 ** (6.3 + 1.2 * h))
        case Group.COMMODITIES:
            return float(10 ** (4.0 + 1.5 * h))
        case _:
            return 0.0


def _first_day(instrument: Instrument) -> int:
    h = hashed(instrument.id + "/first")
    match instrument.group:
        case Group.CRYPTO | Group.SENTIMENT:
            return date(2014, 9, 17).toordinal() + (0 if "bitcoin" in instrument.symbols.values() else int(h * 2200))
        case Group.VIETNAM:
            return date(2006, 1, 2).toordinal() + int(h * 3650)
        case Group.SECTORS:
            return date(1998, 12, 22).toordinal() + int(h * 3650)
        case _:
            return date(1985, 1, 2).toordinal() + int(h * 5400)


# --- FX: one walk per currency, so that EURUSD times USDJPY is EURJPY ------------------------------------------------


def _pair(instrument: Instrument) -> tuple[str, str] | None:
    """Base and quote: ``yahoo=EURUSD=X``, ``yahoo=JPY=X`` (short for ``USDJPY=X``), ``vietcombank=USD`` (in VND),
    ``ecb=USD`` (of a euro), ``ecb=USD/JPY``, ``twelvedata=EUR/USD``."""
    for namespace, symbol in instrument.symbols.items():
        base, slash, quote = symbol.partition("/")
        if not slash and namespace == "vietcombank":
            quote = "VND"
        elif not slash and namespace == "ecb":
            base, quote = "EUR", symbol
        elif not slash and (match := _PAIR.match(symbol)) and ("=X" in symbol or match[1]):
            base, quote = match[1] or "USD", match[2]
        if base != quote and {base, quote} <= {"USD", *CURRENCIES}:
            return base, quote
    return None


def _currency(code: str) -> dict[str, float]:
    """Daily sizes of what moves a currency's value in dollars."""
    if code == "USD":
        return {}
    _, volatility, share = CURRENCIES[code]
    sigma = volatility / 100 / sqrt(252)
    return {"dollar": -sqrt(share) * sigma, f"own:{PEGS.get(code, code)}": sqrt(1 - share) * sigma}


def _value(code: str) -> float:
    return 1.0 if code == "USD" else CURRENCIES[code][0]


def _rate(instrument: Instrument, base: str, quote: str) -> Traits:
    loads = _currency(base)
    for walk, size in _currency(quote).items():
        loads[walk] = loads.get(walk, 0.0) - size
    return _fx(instrument, _value(base) / _value(quote), loads)


def _dollar_index(instrument: Instrument) -> Traits:
    loads: dict[str, float] = {}
    for code, weight in DOLLAR_INDEX.items():
        for walk, size in _currency(code).items():
            loads[walk] = loads.get(walk, 0.0) - weight * size
    return _fx(instrument, 99.4, loads)


def _fx(instrument: Instrument, price: float, loads: Mapping[str, float]) -> Traits:
    return Traits(
        price=price,
        decimals=_decimals(instrument, price),
        loads=tuple(loads.items()),
        sigma=sqrt(sum(s * s for s in loads.values())) or 1e-6,
        drift=0.0,
        volume=0.0,
        supply=0.0,
        first_day=_first_day(instrument),
        week=WEEKDAYS,
    )


def _yield(instrument: Instrument, months: float) -> Traits:
    price, loads = yield_at_anchor(months), yield_loads(months)
    return Traits(
        price=price,
        decimals=_decimals(instrument, price),
        loads=loads,
        sigma=sqrt(sum(size * size for _, size in loads)),
        drift=0.0,
        volume=0.0,
        supply=0.0,
        first_day=_first_day(instrument),
        week=WEEKDAYS,
    )
