"""`make bench-rover`: the same words as NIST SCTK's `rover`, and the time per case beside it and beside crowd-kit's ROVER.

At least 1,000 random cases for each of 2, 3 and 5 systems and each of Latin, Chinese and mixed script, under four ways of voting.
SCTK is timed twice: many utterances in one process, and one process per utterance. crowd-kit aligns and votes by other rules
(unit costs, no confidences), so only its time is compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.sctk import GET, SCRIPTS, Case, Confidences, fold, random_cases, random_confidences, rover_binary, sctk_rover
from voxmill.operators.reconcile.rover import Method, align, vote

SYSTEMS = (2, 3, 5)
VOTES: dict[str, tuple[Method, float, float]] = {
    "meth1 frequency": ("meth1", 1.0, 0.0),
    "meth1 alpha 0.5": ("meth1", 0.5, 0.4),
    "avgconf": ("avgconf", 0.2, 0.8),
    "maxconf": ("maxconf", 0.7, 0.6),
}
"""Method, alpha, confidence of the null word; the last two as Fiscus (1997) found them best."""


def our_words(cases: list[Case], confidences: list[Confidences], how: tuple[Method, float, float]) -> list[list[str]]:
    chosen = []
    for case, trust in zip(cases, confidences, strict=True):
        ballots = vote(align(case), *how, trust if how[1] < 1.0 else None)
        chosen.append([ballot.choice for ballot in ballots if ballot.choice is not None])
    return chosen


def milliseconds(work: Callable[[], Any], cases: int, rounds: int = 3) -> float:
    """Best of some rounds, per case: what the machine can do, not what else ran on it."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best / cases * 1000


def each(cases: list[Case]) -> list[list[list[str]]]:
    return [sctk_rover([case]) for case in cases]


def crowdkit_ms(cases: list[Case]) -> float:
    import pandas as pd  # type: ignore[import-untyped]
    from crowdkit.aggregation import ROVER

    rows = [(number, system, " ".join(words)) for number, case in enumerate(cases) for system, words in enumerate(case)]
    data = pd.DataFrame(rows, columns=["task", "worker", "text"])
    return milliseconds(lambda: ROVER(str.split, " ".join).fit_predict(data), len(cases))


def main() -> None:
    full = full_form(sys.argv)
    count = 5000 if full else 1000
    heading(
        "rover",
        full,
        f"{count} random cases of 1 to 40 words for each of {len(SYSTEMS) * len(SCRIPTS)} settings, seed 1",
        ("voxmill", "rapidfuzz", "crowd-kit"),
    )
    binary = rover_binary()
    if binary is None:
        print(GET)
        finish("rover", {"cases": 0}, {"identical": {"value": "not run", "target": "all", "met": False}}, full)
        return
    same_rows, time_rows = [], []
    figures: dict[str, Any] = {"cases": 0, "different": {}, "ms_per_case": {}}
    for script in SCRIPTS:
        for systems in SYSTEMS:
            cases = random_cases(1, script, systems, count)
            folded, trust = [fold(case) for case in cases], random_confidences(1, cases)
            row = [f"{script}, {systems} systems"]
            for name, how in VOTES.items():
                theirs = sctk_rover(cases, trust, *how)
                different = sum(a != b for a, b in zip(our_words(folded, trust, how), theirs, strict=True))
                figures["cases"] += count
                if different:
                    figures["different"][f"{script} {systems} {name}"] = different
                row.append(f"{count - different}/{count}")
            same_rows.append(row)
            ms = {
                "ours": milliseconds(partial(our_words, folded, trust, VOTES["meth1 frequency"]), count),
                "sctk_batch": milliseconds(partial(sctk_rover, cases, trust), count),
                "sctk_process": milliseconds(partial(each, cases[:200]), 200),
                "crowdkit": crowdkit_ms(folded[:200]),
            }
            figures["ms_per_case"][f"{script} {systems}"] = {key: round(value, 4) for key, value in ms.items()}
            time_rows.append([row[0], *(f"{value:.3f}" for value in ms.values())])
    print("Cases with the same words as SCTK")
    table(("", *VOTES), same_rows)
    print("Milliseconds per case, aligning and voting by frequency (SCTK with its files, crowd-kit with its table)")
    table(("", "voxmill", "SCTK, one process", "SCTK, process each", "crowd-kit"), time_rows)
    times = list(figures["ms_per_case"].values())
    wrong = sum(figures["different"].values())

    def slowest(other: str) -> Target:
        ratio = min(row[other] / row["ours"] for row in times)
        return {"value": f"{ratio:.1f} x", "target": "faster in every setting", "met": ratio > 1.0}

    finish(
        "rover",
        figures,
        {
            "identical": {"value": f"{figures['cases'] - wrong}/{figures['cases']}", "target": "all", "met": wrong == 0},
            "cases per setting": {"value": count, "target": ">= 1000", "met": count >= 1000},
            "against SCTK, process each": slowest("sctk_process"),
            "against crowd-kit": slowest("crowdkit"),
        },
        full,
    )


if __name__ == "__main__":
    main()
