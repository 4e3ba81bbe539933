"""Intervals hold the truth as often as they say, by simulation and by the textbook's formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.pipeline.planning.bootstrap import IntervalEstimate, calibrated, draw_weights, estimate


@pytest.mark.parametrize(("count", "spread"), [(6, 0.4), (12, 0.8), (40, 1.0)])
def test_nine_intervals_of_ten_hold_the_total_of_a_skewed_population(count: int, spread: float) -> None:
    rng = np.random.default_rng(count)
    whole = {"a": rng.lognormal(0, spread, 4000), "b": rng.lognormal(1, spread, 1000)}
    truth = sum(float(values.sum()) for values in whole.values())
    held = 0
    for trial in range(120):
        drawn = {name: rng.choice(values, count // 2, replace=False) for name, values in whole.items()}
        weights = draw_weights([n for n in drawn for _ in drawn[n]], {n: len(v) for n, v in whole.items()}, seed=trial)
        found = estimate(weights.total(np.concatenate(list(drawn.values()))), weights)
        held += found.low is not None and found.high is not None and found.low <= truth <= found.high
    assert 0.84 <= held / 120 <= 0.98


def test_the_spread_of_the_resamples_is_that_of_the_formula() -> None:
    """N^2 (1 - f) s^2 / n: Cochran 1977, theorem 2.2."""
    rng = np.random.default_rng(3)
    values, total = rng.gamma(2.0, 3.0, 50), 120
    weights = draw_weights(["a"] * 50, {"a": total})
    expected = total * np.sqrt((1 - 50 / total) * values.var(ddof=1) / 50)
    assert weights.total(values)[1:].std() == pytest.approx(expected, rel=0.08)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=2, max_size=20),
    st.integers(0, 500),
    st.integers(0, 2**31),
)
def test_every_resample_stands_for_as_many_items_as_there_are(clusters: list[tuple[str, int]], more: int, seed: int) -> None:
    strata, sizes = [name for name, _ in clusters], [size for _, size in clusters]
    population = {name: sum(size for other, size in clusters if other == name) + more for name in set(strata)}
    weights = draw_weights(strata, population, sizes, seed=seed)
    np.testing.assert_allclose(weights.total(sizes), sum(population.values()), rtol=1e-9)
    assert (weights.values >= 0).all()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_what_was_sampled_whole_is_exact(values: list[float]) -> None:
    weights = draw_weights(["a"] * len(values), {"a": len(values)})
    found = estimate(weights.total(values), weights)
    assert found.low == found.value == found.high == pytest.approx(sum(values))


def test_one_recording_of_many_says_nothing_of_the_spread() -> None:
    weights = draw_weights(["a"], {"a": 10})
    assert estimate(weights.total([2.0]), weights) == IntervalEstimate(20.0, None, None)


def test_strata_with_one_recording_each_are_varied_together() -> None:
    weights = draw_weights(["a", "b", "c"], {"a": 10, "b": 10, "c": 10})
    found = estimate(weights.total([1.0, 2.0, 6.0]), weights)
    assert found.value == 90
    assert found.low is not None
    assert found.high is not None
    assert found.low < 60
    assert found.high > 120


def test_known_sizes_narrow_what_goes_with_them() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.lognormal(0, 1, 500)
    hours = sizes * rng.normal(1, 0.05, 500)
    drawn = rng.choice(500, 20, replace=False)
    plain = draw_weights(["a"] * 20, {"a": 500})
    by_size = calibrated(plain, ["a"] * 20, list(sizes[drawn]), {"a": float(sizes.sum())})
    np.testing.assert_allclose(by_size.total(sizes[drawn]), sizes.sum())
    wide, narrow = (estimate(w.total(hours[drawn]), w) for w in (plain, by_size))
    assert narrow.low is not None
    assert narrow.high is not None
    assert wide.low is not None
    assert wide.high is not None
    assert narrow.low <= hours.sum() <= narrow.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 4
