"""What an elastic model has to show beside the arms it is compared with: the targets of `experiment_emoe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import mean, stdev

from benchmarks.experiments.trainings import Figures
from benchmarks.experiments.verdict import beats
from benchmarks.report import Target

GROWING = (("3", "6", "all"), ("all:1", "all"), ("all:3:half", "all"), ("all:6:16", "all"), ("3:1:half", "3", "all"))
"""Along these a model gets more, and should not get worse."""
SAME_FULL, SAME_SMALL = 5.0, 10.0
"""How much worse, relative in %, the elastic model may be than the uncut static one, and than separately trained ones."""

Rates = Mapping[str, Mapping[str, Sequence[float]]]
"""Word error rates of the seeds by arm and budget."""


def targets(rates: Rates, names: Sequence[str], speeds: Sequence[Mapping[str, Figures]]) -> dict[str, Target]:
    """`names`: of the budgets, the full one last. `speeds`: for each seed, `footprint.times` by budget."""
    *reduced, full = names
    elastic, cut, small = (rates[arm] for arm in ("elastic", "cut", "small"))
    lost = [name for name in reduced if not beats(elastic[name], cut[name])]
    paths = [[name for name in path if name in names] for path in GROWING]
    worse = [
        f"{b} after {a}"
        for path in paths
        for a, b in pairwise(path)
        if mean(elastic[b]) > mean(elastic[a]) + _spread(elastic[b])
    ]
    at_full = 100 * (mean(elastic[full]) / mean(cut[full]) - 1)
    beside = {name: 100 * (mean(elastic[name]) / mean(small[name]) - 1) for name in reduced}
    worst = max(beside, key=lambda name: beside[name])
    fewer = {name: max(one[name]["of_full"] for one in speeds) for name in reduced if ":" in name}
    return {
        "elastic beats the plain cut at every reduced budget, no seeds overlapping": {
            "value": f"not at {', '.join(lost)}" if lost else "at all", "target": "at all", "met": not lost,
        },
        "elastic does not get worse as the budget grows (beyond one deviation)": {
            "value": "; ".join(worse) or "never worse", "target": "never worse", "met": not worse,
        },
        "elastic at full budget against static uncut": {
            "value": f"{at_full:+.1f} %", "target": f"<= +{SAME_FULL:g} % relative", "met": at_full <= SAME_FULL,
        },
        "elastic against separately trained, worst budget": {
            "value": f"{beside[worst]:+.1f} % at {worst}", "target": f"<= +{SAME_SMALL:g} % relative",
            "met": beside[worst] <= SAME_SMALL,
        },
        "reduced top-k and width are faster": {
            "value": ", ".join(f"{name} {of:.2f}x" for name, of in fewer.items()), "target": "< 1x the full time, every seed",
            "met": all(of < 1 for of in fewer.values()),
        },
    }  # fmt: skip


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0
