"""What seeds say: means, spreads, intervals, whether one arm beats another, and what makes a comparison void.

A spread is over seeds, that is over trainings; resampling utterances would say nothing about it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.report import Target

LEARNT = 20.0
"""The dense baseline has to reach a word error rate (%) below this on held-out voices."""


def cell(values: Sequence[float], digits: int = 1) -> str:
    """Mean and standard deviation over seeds.

    >>> cell([9.0, 10.0, 11.0]), cell([9.0])
    ('10.0 ±1.0', '9.0')
    """
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ±{statistics.stdev(values):.{digits}f}"


def beats(better: Sequence[float], worse: Sequence[float]) -> bool:
    """Lower beyond the seeds' spread: the worst seed of the one is below the best seed of the other.

    >>> beats([1.0, 2.0], [3.0, 4.0]), beats([1.0, 3.5], [3.0, 4.0])
    (True, False)
    """
    return max(better) < min(worse)


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high) of one difference a seed: Student's 95 % interval. With one seed it is unbounded."""
    mean = statistics.mean(differences)
    if len(differences) < 2:
        return mean, float("-inf"), float("inf")
    from scipy.stats import t  # type: ignore[import-untyped]

    half = float(t.ppf(0.975, len(differences) - 1)) * statistics.stdev(differences) / len(differences) ** 0.5
    return mean, mean - half, mean + half


def reductions(arm: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Relative reduction in % of each seed against the baseline of the same seed.

    >>> reductions([8.0, 10.0], [10.0, 10.0])
    [20.0, 0.0]
    """
    return [100 * (1 - ours / theirs) for ours, theirs in zip(arm, baseline, strict=True)]


def learnt(baseline: Sequence[float]) -> Target:
    """Whether the baseline's word error rates (%), one a seed, are all low enough for a comparison to mean something."""
    return {"value": f"WER {cell(baseline)} %", "target": f"every seed < {LEARNT:g} %", "met": max(baseline) < LEARNT}


def judged(targets: Mapping[str, Target], baseline: Sequence[float]) -> dict[str, Target]:
    """The targets as they may be printed: void unless the baseline learnt its task."""
    first = {"dense baseline learns its task": learnt(baseline)}
    if first["dense baseline learns its task"]["met"]:
        return {**first, **targets}
    print(f"VOID: the dense baseline has WER {cell(baseline)} % on held-out voices, not below {LEARNT:g} %\n")
    return first | {name: {**one, "value": f"void ({one['value']})", "met": False} for name, one in targets.items()}
