"""``[[desk]]``: one desk as the settings have it, and what is to be said of several."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError

from evertick.errors import SettingsError
from evertick.setting_types import Bytes, Names, Section, Zone, line

DESK_FORM = r"^[a-z0-9][a-z0-9-]{0,31}$"
TOKEN_AT_LEAST = 16
_TOLD = 20


class DeskRetention(Section):
    """What of the reports of one desk is kept; what is not given is that of ``RETENTION``."""

    reports: int | None = Field(None, ge=1)
    report_days: int | None = Field(None, ge=1)
    report_bytes: Bytes | None = Field(None, ge=1 << 20)


class DeskSettings(Section):
    """One ``[[desk]]``; what is not given is the server's."""

    id: Annotated[str, Field(pattern=DESK_FORM)]
    name: str = Field("", max_length=80, description="for people; default: the id")
    instruments: Names = Field((), description="ids and groups; -ID takes one away; default: the whole universe")
    universe: Path | None = Field(None, description="a CSV file, as UNIVERSE takes one")
    locales: Names | None = None
    timezone: Zone | None = None
    report_every: str | None = None
    retention: DeskRetention = DeskRetention()
    token: SecretStr | None = Field(None, description="opens this desk, which is closed then, and no other")


def read_desks(value: Any) -> Any:
    """Desks from tables, in one go, so that an error names its desk and not its place in the list."""
    if not isinstance(value, list | tuple):
        return value
    desks, wrong = [], []
    for place, table in enumerate(value, 1):
        try:
            desks.append(table if isinstance(table, DeskSettings) else DeskSettings.model_validate(table))
        except ValidationError as error:
            id = table.get("id") if isinstance(table, Mapping) else None
            named = f"desk '{id}'" if isinstance(id, str) else f"the {_ordinal(place)} desk"
            wrong += [f"{named}: {line(e)}" for e in error.errors()]
    if wrong:
        raise ValueError(_some(wrong))
    return tuple(desks)


def check_together(desks: Sequence[DeskSettings], api_token: SecretStr | None) -> None:
    """What is wrong with desks beside each other. Raises `ValueError`."""
    wrong = []
    ids, tokens = set[str](), {api_token.get_secret_value()} if api_token else set[str]()
    for desk in desks:
        if desk.id in ids:
            wrong.append(f"desk '{desk.id}' is there twice; each needs an id of its own")
        ids.add(desk.id)
        if desk.locales is not None and (not desk.locales or len(set(desk.locales)) != len(desk.locales)):
            wrong.append(f"desk '{desk.id}': LOCALES names no language, or one twice; write for example vi,en")
        if desk.token is None:
            continue
        token = desk.token.get_secret_value()
        if len(token) < TOKEN_AT_LEAST:
            wrong.append(
                f"desk '{desk.id}': TOKEN is shorter than {TOKEN_AT_LEAST} characters; make one with: openssl rand -hex 24"
            )
        elif token in tokens:
            wrong.append(f"desk '{desk.id}': its TOKEN opens another desk, or all, already; each needs one of its own")
        tokens.add(token)
        if api_token is None:
            wrong.append(f"desk '{desk.id}' has a TOKEN: set API_TOKEN too, which opens all desks")
    if wrong:
        raise ValueError(_some(wrong))


def _ordinal(place: int) -> str:
    return f"{place}{'th' if place % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(place % 10, 'th')}"


def _some(lines: Sequence[str]) -> str:
    return "\n".join([*lines[:_TOLD], *([f"… and {len(lines) - _TOLD} more"] if len(lines) > _TOLD else [])])


def desks_in(file: Path) -> Sequence[DeskSettings]:
    try:
        read = tomllib.loads(file.read_text())
        if unknown := sorted(set(read) - {"desk"}):
            raise ValueError(f"'{unknown[0]}' does not belong here; it holds [[desk]] tables and nothing else")
        desks: Sequence[DeskSettings] = read_desks(read.get("desk", []))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from error
    except ValueError as error:
        raise SettingsError("\n".join(f"{file}: {line}" for line in str(error).splitlines())) from None
    # A file beside them is named from where they stand.
    return [
        d
        if d.universe is None or d.universe.is_absolute()
        else d.model_copy(update={"universe": file.parent / d.universe})
        for d in desks
    ]
