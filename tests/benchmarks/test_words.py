"""Word errors, against jiwer."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.words import Edits, edits, english, respaced

sentences = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12).map(tuple)


@given(sentences.filter(bool), sentences)
def test_edits_are_those_that_jiwer_counts(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> None:
    mine, theirs = edits(reference, hypothesis), jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    assert mine.errors == theirs.substitutions + theirs.deletions + theirs.insertions
    assert mine.rate == pytest.approx(theirs.wer)
    assert mine.insertions - mine.deletions == theirs.insertions - theirs.deletions


@given(sentences)
def test_nothing_said_is_all_inserted_and_nothing_heard_is_all_deleted(words: tuple[str, ...]) -> None:
    assert edits((), words) == Edits(0, 0, 0, len(words))
    assert edits(words, ()) == Edits(len(words), 0, len(words), 0)


def test_numbers_case_and_spelling_are_evened_out() -> None:
    assert english("Press Two, please!") == english("press 2 please")
    assert english("the colour") == english("The color.")


@given(sentences, sentences)
def test_spaces_are_moved_without_touching_a_letter(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> None:
    assert "".join(respaced(hypothesis, (*reference, "ab", "c", "da"))) == "".join(hypothesis)
    assert respaced(reference, reference) == reference


def test_compounds_are_one_word_or_two_as_the_reference_has_them() -> None:
    assert edits(english("rerecord it"), english("re-record it")).errors == 0
    assert edits(english("your mail box"), english("your mailbox")).errors == 0
    assert edits(("in", "to", "into"), ("into", "into")).errors == 2  # both spellings are in use: nothing is guessed
    assert edits(("touch", "tone", "keypad"), ("touchtone", "key")) == Edits(3, 1, 0, 0)
