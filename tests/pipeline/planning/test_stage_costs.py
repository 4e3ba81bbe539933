"""Fixed and running cost are told apart, and units are counted as the run will form them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory import recording
from voxmill.pipeline.planning.stage_costs import fit_cost, num_units, units_for
from voxmill.pipeline.state.units import UnitConfig, form_units

WORK = st.lists(st.tuples(st.integers(1, 600), st.floats(0, 100)), min_size=1, max_size=20)


def test_a_known_line_is_found() -> None:
    seconds = [10.0, 60.0, 300.0, 600.0]
    line = fit_cost(np.ones((1, 4)), seconds, [2 + 0.05 * s for s in seconds])
    assert (line.unit_s[0], line.audio_s[0]) == (pytest.approx(2), pytest.approx(0.05))


@given(WORK, st.data())
def test_the_line_gives_back_the_total_that_it_was_fitted_to(work: list[tuple[int, float]], data: st.DataObject) -> None:
    seconds, spent = [float(s) for s, _ in work], [cost for _, cost in work]
    weights = np.array([data.draw(st.lists(st.integers(0, 5), min_size=len(work), max_size=len(work)))], dtype=float)
    line = fit_cost(weights, seconds, spent)
    assert line.unit_s[0] >= 0
    assert line.audio_s[0] >= 0
    again = line.of(weights.sum(axis=1), weights @ np.array(seconds))
    np.testing.assert_allclose(again, weights @ np.array(spent), rtol=1e-6, atol=1e-6)


@given(st.lists(st.integers(1, 400), max_size=30), st.integers(20, 300))
def test_units_are_counted_as_they_are_formed(seconds: list[int], limit: int) -> None:
    recordings = [recording(str(i), float(s)) for i, s in enumerate(seconds)]
    assert num_units([float(s) for s in seconds], limit) == len(list(form_units(recordings, UnitConfig(seconds=limit))))


@pytest.mark.parametrize("mean", [20.0, 200.0, 2000.0])
def test_units_of_a_whole_are_foretold_from_a_sample(mean: float) -> None:
    rng = np.random.default_rng(int(mean))
    whole = rng.exponential(mean, 5000)
    drawn = whole[:200] / 3600
    found = units_for(drawn, np.full((1, 200), 25.0), 600.0, 5000)
    assert found[0] == pytest.approx(num_units(whole, 600.0) * drawn.mean() * 3600 / whole.mean(), rel=0.06)
