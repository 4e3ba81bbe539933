"""Of several readings, texts get those that bring them closest; whatever the order, and never closer than words allow."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from voxmill.operators.reconcile.readings import Piece, closest_readings, readings, shared_readings, usual_reading

word = st.sampled_from("abcde")
reading = st.lists(word, max_size=3).map(tuple)
piece = st.one_of(word, st.lists(reading, min_size=1, max_size=3, unique=True).map(tuple))
texts = st.lists(piece, max_size=5)
YEAR: Piece = (("eighteen", "seventy", "one"), ("one", "eight", "seven", "one"))


def possible(text: list[Piece]) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = {()}
    for one in text:
        ways = [(one,)] if isinstance(one, str) else one
        found = {head + way for head in found for way in ways}
    return found


@given(texts, texts)
def test_the_readings_chosen_are_readings(a: list[Piece], b: list[Piece]) -> None:
    one, two, distance = closest_readings(a, b)
    assert one in possible(a)
    assert two in possible(b)
    assert Levenshtein.distance(one, two) <= distance <= Levenshtein.distance(usual_reading(a), usual_reading(b))


@given(texts, texts)
def test_texts_that_can_be_equal_come_out_equal(a: list[Piece], b: list[Piece]) -> None:
    one, two, distance = closest_readings(a, b)
    assert (one == two) == bool(possible(a) & possible(b)) == (distance == 0)


@given(st.lists(texts, min_size=2, max_size=4))
def test_the_order_of_texts_does_not_matter(given_texts: list[list[Piece]]) -> None:
    ways = set()
    for order in permutations(range(len(given_texts))):
        said = shared_readings([given_texts[k] for k in order])
        ways.add(tuple(said[order.index(k)] for k in range(len(given_texts))))
    assert len(ways) == 1


def test_a_third_text_takes_after_the_one_that_it_can_equal() -> None:
    said = shared_readings([["in", YEAR], ["in", "one", "eight", "seven", "one"], ["in", YEAR]])
    assert set(said) == {("in", "one", "eight", "seven", "one")}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ice cream", "icecream", True),
        ("e mail", "email", True),
        ("may be", "maybe", False),
        ("a way", "away", False),
        ("i deal", "ideal", False),
        ("up to date today", "uptodate today", True),
    ],
)
def test_words_apart_and_together(one: str, other: str, same: bool) -> None:
    first, second = shared_readings([one.split(), other.split()])
    assert (first == second) == same


def test_a_piece_holds_each_reading_once() -> None:
    assert readings(["a"], ["a"]) == "a"
    assert readings(["a"], ["b", "c"], ["a"]) == (("a",), ("b", "c"))
    assert usual_reading([readings([]), "x"]) == ("x",)


def test_the_same_piece_may_be_read_in_two_ways() -> None:
    silent: Piece = (("b",), ())
    assert closest_readings(["b", silent], [silent]) == (("b",), ("b",), 0)
