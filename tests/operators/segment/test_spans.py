"""The maths of segments: tables for each rule, properties for all of them together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from voxmill.operators.segment.spans import SpanConfig, Stretch, spans_from_probs, tile

RATE = 16_000
HOP = 160
Probs = NDArray[np.float32]
PLAIN = SpanConfig(pad_seconds=0)


def voice(*stretches: tuple[float, float]) -> Probs:
    """`(seconds, probability)` one after the other, at 100 frames a second."""
    return np.concatenate([np.full(round(seconds * 100), p, np.float32) for seconds, p in stretches])


def spans(probs: Probs, config: SpanConfig = PLAIN) -> list[Stretch]:
    return spans_from_probs(probs, HOP, len(probs) * HOP, config)


def seconds(found: list[Stretch]) -> list[tuple[float, float]]:
    return [(round(s.start / RATE, 2), round(s.end / RATE, 2)) for s in found]


def reasons(found: list[Stretch]) -> list[str | None]:
    return [s.reason for s in found]


def test_hysteresis_keeps_what_wavers() -> None:
    probs = voice((1, 0), (1, 0.9), (1, 0.4), (1, 0.6), (1, 0.3), (1, 0.4), (1, 0))
    assert seconds(spans(probs)) == [(1, 4)]


def test_short_silence_is_no_pause_and_a_click_no_speech() -> None:
    assert seconds(spans(voice((1, 0), (0.05, 1), (2, 0), (2, 1), (0.05, 0), (2, 1), (3, 0)))) == [(3.05, 7.1)]


@pytest.mark.parametrize(("gap", "expected"), [(0.49, [(1, 6.49)]), (0.5, [(1, 4), (4.5, 6.5)])])
def test_merges_over_gaps_below_half_a_second(gap: float, expected: list[tuple[float, float]]) -> None:
    assert seconds(spans(voice((1, 0), (3, 1), (gap, 0), (2.5 if gap < 0.5 else 2, 1)))) == [
        (a, b if gap >= 0.5 else 1 + 3 + gap + 2.5) for a, b in expected
    ]


def test_padding_takes_half_of_a_pause_at_most() -> None:
    config = SpanConfig(pad_seconds=0.4)
    probs = voice((0.3, 0), (3, 1), (0.6, 0), (3, 1), (5, 0))
    assert seconds(spans(probs, config)) == [(0, 3.6), (3.6, 7.3)]


def test_short_speech_joins_its_nearest_neighbour() -> None:
    probs = voice((1, 0), (3, 1), (1.5, 0), (0.5, 1), (0.8, 0), (3, 1), (1, 0))
    assert seconds(spans(probs)) == [(1, 4), (5.5, 9.8)]


def test_short_speech_joins_short_speech() -> None:
    assert seconds(spans(voice((5, 0), (0.8, 1), (1, 0), (0.8, 1), (5, 0)))) == [(5, 7.6)]


def test_short_speech_alone_is_rejected() -> None:
    found = spans(voice((3, 0), (1, 1), (2.5, 0), (4, 1)))
    assert seconds(found) == [(3, 4), (6.5, 10.5)]
    assert reasons(found) == ["segment.too_short", None]


def test_short_speech_does_not_break_a_full_neighbour() -> None:
    """30 s without a pause, then a short word: joining would force a cut into the middle of speech."""
    found = spans(voice((29.5, 1), (1, 0), (0.5, 1), (5, 0)))
    assert seconds(found) == [(0, 29.5), (30.5, 31)]
    assert reasons(found) == [None, "segment.too_short"]
    with_pause = spans(voice((10, 1), (0.3, 0), (19.2, 1), (1, 0), (0.5, 1), (5, 0)))
    assert seconds(with_pause) == [(0, 10), (10.3, 31)]


def test_cuts_long_speech_at_its_largest_pause() -> None:
    found = spans(voice((12, 1), (0.2, 0), (10, 1), (0.4, 0), (9, 1), (0.2, 0), (8, 1)))
    assert seconds(found) == [(0, 22.2), (22.6, 39.8)]


def test_a_pause_at_the_very_edge_is_no_place_to_cut() -> None:
    found = spans(voice((1, 1), (0.45, 0), (14, 1), (0.2, 0), (16, 1)))
    assert seconds(found) == [(0, 15.45), (15.65, 31.65)]


def test_without_a_pause_cuts_at_the_lowest_dip() -> None:
    probs = voice((12, 0.9), (0.3, 0.45), (5, 0.9), (0.3, 0.4), (20, 0.9))
    [first, second] = seconds(spans(probs))
    assert first[0] == 0
    assert 17.3 <= first[1] <= 17.6
    assert second == (first[1], 37.6)


def test_without_a_dip_cuts_hard() -> None:
    assert seconds(spans(voice((61, 0.9)))) == [(0, 30), (30, 59), (59, 61)]


def test_speech_is_the_mean_probability() -> None:
    [kept] = spans(voice((1, 0), (2, 0.6), (2, 0.8), (1, 0)))
    assert kept.speech == pytest.approx(0.7)


def test_nothing_and_silence() -> None:
    assert spans(np.zeros(0, np.float32)) == []
    silence = np.zeros(100, np.float32)
    assert tile(spans(silence), silence, HOP, 100 * HOP) == [Stretch(0, 16_000, 0.0, "segment.no_speech")]


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValidationError, match="twice min_seconds"):
        SpanConfig(min_seconds=20)
    with pytest.raises(ValidationError, match="neg_threshold"):
        SpanConfig(threshold=0.3)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Probs, int, int, SpanConfig]:
    hop = draw(st.sampled_from([160, 270, 512]))
    scale = draw(st.sampled_from([1, 20]))  # short turns, or monologues of minutes
    levels = draw(st.lists(st.tuples(st.integers(1, 150), st.sampled_from([0.0, 0.2, 0.4, 0.45, 0.5, 0.8, 1.0])), max_size=60))
    probs = np.concatenate([np.zeros(0), *(np.full(n * scale if p > 0.3 else n, p) for n, p in levels)]).astype(np.float32)
    probs = np.clip(probs + draw(st.sampled_from([0.0, 0.1])) * np.random.default_rng(0).standard_normal(len(probs)), 0, 1)
    total = max(0, len(probs) * hop - draw(st.integers(0, hop - 1)))
    least = draw(st.sampled_from([0.0, 0.5, 2.0]))
    config = SpanConfig(
        min_seconds=least,
        max_seconds=draw(st.sampled_from([4.0, 10.0, 30.0])),
        pad_seconds=draw(st.sampled_from([0.0, 0.2, 1.0])),
        merge_seconds=draw(st.sampled_from([0.0, 0.5, 3.0])),
        absorb_seconds=draw(st.sampled_from([0.0, 2.0, 20.0])),
        min_silence_seconds=draw(st.sampled_from([0.0, 0.1])),
        min_speech_seconds=draw(st.sampled_from([0.0, 0.1])),
    )
    return probs.astype(np.float32), hop, total, config


@settings(max_examples=300, deadline=None)
@given(cases())
def test_properties(case: tuple[Probs, int, int, SpanConfig]) -> None:
    probs, hop, total, config = case
    found = spans_from_probs(probs, hop, total, config)
    assert found == spans_from_probs(probs.copy(), hop, total, config)
    assert all(0 <= s.start < s.end <= total for s in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    for s in found:
        assert s.end - s.start <= config.max_seconds * RATE
        assert s.reason == (None if s.end - s.start >= config.min_seconds * RATE else "segment.too_short")
        assert 0 <= s.speech <= 1
    tiles = tile(found, probs, hop, total)
    assert [t.start for t in tiles] == [0, *(t.end for t in tiles[:-1])][: len(tiles)]
    assert (tiles[-1].end if tiles else 0) == total
    assert [t for t in tiles if t.reason != "segment.no_speech"] == found


@settings(max_examples=200, deadline=None)
@given(cases())
def test_every_sure_frame_of_speech_is_kept_or_named(case: tuple[Probs, int, int, SpanConfig]) -> None:
    probs, hop, total, config = case
    config = config.model_copy(update={"min_speech_seconds": 0.0})
    covered = np.zeros(total, bool)
    for s in spans_from_probs(probs, hop, total, config):
        covered[s.start : s.end] = True
    heard = np.repeat(probs >= config.threshold, hop)[:total]
    assert not (heard & ~covered).any()
