"""Positions against a plain set of numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.pipeline.state.positions import Positions, position_of

steps = st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 30)), max_size=12)


@given(steps, st.integers(0, 30), st.integers(0, 30))
def test_it_is_a_set(steps: list[tuple[bool, int, int]], low: int, high: int) -> None:
    mine, plain = Positions(), set[int]()
    for added, a, b in steps:
        span = range(min(a, b), max(a, b))
        (mine.add if added else mine.discard)(span.start, span.stop)
        plain = plain | set(span) if added else plain - set(span)
    assert list(mine) == sorted(plain)
    assert (len(mine), mine.end) == (len(plain), max(plain, default=-1) + 1)
    assert all(first < end for first, end in mine.runs)
    assert all(one[1] < other[0] for one, other in zip(mine.runs, mine.runs[1:], strict=False)), (
        "runs neither touch nor overlap"
    )
    assert {n for first, end in mine.missing(low, high) for n in range(first, end)} == set(range(low, high)) - plain
    assert mine.holds(low, high) == (set(range(low, high)) <= plain)
    assert [n in mine for n in range(31)] == [n in plain for n in range(31)]
    assert Positions(mine.runs) == mine == Positions.of(plain)


def test_only_ids_of_units_and_groups_have_a_position() -> None:
    assert (position_of("u0000012-ab34"), position_of("g12345678")) == (12, 12345678)
    with pytest.raises(ValueError, match="no id of a unit"):
        position_of("train-cc0-00000")
