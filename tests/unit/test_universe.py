from __future__ import annotations

from pathlib import Path

import pytest

from evertick.errors import SettingsError
from evertick.model import Group
from evertick.sessions import EXCHANGES
from evertick.universe import LARGEST, load, parse

HEADER = "id,name,group,region,currency,exchange,decimals,core,yahoo,coingecko,alternative\n"
ROW = "SPX,S&P 500,indices,americas,pts,XNYS,2,yes,^GSPC,,\n"


def test_the_built_in_universe_has_every_group_and_the_instruments_reports_name():
    universe = load()
    assert len(universe) == len(universe.instruments) == len(list(universe)) >= 130
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
    assert len([i for i in universe if "coingecko" in i.symbols]) <= 100  # one page of CoinGecko's markets
    assert sum(i.core for i in universe) >= 120
    assert universe.get("NOPE") is None


def test_the_special_rows_say_where_their_number_stands():
    universe = load()
    symbols = {id_: dict(universe.get(id_).symbols) for id_ in ("CRYPTO_CAP", "BTC_DOM", "ETH_DOM", "FNG")}
    assert symbols == {
        "CRYPTO_CAP": {"coingecko": "global:total_market_cap.usd"},
        "BTC_DOM": {"coingecko": "global:market_cap_percentage.btc"},
        "ETH_DOM": {"coingecko": "global:market_cap_percentage.eth"},
        "FNG": {"alternative": "fng"},
    }


def test_every_instrument_keeps_the_hours_of_a_known_exchange():
    assert {i.exchange for i in load()} <= set(EXCHANGES)


def test_a_file_of_ones_own_takes_its_place_with_comments_blank_lines_and_quotes(tmp_path: Path):
    file = tmp_path / "mine.csv"
    file.write_text("\ufeff# mine\n\n" + HEADER + '# one\nSPX,"S&P, 500",indices,americas,pts,XNYS,2,no,^GSPC,,\n')
    universe = load(file)
    (spx,) = universe
    assert (spx.name, spx.core, spx.decimals, dict(spx.symbols)) == ("S&P, 500", False, 2, {"yahoo": "^GSPC"})
    assert universe.get("SPX") is spx


def test_columns_may_come_in_any_order_and_unused_sources_be_left_out():
    (i,) = parse("name,id,region,group,currency,exchange,decimals,core,yahoo\nX,ABC,world,fx,USD,FX,4,yes,A=X\n", "f")
    assert (i.id, i.name, i.group) == ("ABC", "X", Group.FX)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("SPX,S&P 500,indices,americas,pts,XNYS,2,yes,^GSPC,", "10 cells, the first row has 11"),
        ("spx,S&P 500,indices,americas,pts,XNYS,2,yes,^GSPC,,", "id 'spx' is not"),
        (",S&P 500,indices,americas,pts,XNYS,2,yes,^GSPC,,", "id '' is not"),
        ("SPX,,indices,americas,pts,XNYS,2,yes,^GSPC,,", "name is empty"),
        ("SPX,S,stocks,americas,pts,XNYS,2,yes,^GSPC,,", "group 'stocks' is not one of indices, vietnam"),
        ("SPX,S,indices,mars,pts,XNYS,2,yes,^GSPC,,", "region 'mars' is not one of"),
        ("SPX,S,indices,americas,dollars,XNYS,2,yes,^GSPC,,", "currency 'dollars' is not"),
        ("SPX,S,indices,americas,pts,NYSE,2,yes,^GSPC,,", "exchange 'NYSE' is not one of 24/7"),
        ("SPX,S,indices,americas,pts,XNYS,-1,yes,^GSPC,,", "decimals '-1' is not a number from 0 to 10"),
        ("SPX,S,indices,americas,pts,XNYS,11,yes,^GSPC,,", "decimals '11'"),
        ("SPX,S,indices,americas,pts,XNYS,2,true,^GSPC,,", "core 'true' is not one of yes, no"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,,,", "no source knows SPX"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,A B,,", "yahoo symbol 'A B' is not printable"),
        ("VIX,V,volatility,americas,pts,XCBO,2,yes,^VIX,,", "id VIX is used twice"),
        ("SPX,S,indices,americas,pts,XNYS,2,yes,^VIX,,", "yahoo symbol ^VIX belongs to VIX already"),
    ],
)
def test_a_wrong_row_is_told_with_file_line_and_reason(row: str, why: str):
    text = HEADER + "VIX,VIX,volatility,americas,pts,XCBO,2,yes,^VIX,,\n# comment\n" + row + "\n"
    with pytest.raises(SettingsError) as caught:
        parse(text, "mine.csv")
    assert str(caught.value).startswith("mine.csv, line 4: ")
    assert why in str(caught.value)


def test_all_wrong_rows_are_told_at_once_up_to_twenty():
    rows = "".join(f"bad{n},X,indices,asia,pts,XTKS,2,yes,S{n},,\n" for n in range(30))
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
        (HEADER, "holds no instruments below"),
        ("id,name\nSPX,S\n", "line 1: the first row lacks group, region"),
        (HEADER.replace("alternative", "bloomberg") + ROW, "'bloomberg' is not a column"),
        (HEADER.replace("coingecko", "yahoo") + ROW, "a column is there twice"),
        (HEADER + "".join(f"I{n},X,indices,asia,pts,XTKS,2,yes,S{n},,\n" for n in range(LARGEST + 1)), "at most 5000"),
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
