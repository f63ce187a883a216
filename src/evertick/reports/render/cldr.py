"""How a language writes numbers, dates and lists, from CLDR: read with Babel when Evertick is built, from a small file after that.

Babel's code is 4 MB of a process, for a hundred words of each language. ``locale/<language>/cldr.json`` is written beside the
compiled catalogue (scripts/build_assets.py); where there is none, as for a language that was just added, Babel is asked.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

LOCALE = Path(__file__).parent.parent / "locale"
FILE = "cldr.json"
NBSP = "\N{NO-BREAK SPACE}"

# Where the habit of the financial press is not CLDR's: day before month and a 24-hour clock everywhere.
_PATTERNS = {
    "en": {"date": "d MMM y", "long": "EEEE, d MMMM y", "day": "d MMM", "month": "MMM"},
    "vi": {"date": "dd/MM/y", "long": "EEEE, dd/MM/y", "day": "dd/MM", "month": "'T'M"},
}
_LONG_COMPACT = {"vi"}
"""Languages whose short compact forms ("1,2 T") nobody writes; they take the long ones ("1,2 tỷ")."""
_TOKEN = re.compile(r"'([^']*)'|([yMLdE]+)|([^'yMLdE]+)")


def habits(language: str, folder: Path = LOCALE) -> dict[str, Any]:
    """What `read` says of ``language`` (``vi``, ``pt-BR``), from its file if it has one."""
    try:
        with (folder / language.replace("-", "_") / FILE).open(encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return read(language)


def read(language: str) -> dict[str, Any]:
    """Ask Babel; English where it does not know the language. The answer is plain JSON:

    ``name`` (of the language, by itself), ``decimal``, ``group``, ``percent`` (what stands behind the digits), ``scales``
    (``[power, divisor, prefix, suffix]``), ``dates`` (names to parts: ``["text", str]``, ``["year" | "day" | "month", width]``,
    ``["weekdays" | "months", names]``) and ``lists`` (patterns with \\0 and \\1).
    """
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(language.replace("-", "_"))
        name = locale.get_display_name() or language
    except (UnknownLocaleError, ValueError):
        locale, name = Locale.parse("en"), language
    base = locale.language
    symbols = locale.number_symbols.get("latn") or next(iter(locale.number_symbols.values()))
    patterns = _PATTERNS.get(base) or {
        "date": locale.date_formats["medium"].pattern,
        "long": locale.date_formats["full"].pattern,
        "day": locale.datetime_skeletons["MMMd"].pattern,
        "month": "LLL",
    }
    lists = {name: _places(locale.list_patterns["standard"][name]) for name in ("2", "start", "middle", "end")}
    if base == "en":
        lists["end"] = "\0 and \1"
    found = {
        "name": name[0].upper() + name[1:] if name != language else language,
        "decimal": symbols["decimal"],
        "group": symbols["group"],
        "percent": _percent_suffix(locale.percent_formats[None].pattern),
        "scales": _scales(locale, "long" if base in _LONG_COMPACT else "short"),
        "dates": {name: _parts(pattern, locale) for name, pattern in patterns.items()},
        "lists": lists,
    }
    _forget_locales()
    return found


def _forget_locales() -> None:
    """Lets go of the locales Babel keeps for good, 4 MB for two of them: all that is needed of them has been read.

    Babel has no public way to do this; where its names change, nothing is let go and nothing else happens.
    """
    from babel import core, localedata

    getattr(localedata, "_cache", {}).clear()
    if hasattr(core, "_global_data"):
        core._global_data = None


def _places(pattern: str) -> str:
    return pattern.replace("{0}", "\0").replace("{1}", "\1")


def _percent_suffix(pattern: str) -> str:
    """What stands behind the digits of a percentage; languages that write it before them get it behind as well."""
    behind = pattern.rsplit("0", 1)[-1]
    return behind if "%" in behind else "%"


def _scales(locale: Any, width: str) -> list[list[Any]]:
    scales: list[list[Any]] = []
    forms = locale.compact_decimal_formats[width]["other"]
    for power, text in sorted((len(key) - 1, str(value.pattern)) for key, value in forms.items()):
        zeros = text.count("0")
        if power < 3 or not zeros or not text.replace("0", "").strip():
            continue
        first, last = text.index("0"), text.rindex("0")
        before, after = text[:first].replace("'", ""), text[last + 1 :].replace("'", "").replace(" ", NBSP)
        scales.append([power, 10.0 ** (power - zeros + 1), before, after])
    return scales


def _parts(pattern: str, locale: Any) -> list[list[Any]]:
    return [_part(quoted or literal, token, locale) for quoted, token, literal in _TOKEN.findall(pattern)]


def _part(text: str, token: str, locale: Any) -> list[Any]:
    width = len(token)
    match token[:1]:
        case "":
            return ["text", text]
        case "y":
            return ["year", width]
        case "d":
            return ["day", width]
        case "E":
            days = locale.days["format"]["wide" if width == 4 else "abbreviated"]
            return ["weekdays", [days[n] for n in range(7)]]
        case _ if width <= 2:
            return ["month", width]
        case letter:
            form, size = "stand-alone" if letter == "L" else "format", "wide" if width == 4 else "abbreviated"
            months = locale.months[form][size]
            return ["months", [months[n] for n in range(1, 13)]]
