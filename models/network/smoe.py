"""Supervised mixture of experts (S-MoE): one expert for each kind of input or task, and no gate to learn.

What kind an utterance is, is known: its measured bandwidth in the encoder, the task that its prompt asks for in the decoder.
All frames of an utterance go to one expert, so the active compute is that of a single feed-forward layer.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.route import Route


class GuidedExperts(nn.Module):
    """One feed-forward layer for each guide id."""

    def __init__(self, num_guides: int, dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.experts = nn.ModuleList(FeedForward(dim, hidden, dropout) for _ in range(num_guides))

    def forward(self, x_BTD: Tensor, route: Route, width: int | None = None) -> Tensor:
        """Raises ValueError where the route has no guide ids, or one that no expert has."""
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
        """Every expert becomes a copy of a trained dense layer: the function is the dense one's until training goes on."""
        self.experts = nn.ModuleList(copy.deepcopy(dense) for _ in self.experts)
