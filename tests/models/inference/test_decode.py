from __future__ import annotations

import math
from collections import defaultdict
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.models.common.seeds import seeded
from voxmill.models.common.tasks import IGNORE
from voxmill.models.inference.decode import (
    Scored,
    ctc_beam,
    ctc_greedy,
    ctc_insert,
    rescored,
    sequence_scores,
    transducer_greedy,
)
from voxmill.models.network.transducer import Transducer, TransducerConfig


def random_log(frames: int, vocabulary: int, seed: int) -> torch.Tensor:
    return (2 * torch.randn(frames, vocabulary, generator=seeded(seed))).log_softmax(-1)


def collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(t for i, t in enumerate(path) if t and (i == 0 or path[i - 1] != t))


@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 5), vocabulary=st.integers(2, 3), seed=st.integers(0, 99))
def test_a_wide_beam_sums_over_every_alignment(frames: int, vocabulary: int, seed: int) -> None:
    log = random_log(frames, vocabulary, seed)
    exact: dict[tuple[int, ...], list[float]] = defaultdict(list)
    for path in product(range(vocabulary), repeat=frames):
        exact[collapsed(path)].append(sum(float(log[t, token]) for t, token in enumerate(path)))
    found = {one.tokens: one.score for one in ctc_beam(log, beam=1000, candidates=vocabulary)}
    assert found == {t: pytest.approx(float(torch.tensor(s).logsumexp(0)), abs=1e-4) for t, s in exact.items()}


@settings(max_examples=40, deadline=None)
@given(frames=st.integers(1, 5), said=st.lists(st.just(1) | st.just(2), max_size=2), seed=st.integers(0, 99))
def test_marks_are_set_where_all_alignments_together_are_likeliest(frames: int, said: list[int], seed: int) -> None:
    log, marks = random_log(frames, 5, seed), (3, 4)
    exact: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(5), repeat=frames):
        exact[collapsed(path)] += math.exp(sum(float(log[t, token]) for t, token in enumerate(path)))
    possible = {said_so: p for said_so, p in exact.items() if [t for t in said_so if t not in marks] == said}
    found = ctc_insert(log, said, marks, beam=1000)
    assert [t for t in found if t not in marks] == said
    if possible:
        assert possible[found] == pytest.approx(max(possible.values()), rel=1e-4)
    else:
        assert found == tuple(said)  # too many for so few frames


def test_marks_are_set_with_a_narrow_beam_too() -> None:
    log = torch.full((8, 5), -6.0)
    for t, token in enumerate([0, 1, 0, 3, 3, 0, 2, 0]):
        log[t, token], log[t, 0] = -0.1, -2.5 if token else -0.1
    assert ctc_insert(log, (1, 2), (3, 4), beam=1) == (1, 3, 2)
    assert ctc_insert(log, (1, 2), (4,), beam=2) == (1, 2)


def test_the_beam_is_sorted_and_bounded() -> None:
    found = ctc_beam(random_log(12, 6, 1), beam=4)
    assert len(found) == 4
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@pytest.mark.parametrize(("path", "said"), [([1, 1, 0, 1, 2], (1, 1, 2)), ([0, 0], ()), ([2, 2, 2], (2,)), ([], ())])
def test_greedy_collapses_the_best_path(path: list[int], said: tuple[int, ...]) -> None:
    log = torch.full((len(path), 3), -5.0)
    for t, token in enumerate(path):
        log[t, token] = -0.5
    assert ctc_greedy(log) == Scored(said, -0.5 * len(path))


def test_sequence_scores_leave_out_what_is_ignored() -> None:
    logits = torch.randn(2, 3, 4, generator=seeded(1))
    log = logits.log_softmax(-1)
    scores = sequence_scores(logits, torch.tensor([[IGNORE, 2, 1], [0, IGNORE, IGNORE]]))
    assert scores == pytest.approx([float(log[0, 1, 2] + log[0, 2, 1]), float(log[1, 0, 0])])


def test_rescoring_weighs_the_three_heads() -> None:
    found = [Scored((1,), -1.0), Scored((2,), -2.0)]
    best = rescored(found, [-9.0, -1.0], [-9.0, -3.0], ctc=0.5, backward=0.25)
    assert best[0] == Scored((2,), 0.5 * -2 + 0.5 * (0.75 * -1 + 0.25 * -3))
    assert rescored(found, [0, 0], [0, 0], ctc=1.0, backward=0.0)[0].tokens == (1,)


def test_a_transducer_says_what_its_joiner_wants_and_goes_on_at_blanks() -> None:
    torch.manual_seed(0)
    head = Transducer(4, 3, TransducerConfig(dim=4, joiner=4))
    torch.nn.init.zeros_(head.past.weight)
    torch.nn.init.zeros_(head.past.bias)
    torch.nn.init.zeros_(head.out.weight)
    with torch.no_grad():
        head.out.bias.copy_(torch.tensor([0.0, 5.0, 0.0, 0.0]))
    assert transducer_greedy(head, torch.zeros(3, 3), most=2).tokens == (1,) * 6
    with torch.no_grad():
        head.out.bias.copy_(torch.tensor([5.0, 0.0, 0.0, 0.0]))
    assert transducer_greedy(head, torch.zeros(3, 3)).tokens == ()
