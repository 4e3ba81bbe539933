from __future__ import annotations

import math

import pytest
import torch

from voxmill.models.network.transducer import Transducer, TransducerConfig, _torchaudio_loss, reference_loss, transducer_loss


def lattice(frames: list[int], lengths: list[int], vocabulary: int = 5) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    logits = torch.randn(len(frames), max(frames), max(lengths) + 1, vocabulary, requires_grad=True)
    return logits, torch.randint(1, vocabulary, (len(frames), max(lengths))), torch.tensor(frames), torch.tensor(lengths)


def every_alignment(logits: torch.Tensor, tokens: list[int]) -> float:
    """By definition: the sum over all paths, walked one by one."""
    log = logits.log_softmax(-1)
    total = [-math.inf]

    def walk(t: int, u: int, so_far: float) -> None:
        if t == logits.shape[0] - 1 and u == len(tokens):
            total.append(so_far + float(log[t, u, 0]))
            return
        if t + 1 < logits.shape[0]:
            walk(t + 1, u, so_far + float(log[t, u, 0]))
        if u < len(tokens):
            walk(t, u + 1, so_far + float(log[t, u, tokens[u]]))

    walk(0, 0, 0.0)
    return -float(torch.logsumexp(torch.tensor(total), 0))


@pytest.mark.parametrize(("frames", "length"), [(1, 0), (1, 2), (4, 0), (4, 3)])
def test_the_reference_is_the_sum_over_all_alignments(frames: int, length: int) -> None:
    logits, tokens, frames_B, lengths_B = lattice([frames], [length])
    expected = every_alignment(logits[0].detach(), tokens[0].tolist())
    assert float(reference_loss(logits, tokens, frames_B, lengths_B).detach()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.skipif(_torchaudio_loss() is None, reason="torchaudio has no rnnt_loss here")
def test_torchaudio_agrees_in_value_and_gradient() -> None:
    logits, *rest = lattice([6, 9, 4], [3, 5, 1])
    gradients = []
    losses = []
    for loss in (transducer_loss, reference_loss):
        losses.append(loss(logits, *rest))
        gradients.append(torch.autograd.grad(losses[-1].sum(), logits)[0])
    torch.testing.assert_close(losses[0], losses[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-3)


def test_the_predictor_sees_the_last_tokens_and_no_later_ones() -> None:
    torch.manual_seed(0)
    head = Transducer(7, 8, TransducerConfig(dim=8, joiner=6))
    tokens, changed = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[5, 2, 3, 6]])
    assert head(torch.randn(1, 3, 8), tokens).shape == (1, 3, 5, 7)
    before, after = head.predictor(tokens), head.predictor(changed)
    same = (before == after).all(-1)[0].tolist()
    assert same == [True, False, False, True, False]  # two tokens of context
