"""Balancing experts without a loss: what a router sees alike in all frames must not decide between experts.

A router is a linear gate, and most of what stands in its input is the same in every frame, above all while a model is young. So the same
few experts have the largest logit for all of them, only these learn, and they stay ahead: the experts collapse. A loss does not help
there, since all frames move together. Here an expert is chosen by how its logit for a frame compares with its logits for other frames:

    score = (logit - mean) / deviation + bias

Mean and deviation are those of the call while a layer learns, as in batch normalisation: a young model changes faster than a running mean
follows. Of a model that is saved they are measured anew (`training/settle.py`). The bias, adjusted by training (after DeepSeek-V3,
arXiv 2412.19437), takes away what unevenness is left. All are kept for each number of experts apart, because a smaller budget chooses
among fewer.
Shape suffixes: N tokens, E experts of the budget, M all experts of the layer, K chosen experts.
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import torch
from torch import Tensor, nn

_LEAST_DEVIATION = 1e-6
_ROUNDS, _RATE, _SHRINK = 120, 0.5, 0.93
"""How often a bias is adjusted while it settles, its largest first step (standard deviations), and each step as a share of the one before.
The last ones are tiny, because the frames of a young model's last layers lie close together: all silence is nearly one point."""


class Balancer(nn.Module):
    """Statistics of a router's logits, and a bias on its choice. Row E - 1 of each buffer is for budgets of E experts."""

    def __init__(self, experts: int) -> None:
        super().__init__()
        for name, first in (("mean_MM", 0.0), ("deviation_MM", 1.0), ("bias_MM", 0.0)):
            self.register_buffer(name, torch.full((experts, experts), first))
        self.settling = False
        """Whether a call decides what later calls compare with. See `settle`."""

    def forward(self, logits_EN: Tensor, real_N: Tensor | None, *, learns: bool) -> tuple[Tensor, Tensor]:
        """(logits around their mean, from which weights are made; scores, by which experts are chosen), both of shape (E, N).

        `real`: 0 on padding, 1 elsewhere; None: nothing is padding. `learns`: compare with this call, and not with what was measured.
        """
        mean_E, deviation_E, bias_E = self._row(len(logits_EN))
        if learns:
            mean_E, deviation_E = moments(logits_EN, real_N)
        centred_EN = logits_EN - mean_E[:, None]
        return centred_EN, centred_EN.detach() / deviation_E[:, None] + bias_E[:, None]

    @torch.no_grad()
    def lean(self, share_E: Tensor, rate: float) -> None:
        """Moves the bias by at most `rate` against what was chosen too often. `share_E`: share of all choices that went to each expert."""
        _, _, bias_E = self._row(len(share_E))
        bias_E += rate * (1 - len(share_E) * share_E).clamp(-1, 1)

    @torch.no_grad()
    def settle(self, logits_EN: Tensor, top_k: int, real_N: Tensor | None) -> None:
        """Takes statistics and bias from these logits, so that `top_k` choices a token fall on all experts alike."""
        mean_E, deviation_E, bias_E = self._row(len(logits_EN))
        for own_E, measured_E in zip((mean_E, deviation_E), moments(logits_EN, real_N), strict=True):
            own_E.copy_(measured_E)
        bias_E.zero_()
        scores_EN = (logits_EN - mean_E[:, None]) / deviation_E[:, None]
        for turn in range(_ROUNDS):
            chosen_KN = (scores_EN + bias_E[:, None]).topk(top_k, dim=0).indices
            self.lean(shares(chosen_KN, len(logits_EN), real_N), _RATE * _SHRINK**turn)

    def _row(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        row = size - 1
        return self.mean_MM[row, :size], self.deviation_MM[row, :size], self.bias_MM[row, :size]


def moments(logits_EN: Tensor, real_N: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean of each expert's logits, and their deviation (without gradient), over what is no padding."""
    share_N = logits_EN.new_ones(logits_EN.shape[1]) if real_N is None else real_N
    share_N = share_N / share_N.sum().clamp_min(1)
    mean_E = logits_EN @ share_N
    variance_E = (logits_EN.detach() - mean_E.detach()[:, None]).square() @ share_N
    return mean_E, variance_E.clamp_min(_LEAST_DEVIATION**2).sqrt()


def shares(chosen_KN: Tensor, experts: int, real_N: Tensor | None) -> Tensor:
    """Share of all choices that went to each expert, shape (E,); padding is weighted away, so that a GPU need not wait."""
    top_k, tokens = chosen_KN.shape
    real_N = torch.ones(tokens, device=chosen_KN.device) if real_N is None else real_N
    chosen_E = real_N.new_zeros(experts).scatter_add_(0, chosen_KN.flatten(), real_N.repeat(top_k))
    return chosen_E / (real_N.sum().clamp_min(1) * top_k)
