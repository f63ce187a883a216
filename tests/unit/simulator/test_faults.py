from __future__ import annotations

import pytest

from evertick.errors import SettingsError
from evertick.simulator.faults import GROUPS, KINDS, PROVIDERS, SLOW, Faults, Rule, parse_fault


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("yahoo=429:0.3", Rule("yahoo", "429", 0.3)),
        ("coingecko=truncated", Rule("coingecko", "truncated", 1.0)),
        ("all=5xx:x2", Rule("all", "5xx", 1.0, 2)),
        (" alternative=nan:1 ", Rule("alternative", "nan", 1.0)),
        ("yahoo/chart=429:0.3", Rule("yahoo", "429", 0.3, part="chart")),
        ("yahoo=429:60s", Rule("yahoo", "429", seconds=60.0)),
        ("yahoo/v8/finance=429:0.5:90s", Rule("yahoo", "429", 0.5, part="v8/finance", seconds=90.0)),
    ],
)
def test_rules_are_read_and_written(text: str, rule: Rule) -> None:
    assert parse_fault(text) == rule
    assert parse_fault(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yahoo", "no fault"),
        ("yahoo=", "no fault"),
        ("", "no fault"),
        ("google=429", "no provider 'google'"),
        ("yahoo=999", "no fault '999'"),
        ("yahoo=429:0", "share"),
        ("yahoo=429:1.5", "share"),
        ("yahoo=429:-1", "share"),
        ("yahoo=429:nan", "share"),
        ("yahoo=429:often", "share"),
        ("yahoo=429:x0", "share"),
        ("yahoo=429:xx", "share"),
        ("yahoo=429:0s", "share"),
        ("yahoo=429:0.3:often", "share"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_fault(text)


def test_the_message_lists_what_there_is() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_fault("yahoo=typo")
    assert all(kind in str(caught.value) for kind in (*KINDS, *GROUPS))


def test_without_rules_nothing_goes_wrong() -> None:
    faults = Faults()
    assert [faults.choose("yahoo") for _ in range(50)] == [None] * 50
    assert faults.requests["yahoo"] == 50


def test_a_share_is_kept_and_only_where_it_is_meant() -> None:
    faults = Faults(["yahoo=429:0.3", "yahoo=empty:0.2"])
    kinds = [faults.choose("yahoo") for _ in range(4000)]
    assert 0.27 < kinds.count("429") / 4000 < 0.33
    assert 0.17 < kinds.count("empty") / 4000 < 0.23
    assert {faults.choose("coingecko") for _ in range(100)} == {None}
    assert faults.served["yahoo", "429"] == kinds.count("429")


def test_the_same_seed_fails_the_same_requests() -> None:
    one, same, other = (Faults(["all=any:0.5"], seed) for seed in (7, 7, 8))
    first = [one.choose("yahoo") for _ in range(200)]
    assert [same.choose("yahoo") for _ in range(200)] == first
    assert [other.choose("yahoo") for _ in range(200)] != first


def test_providers_do_not_disturb_each_other() -> None:
    alone, among = Faults(["all=429:0.5"]), Faults(["all=429:0.5"])
    expected = [alone.choose("yahoo") for _ in range(50)]
    found = []
    for _ in range(50):
        among.choose("coingecko")
        found.append(among.choose("yahoo"))
    assert found == expected


def test_so_many_times_and_then_no_more() -> None:
    faults = Faults(["yahoo=500:x3"])
    assert [faults.choose("yahoo") for _ in range(5)] == ["500", "500", "500", None, None]


def test_groups_take_all_their_kinds() -> None:
    faults = Faults(["all=any"])
    found = {faults.choose("yahoo") for _ in range(3000)}
    assert found == set(GROUPS["any"])
    assert not found & set(SLOW)


def test_new_rules_replace_the_old_and_a_wrong_one_changes_nothing() -> None:
    faults = Faults(["yahoo=500:x9"])
    faults.replace(["yahoo=404"])
    assert faults.choose("yahoo") == "404"
    with pytest.raises(SettingsError):
        faults.replace(["yahoo=500", "nonsense"])
    assert faults.choose("yahoo") == "404"
    faults.replace([])
    assert faults.choose("yahoo") is None


def test_shares_beyond_the_whole_are_refused() -> None:
    with pytest.raises(SettingsError, match="130%"):
        Faults(["yahoo=429:0.7", "all=500:0.6"])


def test_only_a_part_of_a_provider_fails() -> None:
    faults = Faults(["yahoo/chart=429", "yahoo/spark=500", "all/fng=404"])
    assert faults.choose("yahoo", "/v8/finance/chart/SPY") == "429"
    assert faults.choose("yahoo", "/v7/finance/spark") == "500"
    assert faults.choose("yahoo", "/v7/finance/quote") is None
    assert faults.choose("alternative", "/fng/") == "404"
    with pytest.raises(SettingsError, match="150%"):
        Faults(["yahoo/chart=429", "yahoo=500:0.5"])


def test_for_a_time_and_then_no_more() -> None:
    now = [100.0]
    faults = Faults(["yahoo=500:60s"], monotonic=lambda: now[0])
    assert faults.choose("yahoo") == "500"
    now[0] += 59
    assert faults.choose("yahoo") == "500"
    now[0] += 2
    assert faults.choose("yahoo") is None
    faults.replace(["yahoo=500:60s"])
    assert faults.choose("yahoo") == "500"


def test_counts() -> None:
    faults = Faults(["coingecko=429"])
    faults.choose("coingecko")
    faults.choose("yahoo")
    assert faults.stats() == {
        "requests": dict.fromkeys(PROVIDERS, 0) | {"yahoo": 1, "coingecko": 1},
        "faults": {provider: {} for provider in PROVIDERS} | {"coingecko": {"429": 1}},
    }
