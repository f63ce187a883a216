from __future__ import annotations

import gettext
import io
import os
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from evertick.errors import SettingsError
from evertick.reports.catalogue import LOCALE, Catalogue, available, parse_po

PO = """\
# comment
msgid ""
msgstr ""
"Language: cs\\n"
"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n>=2 && n<=4 ? 1 : 2);\\n"

#: somewhere
msgid "Gold"
msgstr "Oro"
msgid "A "
"long one"
msgstr "Una "
"\\"lunga\\""

#, fuzzy
msgid "Guessed"
msgstr "Wrong"

msgid "Untranslated"
msgstr ""

msgid "{n} day"
msgid_plural "{n} days"
msgstr[0] "one"
msgstr[1] "few"
msgstr[2] "many"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    file = tmp_path / "cs" / "LC_MESSAGES" / "report.po"
    file.parent.mkdir(parents=True)
    file.write_text(PO, "utf-8")
    return tmp_path


def compile_(folder: Path) -> None:
    po = folder / "cs" / "LC_MESSAGES" / "report.po"
    with po.open("rb") as source, po.with_suffix(".mo").open("wb") as target:
        write_mo(target, read_po(source))
    po.unlink()


@pytest.mark.parametrize("compiled", [False, True])
def test_po_and_mo_say_the_same(folder: Path, compiled: bool) -> None:
    if compiled:
        compile_(folder)
    catalogue = Catalogue.load("cs", folder)
    assert catalogue.text("Gold") == "Oro"
    assert catalogue.text("A long one") == 'Una "lunga"'
    assert [catalogue.plural("{n} day", "{n} days", n) for n in (1, 3, 7)] == ["one", "few", "many"]


def test_an_edited_po_counts_before_it_is_compiled_again(folder: Path) -> None:
    compile_(folder)
    mo = folder / "cs" / "LC_MESSAGES" / "report.mo"
    mo.with_suffix(".po").write_text(PO.replace("Oro", "Zlato"), "utf-8")
    os.utime(mo, (1, 1))
    assert Catalogue.load("cs", folder).text("Gold") == "Zlato"
    os.utime(mo.with_suffix(".po"), (1, 1))
    assert Catalogue.load("cs", folder).text("Gold") == "Oro", "equal times: the compiled one"


def test_what_is_missing_reads_in_english(folder: Path) -> None:
    catalogue = Catalogue.load("cs", folder)
    assert catalogue.text("Guessed") == "Guessed"
    assert catalogue.text("Untranslated") == "Untranslated"
    assert catalogue.text("Never heard of") == "Never heard of"
    assert catalogue.plural("{n} hour", "{n} hours", 1) == "{n} hour"
    assert catalogue.plural("{n} hour", "{n} hours", 2) == "{n} hours"
    assert catalogue.has("Gold")
    assert catalogue.has("{n} day")
    assert not catalogue.has("Untranslated")


def test_english_is_there_without_a_file(tmp_path: Path) -> None:
    assert available(tmp_path) == ("en",)
    assert Catalogue.load("en", tmp_path).plural("{n} day", "{n} days", 2) == "{n} days"
    assert Catalogue.load("en-GB", tmp_path).text("Gold") == "Gold"


def test_a_country_falls_back_to_its_language(folder: Path) -> None:
    catalogue = Catalogue.load("cs-CZ", folder)
    assert (catalogue.language, catalogue.text("Gold")) == ("cs-CZ", "Oro")


def test_an_unknown_language_names_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"LOCALES=zz: there is no catalogue for 'zz'.*Choose among en, vi"):
        Catalogue.load("zz")


def test_a_file_that_is_no_catalogue_is_named_by_line() -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(parse_po('msgid "a"\nnonsense'))
    with pytest.raises(ValueError, match="line 1"):
        list(parse_po('"a string that belongs to nothing"'))


def test_our_reader_agrees_with_babel() -> None:
    for language in ("vi", "en"):
        file = LOCALE / language / "LC_MESSAGES" / "report.po"
        reference = read_po(io.BytesIO(file.read_bytes()), abort_invalid=True)
        buffer = io.BytesIO()
        write_mo(buffer, reference)
        buffer.seek(0)
        theirs = gettext.GNUTranslations(buffer)
        mine = Catalogue.load(language)
        for message in reference:
            if isinstance(message.id, str) and message.id:
                assert mine.text(message.id) == theirs.gettext(message.id)
            elif message.id:
                for n in (0, 1, 2):
                    assert mine.plural(*message.id, n) == theirs.ngettext(*message.id, n)
