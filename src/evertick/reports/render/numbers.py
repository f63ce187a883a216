"""Numbers, dates and lists as one language writes them.

The separators, patterns and names are read from CLDR (Babel) once, when a `Numbers` is made; formatting itself is plain
string work, some thirty times faster than Babel's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date as Day  # `Numbers.date` hides the plain name
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from evertick.reports.blocks import Number

DASH = "–"
"""What an unknown value shows as."""
MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"

# Where the habit of the financial press is not CLDR's: day before month and a 24-hour clock everywhere.
_PATTERNS = {
    "en": {"date": "d MMM y", "long": "EEEE, d MMMM y", "day": "d MMM", "month": "MMM"},
    "vi": {"date": "dd/MM/y", "long": "EEEE, dd/MM/y", "day": "dd/MM", "month": "'T'M"},
}
_LONG_COMPACT = {"vi"}
"""Languages whose short compact forms ("1,2 T") nobody writes; they take the long ones ("1,2 tỷ")."""
_TOKEN = re.compile(r"'([^']*)'|([yMLdE]+)|([^'yMLdE]+)")

DatePart = Callable[[Day], str]


@dataclass(frozen=True, slots=True)
class Scale:
    """One compact form: numbers from ``10**power`` are divided by ``divisor`` and stand between the affixes."""

    power: int
    divisor: float
    prefix: str
    suffix: str


class Numbers:
    """Formats for one language and one time zone (an IANA name). ``language`` is a tag such as ``vi`` or ``pt-BR``."""

    def __init__(self, language: str, timezone: str) -> None:
        from babel import Locale, UnknownLocaleError

        try:
            locale = Locale.parse(language.replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            locale = Locale.parse("en")
        base = locale.language
        self.language = language
        self.zone = ZoneInfo(timezone)
        symbols = locale.number_symbols.get("latn") or next(iter(locale.number_symbols.values()))
        self.decimal: str = symbols["decimal"]
        self.group: str = symbols["group"]
        self._swap = {ord(","): self.group, ord("."): self.decimal, ord("-"): MINUS}
        self._percent = _percent_suffix(locale.percent_formats[None].pattern)
        self._scales = _scales(locale, "long" if base in _LONG_COMPACT else "short")
        patterns = _PATTERNS.get(base) or {
            "date": locale.date_formats["medium"].pattern,
            "long": locale.date_formats["full"].pattern,
            "day": locale.datetime_skeletons["MMMd"].pattern,
            "month": "LLL",
        }
        self._dates = {name: _compile(pattern, locale) for name, pattern in patterns.items()}
        lists = locale.list_patterns["standard"]
        self._lists = {name: lists[name].replace("{0}", "\0").replace("{1}", "\1") for name in ("2", "start", "middle", "end")}  # fmt: skip
        if base == "en":
            self._lists["end"] = "\0 and \1"
        _forget_locales()

    # --- numbers

    def number(self, n: Number) -> str:
        """``1,234.56``, ``+1.25%``, ``−0.4``, ``2.94T``; a dash for ``None`` and what is not finite. Without the unit.

        A value that rounds to zero has no sign, so that no reader sees "−0.00%".
        """
        value = n.value
        if value is None or not math.isfinite(value):
            return DASH
        style = n.style
        if style == "compact":
            text = self._compact(value, n.decimals)
        else:
            decimals = 0 if style == "integer" else n.decimals
            text = f"{value:,.{decimals}f}"
            if text[0] == "-" and float(text.replace(",", "")) == 0:
                text = text[1:]
            text = text.translate(self._swap)
            if style == "percent":
                text += self._percent
        if n.signed and direction(n) > 0:
            return "+" + text
        return text

    def integer(self, value: int) -> str:
        return f"{value:,d}".translate(self._swap)

    def fixed(self, value: float, decimals: int) -> str:
        """A bare number, for axes."""
        text = f"{value:,.{decimals}f}"
        return (text[1:] if text[0] == "-" and float(text.replace(",", "")) == 0 else text).translate(self._swap)

    def percent(self, value: float, decimals: int) -> str:
        return self.fixed(value, decimals) + self._percent

    def _compact(self, value: float, decimals: int) -> str:
        size = abs(value)
        chosen = -1
        while chosen + 1 < len(self._scales):
            # 999,996 with two decimals is one million, not a thousand thousands.
            divisor = self._scales[chosen].divisor if chosen >= 0 else 1.0
            if round(size / divisor, decimals) * divisor < 10.0 ** self._scales[chosen + 1].power:
                break
            chosen += 1
        if chosen < 0:
            return self.fixed(value, decimals if size < 100 else min(decimals, 1))
        scale = self._scales[chosen]
        return f"{scale.prefix}{self.fixed(value / scale.divisor, decimals)}{scale.suffix}"

    # --- dates

    def date(self, day: Day) -> str:
        """``23 Nov 2026``, ``23/11/2026``. A ``datetime`` is moved to the report's time zone."""
        return self._written("date", day)

    def long_date(self, day: Day) -> str:
        """With the day of the week and the month in full."""
        return self._written("long", day)

    def month(self, day: Day) -> str:
        """The month on an axis; January shows as its year."""
        return str(day.year) if day.month == 1 else self._written("month", day)

    def day(self, day: Day) -> str:
        """Without the year."""
        return self._written("day", day)

    def time(self, at: datetime) -> str:
        """``16:30`` in the report's time zone."""
        return f"{at.astimezone(self.zone):%H:%M}"

    def moment(self, at: datetime) -> str:
        """Date and time."""
        return f"{self.date(at)}{NBSP}{self.time(at)}"

    def offset(self, at: datetime) -> str:
        """``UTC+7``, ``UTC−3:30``: the report's zone at that time."""
        seconds = at.astimezone(self.zone).utcoffset()
        minutes = int(seconds.total_seconds() // 60) if seconds else 0
        if not minutes:
            return "UTC"
        hours, rest = divmod(abs(minutes), 60)
        return f"UTC{'+' if minutes > 0 else MINUS}{hours}{f':{rest:02d}' if rest else ''}"

    def local(self, at: datetime) -> Day:
        """The calendar day of a moment in the report's time zone."""
        return at.astimezone(self.zone).date()

    def _written(self, name: str, day: Day) -> str:
        if isinstance(day, datetime):
            day = self.local(day)
        return "".join([part(day) for part in self._dates[name]])

    # --- lists

    def join(self, items: Sequence[str]) -> str:
        """``a, b and c`` as the language says it."""
        if not items:
            return ""
        if len(items) == 1:
            return items[0]
        if len(items) == 2:
            return _pair(self._lists["2"], items[0], items[1])
        text = _pair(self._lists["end"], items[-2], items[-1])
        for item in reversed(items[1:-2]):
            text = _pair(self._lists["middle"], item, text)
        return _pair(self._lists["start"], items[0], text)


def direction(n: Number) -> int:
    """1, −1, or 0 for what is unknown or shows as zero: the colour of a signed number agrees with its written sign."""
    value = n.value
    if value is None or not math.isfinite(value) or value == 0:
        return 0
    decimals = 0 if n.style == "integer" else n.decimals
    if abs(value) < 10.0**-decimals and float(f"{abs(value):.{decimals}f}") == 0:
        return 0
    return 1 if value > 0 else -1


def language_name(language: str) -> str:
    """A language by its own name: ``Tiếng Việt``, ``English``. Reads its locale: some 10 ms, so ask once."""
    from babel import Locale, UnknownLocaleError

    try:
        name = Locale.parse(language.replace("-", "_")).get_display_name()
    except (UnknownLocaleError, ValueError):
        name = None
    _forget_locales()
    return name[0].upper() + name[1:] if name else language


def _forget_locales() -> None:
    """Lets go of the locales Babel keeps for good, 4 MB for two of them: all that is needed of them has been read.

    Babel has no public way to do this; where its names change, nothing is let go and nothing else happens.
    """
    from babel import core, localedata

    getattr(localedata, "_cache", {}).clear()
    if hasattr(core, "_global_data"):
        core._global_data = None


def _pair(pattern: str, first: str, second: str) -> str:
    return pattern.replace("\1", second, 1).replace("\0", first, 1)


def _percent_suffix(pattern: str) -> str:
    """What stands behind the digits of a percentage; languages that write it before them get it behind as well."""
    behind = pattern.rsplit("0", 1)[-1]
    return behind if "%" in behind else "%"


def _scales(locale: Any, width: str) -> tuple[Scale, ...]:
    scales = []
    for power, text in sorted((len(k) - 1, str(v.pattern)) for k, v in locale.compact_decimal_formats[width]["other"].items()):  # fmt: skip
        zeros = text.count("0")
        if power < 3 or not zeros or not text.replace("0", "").strip():
            continue
        first, last = text.index("0"), text.rindex("0")
        before, after = text[:first].replace("'", ""), text[last + 1 :].replace("'", "").replace(" ", NBSP)
        scales.append(Scale(power, 10.0 ** (power - zeros + 1), before, after))
    return tuple(scales)


def _compile(pattern: str, locale: Any) -> tuple[DatePart, ...]:
    """A CLDR date pattern as the functions that write its parts."""
    return tuple(_part(quoted or literal, token, locale) for quoted, token, literal in _TOKEN.findall(pattern))


def _part(text: str, token: str, locale: Any) -> DatePart:
    width = len(token)
    match token[:1]:
        case "":
            return lambda _: text
        case "y":
            return lambda day: f"{day.year % 100:02d}" if width == 2 else str(day.year)
        case "d":
            return lambda day: f"{day.day:0{width}d}"
        case "E":
            names = dict(locale.days["format"]["wide" if width == 4 else "abbreviated"])
            return lambda day: names[day.weekday()]
        case _ if width <= 2:
            return lambda day: f"{day.month:0{width}d}"
        case letter:
            form, size = "stand-alone" if letter == "L" else "format", "wide" if width == 4 else "abbreviated"
            months = dict(locale.months[form][size])
            return lambda day: months[day.month]
