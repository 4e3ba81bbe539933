"""How large a model is: what has to be stored, and what one frame or token passes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.smoe import GuidedExperts
from voxmill.models.network.vision import VisualExperts


@dataclass(frozen=True, slots=True)
class ModelSize:
    stored: int
    """Parameters."""
    active: int
    """Of these, the ones that one frame of an utterance without video, or one token, computes with: of routed experts the chosen
    ones, of guided experts the guide's, none of those for video."""


def model_size(model: nn.Module) -> ModelSize:
    stored = _count(model)
    return ModelSize(stored, stored - sum(map(_idle, model.modules())))


def _idle(layer: nn.Module) -> int:
    """Of this layer itself; layers inside it are asked for themselves."""
    if isinstance(layer, ElasticMoE):
        full = layer.config.full
        return (full.experts - full.top_k) * _count(layer.experts[0])
    if isinstance(layer, GuidedExperts):
        return (len(layer.experts) - 1) * _count(layer.experts[0])
    if isinstance(layer, VisualExperts):
        return _count(layer.moe) - _idle(layer.moe)
    return 0


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
