"""The label of one, two and more engines."""

from __future__ import annotations

from itertools import permutations

import pytest

from voxmill.manifests.records import Hypothesis, Word
from voxmill.operators.reconcile.choose import EngineText, LabelChoice, Voting, choose_label, preference
from voxmill.operators.reconcile.normalise import Normaliser

normaliser = Normaliser()
FREQUENCY = Voting("meth1", 1.0, 0.0, 0.3)
CONFIDENCE = Voting("avgconf", 0.2, 0.5, 0.3)


def heard(engine: str, text: str, confidence: float | None = None, words: tuple[Word, ...] | None = None) -> EngineText:
    return EngineText(Hypothesis("s", engine, "m", text, words, confidence), normaliser(text, "en").units)


def test_engines_are_ranked_by_language_then_by_name() -> None:
    prefer = {"zh": ("paraformer", "absent"), "*": ("whisperx",)}
    engines = ["whisperx", "moonshine", "paraformer"]
    assert preference("zh", prefer, engines) == [2, 1, 0]
    assert preference("en", prefer, engines) == [0, 1, 2]
    assert preference(None, {}, engines) == [1, 2, 0]


def test_one_engine_is_taken_at_its_word() -> None:
    choice = choose_label([heard("a", " Hello, world. ")], [0], FREQUENCY)
    assert (choice.text, choice.rule, choice.units, choice.vote) == ("Hello, world.", "only:a", ("hello", "world"), None)
    assert not any(slot.tie for slot in choice.slots)


def test_two_engines_differ_in_ties_and_the_preferred_is_the_label() -> None:
    both = [heard("a", "Hello word"), heard("b", "Hello, World!")]
    choice = choose_label(both, [1, 0], FREQUENCY)
    assert (choice.text, choice.rule, choice.lead, choice.vote) == ("Hello, World!", "prefer:b", 1, None)
    assert [(slot.words, slot.choice, slot.tie) for slot in choice.slots] == [
        (("hello", "hello"), "hello", False),
        (("word", "world"), "world", True),
    ]


def test_two_engines_vote_by_confidence_only_when_asked() -> None:
    words = (Word("Hello"), Word("word", confidence=0.1))
    both = [heard("a", "Hello word", 0.9, words), heard("b", "Hello, World!", 0.7)]
    assert choose_label(both, [0, 1], CONFIDENCE).text == "Hello word"
    voted = choose_label(both, [0, 1], CONFIDENCE, vote_in_pairs=True)
    assert (voted.text, voted.rule) == ("Hello, World!", "rover:avgconf")
    assert choose_label(both, [0, 1], FREQUENCY, vote_in_pairs=True).rule == "prefer:a"
    assert choose_label([both[0], heard("b", "Hello")], [0, 1], CONFIDENCE, vote_in_pairs=True).rule == "prefer:a"


def test_three_engines_vote_and_the_words_are_quoted() -> None:
    three = [heard("a", "the cat sat on the mat"), heard("b", "The cat, sat in the mat."), heard("c", "a bat sat on the Mat!")]
    choice = choose_label(three, [0, 1, 2], FREQUENCY)
    assert choice.units == ("the", "cat", "sat", "on", "the", "mat")
    assert choice.text == "the cat sat on the mat"
    assert choice.vote == pytest.approx((2 + 2 + 3 + 2 + 3 + 3) / 18)
    assert choice.rule == "rover:meth1"
    assert not any(slot.tie for slot in choice.slots)


def test_the_vote_can_say_what_no_single_engine_said() -> None:
    three = [heard("a", "One small stop"), heard("b", "won Small step,"), heard("c", "one mall step")]
    choice = choose_label(three, [0, 1, 2], FREQUENCY)
    assert choice.units == ("one", "small", "step")
    assert choice.text == "One small step,"


def test_a_word_that_most_did_not_hear_is_not_in_the_label() -> None:
    three = [heard("a", "so hello there"), heard("b", "hello there"), heard("c", "hello there")]
    choice = choose_label(three, [0, 1, 2], FREQUENCY)
    assert choice.text == "hello there"
    assert choice.slots[0].words == ("so", None, None)
    assert choice.slots[0].choice is None
    assert [slot.share for slot in choice.slots] == pytest.approx([2 / 3, 1.0, 1.0])


def test_an_outlier_has_no_vote_but_stays_on_record() -> None:
    three = [heard("a", "thank you for watching"), heard("b", "We meet at noon."), heard("c", "we met at noon")]
    choice = choose_label(three, [0, 1, 2], FREQUENCY)
    assert choice.text == "We meet at noon."
    assert choice.vote == pytest.approx((2 + 1 + 2 + 2) / 8)
    assert choice.rule == "rover:meth1 without a"
    assert [slot.words[0] for slot in choice.slots if slot.words[0]] == ["thank", "you", "for", "watching"]
    assert sum(slot.tie for slot in choice.slots) == 1
    all_differ = [heard("a", "one"), heard("b", "two"), heard("c", "three")]
    assert choose_label(all_differ, [2, 0, 1], FREQUENCY).text == "three"


def test_the_order_of_files_decides_nothing() -> None:
    texts = {"a": "The cat sat.", "b": "a cat sat", "c": "the bat sat down", "d": "one cat is sat"}
    seen: set[tuple[str, tuple[str, ...], float | None]] = set()
    for names in permutations(texts):
        choice: LabelChoice = choose_label(
            [heard(name, texts[name]) for name in names], preference("en", {"*": ("c",)}, names), FREQUENCY
        )
        seen.add((choice.text, choice.units, choice.vote))
    assert len(seen) == 1
