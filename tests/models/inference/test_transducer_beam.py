from __future__ import annotations

import math
from collections import defaultdict
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from voxmill.models.common.seeds import seeded
from voxmill.models.inference.transducer_beam import transducer_beam
from voxmill.models.network.transducer import Transducer, TransducerConfig

VOCABULARY = 4


def head(seed: int) -> Transducer:
    torch.manual_seed(seed)
    made = Transducer(VOCABULARY, 3, TransducerConfig(dim=4, joiner=4))
    torch.nn.init.normal_(made.out.weight)
    return made


def log_of(net: Transducer, frame_D: Tensor, said: tuple[int, ...]) -> list[float]:
    found: list[float] = (
        net(frame_D[None, None], torch.tensor([said], dtype=torch.long).reshape(1, -1))[0, 0, -1].log_softmax(-1).tolist()
    )
    return found


def one_by_one(net: Transducer, frame_TD: Tensor, beam: int) -> dict[tuple[int, ...], float]:
    """The same search as it is told in a text book: one utterance, every prefix from its beginning, sums of probabilities."""
    running: dict[tuple[int, ...], float] = {(): 1.0}
    for frame_D in frame_TD:
        offered = [
            (p * math.exp(log), said if token == 0 else (*said, token))
            for said, p in running.items()
            for token, log in enumerate(log_of(net, frame_D, said))
        ]
        running = defaultdict(float)
        for p, said in sorted(offered, reverse=True)[:beam]:
            running[said] += p
    return {said: math.log(p) for said, p in running.items()}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), beam=st.integers(1, 5), lengths=st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_a_batch_finds_what_a_plain_search_of_each_finds(seed: int, beam: int, lengths: list[int]) -> None:
    net = head(seed)
    frame_BTD = 2 * torch.randn(len(lengths), max(lengths), 3, generator=seeded(seed))
    with torch.no_grad():
        for row, found in enumerate(transducer_beam(net, frame_BTD, lengths, beam, length_penalty=0.0)):
            expected = one_by_one(net, frame_BTD[row, : lengths[row]], beam)
            assert {one.tokens: one.score for one in found} == {
                said: pytest.approx(score, abs=1e-4) for said, score in expected.items()
            }
            assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_wide_beam_sums_over_every_alignment_of_one_token_a_frame() -> None:
    net, frame_TD = head(1), torch.randn(4, 3, generator=seeded(1))
    exact: dict[tuple[int, ...], float] = defaultdict(float)
    with torch.no_grad():
        for path in product(range(VOCABULARY), repeat=4):
            before = [tuple(token for token in path[:t] if token) for t in range(4)]
            log = [log_of(net, frame_TD[t], before[t])[token] for t, token in enumerate(path)]
            exact[tuple(token for token in path if token)] += math.exp(sum(log))
    (found,) = transducer_beam(net, frame_TD[None], [4], beam=1000, length_penalty=0.0)
    assert {one.tokens: math.exp(one.score) for one in found} == {said: pytest.approx(p, abs=1e-5) for said, p in exact.items()}


def test_tokens_have_the_frames_in_which_they_were_said_and_some_are_forbidden() -> None:
    net = head(0)
    with torch.no_grad():
        for layer in (net.sound, net.past, net.out):
            layer.weight.zero_()
            layer.bias.zero_()
        net.sound.weight[:3, :3] = 9 * torch.eye(3)
        net.out.weight[:3, :3] = 9 * torch.eye(3)  # dimension 0 of a frame wants a blank, 1 and 2 the token of that number
    frame_1TD = torch.eye(3)[[0, 1, 0, 2]][None]
    best = transducer_beam(net, frame_1TD, [4], beam=3)[0][0]
    assert (best.tokens, best.frames) == ((1, 2), (1, 3))
    assert all(-0.01 < log <= 0 for log in best.each)
    assert all(1 not in one.tokens for one in transducer_beam(net, frame_1TD, [4], beam=3, forbidden=[1])[0])
