"""The instruments Evertick follows: ``universe.csv`` beside this file, or one of the user's own."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from evertick.errors import SettingsError
from evertick.model import Group, Instrument
from evertick.sessions import EXCHANGES

BUILT_IN = Path(__file__).with_name("universe.csv")
COLUMNS = ("id", "name", "group", "region", "currency", "exchange", "decimals", "core")
"""Then one column for each of `SOURCES`: an instrument's symbol there, empty where the source does not know it."""
SOURCES = ("yahoo", "coingecko", "alternative")
REGIONS = ("americas", "europe", "asia", "africa", "world")
LARGEST = 5_000
"""Instruments at most: what a report and a dashboard can show, and a bound on what a wrong file can cost."""

_ID = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,23}")
_CURRENCY = re.compile(r"[A-Z]{3}|pts|%")
_SYMBOL = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,64}")
_FLAGS = {"yes": True, "no": False}


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


def load(path: Path | None = None) -> Universe:
    """Read the universe: the built-in one without ``path``.

    Raises `SettingsError` with one line for every wrong row, each naming the file and the line.
    """
    file = path or BUILT_IN
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"UNIVERSE={file} cannot be read: {why}") from error
    return Universe.of(parse(text, str(file)))


def parse(text: str, name: str) -> list[Instrument]:
    """The rows of a universe file; ``name`` is what errors call it. Lines that begin with ``#`` are comments."""
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not lines:
        raise SettingsError(f"{name} holds no instruments", hint=f"its first row is: {','.join(COLUMNS + SOURCES)}")
    header = _cells(lines[0][1])
    _check_header(header, name, lines[0][0])
    wrong: list[str] = []
    found: dict[str, Instrument] = {}
    seen: dict[tuple[str, str], str] = {}
    for number, line in lines[1:]:
        try:
            instrument = _row(header, _cells(line))
            if instrument.id in found:
                raise ValueError(f"id {instrument.id} is used twice")
            for at in instrument.symbols.items():
                if at in seen:
                    raise ValueError(f"{at[0]} symbol {at[1]} belongs to {seen[at]} already")
                seen[at] = instrument.id
            found[instrument.id] = instrument
        except ValueError as error:
            wrong.append(f"{name}, line {number}: {error}")
    if len(found) > LARGEST:
        wrong.append(f"{name}: {len(found)} instruments, at most {LARGEST} are followed")
    if not found and not wrong:
        wrong.append(f"{name} holds no instruments below its first row")
    if wrong:
        more = f"\n… and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise SettingsError("\n".join(wrong[:20]) + more)
    return list(found.values())


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line]))]


def _check_header(header: list[str], name: str, number: int) -> None:
    if missing := [c for c in COLUMNS if c not in header]:
        raise SettingsError(f"{name}, line {number}: the first row lacks {', '.join(missing)}")
    if unknown := [c for c in header if c not in COLUMNS + SOURCES]:
        raise SettingsError(
            f"{name}, line {number}: '{unknown[0]}' is not a column; they are {', '.join(COLUMNS + SOURCES)}"
        )
    if len(set(header)) < len(header):
        raise SettingsError(f"{name}, line {number}: a column is there twice")


def _row(header: list[str], cells: list[str]) -> Instrument:
    """One instrument; `ValueError` says what is wrong with the row."""
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells, the first row has {len(header)}")
    row = dict(zip(header, cells, strict=True))
    symbols = {source: row[source] for source in SOURCES if row.get(source)}
    for source, symbol in symbols.items():
        _matching(_SYMBOL, symbol, f"{source} symbol", "printable ASCII without space or comma")
    if not symbols:
        raise ValueError(f"no source knows {row['id']}; give it a symbol in one of {', '.join(SOURCES)}")
    if not row["name"] or len(row["name"]) > 80:
        raise ValueError("name is empty or longer than 80 characters")
    if not row["decimals"].isdecimal() or int(row["decimals"]) > 10:
        raise ValueError(f"decimals '{row['decimals']}' is not a number from 0 to 10")
    return Instrument(
        id=_matching(_ID, row["id"], "id", "A-Z 0-9 . _ -, at most 24 characters"),
        name=row["name"],
        group=Group(_among(row["group"], list(Group), "group")),
        region=_among(row["region"], REGIONS, "region"),
        currency=_matching(_CURRENCY, row["currency"], "currency", "a code such as USD, or pts, or %"),
        exchange=_among(row["exchange"], list(EXCHANGES), "exchange"),
        decimals=int(row["decimals"]),
        symbols=MappingProxyType(symbols),
        core=_FLAGS[_among(row["core"], list(_FLAGS), "core")],
    )


def _among(value: str, choices: Sequence[str], what: str) -> str:
    if value not in choices:
        raise ValueError(f"{what} '{value}' is not one of {', '.join(choices)}")
    return value


def _matching(pattern: re.Pattern[str], value: str, what: str, allowed: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{what} '{value[:40]}' is not {allowed}")
    return value
