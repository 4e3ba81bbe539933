"""Balancing experts without a loss: what a router sees alike in all frames must not decide between experts.

A router is a linear gate, and most of what stands in its input is the same in every frame, above all while a model is young. So the same
few experts have the largest logit for all of them, only these learn, and they stay ahead: the experts collapse. A loss does not help
there, since all frames move together. Here an expert is chosen by how its logit for a frame compares with its logits for other frames:

    score = (logit - mean) / deviation + bias

Mean and deviation are those of the call while a layer learns, as in batch normalisation: a young model changes faster than a running mean
follows. Of a model that is saved they are measured anew (`training/settle.py`). The bias, adjusted by training (after DeepSeek-V3,
arXiv 2412.19437), takes away what unevenness is left. All are kept for each number of experts apart, because a smaller budget chooses
among fewer.
Shape suffixes: N tokens, E experts of the budget, M all experts of the layer.
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import torch
from torch import Tensor, nn

_LEAST_DEVIATION = 1e-6


class Balancer(nn.Module):
    """Statistics of a router's logits, and a bias on its choice. Row E - 1 of each buffer is for budgets of E experts."""

    def __init__(self, experts: int) -> None:
        super().__init__()
        for name, first in (("mean_MM", 0.0), ("deviation_MM", 1.0), ("bias_MM", 0.0)):
            self.register_buffer(name, torch.full((experts, experts), first))

    def forward(self, logits_EN: Tensor, real_N: Tensor | None, *, learns: bool) -> tuple[Tensor, Tensor]:
        """(logits around their mean, from which weights are made; scores, by which experts are chosen), both of shape (E, N).

        `real`: 0 on padding, 1 elsewhere; None: nothing is padding. `learns`: compare with this call, and not with what was measured.
        """
        mean_E, deviation_E, bias_E = self._row(len(logits_EN))
        if learns:
            mean_E, square_E = moments(logits_EN, real_N)
            deviation_E = _deviation(mean_E.detach(), square_E)
        centred_EN = logits_EN - mean_E[:, None]
        return centred_EN, centred_EN.detach() / deviation_E[:, None] + bias_E[:, None]

    @torch.no_grad()
    def lean(self, share_E: Tensor, rate: float) -> None:
        """Moves the bias by at most `rate` against what was chosen too often. `share_E`: share of all choices that went to each expert."""
        _, _, bias_E = self._row(len(share_E))
        bias_E += rate * (1 - len(share_E) * share_E).clamp(-1, 1)

    @torch.no_grad()
    def measure(self, mean_E: Tensor, square_E: Tensor) -> None:
        """From now on logits are compared with these means, of them and of their squares."""
        own_mean_E, own_deviation_E, _ = self._row(len(mean_E))
        own_mean_E.copy_(mean_E)
        own_deviation_E.copy_(_deviation(mean_E, square_E))

    def _row(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        row = size - 1
        return self.mean_MM[row, :size], self.deviation_MM[row, :size], self.bias_MM[row, :size]


def moments(logits_EN: Tensor, real_N: Tensor | None) -> tuple[Tensor, Tensor]:
    """Means of each expert's logits, and of their squares (without gradient), over what is no padding."""
    given_EN = logits_EN.detach()
    if real_N is None:
        return logits_EN.mean(dim=1), given_EN.square().mean(dim=1)
    share_N = real_N / real_N.sum().clamp_min(1)
    return logits_EN @ share_N, given_EN.square() @ share_N


def _deviation(mean_E: Tensor, square_E: Tensor) -> Tensor:
    return (square_E - mean_E.square()).clamp_min(_LEAST_DEVIATION**2).sqrt()
