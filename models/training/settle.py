"""Measures what the routers of a trained model compare logits with, so that it spreads frames as training did.

After "precise" batch normalisation (arXiv 2105.07576): statistics taken while a model still changed, with dropout and augmentation, are those
of another model, and so are those of averaged parameters. A layer's input depends on the layers before it, so measuring is repeated.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from voxmill.models.data.batch import Batch
from voxmill.models.network.budget import Budget
from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.model import SpeechModel
from voxmill.models.network.route import ExpertLoad
from voxmill.models.training.data_parallel import RankGroup
from voxmill.models.training.expert_load import MeanLoad, mean_loads
from voxmill.models.training.forward import conditions_of, forward

_MEASURED, _LEANT = 3, 6
"""Rounds in which statistics are measured, and then in which the bias takes away what unevenness is left."""
_RATE = 0.1
"""Largest first step of the bias, in standard deviations; the later ones shrink with the root of their number."""


@torch.no_grad()
def settled(model: SpeechModel, batches: Sequence[Batch], budgets: Sequence[Budget]) -> SpeechModel:
    """A copy of a model, in evaluation mode, whose routers are settled for these budgets (none: it has one size) on these batches.

    It depends on the model's parameters alone, and not on how its routers were settled before.
    """
    made: SpeechModel = copy.deepcopy(model).eval()
    layers = [layer for layer in made.modules() if isinstance(layer, ElasticMoE) and layer.router.balancer is not None]
    if not layers or not batches:
        return made
    for layer in layers:
        layer.router.balancer.bias_MM.zero_()  # type: ignore[union-attr]
    for budget in budgets or (None,):
        for turn in range(_MEASURED + _LEANT):
            for layer in layers:
                layer.router.train(turn == 0)  # at first with what the call itself says
            for load in _loads(made, layers, batches, budget):
                balancer = load.layer.router.balancer
                assert balancer is not None
                if turn < _MEASURED:
                    balancer.measure(load.mean_E, load.square_E)
                else:
                    balancer.lean(load.share_E, _RATE / (turn - _MEASURED + 1) ** 0.5)
    return made


def _loads(model: SpeechModel, layers: Sequence[ElasticMoE], batches: Sequence[Batch], budget: Budget | None) -> list[MeanLoad]:
    loads: list[ExpertLoad] = []
    for batch in batches:
        forward(model, batch, conditions_of(batch, model.config, budget, None, loads))
    return mean_loads(layers, (load for load in loads if load.layer in layers), RankGroup())
