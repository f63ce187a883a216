"""Desks as data: what the settings say becomes desks, and what cannot be is said with the desk's name."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from evertick import desks, universe
from evertick.app import check
from evertick.desk_settings import DeskSettings
from evertick.errors import SettingsError
from evertick.settings import Settings, load

HEADER = "id,name,group,region,currency,exchange,decimals,core,symbols\n"
TOKEN, OTHER = "a-token-of-sixteen-characters", "another-token-of-sixteen"


def settings(*tables: dict[str, Any], **more: Any) -> Settings:
    return load(environ={}, desk=list(tables), **more)


def refused(*tables: dict[str, Any], **more: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        check(settings(*tables, **more))
    return caught.value.message


def test_without_desks_there_is_one_with_all_of_the_server() -> None:
    found = desks.load(settings())
    assert [desk.id for desk in found] == ["default"]
    assert found.only_default
    assert found.first.instruments == universe.load().instruments == found.universe.instruments
    assert (found.first.locales, found.first.timezone) == (("vi", "en"), "Asia/Ho_Chi_Minh")
    assert found.first.retention.reports == 200


def test_a_desk_says_what_differs_and_has_the_rest_from_the_server() -> None:
    found = desks.load(
        settings(
            {
                "id": "asia",
                "name": "Asia",
                "instruments": ["VNINDEX", "N225"],
                "locales": ["vi"],
                "timezone": "Asia/Tokyo",
            },
            {"id": "coins", "instruments": "crypto", "report_every": "1h", "retention": {"reports": 7}},
            report_every="07:00",
        )
    )
    asia, coins = found
    assert ([i.id for i in asia.instruments], asia.report_every, asia.name) == (["N225", "VNINDEX"], "07:00", "Asia")
    assert {i.group.value for i in coins.instruments} == {"crypto"}
    assert (coins.locales, coins.retention.reports, coins.retention.report_days) == (("vi", "en"), 7, 90)
    assert {i.id for i in found.universe} == {i.id for desk in found for i in desk.instruments}
    assert not found.only_default


def test_instruments_are_chosen_by_id_and_group_and_taken_away() -> None:
    every = universe.load()
    groups = {i.id: i.group.value for i in every}

    def ids(*names: str) -> list[str]:
        return [i.id for i in desks.choose(names, every)]

    assert ids() == ids("*") == list(groups)
    assert ids("crypto", "SPX") == [id for id, group in groups.items() if group == "crypto" or id == "SPX"]
    assert ids("-crypto") == [id for id, group in groups.items() if group != "crypto"]
    assert ids("crypto", "-BTC", "BTC") == ids("crypto")
    assert "BTC" not in ids("crypto", "-BTC")


def test_a_file_of_a_desk_adds_instruments_for_it_alone(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text(HEADER + "ACME,Acme,sectors,americas,USD,XNYS,2,yes,yahoo=ACME\n")
    found = desks.load(
        settings(
            {"id": "own", "universe": own, "instruments": ["ACME", "SPX"]}, {"id": "other", "instruments": ["SPX"]}
        )
    )
    assert {i.id for i in found.first.instruments} == {"ACME", "SPX"}
    assert [i.id for i in found.universe] == ["SPX", "ACME"], "those of the common universe come first"
    assert found.first.universe.get("SPX") is found.get("other").universe.get("SPX")  # type: ignore[union-attr]


def test_one_id_is_one_instrument(tmp_path: Path) -> None:
    for name, symbol in (("a", "ACME"), ("b", "ACM")):
        row = f"ACME,Acme,sectors,americas,USD,XNYS,2,yes,yahoo={symbol}\n"
        (tmp_path / f"{name}.csv").write_text(HEADER + row)
    a, b = ({"id": n, "universe": tmp_path / f"{n}.csv"} for n in "ab")
    assert "its ACME is another than that of desk 'a'" in refused(a, b)
    (tmp_path / "b.csv").write_text(HEADER + "BCME,Bcme,sectors,americas,USD,XNYS,2,yes,yahoo=ACME\n")
    assert "yahoo symbol ACME of BCME belongs to ACME already" in refused(a, b)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"id": "Asia"}, "desk 'Asia': ID=Asia"),
        ({"name": "without an id"}, "the 1st desk: ID"),
        ({"id": "asia", "color": "red"}, "desk 'asia': COLOR is not a setting"),
        ({"id": "asia", "instruments": ["SPXX"]}, "desk 'asia': INSTRUMENTS: 'SPXX' is neither an instrument"),
        ({"id": "asia", "instruments": ["cryto"]}, "did you mean crypto?"),
        ({"id": "asia", "instruments": ["SPX", "-SPX"]}, "desk 'asia': INSTRUMENTS leaves none"),
        ({"id": "asia", "universe": "/nowhere.csv"}, "desk 'asia': UNIVERSE=/nowhere.csv cannot be read"),
        ({"id": "asia", "report_every": "soon"}, "desk 'asia': REPORT_EVERY: 'soon' is not a schedule"),
        ({"id": "asia", "timezone": "Mars/Olympus"}, "desk 'asia': TIMEZONE=Mars/Olympus"),
        ({"id": "asia", "locales": ["xx"]}, "there is no catalogue for 'xx'"),
        ({"id": "asia", "locales": ["vi", "vi"]}, "desk 'asia': LOCALES names no language, or one twice"),
        ({"id": "asia", "retention": {"reports": 0}}, "desk 'asia': RETENTION__REPORTS=0"),
        ({"id": "asia", "token": "short"}, "desk 'asia': TOKEN is shorter than 16"),
        ({"id": "asia", "token": OTHER}, "set API_TOKEN too"),
    ],
)
def test_what_is_wrong_with_a_desk_is_said_with_its_name(table: dict[str, Any], says: str) -> None:
    assert says in refused(table)


def test_desks_beside_each_other() -> None:
    assert "desk 'asia' is there twice" in refused({"id": "asia"}, {"id": "asia"})
    twice = refused({"id": "a", "token": OTHER}, {"id": "b", "token": OTHER}, api_token=TOKEN)
    assert "desk 'b': its TOKEN opens another desk" in twice
    assert OTHER not in twice
    assert "opens another desk, or all" in refused({"id": "a", "token": TOKEN}, api_token=TOKEN)
    many = refused(*({"id": f"desk-{n}", "instruments": ["NONE"]} for n in range(50)))
    assert many.count("\n") == 20 and many.endswith("and 30 more")


def test_desks_come_from_the_file_of_the_settings_and_from_a_folder(tmp_path: Path) -> None:
    file, folder = tmp_path / "evertick.toml", tmp_path / "desks"
    folder.mkdir()
    (folder / "own.csv").write_text(HEADER + "ACME,Acme,sectors,americas,USD,XNYS,2,yes,yahoo=ACME\n")
    (folder / "b.toml").write_text('[[desk]]\nid = "b"\nuniverse = "own.csv"\ninstruments = ["ACME"]\n')
    (folder / "a.toml").write_text('[[desk]]\nid = "a1"\n[[desk]]\nid = "a2"\n')
    file.write_text(f'desks = "{folder}"\n[[desk]]\nid = "main"\n')
    found = desks.load(load(file, environ={}))
    assert [desk.id for desk in found] == ["main", "a1", "a2", "b"]
    assert [i.id for i in found.get("b").instruments] == ["ACME"]  # type: ignore[union-attr]

    (folder / "b.toml").write_text('[[desk]]\nid = "main"\n')
    with pytest.raises(SettingsError, match="'main' is there twice"):
        load(file, environ={})
    (folder / "b.toml").write_text('port = 80\n[[desk]]\nid = "b"\n')
    with pytest.raises(SettingsError, match=r"b.toml: 'port' does not belong here"):
        load(file, environ={})
    (folder / "b.toml").write_text('[[desk]]\nid = "b"\ncolor = 1\n')
    with pytest.raises(SettingsError, match=r"b.toml: desk 'b': COLOR is not a setting"):
        load(file, environ={})
    (folder / "b.toml").write_text("[[desk]")
    with pytest.raises(SettingsError, match=r"b.toml is not valid TOML"):
        load(file, environ={})
    file.write_text('desks = "/nowhere"\n')
    with pytest.raises(SettingsError, match=r"DESKS=/nowhere does not exist"):
        load(file, environ={})


def test_a_thousand_desks_cost_little() -> None:
    every = [i.id for i in universe.load()]
    tables = [
        {"id": f"desk-{n:04d}", "instruments": every[n % 100 : n % 100 + 40], "timezone": ("UTC", "Asia/Tokyo")[n % 2]}
        for n in range(1000)
    ]
    check(settings(*tables[:2]))  # what is read once is read
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        given = settings(*tables)
        found = desks.load(given)
        each = (tracemalloc.get_traced_memory()[0] - before) / 1000
    finally:
        tracemalloc.stop()
    assert len(found) == 1000
    assert each < 4096, f"{each:.0f} bytes a desk"


def test_every_setting_of_a_desk_is_in_the_reference() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text()
    assert [name for name in DeskSettings.model_fields if name != "retention" and f"`{name}`" not in text] == []
