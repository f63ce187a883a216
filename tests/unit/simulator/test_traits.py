from __future__ import annotations

from math import isfinite, sqrt

import pytest

from evertick.model import Group
from evertick.simulator.curve import TENORS, tenor, yield_at_anchor
from evertick.simulator.limits import snap
from evertick.simulator.noise import ALWAYS, FACTORS, WEEKDAYS
from evertick.simulator.traits import CURRENCIES, DOLLAR_INDEX, described, levels, traits
from evertick.universe import load
from unit.simulator.samples import INSTRUMENTS, instrument

BY_ID = {i.id: i for i in INSTRUMENTS}


@pytest.mark.parametrize(
    ("id", "price"),
    [("SPX", 7000), ("VNINDEX", 1750), ("BTC", 77000), ("GOLD", 4150), ("EURUSD", 1.158), ("US10Y", 4.75)],
)
def test_well_known_prices(id: str, price: float) -> None:
    assert traits(BY_ID[id]).price == pytest.approx(price, rel=1e-3)


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
        and not described(i)
        and not tenor(i)
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


@pytest.mark.parametrize(
    ("symbols", "key"),
    [
        ({"vn": "FPT"}, "vn=FPT"),
        ({"vps": "FPT"}, "vn=FPT"),
        ({"yahoo": "FPT.VN"}, "vn=FPT"),
        ({"yahoo": "^VNINDEX.VN"}, "vn=VNINDEX"),
        ({"cboe": "VIX"}, "^VIX"),
        ({"ticker": "XLK"}, "XLK"),
        ({"coingecko": "bitcoin"}, "bitcoin"),
    ],
)
def test_a_row_of_the_table_is_found_by_any_providers_symbol(symbols: dict[str, str], key: str) -> None:
    assert described(instrument("X", "sectors", "XNYS", **symbols)) == key


def test_a_vietnamese_code_is_not_taken_for_a_us_ticker() -> None:
    assert traits(instrument("VNM", "vietnam", "XSTC", 0, vn="VNM")).price == levels()["vn=VNM"].price
    assert traits(instrument("VNM", "sectors", "XNYS", ticker="VNM")).price == levels()["VNM"].price


@pytest.mark.parametrize(
    ("symbols", "months"),
    [
        ({"yahoo": "^IRX"}, 3),
        ({"yahoo": "^TNX"}, 120),
        ({"treasury": "1.5Month"}, 1.5),
        ({"treasury": "3Mo"}, 3),
        ({"treasury": "10Yr"}, 120),
        ({"fred": "DGS1MO"}, 1),
        ({"fred": "DGS30"}, 360),
        ({"fred": "SOFR"}, None),
    ],
)
def test_maturities_are_read_from_symbols(symbols: dict[str, str], months: float | None) -> None:
    assert tenor(instrument("X", "rates", "UST", 2, **symbols)) == months


def test_the_curve_begins_where_it_should() -> None:
    levels_now = [yield_at_anchor(months) for months in TENORS]
    assert levels_now == sorted(levels_now)
    assert 3.8 < levels_now[0] < 4.1
    assert 4.6 < yield_at_anchor(120) < 5


@pytest.mark.parametrize(
    ("symbols", "pair"),
    [
        ({"vietcombank": "USD"}, ("USD", "VND")),
        ({"ecb": "USD"}, ("EUR", "USD")),
        ({"ecb": "USD/JPY"}, ("USD", "JPY")),
        ({"twelvedata": "EUR/USD"}, ("EUR", "USD")),
        ({"yahoo": "JPY=X"}, ("USD", "JPY")),
        ({"yahoo": "GBPJPY=X"}, ("GBP", "JPY")),
    ],
)
def test_currency_pairs_are_read_from_symbols(symbols: dict[str, str], pair: tuple[str, str]) -> None:
    value = {"USD": 1.0, **{code: one[0] for code, one in CURRENCIES.items()}}
    assert traits(instrument("X", "fx", "FX", 4, **symbols)).price == pytest.approx(value[pair[0]] / value[pair[1]])


@pytest.mark.parametrize(("price", "snapped"), [(9_994, 9_990), (9_996, 10_000), (24_523, 24_500), (98_760, 98_800)])
def test_shares_in_ho_chi_minh_city_go_in_steps(price: float, snapped: float) -> None:
    assert snap(price, traits(BY_ID["VCB"]).ticks) == snapped
