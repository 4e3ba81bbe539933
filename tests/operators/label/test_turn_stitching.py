"""Who speaks when: windows that name their speakers differently become one, and runs become turns."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.label.diarisation import turns_within
from voxmill.operators.label.turn_stitching import Turn, changes, stitch, turns


@given(orders=st.lists(st.permutations(range(3)), min_size=1, max_size=6), seed=st.integers(0, 50))
def test_windows_that_order_their_speakers_at_will_join_up(orders: list[list[int]], seed: int) -> None:
    """What each window hears of one long truth, columns shuffled, is that truth up to one order for all."""
    step, frames = 10, 20
    rng = np.random.default_rng(seed)
    truth = rng.random(((len(orders) - 1) * step + frames, 3)).astype(np.float32)
    windows = [truth[i * step : i * step + frames][:, order] for i, order in enumerate(orders)]
    np.testing.assert_allclose(stitch(windows, step), truth[:, orders[0]], atol=1e-5)


def test_runs_become_turns_named_as_they_appear() -> None:
    activity = np.zeros((100, 3), np.float32)
    activity[0:30, 2] = 0.9  # speaks first, so 0
    activity[33:40, 2] = 0.9  # a short breath before it
    activity[35:80, 0] = 0.8  # talks into the first
    activity[90:92, 1] = 0.9  # a click
    found = turns(activity, 0.5, least=5, gap=5)
    assert [(t.who, t.start, t.end) for t in found] == [(0, 0, 40), (1, 35, 80)]
    assert changes(found) == [35]


def test_one_speaker_has_no_change() -> None:
    assert changes([Turn(0, 0, 5, 1.0), Turn(0, 9, 12, 1.0)]) == []


def test_the_turns_of_a_recording_cut_to_a_segment() -> None:
    spans = [(0, 100, "X"), (90, 300, "Y"), (300, 305, "X")]
    turn, change = turns_within(spans, start=95, length=200, origin=1000, least=10)
    assert turn.marks is not None
    assert [(m.value, m.start, m.end) for m in turn.marks] == [("A", 1095, 1295)]
    assert change.marks == ()
    assert turns_within(spans, 400, 50, 0, 10)[0].marks is None
