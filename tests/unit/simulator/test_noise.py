from __future__ import annotations

import itertools
from datetime import date
from statistics import correlation, fmean, pstdev

import pytest

from evertick.simulator import noise
from evertick.simulator.noise import ALWAYS, ANCHOR, BLOCK, SPAN, WEEKDAYS


def series(name: str, blocks: range, seed: str = "1") -> list[float]:
    level = noise.factors(seed)[name]
    return [value for block in blocks for value in level(block)]


def moves(levels: list[float]) -> list[float]:
    return [b - a for a, b in itertools.pairwise(levels)]


def test_the_anchor_is_a_sunday_and_blocks_begin_on_mondays() -> None:
    assert date.fromordinal(ANCHOR).weekday() == 6
    for block in (-7, 0, 3):
        assert date.fromordinal(noise.first_of(block)).weekday() == 0
        assert noise.block_of(noise.first_of(block)) == (block, 0)
        assert noise.block_of(noise.first_of(block) + BLOCK - 1) == (block, BLOCK - 1)


def test_draws_are_the_same_for_ever() -> None:
    # a change here changes every price of every simulated market
    assert list(noise.draws("evertick", 4)) == [31541, 11088, 21313, 63590]


def test_every_walk_is_zero_at_the_anchor_and_continuous_at_the_edges_of_blocks() -> None:
    for name in (*noise.WEEKDAY_FACTORS, "crypto", "world"):
        assert noise.factors("1")[name](-1)[-1] == pytest.approx(0, abs=1e-9)
    for block in (-3, -1, 0, 4):
        last = noise.walk("1/any", block, ALWAYS)[-1]
        assert last == pytest.approx(noise.edge("1/any", block + 1, ALWAYS))
        assert abs(noise.walk("1/any", block + 1, ALWAYS)[0] - last) < 8


def test_a_walk_moves_by_about_one_a_day_and_less_at_weekends() -> None:
    found = moves(series("asia", range(-20, 20)))
    weekdays = [m for i, m in enumerate(found, 1) if i % 7 < 5]
    weekends = [m for i, m in enumerate(found, 1) if i % 7 >= 5]
    assert 0.9 < pstdev(weekdays) < 1.1
    assert 0.2 < pstdev(weekends) < 0.4


def test_moves_have_fat_tails() -> None:
    found = moves(series("crypto", range(-40, 40)))
    size = pstdev(found)
    assert fmean((m / size) ** 4 for m in found) > 4  # 3 for a normal distribution


def test_the_level_after_a_thousand_blocks_is_of_the_size_a_random_walk_has() -> None:
    ends = [noise.edge(f"{seed}/walk", SPAN, WEEKDAYS) for seed in range(200)]
    one = (SPAN * BLOCK / 7 * sum(w * w for w in WEEKDAYS)) ** 0.5
    assert 0.85 < pstdev(ends) / one < 1.15


def test_edges_do_not_depend_on_what_was_asked_before() -> None:
    forth = [noise.edge("1/x", block, ALWAYS) for block in range(-30, 30)]
    back = [noise.edge("1/x", block, ALWAYS) for block in reversed(range(-30, 30))]
    assert forth == back[::-1]


def test_beyond_the_span_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond"):
        noise.edge("1/x", SPAN + 1, ALWAYS)


def test_stress_returns_to_its_mean_and_rises_when_the_world_falls() -> None:
    stress, world = series("stress", range(-30, 30)), series("world", range(-30, 30))
    assert abs(fmean(stress)) < 0.5
    assert 0.7 < pstdev(stress) < 1.4
    assert correlation(moves(stress), moves(world)) < -0.5


def test_stress_makes_the_worlds_moves_larger() -> None:
    stress, world = series("stress", range(-60, 60)), series("world", range(-60, 60))
    after = list(zip(stress, moves(world), strict=False))
    calm = [m for s, m in after if s < -0.7]
    wild = [m for s, m in after if s > 0.7]
    assert pstdev(wild) > 1.4 * pstdev(calm)


def test_bounded_factors_stay_within_reach() -> None:
    for block in (-900, -300, 300, 900):
        level = noise.factors("1")["yields"]
        assert max(abs(v) for v in level(block)) <= 55


def test_seeds_and_factors_differ() -> None:
    assert series("asia", range(1), "1") != series("asia", range(1), "2")
    assert series("asia", range(1)) != series("europe", range(1))
