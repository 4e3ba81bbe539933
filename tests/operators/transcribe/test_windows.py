from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.contract.adapters import Span, TimedWord
from voxmill.operators.transcribe.windows import (
    FRAME,
    Piece,
    Window,
    WindowTranscript,
    assign_words,
    cut_spans,
    mean_probability,
    pack_windows,
)

LIMIT = 100
MAX_PAUSE = 40


@st.composite
def timelines(draw: st.DrawFn, longest: int = 120) -> list[Piece]:
    """Pieces in order, with pauses between them, some longer than a window."""
    pieces, now = [], 0
    for owner in range(draw(st.integers(0, 9))):
        start = now + draw(st.integers(0, 50))
        now = start + draw(st.integers(1, longest))
        pieces.append(Piece(start, now, owner))
    return pieces


def partitions(pieces: list[Piece]) -> list[list[Window]]:
    """Every way to part a sequence into runs."""
    if not pieces:
        return [[]]
    cuts = (c for k in range(len(pieces)) for c in combinations(range(1, len(pieces)), k))
    return [[Window(tuple(pieces[a:b])) for a, b in pairwise((0, *c, len(pieces)))] for c in cuts]


def allowed(window: Window) -> bool:
    pauses = (b.start - a.end for a, b in pairwise(window.pieces))
    return len(window.pieces) == 1 or (window.end - window.start <= LIMIT and all(pause <= MAX_PAUSE for pause in pauses))


def cost(windows: list[Window]) -> tuple[int, int]:
    """How many windows; how much pause is left inside them."""
    return len(windows), sum(b.start - a.end for w in windows for a, b in pairwise(w.pieces))


@given(timelines())
def test_every_piece_is_in_one_window_in_order(pieces: list[Piece]) -> None:
    windows = pack_windows(pieces, LIMIT, MAX_PAUSE)
    assert [piece for window in windows for piece in window.pieces] == pieces
    assert all(allowed(window) for window in windows)


@given(timelines(longest=60))
def test_no_other_packing_has_fewer_windows_or_longer_pauses_between_them(pieces: list[Piece]) -> None:
    best = min(cost(windows) for windows in partitions(pieces) if all(map(allowed, windows)))
    assert cost(pack_windows(pieces, LIMIT, MAX_PAUSE)) == best


@given(timelines(), st.data())
def test_a_word_inside_a_piece_is_its_own(pieces: list[Piece], data: st.DataObject) -> None:
    for window in pack_windows(pieces, LIMIT, MAX_PAUSE):
        for piece in window.pieces:
            start = data.draw(st.integers(piece.start, piece.end - 1))
            end = data.draw(st.integers(start + 1, piece.end))
            assert window.owner(start, end) == piece.owner


def test_a_word_in_a_pause_goes_to_the_nearer_side() -> None:
    window = Window((Piece(0, 10, 0), Piece(30, 40, 1)))
    assert [window.owner(at, at) for at in (12, 19, 20, 21, 28)] == [0, 0, 0, 1, 1]


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 40 * FRAME)), max_size=6),
    st.integers(4 * FRAME, 20 * FRAME),
)
def test_cut_pieces_tile_their_span_within_the_limit(shape: list[tuple[int, int]], limit: int) -> None:
    spans, now = [], 0
    for pause, length in shape:
        spans.append(Span(now + pause, now + pause + length))
        now += pause + length
    pieces = cut_spans(np.ones(now, np.float32), spans, limit)
    for owner, span in enumerate(spans):
        own = [piece for piece in pieces if piece.owner == owner]
        assert (own[0].start, own[-1].end) == (span.start, span.end)
        assert all(a.end == b.start for a, b in pairwise(own))
        assert all(piece.end - piece.start <= limit for piece in own)
        assert len(own) == 1 or min(piece.end - piece.start for piece in own) >= limit // 4 - FRAME


def test_a_long_span_is_cut_where_it_is_quiet() -> None:
    audio = np.ones(100 * FRAME, np.float32)
    audio[60 * FRAME : 61 * FRAME] = 0
    (first, second) = cut_spans(audio, [Span(0, len(audio))], 80 * FRAME)
    assert 60 * FRAME <= first.end < 61 * FRAME
    assert second == Piece(first.end, len(audio), 0)


SPANS = (Span(0, 100), Span(150, 250), Span(300, 400))
WINDOW = Window(tuple(Piece(span.start, span.end, owner) for owner, span in enumerate(SPANS)))


def word(text: str, start: int, end: int, probability: float | None = None) -> TimedWord:
    return TimedWord(text, start, end, probability)


def test_words_come_back_to_their_spans() -> None:
    heard = WindowTranscript(
        (word(" Good", 10, 40, 0.5), word(" day.", 40, 90, 0.125), word(" Bye", 310, 390, 1.0)), "en", 0.9, 0.1
    )
    first, second, third = assign_words(SPANS, [(WINDOW, heard)], longest_word=1000)
    assert (first.text, second.text, third.text) == ("Good day.", "", "Bye")
    assert (first.confidence, second.confidence, third.confidence) == (0.25, None, 1.0)
    assert {(t.language, t.language_confidence, t.no_speech) for t in (first, second, third)} == {("en", 0.9, 0.1)}
    assert first.words == (word("Good", 10, 40, 0.5), word("day.", 40, 90, 0.125))
    assert second.words == ()


def test_a_word_that_swallowed_the_pause_before_it_belongs_to_what_follows() -> None:
    """Cross-attention gives the pause to the next word: it seems to begin where the last one ended."""
    heard = WindowTranscript((word(" one", 60, 80), word(" two", 80, 170)))
    first, second, _ = assign_words(SPANS, [(WINDOW, heard)], longest_word=40)
    assert (first.text, second.text) == ("one", "two")
    assert second.words == (word("two", 150, 170),)
    assert assign_words(SPANS, [(WINDOW, heard)], longest_word=1000)[0].text == "one two"


def test_a_span_that_was_cut_has_the_words_of_its_pieces() -> None:
    halves = (Window((Piece(0, 50, 0),)), Window((Piece(50, 100, 0),)))
    heard = (WindowTranscript((word(" so", 10, 20),), "en", 0.8, 0.3), WindowTranscript((word(" on", 60, 70),), "fr", 0.4, 0.9))
    (transcript,) = assign_words(SPANS[:1], zip(halves, heard, strict=True), longest_word=1000)
    assert (transcript.text, transcript.language, transcript.language_confidence) == ("so on", "en", 0.8)


@given(st.lists(st.tuples(st.text("ab字 ", min_size=1, max_size=3), st.integers(0, 400), st.integers(0, 120)), max_size=12))
def test_no_word_is_lost_doubled_or_outside_its_span(words: list[tuple[str, int, int]]) -> None:
    timed = sorted((word(text, start, start + length) for text, start, length in words), key=lambda w: (w.end, w.start))
    shared = assign_words(SPANS, [(WINDOW, WindowTranscript(tuple(timed)))], longest_word=50)
    placed = sorted(w.text for transcript in shared for w in transcript.words or ())
    assert placed == sorted(w.text.strip() for w in timed if w.text.strip())
    for span, transcript in zip(SPANS, shared, strict=True):
        assert all(span.start <= w.start <= w.end <= span.end for w in transcript.words or ())


def test_confidence_is_a_geometric_mean_of_what_is_known() -> None:
    assert mean_probability([]) is None
    assert mean_probability([None]) is None
    assert mean_probability([0.5, 0.5, None]) == pytest.approx(0.5)
    assert mean_probability([0.0, 1.0]) == pytest.approx(1e-5)
