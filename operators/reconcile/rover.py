"""ROVER: several word sequences become one network of slots, and each slot is put to a vote (Fiscus, 1997).

A network is a list of slots; a slot holds one word per system, or None where that system has none. Sequences are merged one by one
in the order given, and the order matters: the alignment is greedy, not optimal. The words equal those of NIST SCTK's `rover`
(without `-T`), as `tests/benchmarks/bench_rover.py` checks.

Words are compared as they are (SCTK folds case first; here texts are normalised before), and None is the null word: SCTK's null
word `@` is an ordinary word here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from voxmill.operators.reconcile.lattice import Lattice, Slot, band, speakers

Method = Literal["meth1", "avgconf", "maxconf"]


def align(systems: Sequence[Sequence[str]]) -> list[Slot]:
    """The word transition network of one or more sequences.

    Raises ValueError where there is none.

    >>> align([["a", "b", "c"], ["a", "c"], ["a", "x", "c"]])
    [('a', 'a', 'a'), ('b', None, 'x'), ('c', 'c', 'c')]
    """
    if not systems:
        raise ValueError("nothing to align")
    network: list[Slot] = [(word,) for word in systems[0]]
    for number, words in enumerate(systems[1:], 1):
        network = Lattice(network, words, band(network, systems[:number], words)).merged(number)
    return network


@dataclass(frozen=True, slots=True)
class Ballot:
    """The outcome of one slot. `choice` is None where no word won; `share` is the fraction of systems behind it."""

    choice: str | None
    score: float
    share: float
    tie: bool


def vote(
    network: Sequence[Slot],
    method: Method = "meth1",
    alpha: float = 1.0,
    null_confidence: float = 0.0,
    confidences: Sequence[Sequence[float]] | None = None,
) -> list[Ballot]:
    """One ballot per slot: score = alpha * votes / systems + (1 - alpha) * confidence of the word.

    The confidence is the mean over the word's supporters (`meth1`), its share of the slot's total (`avgconf`) or its best (`maxconf`).
    `confidences` holds one value per word of each system; None words have `null_confidence`. Ties go to the earlier of `speakers`.

    >>> [b.choice for b in vote(align([["a", "b"], ["a", "c"], ["a", "c"]]))]
    ['a', 'c']
    """
    place = [0] * len(network[0]) if network else []
    ballots = []
    for slot in network:
        trust = [null_confidence] * len(slot)
        for k, word in enumerate(slot):
            if word is not None:
                trust[k] = confidences[k][place[k]] if confidences is not None else 0.0
                place[k] += 1
        ballots.append(_count(slot, trust, method, alpha))
    return ballots


def _count(slot: Slot, trust: Sequence[float], method: Method, alpha: float) -> Ballot:
    votes: dict[str | None, int] = {}
    sums: dict[str | None, float] = {}
    peaks: dict[str | None, float] = {}
    total = 0.0
    for k in speakers(
        slot
    ):  # added one by one, as SCTK does: `sum` is more exact from Python 3.12 on, and would break other ties
        word = slot[k]
        votes[word] = votes.get(word, 0) + 1
        sums[word] = sums.get(word, 0.0) + trust[k]
        peaks[word] = max(peaks.get(word, 0.0), trust[k])
        total += trust[k]
    best, best_score, tied = slot[0], float("-inf"), 0
    for word, count in votes.items():
        if method == "maxconf":
            confidence = (1.0 - alpha) * peaks[word]
        elif method == "avgconf":
            confidence = (1.0 - alpha) * sums[word] / total if total else 0.0
        else:
            confidence = (1.0 - alpha) * (sums[word] / count)
        score = alpha * (count / len(slot)) + confidence
        if score > best_score:
            best, best_score, tied = word, score, 1
        elif score == best_score:
            tied += 1
    return Ballot(best, best_score, votes[best] / len(slot), tied > 1)
