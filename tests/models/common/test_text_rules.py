"""Rules of the text: what is said stays, and every place in the text moves with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.models.common.text_rules import TextRules, ruled
from voxmill.models.inference.metrics import normalise

BARE = TextRules(case="lower", punctuation="remove")
TEXTS = st.text(alphabet=list("aBÉçΣ ß.,:;!?'’-—/%&1250，。、好谢สก「」 \u3000"), max_size=24)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello, there — it's ME!", "hello there it's me"),
        ("Well-known and/or so…", "well known and or so"),
        ("“Don’t,” rock ’n’ roll", "don’t rock n roll"),
        ("3.5 % at 10:30, 1,000.50.", "3.5 % at 10:30 1,000.50"),
        ("你好，世界。OK？", "你好世界ok"),
        ("ΟΔΥΣΣΕΥΣ. İki", "οδυσσευς i̇ki"),
        ("—", ""),
    ],
)
def test_case_and_punctuation_go_and_words_stay(text: str, said: str) -> None:
    assert ruled(text, BARE).text == said


def test_each_rule_alone() -> None:
    text = "Hello,  there!"
    assert ruled(text, TextRules()).text == text
    assert ruled(text, TextRules(case="lower")).text == "hello,  there!"
    assert ruled(text, TextRules(punctuation="remove")).text == "Hello there"


@given(TEXTS)
def test_places_follow_the_characters(text: str) -> None:
    for rules in (BARE, TextRules(case="lower"), TextRules()):
        moved = ruled(text, rules)
        assert moved.places[0] == 0
        assert moved.places[-1] == len(moved.text)
        assert len(moved.places) == len(text) + 1
        assert list(moved.places) == sorted(moved.places)
        for index, letter in enumerate(text):
            if letter.isalnum():
                kept = moved.text[moved.places[index] : moved.places[index + 1]].strip()
                assert kept.casefold() == letter.casefold()


@given(TEXTS)
def test_evaluation_sees_the_same_words(text: str) -> None:
    assert normalise(ruled(text, BARE).text) == normalise(text)
    assert ruled(ruled(text, BARE).text, BARE).text == ruled(text, BARE).text
