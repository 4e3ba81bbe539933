from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.contract.adapters import Span, TimedWord
from voxmill.operators.vendors.funasr_text import joined, timed


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([], ""),
        (["今", "天"], "今天"),
        (["hello", "world"], "hello world"),
        (["我", "用", "smart", "phone", "打"], "我用smart phone打"),
        (["カ", "タ", "ok"], "カタok"),
        (["안녕", "하세요"], "안녕 하세요"),  # Korean does put spaces between words
    ],
)
def test_only_words_are_parted_by_spaces(pieces: list[str], text: str) -> None:
    assert joined(pieces) == text


@given(st.lists(st.sampled_from(["字", "word", "ア"])))
def test_joining_loses_nothing(pieces: list[str]) -> None:
    assert joined(pieces).replace(" ", "") == "".join(pieces)


def test_times_count_from_the_span_and_stay_in_it() -> None:
    words = timed(["今", "天"], [[10, 250], [250, 1020]], Span(16000, 32000))
    assert words == (TimedWord("今", 16160, 20000), TimedWord("天", 20000, 32000))


def test_without_one_time_per_piece_there_are_no_words() -> None:
    assert timed(["a", "b"], [[0, 1]], Span(0, 100)) is None
    assert timed([], None, Span(0, 100)) is None
    assert timed([], [], Span(0, 100)) == ()
