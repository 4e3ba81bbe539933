"""How evenly a training step used the experts, on all ranks, and their balancing after it.

Shape suffixes: L layers with experts, M the most experts of one, E experts of a budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.route import ExpertLoad
from voxmill.models.training.data_parallel import RankGroup


@dataclass(frozen=True, slots=True, eq=False)
class MeanLoad:
    """The load of one layer under budgets of as many experts, averaged over the calls of a step. See `ExpertLoad`."""

    layer: ElasticMoE
    share_E: Tensor


def mean_loads(layers: Sequence[ElasticMoE], loads: Iterable[ExpertLoad], ranks: RankGroup) -> list[MeanLoad]:
    """The mean loads over the calls of a step on all ranks, for each layer and number of experts that was called."""
    if not layers:
        return []
    most = max(layer.config.experts for layer in layers)
    place = {layer: index for index, layer in enumerate(layers)}
    sums_LMM = torch.zeros(len(layers), most, most, device=layers[0].router.gate.weight.device)
    for load in loads:
        size = len(load.share_E)
        sums_LMM[place[load.layer], size - 1, :size] += load.share_E
    found = []
    for layer, of_layer in zip(layers, ranks.sum(sums_LMM), strict=True):
        calls = of_layer.sum(dim=1)  # the shares of a call sum to 1
        for size in (calls.nonzero().flatten() + 1).tolist():
            found.append(MeanLoad(layer, of_layer[size - 1, :size] / calls[size - 1]))
    return found


def balance(loads: Iterable[MeanLoad], rate: float) -> None:
    """Adjusts the layers that are balanced without a loss, unless they are frozen."""
    for load in loads:
        router = load.layer.router
        if router.balancer is not None and router.gate.weight.requires_grad:
            router.balancer.lean(load.share_E, rate)


def expert_peak(loads: Iterable[MeanLoad]) -> float | None:
    """Load of the most used expert divided by the mean load, in the worst layer and budget; None without experts."""
    return max((float(load.share_E.max()) * len(load.share_E) for load in loads), default=None)
