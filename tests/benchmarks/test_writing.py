"""The table of `make check-writing`, in the normaliser alone: every pair, every run of the tests."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.check_writing import Pair, carried, pairs, wrong
from voxmill.operators.reconcile.normalise import Normaliser

PAIRS = pairs()
normaliser = Normaliser()


@pytest.mark.parametrize("language", sorted({pair.language for pair in PAIRS}))
def test_the_same_words_agree_wholly_and_others_do_not(language: str) -> None:
    assert wrong(normaliser, [pair for pair in PAIRS if pair.language == language]) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_so_they_do_within_a_sentence(language: str) -> None:
    assert wrong(normaliser, carried(pair for pair in PAIRS if pair.language == language)) == []


def test_the_table_holds_both_kinds_in_many_languages() -> None:
    counts = Counter(pair.same for pair in PAIRS)
    assert counts[True] >= 300
    assert counts[False] >= 80
    assert len({pair.language for pair in PAIRS if pair.same}) >= 8
    assert len(PAIRS) == len(set(PAIRS))


def test_a_wrong_pair_is_found() -> None:
    assert wrong(normaliser, [Pair("en", "21", "two one", "number")]) != []
    assert wrong(normaliser, [Pair("en", "21", "twenty one", "not number")]) != []
