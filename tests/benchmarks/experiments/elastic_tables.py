"""What experiment-elastic prints, and what it asks of the elastic student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from benchmarks.experiments.by_speaker import Difference, Rates, difference, rate
from benchmarks.experiments.elastic_arms import CUT, ELASTIC, hidden
from benchmarks.report import Target, table

SHIPPED, OTHER = ELASTIC
"""The schedule that recipes train with is judged; the other one stands beside it."""
ARMS = (*ELASTIC, CUT, "small", "dense")
MORE = 3.0
"""How much worse, relative in %, the elastic student may be than those that were trained at one size."""
Found = Mapping[tuple[str, str], Rates]
"""Errors by arm and budget, over all conditions and seeds."""


def print_rates(what: str, found: Found, budgets: Sequence[str], sizes: Mapping[str, Mapping[str, float]]) -> None:
    print(f"word error rate in %, {what}; M: millions of parameters of the decoder's layers, stored and passed by a token")
    rows = []
    for one in budgets:
        rates = [f"{rate(found[arm, one]):.2f}" for arm in ARMS]
        mine = sizes[one]
        rows.append(
            (one, f"{mine['stored']:.1f}", f"{mine['active']:.1f}", f"{mine['rtf']:.4f}", f"{mine['of_full']:.2f}", *rates)
        )
    table(("budget", "stored M", "active M", "RTF", "of full", *ARMS), rows)


def compared(found: Found, budgets: Sequence[str]) -> dict[str, Difference]:
    """The shipped schedule's student less each other arm, at every budget; and at every budget less at the one before it."""
    pairs = {
        f"{SHIPPED} - {arm}, {one}": difference(found[SHIPPED, one], found[arm, one])
        for arm in ARMS
        if arm != SHIPPED
        for one in budgets
    }
    grown = {f"{SHIPPED}, {b} - {a}": difference(found[SHIPPED, b], found[SHIPPED, a]) for a, b in pairwise(budgets)}
    return {**pairs, **grown}


def print_compared(pairs: Mapping[str, Difference]) -> None:
    print("differences in points, with the interval of a paired bootstrap over speakers")
    table(("", "points"), [(name, str(one)) for name, one in pairs.items()])


def targets(
    found: Found, pairs: Mapping[str, Difference], budgets: Sequence[str], sizes: Mapping[str, Mapping[str, float]]
) -> dict[str, Target]:
    """`sizes`: by budget, `stored` and `active` parameters and `of_full`, the time of a token as a share of the whole student's."""
    worse = {one: 100 * (rate(found[SHIPPED, one]) / rate(found["small", one]) - 1) for one in budgets}
    beside = {one: pairs[f"{SHIPPED} - small, {one}"] for one in budgets}
    over = [one for one in budgets if worse[one] > MORE and beside[one].low > 0]
    worst = max(budgets, key=lambda one: worse[one])
    grown = {f"{b} - {a}": pairs[f"{SHIPPED}, {b} - {a}"] for a, b in pairwise(budgets)}
    lost = [name for name, one in grown.items() if one.low > 0]
    spared = [one for one in budgets[:-1] if pairs[f"{SHIPPED} - {CUT}, {one}"].high >= 0]
    shrinks = all(
        sizes[a]["stored"] < sizes[b]["stored"] and sizes[a]["active"] < sizes[b]["active"] for a, b in pairwise(budgets)
    )
    fewer = [one for one in budgets if hidden(one) < hidden(budgets[-1])]
    return {
        "elastic against trained alone, worst budget": {
            "value": f"{worse[worst]:+.1f} % at {worst}, {beside[worst]} points", "target": f"<= +{MORE:g} % relative, or its interval touches 0",
            "met": not over,
        },
        "a larger budget is never worse": {
            "value": "; ".join(f"{name}: {grown[name]}" for name in lost) or "never", "target": "beyond the interval", "met": not lost,
        },
        "the plain cut is worse at every reduced budget": {
            "value": f"not at {', '.join(spared)}" if spared else "at all", "target": "beyond the interval", "met": not spared,
        },
        "parameters fall with the budget": {"value": "they do" if shrinks else "they do not", "target": "stored and active", "met": shrinks},
        "time of a token falls with the budget": {
            "value": ", ".join(f"{one} {sizes[one]['of_full']:.2f}x" for one in fewer), "target": "< 1x where a token passes less",
            "met": all(sizes[one]["of_full"] < 1 for one in fewer),
        },
    }  # fmt: skip
