"""What the settings are made of: how sizes, rates, zones and lists are written, and how an error is told."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode


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


def line(error: Any) -> str:
    where = "__".join(str(p) for p in error["loc"]).upper()
    why = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{where} is not a setting of Evertick; see docs/reference/settings.md"
    if not where or where == "DESK":
        return str(why)
    shown = error.get("input")
    given = f"={shown}" if isinstance(shown, str | int | float) and not secret(where) else ""
    return f"{where}{given}: {why}"


def secret(name: str) -> bool:
    return any(word in name.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD", "URL", "BODIES"))
