"""ROVER, against NIST SCTK where it is installed, and against a plain version of its rules everywhere."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sctk import GET, SCRIPTS, fold, random_cases, random_confidences, rover_binary, sctk_rover
from voxmill.operators.reconcile.lattice import speakers
from voxmill.operators.reconcile.rover import Method, align, vote

words = st.lists(st.sampled_from(["a", "b", "c", "今", "天"]), max_size=9)
systems = st.lists(words, min_size=1, max_size=5)


def plain_merge(network: list[list[str | None]], hyp: list[str], number: int) -> list[list[str | None]]:
    """One merge, cell by cell and word by word, without a band; slots are in the order of preference."""
    single = np.float32
    back: dict[tuple[int, int, int], tuple[str, int]] = {}
    above, best_above = [single(3 * j) for j in range(len(hyp) + 1)], [0] * (len(hyp) + 1)
    for s, slot in enumerate(network):
        rows = []
        for a, arc in enumerate(slot):
            skip = single(0.001) if arc is None else single(3)
            row = [above[0] + skip]
            back[s, a, 0] = ("skip", best_above[0])
            for j, word in enumerate(hyp, 1):
                pair = above[j - 1] + single(1 if arc is None else 0 if arc == word else 4)
                skipped, inserted = above[j] + skip, row[-1] + single(3)
                if pair <= skipped and pair <= inserted:
                    back[s, a, j] = ("pair", best_above[j - 1])
                else:
                    back[s, a, j] = ("skip", best_above[j]) if skipped < inserted else ("insert", a)
                row.append(min(pair, skipped, inserted))
            rows.append(row)
        best_above = [min(range(len(slot)), key=lambda a, j=j: rows[a][j]) for j in range(len(hyp) + 1)]  # type: ignore[misc]
        above = [rows[best_above[j]][j] for j in range(len(hyp) + 1)]
    merged: list[list[str | None]] = []
    s, j, a = len(network) - 1, len(hyp), best_above[-1]
    while s >= 0 or j:
        step, a = back[s, a, j] if s >= 0 else ("insert", a)
        if step == "insert":
            merged.append([hyp[j - 1], *[None] * number])
        else:
            merged.append([*network[s], hyp[j - 1] if step == "pair" else None])
        s, j = s - (step != "insert"), j - (step != "skip")
    return merged[::-1]


@given(systems)
def test_the_band_loses_nothing(hyps: list[list[str]]) -> None:
    network: list[list[str | None]] = [[word] for word in hyps[0]]
    for number, hyp in enumerate(hyps[1:], 1):
        network = plain_merge(network, hyp, number)
    assert [[slot[k] for k in speakers(slot)] for slot in align(hyps)] == network


@given(systems)
def test_a_network_says_what_each_system_said(hyps: list[list[str]]) -> None:
    network = align(hyps)
    for k, hyp in enumerate(hyps):
        assert [slot[k] for slot in network if slot[k] is not None] == hyp
    assert all(any(word is not None for word in slot) for slot in network)


@given(systems, st.sampled_from(["meth1", "avgconf", "maxconf"]), st.sampled_from([0.0, 0.3, 1.0]))
def test_a_vote_invents_no_word(hyps: list[list[str]], method: Method, alpha: float) -> None:
    trust = [[0.5] * len(hyp) for hyp in hyps]
    network = align(hyps)
    for slot, ballot in zip(network, vote(network, method, alpha, 0.4, trust), strict=True):
        assert ballot.choice in slot
        assert ballot.share == slot.count(ballot.choice) / len(slot)


@given(words, st.integers(1, 5))
def test_one_mind_is_voted_as_it_is(hyp: list[str], number: int) -> None:
    ballots = vote(align([hyp] * number))
    assert [ballot.choice for ballot in ballots] == hyp
    assert all(ballot.share == 1.0 and not ballot.tie for ballot in ballots)


def test_two_systems_tie_wherever_they_differ_and_the_first_wins() -> None:
    network = align([["a", "b"], ["a", "c", "d"]])
    assert [(b.choice, b.tie) for b in vote(network)] == [("a", False), ("c", True), ("b", True)]
    assert network == [("a", "a"), (None, "c"), ("b", "d")]


def test_nothing_to_align_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        align([])
    assert align([[], []]) == []
    assert vote([]) == []


def test_a_long_loop_beside_one_word_is_aligned() -> None:
    loop = ["la"] * 1500
    network = align([["hello"], ["hello", "la"], loop])
    assert [slot[2] for slot in network if slot[2]] == loop


@pytest.mark.skipif(rover_binary() is None, reason=GET)
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("number", [2, 3, 5])
def test_the_words_are_those_of_sctk(script: str, number: int) -> None:
    cases = random_cases(7, script, number, 40)
    trust = random_confidences(7, cases)
    ways: list[tuple[Method, float, float]] = [("meth1", 1.0, 0.0), ("avgconf", 0.2, 0.8), ("maxconf", 0.7, 0.6)]
    for way in ways:
        for case, confidences, theirs in zip(map(fold, cases), trust, sctk_rover(cases, trust, *way), strict=True):
            assert [b.choice for b in vote(align(case), *way, confidences) if b.choice is not None] == theirs


@pytest.mark.skipif(rover_binary() is None, reason=GET)
def test_the_order_of_systems_matters_to_sctk_too() -> None:
    cases = random_cases(8, "Latin", 3, 60)
    turned = [case[::-1] for case in cases]
    assert sctk_rover(cases) != sctk_rover(turned)
    for case, theirs in zip(map(fold, turned), sctk_rover(turned), strict=True):
        assert [b.choice for b in vote(align(case)) if b.choice is not None] == theirs


def test_random_cases_differ_enough_to_be_worth_testing() -> None:
    cases = random_cases(1, "mixed", 3, 50)
    assert sum(a != b for case in cases for a, b in pairwise(case)) > 50
