"""Settings: environment ``EVERTICK_…`` (nested with ``__``) over ``evertick.toml`` over defaults.

Read once by `load`, frozen, and passed down in sections. Every field here is described in docs/reference/settings.md; a
test compares the two.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from evertick.desk_settings import TOKEN_AT_LEAST, DeskSettings, check_together, desks_in, read_desks
from evertick.errors import SettingsError
from evertick.setting_types import Bytes, Names, Rate, Section, Zone, line

PREFIX = "EVERTICK_"
ROLES = ("web", "schedule", "work")
LANGUAGE_FORM = r"^[a-z]{2,3}(-[A-Z]{2})?$"
DEFAULT_DESK = "default"
"""The one desk of a server without ``[[desk]]``, and under whose name the ledger keeps what is done for all desks."""


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
    desk: Annotated[tuple[DeskSettings, ...], BeforeValidator(read_desks)] = ()
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
        check_together(self.desk, self.api_token)
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
        raise SettingsError("\n".join(line(e) for e in error.errors())) from None
    except ValueError as error:  # a nested value that is no JSON, from pydantic-settings
        raise SettingsError(str(error)) from None


def _with_desks_of(settings: Settings, where: Path) -> Settings:
    """``settings`` with the desks of the file or folder ``where`` behind their own. Raises what `load` turns into errors."""
    if not where.exists():
        raise SettingsError(f"DESKS={where} does not exist; name a TOML file with [[desk]] tables, or a folder of them")
    more: list[DeskSettings] = []
    for file in sorted(where.glob("*.toml")) if where.is_dir() else [where]:
        more += desks_in(file)
    desks = (*settings.desk, *more)
    check_together(desks, settings.api_token)
    return settings.model_copy(update={"desk": desks})


def _reading(file: Path) -> type[Settings]:
    """`Settings` with ``file`` below the environment, if there is such a file."""
    if not file.is_file():
        return Settings

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    return FromFile


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
