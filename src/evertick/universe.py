"""The instruments Evertick follows: ``universe.csv`` beside this file, changed by one of the user's own."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType

from evertick.errors import SettingsError
from evertick.model import Group, Instrument
from evertick.sessions import EXCHANGES

BUILT_IN = Path(__file__).with_name("universe.csv")
COLUMNS = ("id", "name", "group", "region", "currency", "exchange", "decimals", "core", "symbols")
NAMESPACES = (
    "coingecko",
    "coinpaprika",
    "binance",
    "okx",
    "alternative",
    "vn",
    "vps",
    "vndirect",
    "kbs",
    "vci",
    "vietcombank",
    "cboe",
    "yahoo",
    "treasury",
    "fred",
    "ecb",
    "ticker",
    "twelvedata",
    "finnhub",
    "fmp",
    "tiingo",
    "massive",
    "alphavantage",
)
"""Whose symbols the built-in sources read: their own name, ``vn`` (Vietnamese codes) and ``ticker`` (US tickers)."""
REGIONS = ("americas", "europe", "asia", "africa", "world")
LARGEST = 5_000
"""Instruments at most: what a report and a dashboard can show, and a bound on what a wrong file can cost."""
LARGEST_FILE = 4 << 20
"""Bytes of a file at most; 5,000 long lines are a quarter of it."""

_ID = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,23}")
_CURRENCY = re.compile(r"[A-Z]{3}|pts|%")
_SYMBOL = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,64}")
_FLAGS = {"yes": True, "no": False}
_TOLD = 20
_ALL = "-*"


@dataclass(frozen=True, slots=True, eq=False)
class Universe:
    """All instruments, in the order in which they are shown."""

    instruments: tuple[Instrument, ...]
    _by_id: Mapping[str, Instrument]

    @staticmethod
    def of(instruments: Sequence[Instrument]) -> Universe:
        return Universe(tuple(instruments), MappingProxyType({i.id: i for i in instruments}))

    def get(self, instrument_id: str) -> Instrument | None:
        return self._by_id.get(instrument_id)

    def group(self, group: Group) -> tuple[Instrument, ...]:
        return tuple(i for i in self.instruments if i.group is group)

    def __len__(self) -> int:
        return len(self.instruments)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self.instruments)


def load(path: Path | None = None, before: Universe | None = None) -> Universe:
    """The built-in universe, or ``before``, with what the file at ``path`` adds to it, replaces and removes.

    Raises `SettingsError` with one line for every wrong row, each naming the file and the line.
    """
    built_in = parse(_text(BUILT_IN), BUILT_IN.name) if before is None else before.instruments
    return Universe.of(parse(_text(path), str(path), built_in) if path else built_in)


def parse(text: str, name: str, before: Sequence[Instrument] = ()) -> list[Instrument]:
    """``before`` changed by the lines of a universe file; ``name`` is what errors call it.

    A row with a new id adds an instrument at the end, one with a known id takes that one's place. ``-SPX`` removes an
    instrument of ``before``, ``-*`` all of them. Lines that begin with ``#`` are comments. The first row names the
    columns; without it they are `COLUMNS`, in that order.
    """
    stripped = ((n, line.strip()) for n, line in enumerate(text.splitlines(), 1))
    lines = [(n, line) for n, line in stripped if line and line[0] != "#"]
    if not lines and not before:
        raise SettingsError(f"{name} holds no instruments", hint=f"its first row is: {','.join(COLUMNS)}")
    cleared = any(line == _ALL for _, line in lines)
    found = {} if cleared else {i.id: i for i in before}
    removable = set(found)
    own: dict[str, int] = {}
    wrong: list[str] = []
    header: list[str] | None = None
    for number, line in lines:
        try:
            if line == _ALL:
                continue
            if line[0] == "-":
                _remove(line[1:].strip(), found, removable)
                continue
            cells = _cells(line)
            if header is None:
                header = _header(cells, name, number)
                if header is cells:
                    continue
            instrument = _row(header, cells)
            if instrument.id in own:
                raise ValueError(f"id {instrument.id} is used twice, first on line {own[instrument.id]}")
            own[instrument.id] = number
            removable.discard(instrument.id)
            found[instrument.id] = instrument
        except ValueError as error:
            wrong.append(f"{name}, line {number}: {error}")
    wrong += [f"{name}, line {number}: {why}" for number, why in _clashes(found, own)]
    if len(found) > LARGEST:
        wrong.append(f"{name}: {len(found)} instruments, at most {LARGEST} are followed")
    if not found and not wrong:
        wrong.append(f"{name} leaves no instruments")
    if wrong:
        more = f"\n… and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        raise SettingsError("\n".join(wrong[:_TOLD]) + more)
    return list(found.values())


def known_namespaces() -> tuple[str, ...]:
    """`NAMESPACES` and the names of the sources that installed packages bring; none of them is imported."""
    return NAMESPACES + _plugins()


@cache
def _plugins() -> tuple[str, ...]:
    return tuple(sorted({p.name for p in entry_points(group="evertick.sources")} - set(NAMESPACES)))


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise SettingsError(f"UNIVERSE={file} is larger than {LARGEST_FILE >> 20} MiB")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"UNIVERSE={file} cannot be read: {why}") from error


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _header(cells: list[str], name: str, number: int) -> list[str]:
    """The columns: ``cells`` itself where it names them, else those of every universe file."""
    if "id" not in cells:
        return list(COLUMNS)
    if unknown := [c for c in cells if c not in COLUMNS]:
        hint = f"; symbols stand in one column, as {unknown[0]}=…" if unknown[0] in NAMESPACES else ""
        raise SettingsError(
            f"{name}, line {number}: '{unknown[0]}' is not a column; they are {', '.join(COLUMNS)}{hint}"
        )
    if missing := [c for c in COLUMNS if c not in cells]:
        raise SettingsError(f"{name}, line {number}: the first row lacks {', '.join(missing)}")
    if len(set(cells)) < len(cells):
        raise SettingsError(f"{name}, line {number}: a column is there twice")
    return cells


def _remove(id: str, found: dict[str, Instrument], removable: set[str]) -> None:
    if id not in removable:
        why = "this file gives it itself" if id in found else "there is no such instrument"
        raise ValueError(f"-{id[:24]} removes nothing: {why}")
    removable.discard(id)
    del found[id]


def _clashes(found: Mapping[str, Instrument], own: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Lines of the file at hand whose symbol another instrument has already."""
    seen: dict[tuple[str, str], str] = {}
    later = [found[id] for id in own if id in found]
    for instrument in [*(i for id, i in found.items() if id not in own), *later]:
        for namespace, symbol in instrument.symbols.items():
            other = seen.setdefault((namespace, symbol), instrument.id)
            if other != instrument.id:
                yield own[instrument.id], f"{namespace} symbol {symbol} belongs to {other} already"


def _row(header: list[str], cells: list[str]) -> Instrument:
    """One instrument; `ValueError` says what is wrong with the row."""
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells, not {len(header)} ({', '.join(header)})")
    row = dict(zip(header, cells, strict=True))
    id = _matching(_ID, row["id"], "id", "A-Z 0-9 . _ -, at most 24 characters")
    if not row["name"] or len(row["name"]) > 80:
        raise ValueError("name is empty or longer than 80 characters")
    if not row["decimals"].isdecimal() or int(row["decimals"]) > 10:
        raise ValueError(f"decimals '{row['decimals'][:40]}' is not a number from 0 to 10")
    return Instrument(
        id=id,
        name=row["name"],
        group=Group(_among(row["group"], list(Group), "group")),
        region=_among(row["region"], REGIONS, "region"),
        currency=_matching(_CURRENCY, row["currency"], "currency", "a code such as USD, or pts, or %"),
        exchange=_among(row["exchange"], list(EXCHANGES), "exchange"),
        decimals=int(row["decimals"]),
        symbols=MappingProxyType(_symbols(row["symbols"])),
        core=_FLAGS[_among(row["core"], list(_FLAGS), "core")],
    )


def _symbols(text: str) -> dict[str, str]:
    """``yahoo=EURUSD=X ecb=USD`` as a mapping; each part is split at its first ``=``."""
    symbols: dict[str, str] = {}
    for part in text.split():
        namespace, equals, symbol = part.partition("=")
        if not equals:
            raise ValueError(f"symbol '{part[:40]}' is not written namespace=symbol")
        if namespace not in NAMESPACES:
            _among(namespace, known_namespaces(), "namespace")
        if namespace in symbols:
            raise ValueError(f"it has two {namespace} symbols")
        symbols[namespace] = _matching(_SYMBOL, symbol, f"{namespace} symbol", "1 to 64 printable ASCII characters")
    if not symbols:
        raise ValueError("it has no symbols; give it one or more, such as yahoo=^GSPC")
    return symbols


def _among(value: str, choices: Sequence[str], what: str) -> str:
    if value not in choices:
        raise ValueError(f"{what} '{value[:40]}' is not one of {', '.join(choices)}")
    return value


def _matching(pattern: re.Pattern[str], value: str, what: str, allowed: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{what} '{value[:40]}' is not {allowed}")
    return value
