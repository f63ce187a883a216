"""The desks: each a named set of instruments with its own languages, schedule, time zone, retention and token.

Without ``[[desk]]`` in the settings there is one, ``default``, with all that the settings say of the server. The markets are
polled once for all desks: the board holds the union of their instruments, and a desk sees its own.

A thousand desks are to cost little: instruments are shared, and so are equal choices of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import SecretStr

from evertick import universe
from evertick.desk_settings import DeskSettings
from evertick.errors import SettingsError
from evertick.model import Group, Instrument
from evertick.settings import DEFAULT_DESK, Settings
from evertick.universe import LARGEST, Universe

T = TypeVar("T")
_TOLD = 20
_GROUPS = {group.value: group for group in Group}


@dataclass(frozen=True, slots=True)
class Retention:
    """What of the reports of a desk is kept; see `evertick.settings.RetentionSettings`."""

    reports: int
    report_days: int
    report_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    id: str
    name: str
    instruments: tuple[Instrument, ...]
    """In the order in which they are shown; one tuple for all desks with the same ones."""
    locales: tuple[str, ...]
    timezone: str
    report_every: str
    retention: Retention
    token: SecretStr | None = None
    """With one the desk is closed: only this token, and API_TOKEN, open it."""

    @property
    def universe(self) -> Universe:
        """Made for whoever asks: kept, it would be most of what a desk costs."""
        return Universe.of(self.instruments)


class Desks:
    """All desks, in the order of the settings; the first is the one that a page shows unless it is told another."""

    def __init__(self, desks: Sequence[Desk], followed: Universe) -> None:
        self._by_id: Mapping[str, Desk] = MappingProxyType({desk.id: desk for desk in desks})
        self.universe = followed
        """The instruments of all desks, each once."""

    def get(self, id: str) -> Desk | None:
        return self._by_id.get(id)

    def name(self, id: str) -> str:
        """For people; the id of a desk that there no longer is."""
        desk = self.get(id)
        return id if desk is None else desk.name

    def __iter__(self) -> Iterator[Desk]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    @cached_property
    def first(self) -> Desk:
        return next(iter(self))

    @property
    def languages(self) -> Sequence[str]:
        """In which some desk has its reports."""
        return tuple(dict.fromkeys(language for desk in self for language in desk.locales))

    @property
    def only_default(self) -> bool:
        """There is nothing to choose and nothing to name."""
        return len(self) == 1 and DEFAULT_DESK in self._by_id


def load(settings: Settings) -> Desks:
    """The desks of ``settings``. Raises `SettingsError` with a line for whatever is wrong with one of them."""
    common = universe.load(settings.universe)
    if not settings.desk:
        return Desks([_desk(DeskSettings(id=DEFAULT_DESK), settings, common.instruments, Shared())], common)
    shared = Shared()
    files: dict[Path | None, Universe] = {None: common}
    desks: list[Desk] = []
    wrong: list[str] = []
    for given in settings.desk:
        try:
            if given.universe not in files:
                files[given.universe] = universe.load(given.universe, common)
            chosen = choose(given.instruments, files[given.universe])
        except SettingsError as error:
            wrong += [f"desk '{given.id}': {line}" for line in error.message.splitlines()]
            continue
        desks.append(_desk(given, settings, shared.instruments(chosen), shared))
    if not wrong:
        followed, wrong = _union(desks, common)
    if wrong:
        more = f"\n… and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        raise SettingsError("\n".join(wrong[:_TOLD]) + more)
    return Desks(desks, followed)


class Shared:
    """Equal values of different desks, kept once."""

    def __init__(self) -> None:
        self._kept: dict[object, object] = {}
        self._choices: dict[tuple[int, ...], tuple[Instrument, ...]] = {}

    def once(self, value: T) -> T:
        return self._kept.setdefault(value, value)  # type: ignore[return-value]

    def instruments(self, chosen: Sequence[Instrument]) -> tuple[Instrument, ...]:
        return self._choices.setdefault(tuple(map(id, chosen)), tuple(chosen))


def _desk(given: DeskSettings, settings: Settings, instruments: tuple[Instrument, ...], shared: Shared) -> Desk:
    keep, common = given.retention, settings.retention
    return Desk(
        id=given.id,
        name=given.name or given.id,
        instruments=instruments,
        locales=shared.once(given.locales or tuple(settings.locales)),
        timezone=shared.once(given.timezone or settings.timezone),
        report_every=shared.once(given.report_every or settings.report_every),
        retention=shared.once(
            Retention(
                keep.reports or common.reports,
                keep.report_days or common.report_days,
                keep.report_bytes or common.report_bytes,
            )
        ),
        token=given.token,
    )


def choose(names: Sequence[str], among: Universe) -> Sequence[Instrument]:
    """The instruments that ``names`` mean, in the order of ``among``; without names all of them.

    A name is an id, a group (``crypto``) or ``*``; with ``-`` before it, it takes away what those before it gave, or of all
    where it is the first. Raises `SettingsError`.
    """
    chosen = set() if names and names[0][:1] != "-" else {i.id for i in among}
    for name in names:
        away, named = name.startswith("-"), name.removeprefix("-")
        if named == "*":
            meant = {i.id for i in among}
        elif named in _GROUPS:
            meant = {i.id for i in among.group(_GROUPS[named])}
        elif among.get(named) is not None:
            meant = {named}
        else:
            raise SettingsError(f"INSTRUMENTS: '{name[:40]}' is {_nothing(named, among)}")
        chosen = chosen - meant if away else chosen | meant
    if not chosen:
        raise SettingsError("INSTRUMENTS leaves none; name ids such as SPX, or groups such as crypto")
    return [i for i in among if i.id in chosen]


def _nothing(name: str, among: Universe) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, [*(i.id for i in among), *_GROUPS], 1, 0.5)
    hint = f"; did you mean {close[0]}?" if close else f"; groups are {', '.join(_GROUPS)}"
    return f"neither an instrument of the universe nor a group{hint}"


def _union(desks: Sequence[Desk], common: Universe) -> tuple[Universe, list[str]]:
    """The instruments of all desks, those of the common universe in its order first; and what is wrong with them."""
    found: dict[str, tuple[Instrument, str]] = {}
    wrong = []
    seen: set[int] = set()
    for desk in desks:
        if id(desk.instruments) in seen:
            continue
        seen.add(id(desk.instruments))
        for instrument in desk.instruments:
            known, owner = found.setdefault(instrument.id, (instrument, desk.id))
            if known is not instrument and known != instrument:
                wrong.append(
                    f"desk '{desk.id}': its {instrument.id} is another than that of desk '{owner}'; one id is one instrument"
                )
    of_symbol: dict[tuple[str, str], str] = {}
    for instrument, owner in found.values():
        for symbol in instrument.symbols.items():
            other = of_symbol.setdefault(symbol, instrument.id)
            if other != instrument.id:
                wrong.append(
                    f"desk '{owner}': {symbol[0]} symbol {symbol[1]} of {instrument.id} belongs to {other} already"
                )
    if len(found) > LARGEST:
        wrong.append(f"the desks follow {len(found)} instruments together, at most {LARGEST} are followed")
    order = {instrument.id: place for place, instrument in enumerate(common)}
    union = sorted((instrument for instrument, _ in found.values()), key=lambda i: order.get(i.id, len(order)))
    return Universe.of(union), wrong
