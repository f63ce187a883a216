"""The words of a report in one language: gettext catalogues beside this module, English where one has no translation.

``locale/<language>/LC_MESSAGES/report.mo`` is read when it was compiled (installed packages) and is not older than
``report.po``; else that is.
"""

from __future__ import annotations

import ast
import gettext
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from evertick.errors import SettingsError

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "report"
SOURCE_LANGUAGE = "en"
"""The language of the msgids themselves."""


class Catalogue:
    """Messages of one language. Never fails for a message: what is not translated reads in English."""

    def __init__(
        self,
        language: str,
        texts: Mapping[str, str],
        plurals: Mapping[tuple[str, int], str],
        form: Callable[[int], int],
    ) -> None:
        self.language = language
        self._texts = texts
        self._plurals = plurals
        self._form = form

    @classmethod
    def load(cls, language: str, folder: Path = LOCALE) -> Catalogue:
        """The catalogue of ``language`` (``vi``, ``pt-BR``; the country falls back to the plain language).

        Raises `SettingsError`, naming the languages there are, when there is none.
        """
        for name in dict.fromkeys((language.replace("-", "_"), language.split("-")[0])):
            messages = folder / name / "LC_MESSAGES"
            found = [file for suffix in ("mo", "po") if (file := messages / f"{DOMAIN}.{suffix}").is_file()]
            if found:
                # Of two, the newer: an edited .po counts before it is compiled again. Equal times: the compiled one.
                file = max(found, key=lambda file: file.stat().st_mtime_ns)
                return cls(language, *(_read_mo if file.suffix == ".mo" else _read_po)(file))
        if language.split("-")[0] == SOURCE_LANGUAGE:
            return cls(language, {}, {}, _germanic)
        raise SettingsError(
            f"LOCALES={language}: there is no catalogue for '{language}'",
            hint=f"Choose among {', '.join(available(folder))}, or add locale/{language}/LC_MESSAGES/{DOMAIN}.po.",
        )

    def text(self, msgid: str) -> str:
        return self._texts.get(msgid) or msgid

    def plural(self, msgid: str, plural: str, n: int) -> str:
        """The form for ``n``; ``msgid`` is the English singular and the key, ``plural`` the English plural."""
        return self._plurals.get((msgid, self._form(n))) or (msgid if n == 1 else plural)

    def has(self, msgid: str) -> bool:
        return bool(self._texts.get(msgid) or self._plurals.get((msgid, 0)))

    def untranslated(self, folder: Path = LOCALE) -> tuple[int, int]:
        """How many texts read in English because this catalogue has no words for them, and of how many.

        Counted are the messages and names that the catalogues in ``folder`` translate. None are missing in English.
        """
        known: set[str] = set()
        for language in available(folder):
            known.update(msgid for msgid, _ in Catalogue.load(language, folder).messages())
        if self.language.split("-")[0] == SOURCE_LANGUAGE:
            return 0, len(known)
        return sum(not self.has(msgid) for msgid in known), len(known)

    def messages(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every msgid with its translations (one, or one for each plural form), for the checks of translators."""
        for msgid, text in self._texts.items():
            yield msgid, (text,)
        forms: dict[str, list[str]] = {}
        for (msgid, _), text in sorted(self._plurals.items()):
            forms.setdefault(msgid, []).append(text)
        for msgid, texts in forms.items():
            yield msgid, tuple(texts)


def available(folder: Path = LOCALE) -> tuple[str, ...]:
    """The languages there is a catalogue for, English always among them."""
    found = {p.parents[1].name.replace("_", "-") for p in folder.glob(f"*/LC_MESSAGES/{DOMAIN}.[mp]o")}
    return tuple(sorted(found | {SOURCE_LANGUAGE}))


_Read = tuple[dict[str, str], dict[tuple[str, int], str], Callable[[int], int]]


def _germanic(n: int) -> int:
    return int(n != 1)


def _read_mo(file: Path) -> _Read:
    with file.open("rb") as stream:
        compiled = gettext.GNUTranslations(stream)
    texts: dict[str, str] = {}
    plurals: dict[tuple[str, int], str] = {}
    for key, text in compiled._catalog.items():  # type: ignore[attr-defined]
        if isinstance(key, tuple):
            plurals[key] = text
        elif key:
            texts[key] = text
    return texts, plurals, compiled.plural  # type: ignore[attr-defined]


def _read_po(file: Path) -> _Read:
    """A ``.po`` file as it is kept in the repository: comments, msgid, msgid_plural, msgstr, msgstr[n]; fuzzy ones are left out."""
    texts: dict[str, str] = {}
    plurals: dict[tuple[str, int], str] = {}
    form: Callable[[int], int] = _germanic
    for entry in parse_po(file.read_text("utf-8")):
        if entry.get("msgid") == "":
            for line in entry.get("msgstr", "").splitlines():
                name, _, value = line.partition(":")
                if name.strip().lower() == "plural-forms" and "plural=" in value:
                    form = gettext.c2py(value.split("plural=", 1)[1].split(";")[0])
        elif "msgid_plural" in entry:
            for key, text in entry.items():
                if key.startswith("msgstr[") and text:
                    plurals[entry["msgid"], int(key[7:-1])] = text
        elif entry.get("msgstr"):
            texts[entry["msgid"]] = entry["msgstr"]
    return texts, plurals, form


def parse_po(text: str) -> Iterator[dict[str, str]]:
    """The entries of a ``.po`` text, each a mapping of keyword to string. Raises `ValueError` with the line of what is no ``.po``."""
    entry: dict[str, str] = {}
    key = ""
    fuzzy = False
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            if entry:
                if not fuzzy:
                    yield entry
                entry, fuzzy = {}, False
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
            continue
        if not line.startswith('"'):
            key, _, line = line.partition(" ")
            if key == "msgid" and entry:
                if not fuzzy:
                    yield entry
                entry, fuzzy = {}, False
            entry[key] = ""
        try:
            piece = ast.literal_eval(line.strip())
        except (SyntaxError, ValueError):
            piece = None
        if not isinstance(piece, str) or not key:
            raise ValueError(f"line {number} is not part of a .po catalogue: {raw!r}")
        entry[key] += piece
