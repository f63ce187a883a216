from pathlib import Path

import pytest

from evertick.errors import SettingsError
from evertick.setting_types import parse_bytes
from evertick.settings import (
    ArchiveSettings,
    HttpSettings,
    RetentionSettings,
    Settings,
    SourceSettings,
    WriterSettings,
    load,
)

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("EVERTICK_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_those_of_the_design():
    settings = load()
    assert (settings.host, settings.port, settings.locales) == ("127.0.0.1", 8000, ("vi", "en"))
    assert (settings.indices_every, settings.report_every) == ("3m", "3h..6h")
    assert settings.roles == ("web", "schedule", "work")
    assert settings.database_url_or_default == "sqlite:///evertick-data/evertick.db"


def test_environment_over_file_over_defaults(monkeypatch, tmp_path):
    (tmp_path / "evertick.toml").write_text('port = 9000\nlocales = ["en"]\n[sources.yahoo]\nenabled = false\n')
    assert load().port == 9000
    monkeypatch.setenv("EVERTICK_PORT", "9001")
    settings = load()
    assert (settings.port, settings.locales, settings.sources["yahoo"].enabled) == (9001, ("en",), False)
    assert load(port=9002).port == 9002


def test_a_named_file_must_be_there(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        load(tmp_path / "other.toml")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("EVERTICK_PROT", "1", "did you mean EVERTICK_PORT"),
        ("EVERTICK_PORT", "70000", "PORT=70000"),
        ("EVERTICK_PORT", "web", "PORT=web"),
        ("EVERTICK_HOST", "0.0.0.0", "API_TOKEN"),
        ("EVERTICK_ROLES", "web,cook", "'cook' is not a role"),
        ("EVERTICK_LOCALES", "vi,vi", "one twice"),
        ("EVERTICK_LOCALES", "", "vi"),
        ("EVERTICK_TIMEZONE", "Mars/Olympus", "not a time zone"),
        ("EVERTICK_MEMORY_LIMIT", "12Q", "not a size"),
        ("EVERTICK_MEMORY_LIMIT", "1M", "greater than or equal"),
        ("EVERTICK_RETENTION__REPORTS", "0", "RETENTION__REPORTS=0"),
        ("EVERTICK_RETENTION__REPROTS", "5", "is not a setting"),
        ("EVERTICK_SOURCES__YAHOO__COLOUR", "red", "is not a setting"),
        ("EVERTICK_WRITER__BASE_URL", "http://127.0.0.1:8080/v1", "set WRITER__MODEL"),
        ("EVERTICK_WRITER__BASE_URL", "127.0.0.1:8080", "it is not an address"),
        ("EVERTICK_WRITER__BASE_URL", "http://me:secret@127.0.0.1/v1", "the key goes into WRITER__API_KEY"),
        ("EVERTICK_WRITER__BASE_URL", "https://x.example/v1?key=secret", "the key goes into WRITER__API_KEY"),
        ("EVERTICK_WRITER__MODLE", "m", "is not a setting"),
        ("EVERTICK_WRITER__DAILY_COST", "-1", "WRITER__DAILY_COST=-1"),
        ("EVERTICK_MODE", "distributed", "needs PostgreSQL"),
        ("EVERTICK_LOG_FORMAT", "xml", "LOG_FORMAT=xml"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    if value == "":
        assert load().locales == ("vi", "en")
        return
    with pytest.raises(SettingsError) as caught:
        load()
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_secrets_are_never_shown(monkeypatch):
    monkeypatch.setenv("EVERTICK_API_TOKEN", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load()
    assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("EVERTICK_API_TOKEN", "a-token-long-enough")
    monkeypatch.setenv("EVERTICK_SOURCES__YAHOO__API_KEY", "s3cr3t")
    shown = repr(load())
    assert "a-token-long-enough" not in shown
    assert "s3cr3t" not in shown


def test_a_broken_file_is_said(tmp_path):
    (tmp_path / "evertick.toml").write_text("port = = 1")
    with pytest.raises(SettingsError, match="not valid TOML"):
        load()


@pytest.mark.parametrize(
    ("text", "number"), [("256M", 256 << 20), ("1.5 GiB", 3 << 29), ("4096", 4096), ("1g", 1 << 30)]
)
def test_sizes(text, number):
    assert parse_bytes(text) == number


def test_every_setting_is_in_the_reference():
    text = DOCS.read_text()
    nested = {
        "archive": ArchiveSettings,
        "http": HttpSettings,
        "retention": RetentionSettings,
        "sources": SourceSettings,
        "writer": WriterSettings,
    }
    names = []
    for name in Settings.model_fields:
        if name not in nested:
            names.append(name.upper())
            continue
        middle = "<NAME>__" if name == "sources" else ""
        names += [f"{name.upper()}__{middle}{field.upper()}" for field in nested[name].model_fields]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_limits_of_a_source(monkeypatch):
    monkeypatch.setenv("EVERTICK_SOURCES__FINNHUB__RATE", "8/60")
    monkeypatch.setenv("EVERTICK_SOURCES__FINNHUB__PER_DAY", "700")
    finnhub = load().sources["finnhub"]
    assert (finnhub.rate, finnhub.per_day) == ((8, 60.0), 700)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("s3://reports", "s3://reports"),
        ("s3://reports.example/desk/eu/", "s3://reports.example/desk/eu"),
        ("file:///srv/evertick bodies", "file:///srv/evertick bodies"),
    ],
)
def test_a_place_for_reports(monkeypatch, given, kept):
    monkeypatch.setenv("EVERTICK_ARCHIVE__BODIES", given)
    assert load().archive.bodies == kept


@pytest.mark.parametrize(
    "given",
    ["reports", "s3://", "s3://R/x", "s3://reports//x", "s3://reports/a b", "s3://user:secret@reports", "s3://reports?x",
     "file://relative", "file:///", "file:///a/../b", "gs://reports", "s3://reports/" + "x" * 300],
)  # fmt: skip
def test_a_place_that_is_none(monkeypatch, given):
    monkeypatch.setenv("EVERTICK_ARCHIVE__BODIES", given)
    with pytest.raises(SettingsError, match="ARCHIVE__BODIES") as caught:
        load()
    assert "secret" not in str(caught.value)


def test_the_keys_of_a_store_are_not_shown(monkeypatch):
    monkeypatch.setenv("EVERTICK_ARCHIVE__SECRET_ACCESS_KEY", "hunter2hunter2")
    assert "hunter2" not in repr(load())


@pytest.mark.parametrize(
    ("rate", "why"), [("fast", "'fast' is not a rate; write 30/10"), ("0/10", "SOURCES__FINNHUB__RATE")]
)
def test_a_rate_that_is_none(monkeypatch, rate, why):
    monkeypatch.setenv("EVERTICK_SOURCES__FINNHUB__RATE", rate)
    with pytest.raises(SettingsError, match=why):
        load()
