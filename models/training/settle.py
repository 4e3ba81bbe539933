"""Measures what the routers of a trained model compare logits with, so that it spreads frames as training did.

After "precise" batch normalisation (arXiv 2105.07576): statistics taken while a model still changed, with dropout and augmentation, are those
of another model, and so are those of averaged parameters. What a layer hears depends on the layers before it, so all are settled in one
forward pass, one after the other.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from voxmill.models.data.batch import Batch
from voxmill.models.network.balance import Balancer
from voxmill.models.network.budget import Budget
from voxmill.models.network.model import SpeechModel
from voxmill.models.training.forward import conditions_of, forward


@torch.no_grad()
def settled(model: SpeechModel, batch: Batch | None, budgets: Sequence[Budget]) -> SpeechModel:
    """A copy of a model, in evaluation mode, whose routers are settled for these budgets (none: it has one size) on a batch.

    It depends on the model's parameters alone, and not on how its routers were settled before.
    """
    made: SpeechModel = copy.deepcopy(model).eval()
    balancers = [module for module in made.modules() if isinstance(module, Balancer)]
    if not balancers or not batch:
        return made
    for balancer in balancers:
        balancer.settling = True
    for budget in budgets or (None,):
        forward(made, batch, conditions_of(batch, made.config, budget, None))
    for balancer in balancers:
        balancer.settling = False
    return made
