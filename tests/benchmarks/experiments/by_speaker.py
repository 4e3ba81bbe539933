"""Error rates by speaker, and what a difference of two arms is worth: a paired bootstrap over speakers.

Errors of one speaker are alike, so speakers are drawn, not words; both arms are compared on the same draw. Shape suffixes: S speakers, R rounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.experiments.spans import Span
from benchmarks.words import Edits, edits, english

ROUNDS, LEVEL = 10_000, 0.95
Rates = Mapping[str, Edits]
"""Edits by speaker."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two arms' word error rates, in points: below 0, the first one is better."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def counted(spans: Sequence[Span], said: Mapping[str, str]) -> Rates:
    """Errors of what was said of each span, by speaker. A span of which nothing was said has all its words deleted."""
    found: dict[str, Edits] = defaultdict(Edits)
    for one in spans:
        found[one.speaker] += edits(one.words, english(said[one.key]))
    return dict(found)


def together(rates: Sequence[Rates]) -> Rates:
    """Of several conditions or seeds, summed."""
    found: dict[str, Edits] = defaultdict(Edits)
    for one in rates:
        for speaker, errors in one.items():
            found[speaker] += errors
    return dict(found)


def rate(rates: Rates) -> float:
    """Word error rate (%) over all speakers."""
    return 100 * sum(rates.values(), start=Edits()).rate


def difference(one: Rates, other: Rates, seed: int = 0) -> Difference:
    """The first arm's rate less the second's, and the interval of `LEVEL` over speakers. Raises ValueError if they were asked other words."""
    speakers = sorted(one)
    alike = sorted(other) == speakers
    words_S, others_S = (np.array([rates[name].words for name in speakers if alike], float) for rates in (one, other))
    if not alike or not np.allclose(words_S / words_S.sum(), others_S / others_S.sum()):
        raise ValueError("two arms are compared on other speakers or words")
    worse_S = np.array([one[name].rate - other[name].rate for name in speakers]) * words_S
    drawn_RS = np.random.default_rng(seed).integers(len(speakers), size=(ROUNDS, len(speakers)))
    means_R = 100 * worse_S[drawn_RS].sum(axis=1) / words_S[drawn_RS].sum(axis=1)
    low, high = np.quantile(means_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(100 * worse_S.sum() / words_S.sum(), float(low), float(high))
