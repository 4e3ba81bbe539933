"""What experiment-student prints of its arms, and what it asks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.experiments import pools
from benchmarks.experiments.by_speaker import Difference, Rates, difference, rate, together
from benchmarks.experiments.frame_lessons import Taught
from benchmarks.experiments.hard import CONDITIONS
from benchmarks.experiments.spans import Span
from benchmarks.experiments.teachers import TEACHERS
from benchmarks.report import Target, table

UNTAUGHT = "whisper, untaught"


COMPARED = (
    *(("kept", name) for name in (*TEACHERS, UNTAUGHT, "all", "random", "dense")), ("starred", "kept"), ("truth", "kept"),
)  # fmt: skip
"""Of each pair the first is better below 0."""


def print_pool(pool: Sequence[Span], taught: Mapping[str, Sequence[Taught]]) -> None:
    spans = {one.key: one for one in pool}
    rows = []
    for arm, found in taught.items():
        mine = [spans[one.key] for one in found]
        wrong = 0.0 if arm == "truth" else pools.label_rate(mine)
        rows.append((arm, str(len(mine)), f"{pools.minutes(mine):.1f}", f"{wrong:.1f}"))
    print("what each arm learns from, and how wrong its labels are (starred: counted before words are left out)")
    table(("arm", "spans", "minutes", "label WER %"), rows)


def print_test(rates: Mapping[str, Mapping[str, Rates]]) -> dict[str, Difference]:
    """Tables of the test; the differences by what is compared."""
    print("word error rate in % of speakers whom nobody heard, by condition")
    rows = []
    for name, found in rates.items():
        cells = [f"{rate(one):.2f}" for one in found.values()]
        rows.append((name, *cells, f"{rate(together(list(found.values()))):.2f}"))
    table(("", *CONDITIONS, "all"), rows)
    pairs = {}
    for one, other in COMPARED:
        for condition in ("clean", "all"):
            mine, theirs = (_chosen(rates[name], condition) for name in (one, other))
            pairs[f"{one} - {other}, {condition}"] = difference(mine, theirs)
    print("differences in points, with the interval of a paired bootstrap over speakers")
    table(("", "points"), [(name, str(found)) for name, found in pairs.items()])
    return pairs


def _chosen(found: Mapping[str, Rates], condition: str) -> Rates:
    return together(list(found.values())) if condition == "all" else found[condition]


def targets(pairs: Mapping[str, Difference]) -> dict[str, Target]:
    """What the student has to be, of the differences by what is compared."""
    found: dict[str, Target] = {}
    for other in (*TEACHERS, "random"):
        one = pairs[f"kept - {other}, all"]
        found[f"kept below {other}, all conditions"] = {"value": str(one), "target": "interval below 0", "met": one.high < 0}
    for other in TEACHERS:
        one = pairs[f"kept - {other}, clean"]
        found[f"kept no worse than {other}, clean"] = {
            "value": f"{one.mean:+.2f}",
            "target": "<= +1.0 points",
            "met": one.mean <= 1.0,
        }
    return found


def print_trainings(facts: Mapping[str, Mapping[str, Any]], batch_seconds: float) -> None:
    """`facts`: of each arm's training, as it is kept."""
    rows = []
    for arm, one in facts.items():
        peak = "-" if one["expert_peak"] is None else f"{one['expert_peak']:.2f}"
        rows.append((arm, str(one["steps"]), f"{one['seconds']:.0f}", f"{one['loss']:.2f}", peak))
    print(f"trainings, {batch_seconds:g} s of sound a step; peak: most used expert / mean, in the worst layer of the last step")
    table(("arm", "steps", "s", "loss", "peak"), rows)


def print_curve(found: Mapping[str, Sequence[Span]], rates: Mapping[str, Mapping[str, Rates]]) -> None:
    """`found`: the pools of the curve, the cleanest one first."""
    first, *_ = (together([*rates[name].values()]) for name in found)
    rows = []
    for name, spans in found.items():
        mine = together([*rates[name].values()])
        sizes = f"{pools.minutes(spans):.1f}", f"{pools.label_rate(spans):.1f}"
        rows.append((name, *sizes, f"{rate(mine):.2f}", str(difference(mine, first))))
    print("as many minutes, a growing share of them with labels that are not kept: from where on does a filter help?")
    table(("pool", "minutes", "label WER %", "WER %", "against the first"), rows)
