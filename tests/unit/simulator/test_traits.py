from __future__ import annotations

from math import isfinite, sqrt

import pytest

from evertick.model import Group
from evertick.simulator.noise import ALWAYS, FACTORS, WEEKDAYS
from evertick.simulator.traits import CURRENCIES, DOLLAR_INDEX, levels, traits
from evertick.universe import load
from unit.simulator.samples import INSTRUMENTS, instrument

BY_ID = {i.id: i for i in INSTRUMENTS}


@pytest.mark.parametrize(
    ("id", "price"),
    [("SPX", 7000), ("VNINDEX", 1750), ("BTC", 77000), ("GOLD", 4150), ("EURUSD", 1.158), ("US10Y", 4.12)],
)
def test_well_known_prices(id: str, price: float) -> None:
    assert traits(BY_ID[id]).price == pytest.approx(price)


def test_every_instrument_of_the_universe_has_traits() -> None:
    for one in load():
        t = traits(one)
        assert isfinite(t.price)
        assert t.price > 0
        assert 0 < t.sigma < 0.1, one.id
        assert t.decimals >= one.decimals
        assert t.loads
        assert all(name in FACTORS or name.startswith(("own:", "noise:")) for name, _ in t.loads)


def test_the_universe_is_described_but_for_what_is_computed_from_others() -> None:
    unknown = [
        i.id
        for i in load()
        if i.group not in (Group.FX, Group.SENTIMENT)
        and not any(s in levels() for s in i.symbols.values())
        and not any(":" in s for s in i.symbols.values())
    ]
    assert unknown == []


def test_loads_add_up_to_the_volatility() -> None:
    for id in ("SPX", "DAX", "VCB", "BTC", "GOLD", "US10Y", "EURUSD"):
        t = traits(BY_ID[id])
        assert sqrt(sum(size * size for _, size in t.loads)) == pytest.approx(t.sigma), id


def test_an_instrument_nobody_described_gets_a_plausible_price_of_its_own() -> None:
    one, other = instrument("AAA", "indices", "XNYS", yahoo="^AAA"), instrument("BBB", "indices", "XNYS", yahoo="^BBB")
    assert 1000 <= traits(one).price <= 20_000
    assert traits(one).price == traits(one).price
    assert traits(one).price != traits(other).price
    assert 4_000 < traits(instrument("CCC", "vietnam", "XSTC", 0, yahoo="CCC.VN")).price < 110_000


@pytest.mark.parametrize("group", [g.value for g in Group])
def test_every_group_can_be_guessed(group: str) -> None:
    t = traits(instrument("NEW", group, "XNYS", yahoo="NEW"))
    assert t.price > 0
    assert t.sigma > 0


def test_cross_rates_agree() -> None:
    price = {id: traits(BY_ID[id]).price for id in ("EURUSD", "USDJPY", "EURJPY")}
    assert price["EURUSD"] * price["USDJPY"] == pytest.approx(price["EURJPY"])
    loads = {id: dict(traits(BY_ID[id]).loads) for id in price}
    for name in loads["EURUSD"].keys() | loads["USDJPY"].keys():
        total = loads["EURUSD"].get(name, 0) + loads["USDJPY"].get(name, 0)
        assert loads["EURJPY"].get(name, 0) == pytest.approx(total, abs=1e-12)


def test_the_dollar_index_weighs_its_currencies() -> None:
    assert sum(DOLLAR_INDEX.values()) == pytest.approx(1, abs=1e-9)
    loads = dict(traits(BY_ID["DXY"]).loads)
    assert loads["dollar"] > 0
    assert loads["own:EUR"] < 0


def test_a_pair_of_unknown_currencies_is_guessed() -> None:
    assert traits(instrument("XYZ", "fx", "FX", yahoo="XYZABC=X")).price > 0


def test_stablecoins_and_volatility_return_to_their_price() -> None:
    assert [name for name, _ in traits(BY_ID["USDT"]).loads] == ["noise:tether"]
    assert {name for name, _ in traits(BY_ID["VIX"]).loads} == {"stress", "noise:^VIX"}


def test_wrapped_coins_share_the_path_of_what_they_wrap() -> None:
    wrapped = traits(instrument("WBTC", "crypto", "24/7", coingecko="wrapped-bitcoin"))
    assert dict(wrapped.loads).keys() == dict(traits(BY_ID["BTC"]).loads).keys()


def test_small_prices_have_enough_digits() -> None:
    assert traits(BY_ID["SHIB"]).decimals >= 10
    assert traits(BY_ID["VCB"]).decimals == 0


def test_weekends() -> None:
    assert traits(BY_ID["BTC"]).week == ALWAYS
    assert traits(BY_ID["SPX"]).week == WEEKDAYS
    assert traits(instrument("PAXG", "crypto", "24/7", coingecko="pax-gold")).week == WEEKDAYS


def test_the_table_is_sound() -> None:
    for symbol, level in levels().items():
        assert level.price > 0, symbol
        assert level.volatility is None or 0 < level.volatility < 200, symbol
        assert level.like is None or level.like in levels(), symbol
    assert all(value > 0 and 0 < share < 1 for value, _, share in CURRENCIES.values())
