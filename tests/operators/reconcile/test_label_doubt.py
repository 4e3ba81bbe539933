from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from voxmill.operators.reconcile.label_doubt import LONGEST, DoubtModel, LabelDoubt, _log_chance, doubt_of, fit_doubts

MODEL = DoubtModel(0.05, 0.02, 16.0)


def test_the_chance_is_that_of_scipy() -> None:
    from scipy.stats import betabinom  # type: ignore[import-untyped]

    for successes, trials, a, b in ((0, 5, 0.16, 7.84), (3, 9, 2.0, 1.0), (200, 200, 0.16, 7.84)):
        assert _log_chance(successes, trials, a, b) == pytest.approx(betabinom.logpmf(successes, trials, a, b))


def test_more_doubt_is_more_suspicion_and_disagreeing_recognisers_are_less_sure() -> None:
    by_distance = [MODEL.wrong(LabelDoubt(distance, 20, 0.0)) for distance in range(21)]
    assert by_distance == sorted(by_distance)
    assert by_distance[0] < 0.001
    assert by_distance[-1] > 0.999
    assert MODEL.wrong(LabelDoubt(14, 20, 0.8)) < MODEL.wrong(LabelDoubt(14, 20, 0.0))
    assert MODEL.wrong(LabelDoubt(0, 0, 0.0)) == 0


def test_the_nearest_recogniser_counts_and_lengths_are_bounded() -> None:
    assert doubt_of("abcd", ["abcd", "wxyz"], [None, None]) == LabelDoubt(0, 4, 1.0)
    assert doubt_of("", ["abcd", "abcd"], [None, None]) == LabelDoubt(4, 4, 0.0)
    assert doubt_of("", ["", ""], [None, None]) == LabelDoubt(0, 0, 0.0)
    assert doubt_of("a" * 1000, ["b" * 1000], [1.0]) == LabelDoubt(LONGEST, LONGEST, 0.0)
    assert doubt_of("ab", ["ab"], [None]).disagreement == 0.2
    assert doubt_of("ab", ["ab"], [0.7]).disagreement == pytest.approx(0.3)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("spread", [16.0, 64.0])
def test_the_numbers_are_found_in_what_the_model_makes(share: float, spread: float) -> None:
    rng = Random(5)
    counts: Counter[LabelDoubt] = Counter()
    for _ in range(4000):
        length, apart = rng.randint(15, 60), rng.choice([0.0, 0.06, 0.2])
        error = 0.02 + apart / 2
        rate = rng.betavariate(2, 1) if rng.random() < share else rng.betavariate(error * spread, (1 - error) * spread)
        counts[LabelDoubt(sum(rng.random() < rate for _ in range(length)), length, apart)] += 1
    found = fit_doubts(counts)
    assert (found.floor, found.spread) == (0.02, spread)
    assert found.share == pytest.approx(share, abs=0.015)


def test_recognisers_without_errors_leave_no_excuse_for_a_transcript_that_is_half_right() -> None:
    """One in twenty is a third off, and nothing else is."""
    counts = {LabelDoubt(0, 77, 0.0): 4756, LabelDoubt(24, 77, 0.0): 244}
    found = fit_doubts(counts)
    assert found.wrong(LabelDoubt(24, 77, 0.0)) > 0.9
    assert found.wrong(LabelDoubt(0, 77, 0.0)) < 0.01


def test_nothing_to_compare_has_a_model_all_the_same() -> None:
    assert fit_doubts({}).share == 0.05
    assert fit_doubts({LabelDoubt(0, 0, 0.0): 5}).share == 0.05
