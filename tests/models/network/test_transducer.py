# mypy: allow-subclassing-any
from __future__ import annotations

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from voxmill.models.network import transducer
from voxmill.models.network.transducer import (
    Transducer,
    TransducerConfig,
    TransducerLattice,
    _torchaudio_loss,
    reference_loss,
    transducer_loss,
)


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


def ways_on(logits: torch.Tensor, tokens: torch.Tensor) -> TransducerLattice:
    """The whole lattice, by its definition."""
    log = logits.log_softmax(-1)
    index = tokens[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
    return TransducerLattice(log[..., 0], log[:, :, : tokens.shape[1]].gather(-1, index)[..., 0])


@pytest.mark.parametrize(("frames", "length"), [(1, 0), (1, 2), (4, 0), (4, 3)])
def test_the_reference_is_the_sum_over_all_alignments(frames: int, length: int) -> None:
    logits, tokens, frames_B, lengths_B = lattice([frames], [length])
    expected = every_alignment(logits[0].detach(), tokens[0].tolist())
    found = reference_loss(ways_on(logits.detach(), tokens), frames_B, lengths_B)
    assert float(found) == pytest.approx(expected, abs=1e-5)


@pytest.mark.filterwarnings("ignore:.*rnnt_loss has been deprecated")
@pytest.mark.skipif(_torchaudio_loss() is None, reason="torchaudio has no rnnt_loss here")
def test_torchaudio_agrees_in_value_and_gradient() -> None:
    logits, tokens, *rest = lattice([6, 9, 4], [3, 5, 1])
    gradients = []
    losses = []
    for loss in (transducer_loss, reference_loss):
        losses.append(loss(ways_on(logits, tokens), *rest))
        gradients.append(torch.autograd.grad(losses[-1].sum(), logits)[0])
    rnnt_loss = _torchaudio_loss()
    losses.append(rnnt_loss(logits, tokens.int(), *(one.int() for one in rest), blank=0, reduction="none"))  # of all logits
    gradients.append(torch.autograd.grad(losses[-1].sum(), logits)[0])
    for other in (1, 2):
        torch.testing.assert_close(losses[0], losses[other], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(gradients[0], gradients[other], atol=1e-4, rtol=1e-3)


class Largest(TorchDispatchMode):
    """The most numbers that any tensor held which was computed meanwhile."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.numel())
        return out


def test_a_lattice_in_slices_is_the_whole_one_in_a_share_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    head = Transducer(50, 8, TransducerConfig(dim=8, joiner=6))
    frames, tokens = torch.randn(2, 20, 8, requires_grad=True), torch.randint(1, 50, (2, 4))
    counts = torch.tensor([20, 13]), torch.tensor([4, 2])
    found = []
    for most in (1 << 24, 2 * 5 * 50 * 3):  # the whole, and three frames at a time
        monkeypatch.setattr(transducer, "MOST_LOGITS", most)
        kept: list[int] = []

        def keep(tensor: torch.Tensor, kept: list[int] = kept) -> torch.Tensor:
            kept.append(tensor.numel())
            return tensor

        with Largest() as largest, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = transducer_loss(head.lattice(frames, tokens), *counts)
            gradients = torch.autograd.grad(loss.sum(), [frames, *head.parameters()])
        assert max(kept) < 2 * 20 * 5 * 50  # no lattice of logits waits for the gradient
        found.append((largest.numbers, loss, gradients))
    (whole, *expected), (sliced, *computed) = found
    assert (whole, sliced) == (2 * 20 * 5 * 50, 2 * 3 * 5 * 50)
    torch.testing.assert_close(computed, expected, atol=1e-5, rtol=1e-5)
    plain = transducer_loss(ways_on(head(frames, tokens), tokens), *counts)
    gradients = torch.autograd.grad(plain.sum(), [frames, *head.parameters()])
    torch.testing.assert_close(computed, [plain, gradients], atol=1e-5, rtol=1e-5)


def test_the_predictor_sees_the_last_tokens_and_no_later_ones() -> None:
    torch.manual_seed(0)
    head = Transducer(7, 8, TransducerConfig(dim=8, joiner=6))
    tokens, changed = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[5, 2, 3, 6]])
    assert head(torch.randn(1, 3, 8), tokens).shape == (1, 3, 5, 7)
    before, after = head.predictor(tokens), head.predictor(changed)
    same = (before == after).all(-1)[0].tolist()
    assert same == [True, False, False, True, False]  # two tokens of context
