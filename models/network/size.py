"""Counts the parameters of a model: those stored, and those active for one frame or token."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from voxmill.models.network.emoe import ElasticMoE
from voxmill.models.network.smoe import GuidedExperts
from voxmill.models.network.vision import VisualExperts


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Numbers of parameters."""

    stored: int
    """All parameters."""
    active: int
    """Parameters that one frame of an utterance without video, or one token, is computed with: of routed experts `top_k`, of
    guided experts one, of the experts for video none."""


def model_size(model: nn.Module) -> ModelSize:
    """Counts the parameters of a model with all of its budget."""
    stored = _count(model)
    return ModelSize(stored, stored - sum(map(_idle, model.modules())))


def _idle(layer: nn.Module) -> int:
    """Inactive parameters of this layer itself, without the layers inside it."""
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
