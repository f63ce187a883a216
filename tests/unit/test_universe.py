from __future__ import annotations

import re
from pathlib import Path

import pytest

from evertick.errors import SettingsError
from evertick.model import Group
from evertick.sessions import EXCHANGES
from evertick.universe import LARGEST, LARGEST_FILE, NAMESPACES, _plugins, known_namespaces, load, parse

HEADER = "id,name,group,region,currency,exchange,decimals,core,symbols\n"
ROW = "SPX,S&P 500,indices,americas,pts,XNYS,2,yes,yahoo=^GSPC\n"


def test_the_built_in_universe_has_every_group_and_the_instruments_reports_name():
    universe = load()
    assert len(universe) == len(universe.instruments) == len(list(universe)) >= 400
    assert all(universe.group(group) for group in Group)
    for id_ in (
        "SPX",
        "DJI",
        "IXIC",
        "N225",
        "HSI",
        "VNINDEX",
        "BTC",
        "ETH",
        "EURUSD",
        "USDVND",
        "GOLD",
        "US10Y",
        "VIX",
    ):
        assert universe.get(id_) is not None, id_
    assert len([i for i in universe if "coingecko" in i.symbols]) <= 104  # one page of its markets, and totals
    assert 140 <= sum(i.core for i in universe) <= 160
    assert universe.get("NOPE") is None


def test_the_special_rows_say_where_their_number_stands():
    universe = load()
    symbols = {id_: dict(universe.get(id_).symbols) for id_ in ("CRYPTO_CAP", "BTC_DOM", "ETH_DOM", "FNG")}
    assert symbols == {
        "CRYPTO_CAP": {"coingecko": "global:total_market_cap.usd", "coinpaprika": "global:market_cap_usd"},
        "BTC_DOM": {
            "coingecko": "global:market_cap_percentage.btc",
            "coinpaprika": "global:bitcoin_dominance_percentage",
        },
        "ETH_DOM": {"coingecko": "global:market_cap_percentage.eth"},
        "FNG": {"alternative": "fng"},
    }


def test_what_several_sources_can_tell_has_a_symbol_of_each():
    universe = load()
    symbols = {
        id_: dict(universe.get(id_).symbols) for id_ in ("FPT", "BTC", "USDJPY", "US10Y", "VIX", "XLK", "USDVND")
    }
    assert symbols == {
        "FPT": {"vn": "FPT", "yahoo": "FPT.VN"},
        "BTC": {"coingecko": "bitcoin", "binance": "BTCUSDT", "okx": "BTC-USDT", "yahoo": "BTC-USD"},
        "USDJPY": {"yahoo": "JPY=X", "ecb": "USD/JPY"},
        "US10Y": {"yahoo": "^TNX", "treasury": "10Yr", "fred": "DGS10"},
        "VIX": {"cboe": "VIX", "yahoo": "^VIX"},
        "XLK": {"yahoo": "XLK", "ticker": "XLK"},
        "USDVND": {"vietcombank": "USD", "yahoo": "VND=X"},
    }
    vn30 = [i for i in universe.group(Group.VIETNAM) if i.currency == "VND" and "ETF" not in i.name]
    assert len(vn30) == 30
    assert all(dict(i.symbols) == {"vn": i.id, "yahoo": f"{i.id}.VN"} and i.exchange == "XSTC" for i in vn30)


def test_every_instrument_keeps_the_hours_of_a_known_exchange():
    assert {i.exchange for i in load()} <= set(EXCHANGES)


def test_rows_change_the_built_in_list_with_comments_blank_lines_and_quotes(tmp_path: Path):
    file = tmp_path / "mine.csv"
    file.write_text(
        "\ufeff# mine\n\n"
        + HEADER
        + '# one\nSPX,"S&P, 500",indices,americas,pts,XNYS,1,no,yahoo=^GSPC\n'
        + "-DJI\nMINE,My fund,sectors,americas,USD,XNYS,2,no,yahoo=MINE ticker=MINE\n"
    )
    before, after = load(), load(file)
    spx = after.get("SPX")
    assert spx is not None
    assert (spx.name, spx.core, spx.decimals, dict(spx.symbols)) == ("S&P, 500", False, 1, {"yahoo": "^GSPC"})
    assert [i.id for i in after] == [i.id for i in before if i.id != "DJI"] + ["MINE"]
    assert all(after.get(i.id) == i for i in before if i.id not in ("SPX", "DJI"))


def test_all_built_in_instruments_can_be_removed_first(tmp_path: Path):
    file = tmp_path / "mine.csv"
    file.write_text(ROW + "-*\n")  # where the line stands does not matter, and a header is not needed
    assert [i.id for i in load(file)] == ["SPX"]


def test_what_is_replaced_or_removed_frees_its_symbols():
    before = parse(HEADER + ROW + "DJI,Dow,indices,americas,pts,XNYS,2,yes,yahoo=^DJI\n", "a.csv")
    rows = parse(
        "-DJI\nSPX,S&P,indices,americas,pts,XNYS,2,yes,yahoo=^DJI\nX,X,fx,world,USD,FX,4,no,yahoo=^GSPC", "b", before
    )
    assert [(i.id, i.symbols["yahoo"]) for i in rows] == [("SPX", "^DJI"), ("X", "^GSPC")]


def test_a_file_of_comments_only_changes_nothing(tmp_path: Path):
    file = tmp_path / "mine.csv"
    file.write_text("# nothing yet\n")
    assert [i.id for i in load(file)] == [i.id for i in load()]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-NOPE\n", "mine.csv, line 1: -NOPE removes nothing: there is no such instrument"),
        ("-SPX\n-SPX\n", "mine.csv, line 2: -SPX removes nothing: there is no such instrument"),
        (ROW + "-SPX\n", "mine.csv, line 2: -SPX removes nothing: this file gives it itself"),
        ("-*\n-SPX\n" + ROW.replace("SPX", "ABC"), "mine.csv, line 2: -SPX removes nothing"),
        ("-*\n", "mine.csv leaves no instruments"),
        ("ABC,A,indices,asia,pts,XTKS,2,yes,yahoo=^GSPC\n", "line 1: yahoo symbol ^GSPC belongs to SPX already"),
    ],
)
def test_a_change_that_cannot_be_made_is_told(text: str, why: str):
    with pytest.raises(SettingsError) as caught:
        parse(text, "mine.csv", parse(ROW, "built-in"))
    assert why in str(caught.value)


def test_columns_may_come_in_any_order():
    text = "name,id,region,group,currency,exchange,decimals,core,symbols\nX,ABC,world,fx,USD,FX,4,yes,yahoo=A=X ecb=USD/JPY\n"
    (i,) = parse(text, "f")
    assert (i.id, i.name, i.group, dict(i.symbols)) == ("ABC", "X", Group.FX, {"yahoo": "A=X", "ecb": "USD/JPY"})


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("SPX,S&P 500,indices,americas,pts,XNYS,2,yes", "8 cells, not 9 (id, name,"),
        ("spx,S&P 500,indices,americas,pts,XNYS,2,yes,yahoo=^GSPC", "id 'spx' is not"),
        (",S&P 500,indices,americas,pts,XNYS,2,yes,yahoo=^GSPC", "id '' is not"),
        ("SPX,,indices,americas,pts,XNYS,2,yes,yahoo=^GSPC", "name is empty"),
        ("SPX,S,stocks,americas,pts,XNYS,2,yes,yahoo=^GSPC", "group 'stocks' is not one of indices, vietnam"),
        ("SPX,S,indices,mars,pts,XNYS,2,yes,yahoo=^GSPC", "region 'mars' is not one of"),
        ("SPX,S,indices,americas,dollars,XNYS,2,yes,yahoo=^GSPC", "currency 'dollars' is not"),
        ("SPX,S,indices,americas,pts,NYSE,2,yes,yahoo=^GSPC", "exchange 'NYSE' is not one of 24/7"),
        ("SPX,S,indices,americas,pts,XNYS,-1,yes,yahoo=^GSPC", "decimals '-1' is not a number from 0 to 10"),
        ("SPX,S,indices,americas,pts,XNYS,11,yes,yahoo=^GSPC", "decimals '11'"),
        ("SPX,S,indices,americas,pts,XNYS,2,true,yahoo=^GSPC", "core 'true' is not one of yes, no"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,", "it has no symbols"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,^GSPC", "symbol '^GSPC' is not written namespace=symbol"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,yahoo=", "yahoo symbol '' is not 1 to 64 printable"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,yahoo=Ä", "yahoo symbol 'Ä' is not 1 to 64 printable"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,bloomberg=SPX", "namespace 'bloomberg' is not one of coingecko, "),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,yahoo=A yahoo=B", "it has two yahoo symbols"),
        ("VIX,V,volatility,americas,pts,XCBO,2,yes,yahoo=^VIX", "id VIX is used twice, first on line 2"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,yahoo=^VIX", "yahoo symbol ^VIX belongs to VIX already"),
        ("SPX," + "S" * 140_000, "field larger than field limit"),
    ],
)
def test_a_wrong_row_is_told_with_file_line_and_reason(row: str, why: str):
    text = HEADER + "VIX,VIX,volatility,americas,pts,XCBO,2,yes,yahoo=^VIX\n# comment\n" + row + "\n"
    with pytest.raises(SettingsError) as caught:
        parse(text, "mine.csv")
    assert str(caught.value).startswith("mine.csv, line 4: ")
    assert why in str(caught.value)


def test_all_wrong_rows_are_told_at_once_up_to_twenty():
    rows = "".join(f"bad{n},X,indices,asia,pts,XTKS,2,yes,yahoo=S{n}\n" for n in range(30))
    with pytest.raises(SettingsError) as caught:
        parse(HEADER + rows, "mine.csv")
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 10 more"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no instruments"),
        ("# only a comment\n", "holds no instruments"),
        (HEADER, "leaves no instruments"),
        ("id,name\nSPX,S\n", "line 1: the first row lacks group, region"),
        (HEADER.replace("symbols", "colour") + ROW, "'colour' is not a column"),
        (HEADER.replace("symbols", "yahoo") + ROW, "'yahoo' is not a column.*symbols stand in one column, as yahoo="),
        (HEADER.replace("name", "id") + ROW, "lacks name"),
        (HEADER.replace("symbols", "symbols,id") + ROW, "a column is there twice"),
        (
            HEADER + "".join(f"I{n},X,indices,asia,pts,XTKS,2,yes,yahoo=S{n}\n" for n in range(LARGEST + 1)),
            "at most 5000",
        ),
    ],
)
def test_a_wrong_file_is_told(text: str, why: str):
    with pytest.raises(SettingsError, match=why):
        parse(text, "mine.csv")


def test_a_file_that_cannot_be_read_is_a_settings_error_that_names_it(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"UNIVERSE=.*gone\.csv cannot be read: No such file"):
        load(tmp_path / "gone.csv")
    (tmp_path / "latin.csv").write_bytes(b"id,name\nX,caf\xe9\n")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(tmp_path / "latin.csv")
    (tmp_path / "huge.csv").write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(SettingsError, match="larger than 4 MiB"):
        load(tmp_path / "huge.csv")


def test_the_known_namespaces_are_those_of_the_built_in_sources_and_of_installed_packages(tmp_path: Path, monkeypatch):
    (tmp_path / "quotes_of_mine-1.0.dist-info").mkdir()
    (tmp_path / "quotes_of_mine-1.0.dist-info" / "METADATA").write_text("Name: quotes-of-mine\nVersion: 1.0\n")
    (tmp_path / "quotes_of_mine-1.0.dist-info" / "entry_points.txt").write_text(
        "[evertick.sources]\nmine = nowhere_to_be_found:Mine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    _plugins.cache_clear()
    try:
        assert set(NAMESPACES) | {"mine"} <= set(known_namespaces())
        (i,) = parse("SPX,S&P 500,indices,americas,pts,XNYS,2,yes,mine=SPX\n", "f")
        assert dict(i.symbols) == {"mine": "SPX"}
    finally:
        _plugins.cache_clear()


def test_the_example_of_the_documentation_is_right():
    page = (Path(__file__).parents[2] / "docs/how-to/choose-instruments.md").read_text("utf-8")
    example = page.split("```\n")[2]
    before = load()
    after = parse(example, "mine.csv", before.instruments)
    assert [i.id for i in after] == [i.id for i in before if i.id != "DOGE"] + ["MYFUND"]
    assert f"the {len(before)} instruments" in page
    table = page.partition("| namespace |")[2]
    named = {word.partition("=")[0] for word in re.findall(r"`([a-z]+)[`=]", table)}
    assert {n for n in NAMESPACES if any(n in i.symbols for i in before)} <= named
