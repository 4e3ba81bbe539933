from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.records import SAMPLE_RATE, GivenSpan
from voxmill.operators.decode.given_spans import settle_spans

S = SAMPLE_RATE


def span(start: float, seconds: float | None, key: str = "") -> GivenSpan:
    return GivenSpan(round(start * S), None if seconds is None else round(seconds * S), "words", key)


def settled(*spans: GivenSpan, seconds: float = 10, longest: float = 6) -> list[tuple[float, float, str | None]]:
    found = settle_spans(spans, round(seconds * S), round(longest * S))
    return [(one.start / S, (one.num_samples or 0) / S, one.rejection.reason if one.rejection else None) for one in found]


def test_ends_that_are_rounded_or_padded_are_those_of_the_recording() -> None:
    assert settled(span(5, None)) == [(5, 5, None)]
    assert settled(span(5, 4.99)) == [(5, 5, None)]
    assert settled(span(5, 5.08)) == [(5, 5, None)]
    assert settled(span(5, 4.9)) == [(5, 4.9, None)]


def test_what_cannot_be_heard_has_its_reason_and_the_rest_stays() -> None:
    assert settled(span(2, 1), span(9, 2), span(12, 1), span(0, 1)) == [
        (0, 1, None),
        (2, 1, None),
        (9, 2, "decode.given_outside"),
        (12, 1, "decode.given_outside"),
    ]
    assert settled(span(0, 7), span(2, 2)) == [(0, 7, "decode.given_too_long"), (2, 2, None)]
    assert settled(span(10, None)) == [(10, 0, "decode.given_outside")]


def test_neighbours_that_overlap_a_little_meet_in_the_middle_and_others_do_not_count() -> None:
    assert settled(span(0, 3), span(2.6, 3)) == [(0, 2.8, None), (2.8, 2.8, None)]
    assert settled(span(0, 4), span(1, 1), span(4, 1)) == [(0, 4, None), (1, 1, "decode.given_overlap"), (4, 1, None)]
    assert settled(span(0, 2, "a"), span(0, 2, "b"))[1][2] == "decode.given_overlap"


@given(
    st.lists(st.tuples(st.integers(0, 12 * S), st.none() | st.integers(1, 8 * S)), max_size=8),
    st.integers(1, 10 * S),
    st.integers(S, 7 * S),
)
def test_what_is_heard_lies_inside_overlaps_nothing_and_nothing_is_lost(
    spans: list[tuple[int, int | None]], num_samples: int, longest: int
) -> None:
    found = settle_spans([GivenSpan(start, length, None) for start, length in spans], num_samples, longest)
    assert len(found) == len(spans)
    heard = [(one.start, one.start + (one.num_samples or 0)) for one in found if one.rejection is None]
    assert all(0 <= start < end <= num_samples and end - start <= longest for start, end in heard)
    assert all(end <= start for (_, end), (start, _) in pairwise(heard))
