from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.contract.adapters import Span, TimedWord
from voxmill.operators.transcribe.stitch import WindowTranscript, confidence, share
from voxmill.operators.transcribe.windows import Piece, Window

SPANS = (Span(0, 100), Span(150, 250), Span(300, 400))
WINDOW = Window(tuple(Piece(span.start, span.end, owner) for owner, span in enumerate(SPANS)))


def word(text: str, start: int, end: int, probability: float | None = None) -> TimedWord:
    return TimedWord(text, start, end, probability)


def test_words_come_back_to_their_spans() -> None:
    heard = WindowTranscript(
        (word(" Good", 10, 40, 0.5), word(" day.", 40, 90, 0.125), word(" Bye", 310, 390, 1.0)), "en", 0.9, 0.1
    )
    first, second, third = share(SPANS, [(WINDOW, heard)], longest_word=1000)
    assert (first.text, second.text, third.text) == ("Good day.", "", "Bye")
    assert (first.confidence, second.confidence, third.confidence) == (0.25, None, 1.0)
    assert {(t.language, t.language_confidence, t.no_speech) for t in (first, second, third)} == {("en", 0.9, 0.1)}
    assert first.words == (word("Good", 10, 40, 0.5), word("day.", 40, 90, 0.125))
    assert second.words == ()


def test_a_word_that_swallowed_the_pause_before_it_belongs_to_what_follows() -> None:
    """Cross-attention gives the pause to the next word: it seems to begin where the last one ended."""
    heard = WindowTranscript((word(" one", 60, 80), word(" two", 80, 170)))
    first, second, _ = share(SPANS, [(WINDOW, heard)], longest_word=40)
    assert (first.text, second.text) == ("one", "two")
    assert second.words == (word("two", 150, 170),)
    assert share(SPANS, [(WINDOW, heard)], longest_word=1000)[0].text == "one two"


def test_a_span_that_was_cut_has_the_words_of_its_pieces() -> None:
    halves = (Window((Piece(0, 50, 0),)), Window((Piece(50, 100, 0),)))
    heard = (WindowTranscript((word(" so", 10, 20),), "en", 0.8, 0.3), WindowTranscript((word(" on", 60, 70),), "fr", 0.4, 0.9))
    (transcript,) = share(SPANS[:1], zip(halves, heard, strict=True), longest_word=1000)
    assert (transcript.text, transcript.language, transcript.language_confidence) == ("so on", "en", 0.8)


@given(st.lists(st.tuples(st.text("ab字 ", min_size=1, max_size=3), st.integers(0, 400), st.integers(0, 120)), max_size=12))
def test_no_word_is_lost_doubled_or_outside_its_span(words: list[tuple[str, int, int]]) -> None:
    timed = sorted((word(text, start, start + length) for text, start, length in words), key=lambda w: (w.end, w.start))
    shared = share(SPANS, [(WINDOW, WindowTranscript(tuple(timed)))], longest_word=50)
    placed = sorted(w.text for transcript in shared for w in transcript.words or ())
    assert placed == sorted(w.text.strip() for w in timed if w.text.strip())
    for span, transcript in zip(SPANS, shared, strict=True):
        assert all(span.start <= w.start <= w.end <= span.end for w in transcript.words or ())


def test_confidence_is_a_geometric_mean_of_what_is_known() -> None:
    assert confidence([]) is None
    assert confidence([None]) is None
    assert confidence([0.5, 0.5, None]) == pytest.approx(0.5)
    assert confidence([0.0, 1.0]) == pytest.approx(1e-5)
