"""How likely a given transcript is wrong, from how far it is from what recognisers hear and how far they are from each other.

Two kinds of transcripts are told apart by their edit distance to the nearest recogniser, in characters of the normalised texts:

* right ones, where the distance is errors of that recogniser. Their rate is a floor, and more where the recognisers disagree with each
  other (with one recogniser, where it is unsure). Errors cluster, so the distance has a beta-binomial distribution;
* wrong ones, whose distance may be anything, large ones more often than small ones: a beta-binomial with a rising density.

The share of wrong ones, the floor and how much errors cluster are those under which the run's transcripts are most likely (expectation
maximisation on a grid). The result is a probability by this model, and only a calibration (`pipeline/reports/audit_calibration.py`)
makes it one that has been looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

Floats = NDArray[np.float64]

SLOPE = 0.5
"""Character errors that are added to the floor where recognisers do not agree at all."""
FLOORS = (0.005, 0.01, 0.02, 0.04)
"""Character errors of recognisers that agree wholly: those that are tried."""
SPREADS = (16.0, 32.0, 64.0)
"""a + b of the distribution of errors, the smaller the more they cluster: those that are tried. Below, errors of recognisers that agree would
explain any distance: what is hard to hear is seen in their disagreement."""
WRONG = (2.0, 1.0)
"""a and b of the distances of wrong transcripts."""
UNSURE = 0.2
"""What stands for the doubt of a recogniser that gives no confidence."""
LONGEST = 200
"""Longer texts are counted as if they had so many characters: beyond, nothing is learnt, and there are fewer groups."""
ROUNDS = 60


@dataclass(frozen=True, slots=True)
class LabelDoubt:
    """What speaks against a transcript. Equal ones are counted together."""

    distance: int
    """Edits between the transcript and the nearest recogniser's text, in characters."""
    length: int
    """Characters of the longer of the two; 0: nobody says anything."""
    disagreement: float
    """Of the recognisers, in [0, 1]: mean normalised edit distance over pairs; of a single one 1 - confidence."""


def doubt_of(given: str, heard: Sequence[str], confidences: Sequence[float | None]) -> LabelDoubt:
    """The doubt of one transcript; all texts normalised. `heard` has at least one text.

    >>> doubt_of("one two", ["one two", "one too"], [None, None])
    LabelDoubt(distance=0, length=7, disagreement=0.14)
    """
    distances = [(Levenshtein.distance(given, text), max(len(given), len(text))) for text in heard]
    distance, length = min(distances, key=lambda pair: (pair[0] / max(pair[1], 1), pair))
    if len(heard) > 1:
        apart = math.fsum(_apart(a, b) for a, b in combinations(heard, 2)) / math.comb(len(heard), 2)
    else:
        apart = 1.0 - confidences[0] if confidences[0] is not None else UNSURE
    if length > LONGEST:
        distance, length = round(distance * LONGEST / length), LONGEST
    return LabelDoubt(distance, length, round(min(max(apart, 0.0), 1.0) * 50) / 50)


def _apart(a: str, b: str) -> float:
    return float(Levenshtein.normalized_distance(a, b))


@dataclass(frozen=True, slots=True)
class DoubtModel:
    """The model with its three numbers."""

    share: float
    """Of wrong transcripts among all."""
    floor: float
    spread: float

    def wrong(self, doubt: LabelDoubt) -> float:
        """The probability that a transcript is wrong."""
        if doubt.length == 0:
            return 0.0
        odds = math.log(self.share / (1.0 - self.share)) + _if_wrong(doubt) - _if_right(doubt, self.floor, self.spread)
        return 1.0 / (1.0 + math.exp(-odds)) if odds > -700 else 0.0


def fit_doubts(counts: Mapping[LabelDoubt, int]) -> DoubtModel:
    """The model under which these transcripts, with how often each doubt occurs, are most likely."""
    known = {doubt: number for doubt, number in counts.items() if doubt.length}
    if not known:
        return DoubtModel(0.05, FLOORS[-2], SPREADS[0])
    weights = np.array(list(known.values()), float)
    wrong = np.array([_if_wrong(doubt) for doubt in known])
    tried = []
    for floor, spread in product(FLOORS, SPREADS):
        right = np.array([_if_right(doubt, floor, spread) for doubt in known])
        share, likelihood = _share(weights, right, wrong)
        tried.append((likelihood, DoubtModel(share, floor, spread)))
    return max(tried, key=lambda one: one[0])[1]


def _share(weights: Floats, right: Floats, wrong: Floats) -> tuple[float, float]:
    """The share of wrong ones, by expectation maximisation from 5 %, and the logarithm of the likelihood."""
    total, share = weights.sum(), 0.05
    for _ in range(ROUNDS):
        odds = np.log(share / (1.0 - share)) + wrong - right
        found = float(weights @ (1.0 / (1.0 + np.exp(-np.clip(odds, -700.0, 700.0)))) / total)
        share = min(max(found, 0.5 / total), 0.95)
    return float(share), float(weights @ np.logaddexp(np.log(share) + wrong, np.log(1.0 - share) + right))


def _if_wrong(doubt: LabelDoubt) -> float:
    return _log_chance(doubt.distance, doubt.length, *WRONG)


def _if_right(doubt: LabelDoubt, floor: float, spread: float) -> float:
    error = floor + SLOPE * doubt.disagreement
    return _log_chance(doubt.distance, doubt.length, error * spread, (1.0 - error) * spread)


@cache
def _log_chance(successes: int, trials: int, a: float, b: float) -> float:
    """Logarithm of the beta-binomial probability."""
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    return ways + _log_beta(successes + a, trials - successes + b) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
