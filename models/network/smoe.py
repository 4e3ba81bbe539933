"""Supervised mixture of experts (S-MoE, arXiv 2508.10009): one expert for each kind of input or task, with no gate to learn.

The guide id of an utterance is known beforehand: its measured bandwidth in the encoder, the task of its prompt in the decoder.
All frames of an utterance go to one expert, so the compute is that of a single feed-forward layer. The paper's abstract says
what guides what; that the encoder has experts by bandwidth and the decoder by task is our reading.

Shape suffixes: B utterances, T positions, R utterances of one guide, D model width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from voxmill.models.network.activation import Activation
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.route import Route


class GuidedExperts(nn.Module):
    """One feed-forward layer for each guide id."""

    def __init__(self, num_guides: int, dim: int, hidden: int, dropout: float = 0.0, activation: Activation = "silu") -> None:
        super().__init__()
        self.experts = nn.ModuleList(FeedForward(dim, hidden, dropout, activation) for _ in range(num_guides))

    def forward(self, x_BTD: Tensor, route: Route, width: int | None = None) -> Tensor:
        """Output of the same shape. Raises ValueError if the route has no guide ids, or one that no expert has."""
        if route.guide_B is None:
            raise ValueError("guided experts need a guide id for every utterance: its bandwidth, or its task")
        out_BTD = torch.zeros_like(x_BTD)
        served = 0
        for guide, expert in enumerate(self.experts):
            (row_R,) = torch.where(route.guide_B == guide)
            out_BTD = out_BTD.index_add(0, row_R, expert(x_BTD[row_R], route, width).to(out_BTD.dtype))
            served += len(row_R)
        if served != len(x_BTD) and not torch.jit.is_tracing():
            raise ValueError(f"guide ids are 0 to {len(self.experts) - 1}, not {route.guide_B.tolist()}")
        return out_BTD

    def upcycle(self, dense: FeedForward) -> None:
        """Makes every expert a copy of a trained dense layer, so that the layer computes what that one did."""
        self.experts = nn.ModuleList(copy.deepcopy(dense) for _ in self.experts)
