"""Words out of pieces, and spans out of parts: arithmetic alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.waves import RATE
from voxmill.operators.contract.adapters import Span, TimedWord, Transcript
from voxmill.operators.transcribe.by_pieces import whole
from voxmill.operators.transcribe.spoken_pieces import LONGEST, SpokenPiece, timed_words

SPAN = Span(RATE, 5 * RATE)


def words(text: str, *pieces: str) -> list[str] | None:
    found = timed_words(text, [SpokenPiece(piece, 0.1 * row) for row, piece in enumerate(pieces)], SPAN)
    return None if found is None else [word.text for word in found]


def test_words_begin_where_the_vocabulary_says_so() -> None:
    assert words("hello world.", "\u2581hel", "lo", " wor", "ld", ".") == ["hello", "world."]
    assert words("hi you", "h", "i", " ", "y", "ou") == ["hi", "you"]
    assert words("hello big world", "hel@@", "lo", "big", "world") == ["hello", "big", "world"]
    assert words("我用phone打", "我", "用", "pho@@", "ne", "打") == ["我", "用", "phone", "打"]
    assert words("it's", "\u2581it", "'", "s") == ["it's"]
    assert words("") == []
    assert words("something") is None


def test_no_time_is_given_where_the_pieces_do_not_spell_the_text() -> None:
    assert words("é", "<0xC3>", "<0xA9>") is None
    assert words("one two", "\u2581one") is None


def test_a_word_ends_at_the_next_one_or_soon_and_within_its_span() -> None:
    pieces = [
        SpokenPiece(" a", 0.5, probability=0.5),
        SpokenPiece(" b", 0.6),
        SpokenPiece("c", 3.9, probability=0.5),
        SpokenPiece(" d", 9.0, 9.5),
    ]
    found = timed_words("a bc d", pieces, SPAN)
    assert found == (
        TimedWord("a", RATE + 8000, RATE + 9600, 0.5),
        TimedWord("bc", RATE + 9600, 5 * RATE, 0.5),
        TimedWord("d", 5 * RATE, 5 * RATE),
    )
    alone = timed_words("a", pieces[:1], SPAN)
    assert alone is not None
    assert alone[0].end == RATE + 8000 + LONGEST


@given(st.lists(st.tuples(st.text("ab ", min_size=1, max_size=3), st.floats(0, 10)), max_size=8))
def test_times_never_leave_the_span(given: list[tuple[str, float]]) -> None:
    pieces = [SpokenPiece(text, at) for text, at in sorted(given, key=lambda one: one[1])]
    for word in timed_words("".join(piece.text for piece in pieces), pieces, SPAN) or ():
        assert SPAN.start <= word.start <= word.end <= SPAN.end


def test_parts_of_a_span_become_one_transcript() -> None:
    first = Transcript("good day", (TimedWord("good", 0, 1), TimedWord("day", 1, 2)), 0.5, "en")
    silent, last = Transcript("", (), None, "fr"), Transcript("all", (TimedWord("all", 5, 6),), 0.25, "de")
    found = whole([silent, first, last])
    assert (found.text, found.language) == ("good day all", "en")
    assert [word.text for word in found.words or ()] == ["good", "day", "all"]
    assert found.confidence == pytest.approx((0.5**8 * 0.25**3) ** (1 / 11))
    assert whole([first, Transcript("x", None, 0.5)]).words is None
    assert whole([first, Transcript("", refusal="too large"), last]) == Transcript("", refusal="too large")
    assert whole([silent, silent]).text == ""
