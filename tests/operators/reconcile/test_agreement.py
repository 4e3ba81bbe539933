"""Agreement, against jiwer's count of edits."""

from __future__ import annotations

from itertools import permutations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.reconcile.agreement import agreement, similarity

texts = st.lists(st.sampled_from(["a", "b", "今", "天"]), max_size=10)


@given(texts.filter(bool), texts)
def test_similarity_is_one_minus_edits_over_the_longer(a: list[str], b: list[str]) -> None:
    counted = jiwer.process_words(" ".join(a), " ".join(b))
    edits = counted.substitutions + counted.deletions + counted.insertions
    assert similarity(a, b) == pytest.approx(1 - edits / max(len(a), len(b)))
    assert similarity(a, b) == similarity(b, a)


@given(texts)
def test_the_same_text_agrees_wholly_and_nothing_with_nothing(a: list[str]) -> None:
    assert similarity(a, a) == 1.0
    assert similarity([], []) == 1.0
    assert similarity(a, []) == (0.0 if a else 1.0)


@given(st.lists(texts, min_size=3, max_size=4))
def test_the_order_of_engines_does_not_matter(systems: list[list[str]]) -> None:
    assert len({agreement(list(order)) for order in permutations(systems)}) == 1


def test_one_engine_has_nothing_to_agree_with() -> None:
    assert agreement([["a"]]) is None
    assert agreement([["a"], ["a"], ["b"]]) == pytest.approx(1 / 3)
