"""From a stratified random sample to totals with intervals: the rescaled bootstrap, and a stretch for small samples.

SampleWeights follow Rao, Wu and Yue (1992, Survey Methodology 18, 209-217): of n sampled clusters of a stratum n - 1 are drawn with
replacement, and a cluster drawn m times gets the weight (N/n) * (1 + sqrt(1 - f) * (m * n / (n - 1) - 1)). Here f = n/N is what was
sampled already and so is known: an interval shrinks to nothing where the sample is the whole. A percentile interval is too narrow for
few clusters (Hesterberg 2015, The American Statistician 69, 371-386); it is widened by Student's t over the normal quantile, with fewer
degrees of freedom where a few large clusters decide the spread, and moved out on the side of a long tail, of which a sample shows
less than there is (Hall 1988, Annals of Statistics 16, 927-953).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

LEVEL = 0.90
RESAMPLES = 1000
_Z = 1.6448536269514722
_T95 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753,
        1.746, 1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697)  # fmt: skip
"""The 95 % quantile of Student's t for 1 to 30 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class SampleWeights:
    """How many clusters of the whole each sampled cluster stands for."""

    values: Array
    """One row per resample, one column per cluster; the first row is the estimate itself."""
    freedom: int
    """Degrees of freedom; 0: there is nothing to vary, or nothing of which the spread is known."""
    complete: bool
    """Everything was sampled, so that there is no error of sampling."""

    def total(self, values: Sequence[float] | Array) -> Array:
        """The total of a quantity over the whole, once for the estimate and once for every resample."""
        return np.asarray(self.values @ np.asarray(values, dtype=float))


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """A figure with its interval."""

    value: float
    low: float | None
    """None: the sample says nothing about how far off the figure may be."""
    high: float | None

    def __mul__(self, factor: float) -> IntervalEstimate:
        low, high = (None if bound is None else bound * factor for bound in (self.low, self.high))
        return IntervalEstimate(self.value * factor, low, high)


def draw_weights(
    strata: Sequence[str], population: Mapping[str, int], sizes: Sequence[int] | None = None, *, seed: int = 0
) -> SampleWeights:
    """SampleWeights of sampled clusters. `strata` names the stratum of each, `population` says how many items each stratum has in all, and
    `sizes` how many items each cluster has (1 by default).

    A stratum of which only one cluster was sampled, and more are left, says nothing of its spread: such strata are varied together.
    """
    names = np.asarray(strata, dtype=object)
    members = np.asarray(sizes if sizes is not None else np.ones(len(names)), dtype=float)
    sampled = {name: float(members[names == name].sum()) for name in set(strata)}
    base = np.array([population[name] / sampled[name] for name in strata])
    left = np.array([max(0.0, 1 - sampled[name] / population[name]) for name in strata])
    values = np.tile(base, (RESAMPLES + 1, 1))
    rng, groups = np.random.default_rng(seed), _groups(strata, left)
    for group in groups:
        count = len(group)
        if count > 1:
            drawn = rng.multinomial(count - 1, np.full(count, 1 / count), size=RESAMPLES)
            spread = np.sqrt(left[group]) * (drawn * count / (count - 1) - 1)
            values[1:, group] = base[group] * (1 + spread)
            represented = values[1:, group] @ members[group]  # clusters may differ in size: as many items as there are
            values[1:, group] *= (float(base[group] @ members[group]) / np.where(represented > 0, represented, inf))[:, None]
    return SampleWeights(values, _freedom([left[group] * base[group] ** 2 for group in groups]), not groups)


def estimate(values: Array, weights: SampleWeights) -> IntervalEstimate:
    """The first of `values` with an interval from the rest, one for each resample."""
    value = float(values[0])
    if weights.complete or not np.isfinite(value):
        return IntervalEstimate(value, value, value)
    if weights.freedom < 1:
        return IntervalEstimate(value, None, None)
    low, high = (float(bound) for bound in np.percentile(values[1:], [50 * (1 - LEVEL), 50 * (1 + LEVEL)]))
    tail, heaviness = _shape(values[1:])
    low, high = min(low, value) + min(tail, 0.0), max(high, value) + max(tail, 0.0)
    stretch = _stretch(2 / (2 / weights.freedom + heaviness))  # the variance of a variance is 2 / freedom + kurtosis / draws
    if low > 0:  # a total is positive, and its error is one of a factor
        return IntervalEstimate(value, value * (low / value) ** stretch, value * (high / value) ** stretch)
    return IntervalEstimate(value, max(0.0, value - stretch * (value - low)), value + stretch * (high - value))


def _groups(strata: Sequence[str], left: Array) -> list[npt.NDArray[np.int64]]:
    """Clusters that are resampled together: those of a stratum, and all that are alone in theirs. What is complete is not varied."""
    by_stratum: dict[str, list[int]] = {}
    for index, name in enumerate(strata):
        if left[index] > 0:
            by_stratum.setdefault(name, []).append(index)
    alone = [indices[0] for indices in by_stratum.values() if len(indices) == 1]
    groups = [indices for indices in by_stratum.values() if len(indices) > 1]
    if len(alone) == 1 and groups:
        min(groups, key=len).extend(alone)
    elif alone:
        groups.append(alone)
    return [np.array(sorted(group)) for group in groups]


def calibrated(
    weights: SampleWeights, strata: Sequence[str], sizes: Sequence[float], totals: Mapping[str, float]
) -> SampleWeights:
    """SampleWeights that give the known total of `sizes` (bytes of files, say) in the strata that `totals` names: what goes with size is then
    known more closely. The ratio estimator of survey sampling, stratum by stratum (Cochran 1977, chapter 6)."""
    names, known = np.asarray(strata, dtype=object), np.asarray(sizes, dtype=float)
    values = weights.values.copy()
    for name, total in totals.items():
        mine = names == name
        found = values[:, mine] @ known[mine]
        if mine.any() and found[0] > 0:
            values[:, mine] *= (total / np.where(found > 0, found, total))[:, None]
    return SampleWeights(values, weights.freedom, weights.complete)


def _freedom(shares: Sequence[Array]) -> int:
    """Satterthwaite's degrees of freedom, where strata spread alike within; each group with the share of its clusters in the variance."""
    parts = [(float(share.sum()), len(share) - 1) for share in shares if len(share) > 1]
    return int(sum(part for part, _ in parts) ** 2 / sum(part**2 / freedom for part, freedom in parts)) if parts else 0


def _shape(drawn: Array) -> tuple[float, float]:
    """How far the bound on the side of the longer tail lies beyond the percentile, with the sign of that side; and the excess kurtosis."""
    spread = float(drawn.std())
    if not spread > 1e-12 * abs(float(drawn.mean())):
        return 0.0, 0.0
    scaled = (drawn - drawn.mean()) / spread
    by_chance = 2 * np.sqrt(24 / len(drawn)) / 3
    return spread * float((scaled**3).mean()) * (_Z**2 + 2) / 6, max(0.0, float((scaled**4).mean()) - 3 - by_chance)


def _stretch(freedom: float) -> float:
    """Student's t over the normal quantile; between the whole numbers it is nearly linear in 1/freedom."""
    if freedom > len(_T95):
        return 1 + (_Z**2 + 1) / (4 * freedom)  # the first term of Fisher's expansion of t in 1/freedom
    return float(np.interp(-1 / max(freedom, 1.0), [-1 / number for number in range(1, len(_T95) + 1)], _T95)) / _Z
