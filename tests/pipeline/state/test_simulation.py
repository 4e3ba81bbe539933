"""The life of a run in virtual time: overlapping, frozen and killed drivers, a store that is late, and the tables are always the same."""

from __future__ import annotations

import pytest

from crash.planted import BUGS
from crash.simulate import simulate

SEEDS = 1000


def test_no_life_of_a_run_does_any_harm() -> None:
    for seed in range(SEEDS):
        life = simulate(seed)
        assert not life.problems, f"replay it: python tests/crash/simulate.py {seed}"


@pytest.mark.parametrize("name", ["journal before data", "no first entry"])
def test_a_planted_bug_is_found(name: str) -> None:
    assert any(simulate(seed, BUGS[name]).problems for seed in range(SEEDS))
