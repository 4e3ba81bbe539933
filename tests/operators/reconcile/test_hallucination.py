from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.reconcile.hallucination import RepeatedRun, chars_per_second, compression_ratio, repeated_run


def brute_force(units: list[str], shortest: int, longest: int) -> int:
    best = 1 if units else 0
    for size in range(shortest, longest + 1):
        for start in range(len(units)):
            times = 1
            while units[start : start + size] == units[start + times * size : start + (times + 1) * size] and (
                start + (times + 1) * size <= len(units)
            ):
                times += 1
            best = max(best, times)
    return best


@given(st.lists(st.sampled_from("abc"), max_size=24), st.integers(1, 3))
def test_the_longest_run_is_found(units: list[str], shortest: int) -> None:
    run = repeated_run(units, shortest, 8)
    assert run.times == brute_force(units, shortest, 8)
    gram = units[run.start : run.start + run.size]
    assert units[run.start : run.start + run.size * run.times] == gram * run.times


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("", RepeatedRun(0, 0, 0)),
        ("one two three", RepeatedRun(0, 1, 0)),
        ("no no no", RepeatedRun(0, 1, 0)),
        ("no no no no", RepeatedRun(2, 2, 0)),
        ("so thank you for that thank you for that thank you for that bye", RepeatedRun(4, 3, 1)),
    ],
)
def test_runs(text: str, run: RepeatedRun) -> None:
    assert repeated_run(text.split()) == run


def test_loops_compress_and_speech_does_not() -> None:
    assert compression_ratio("thank you for watching " * 20) > 2.4
    assert compression_ratio("the quick brown fox jumps over the lazy dog near the river bank") < 1.5
    assert compression_ratio("") == 0.0


def test_characters_are_counted_without_spaces() -> None:
    assert chars_per_second(["ab", "今", "天"], 2.0) == 2.0
    assert chars_per_second(["ab"], 0.0) == 0.0
