"""Settings: environment ``EVERTICK_…`` (nested with ``__``) over ``evertick.toml`` over defaults.

Read once by `load`, frozen, and passed down in sections. Every field here is described in docs/reference/settings.md; a
test compares the two.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from evertick.errors import SettingsError

PREFIX = "EVERTICK_"
ROLES = ("web", "schedule", "work")
LANGUAGE_FORM = r"^[a-z]{2,3}(-[A-Z]{2})?$"
DESK_FORM = r"^[a-z0-9][a-z0-9-]{0,31}$"
DEFAULT_DESK = "default"
"""The one desk of a server without ``[[desk]]``, and under whose name the ledger keeps what is done for all desks."""
TOKEN_AT_LEAST = 16
_TOLD = 20


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except Exception as error:
        raise ValueError(f"'{name}' is not a time zone; take a name such as Asia/Ho_Chi_Minh or UTC") from error
    return name


def _listed(value: Any) -> Any:
    """``a,b`` and ``["a", "b"]`` both mean a list."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
          "g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30}  # fmt: skip


def parse_bytes(value: Any) -> Any:
    """``256M``, ``1.5 GiB`` or a number of bytes, as an int; the units are powers of 1,024.

    >>> parse_bytes("256M")
    268435456
    """
    if not isinstance(value, str):
        return value
    text = value.strip().lower().replace("_", "")
    digits = text.rstrip("kmgib ")
    try:
        return int(float(digits) * _UNITS[text[len(digits) :].strip()])
    except (ValueError, KeyError):
        raise ValueError(f"'{value}' is not a size; write 256M, 1G or a number of bytes") from None


def parse_rate(value: Any) -> Any:
    """``30/10``: at most 30 requests in every 10 seconds, as a pair.

    >>> parse_rate("30/10")
    (30, 10.0)
    """
    if not isinstance(value, str):
        return value
    requests, _, seconds = value.partition("/")
    try:
        return int(requests), float(seconds)
    except ValueError:
        raise ValueError(f"'{value}' is not a rate; write 30/10 for 30 requests in every 10 seconds") from None


Bytes = Annotated[int, BeforeValidator(parse_bytes)]
Rate = Annotated[
    tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0, le=86_400)]], NoDecode, BeforeValidator(parse_rate)
]
Zone = Annotated[str, AfterValidator(_known_zone)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSettings(Section):
    enabled: bool = True
    base_url: str | None = None
    api_key: SecretStr | None = None
    rate: Rate | None = Field(None, description="requests/seconds; default: what the provider bears")
    per_day: int | None = Field(None, ge=1, description="requests a day (UTC); default: what the provider grants")


class RetentionSettings(Section):
    """How long what is stored is kept. Pruned in small steps by the ``housekeeping`` job."""

    reports: int = Field(200, ge=1, description="published reports kept at most, the newest")
    report_days: int = Field(90, ge=1)
    report_bytes: Bytes = Field(2 << 30, ge=1 << 20, description="stored bytes of all reports that are not pinned")
    receipts: int = Field(20_000, ge=100, description="receipts kept at most")
    receipt_days: int = Field(30, ge=1)
    slot_days: int = Field(30, ge=1)
    bar_days: int = Field(800, ge=30, description="calendar days of daily bars per instrument")
    quote_days: int = Field(30, ge=1, description="UTC days of the quotes of every refresh")


def _place(value: str) -> str:
    """``s3://bucket/prefix`` or ``file:///folder``, without the slash at its end."""
    value = value.rstrip("/")
    scheme, _, rest = value.partition("://")
    if scheme == "s3" and re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'()=-]+)*", rest):
        return value
    if scheme == "file" and re.fullmatch(r"(/[^/\x00?#%]+)+", rest) and ".." not in rest.split("/"):
        return value
    raise ValueError(
        "is not a place for reports; write s3://bucket/prefix, or file:///folder for a folder that is shared"
    )


class ArchiveSettings(Section):
    """Where the parts of reports are kept when not in the database."""

    bodies: Annotated[str, Field(max_length=300), AfterValidator(_place)] | None = Field(
        None, description="default: in the database"
    )
    endpoint: str | None = Field(None, pattern=r"^https?://", description="default: AWS_ENDPOINT_URL, else Amazon's")
    region: str | None = Field(None, description="default: AWS_REGION, else us-east-1")
    access_key_id: SecretStr | None = Field(None, description="default: AWS_ACCESS_KEY_ID, else the machine's role")
    secret_access_key: SecretStr | None = Field(None, description="default: AWS_SECRET_ACCESS_KEY")


def _endpoint(url: str | None) -> str | None:
    """An address without the path of any one call, and without anything secret."""
    if url is None:
        return None
    try:
        parts = urlsplit(url.strip())
        there = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        there = False
    if not there:
        raise ValueError("it is not an address; write for example http://127.0.0.1:8080/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("it may hold no user, password or query; the key goes into WRITER__API_KEY")
    return url.strip().rstrip("/").removesuffix("/chat/completions")


class WriterSettings(Section):
    """The optional AI writer: off without a ``base_url``."""

    base_url: Annotated[str | None, AfterValidator(_endpoint)] = None
    model: str = ""
    api_key: SecretStr | None = None
    timeout: float = Field(60.0, gt=0, le=300, description="seconds for one language, repetitions included")
    max_tokens: int = Field(1200, ge=64, le=16_384, description="of one answer")
    per_day: int = Field(200_000, ge=0, le=1_000_000_000, description="tokens a day (UTC), both ways")
    price_in: float = Field(0.0, ge=0, le=10_000, description="for a million tokens; a local model costs nothing")
    price_out: float = Field(0.0, ge=0, le=10_000)
    daily_cost: float = Field(1.0, ge=0, le=2_000, description="a day (UTC) at most, in the currency of the prices")
    languages: Names | None = None

    @model_validator(mode="after")
    def _together(self) -> WriterSettings:
        if self.base_url and not self.model.strip():
            raise ValueError("it has a BASE_URL but no model; set WRITER__MODEL to what the endpoint calls it")
        return self


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


def _read_desks(value: Any) -> Any:
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
            wrong += [f"{named}: {_line(e)}" for e in error.errors()]
    if wrong:
        raise ValueError(_some(wrong))
    return tuple(desks)


def _together(desks: Sequence[DeskSettings], api_token: SecretStr | None) -> None:
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


class HttpSettings(Section):
    """Towards the providers."""

    connect_timeout: float = Field(5.0, gt=0, le=120)
    read_timeout: float = Field(10.0, gt=0, le=120)
    total_timeout: float = Field(20.0, gt=0, le=600)
    max_bytes: Bytes = Field(8 << 20, ge=1024, description="cap on one answer, after decompression")
    connections: int = Field(8, ge=1, le=100)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    data_dir: Path = Path("evertick-data")
    database_url: str | None = Field(None, description="default: SQLite in DATA_DIR")
    redis_url: SecretStr | None = Field(None, description="default: the embedded board")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    api_token: SecretStr | None = None
    roles: Names = ROLES
    mode: Literal["embedded", "distributed"] = "embedded"
    locales: Names = ("vi", "en")
    timezone: Zone = "Asia/Ho_Chi_Minh"
    indices_every: str = "3m"
    report_every: str = "3h..6h"
    report_on_start: bool = Field(False, description="make a report at once when there is none yet")
    job_attempts: int = Field(4, ge=1, le=20, description="how often a failing slot is tried")
    job_max_run: float = Field(900.0, gt=1, description="seconds after which a run is cancelled")
    lease: float | None = Field(None, ge=1, description="seconds; renewed every third of it")
    stop_grace: float = Field(8.0, ge=0, le=600, description="seconds a stopped process gives to its runs and requests")
    memory_limit: Bytes | None = Field(None, ge=32 << 20, description="default: the cgroup's, else 256 MiB")
    memory_every: float = Field(10.0, ge=0.1, le=60, description="seconds between two looks at the memory")
    memory_restarts: int = Field(3, ge=0, le=60, description="restarts in place an hour at most; 0: never")
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    universe: Path | None = Field(None, description="a CSV file that changes the list of instruments")
    http: HttpSettings = HttpSettings()
    retention: RetentionSettings = RetentionSettings()
    writer: WriterSettings = WriterSettings()
    archive: ArchiveSettings = ArchiveSettings()
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)
    desk: Annotated[tuple[DeskSettings, ...], BeforeValidator(_read_desks)] = ()
    desks: Path | None = Field(
        None, description="more desks: a TOML file with [[desk]] tables, or a folder of such files"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if unknown := set(self.roles) - set(ROLES):
            raise ValueError(f"ROLES: '{sorted(unknown)[0]}' is not a role; choose among {', '.join(ROLES)}")
        if not self.roles:
            raise ValueError(f"ROLES is empty; choose among {', '.join(ROLES)}")
        if not self.locales or len(set(self.locales)) != len(self.locales):
            raise ValueError("LOCALES names no language, or one twice; write for example vi,en")
        if not self.loopback and self.api_token is None:
            raise ValueError(
                f"HOST={self.host} would open the server to others without a token; "
                "set API_TOKEN, or HOST=127.0.0.1 to stay on this machine"
            )
        if self.api_token is not None and len(self.api_token.get_secret_value()) < TOKEN_AT_LEAST:
            raise ValueError(
                f"API_TOKEN is shorter than {TOKEN_AT_LEAST} characters; make one with: openssl rand -hex 24"
            )
        if self.mode == "distributed" and not self.database_url_or_default.startswith("postgresql"):
            raise ValueError(
                "MODE=distributed needs PostgreSQL: SQLite cannot be shared; set DATABASE_URL=postgresql://…"
            )
        if self.mode == "distributed" and self.redis_url is None:
            raise ValueError("MODE=distributed needs a board that processes share; set REDIS_URL=redis://…")
        _together(self.desk, self.api_token)
        return self

    @property
    def loopback(self) -> bool:
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @property
    def lease_s(self) -> float:
        """Shorter on several machines: there a lease that ran out is all that tells of a machine that is gone."""
        return self.lease or (20.0 if self.mode == "distributed" else 30.0)

    @property
    def database_url_or_default(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'evertick.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(config: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings once.

    ``config`` is ``evertick.toml`` (or ``$EVERTICK_CONFIG``); a missing default file is no error, a missing named one is.
    Raises `SettingsError` with one line for everything that is wrong, each naming the setting.
    """
    environ = os.environ if environ is None else environ
    named = config or (Path(environ["EVERTICK_CONFIG"]) if environ.get("EVERTICK_CONFIG") else None)
    file = named or Path("evertick.toml")
    if named and not file.is_file():
        raise SettingsError(f"the settings file {file} does not exist")
    _refuse_unknown(environ)
    try:
        settings = _reading(file)(**{k: v for k, v in overrides.items() if v is not None})
        return settings if settings.desks is None else _with_desks_of(settings, settings.desks)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: it is not UTF-8 text") from error
    except OSError as error:
        raise SettingsError(f"the settings file {file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise SettingsError("\n".join(_line(e) for e in error.errors())) from None
    except ValueError as error:  # a nested value that is no JSON, from pydantic-settings
        raise SettingsError(str(error)) from None


def _with_desks_of(settings: Settings, where: Path) -> Settings:
    """``settings`` with the desks of the file or folder ``where`` behind their own. Raises what `load` turns into errors."""
    if not where.exists():
        raise SettingsError(f"DESKS={where} does not exist; name a TOML file with [[desk]] tables, or a folder of them")
    more: list[DeskSettings] = []
    for file in sorted(where.glob("*.toml")) if where.is_dir() else [where]:
        more += _desks_in(file)
    desks = (*settings.desk, *more)
    _together(desks, settings.api_token)
    return settings.model_copy(update={"desk": desks})


def _desks_in(file: Path) -> Sequence[DeskSettings]:
    try:
        read = tomllib.loads(file.read_text())
        if unknown := sorted(set(read) - {"desk"}):
            raise ValueError(f"'{unknown[0]}' does not belong here; it holds [[desk]] tables and nothing else")
        desks: Sequence[DeskSettings] = _read_desks(read.get("desk", []))
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


def _reading(file: Path) -> type[Settings]:
    """`Settings` with ``file`` below the environment, if there is such a file."""
    if not file.is_file():
        return Settings

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    return FromFile


def _line(error: Any) -> str:
    where = "__".join(str(p) for p in error["loc"]).upper()
    why = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{where} is not a setting of Evertick; see docs/reference/settings.md"
    if not where or where == "DESK":
        return str(why)
    shown = error.get("input")
    given = f"={shown}" if isinstance(shown, str | int | float) and not _secret(where) else ""
    return f"{where}{given}: {why}"


def _secret(name: str) -> bool:
    return any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD", "URL", "BODIES"))


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """pydantic-settings passes over unknown variables; a typing error in one should not pass over a night."""
    known = {name.upper() for name in Settings.model_fields} | {"CONFIG"}
    nested = {
        name.upper()
        for name, f in Settings.model_fields.items()
        if name in ("archive", "http", "retention", "sources", "writer")
    }
    wrong = []
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        top, _, rest = name.removeprefix(PREFIX).partition("__")
        if top.upper() not in known or (rest and top.upper() not in nested):
            close = _closest(top.upper(), known)
            wrong.append(f"{name} is not a setting of Evertick" + (f"; did you mean {PREFIX}{close}?" if close else ""))
    if wrong:
        raise SettingsError("\n".join(wrong))


def _closest(name: str, known: set[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, 1)), None)
