"""LoRA (arXiv 2106.09685): small trained matrices beside the linear layers of frozen parts, through the library peft.

Elastic experts get none: they compute with the leading part of their matrices, and are no frozen part.
"""

# mypy: allow-untyped-decorators
from __future__ import annotations

import re
from typing import Any

import torch
from pydantic import Field
from torch import nn

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import Unavailable
from voxmill.models.network.emoe import ElasticMoE

_ADDED = ".lora_"
"""In the names of all parameters that are added."""


class LoraConfig(Settings):
    """Small trained matrices beside the linear layers of frozen parts (LoRA). They are stored in the checkpoint and merged by `voxmill export`."""

    below: tuple[str, ...] = Field(min_length=1)
    """Whose linear layers get them, by the beginnings of their names, as in `freeze`, where they are listed too: `encoder`, …"""
    rank: int = Field(default=8, ge=1)
    """Rank of what is added to a matrix."""
    alpha: float = Field(default=16.0, gt=0)
    """What is added is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout probability of their input."""


def is_below(prefix: str, name: str) -> bool:
    """Whether a name is a prefix, or that of something below it.

    >>> [is_below("encoder.layers.1", name) for name in ("encoder.layers.1.norm.bias", "encoder.layers.10.norm.bias")]
    [True, False]
    """
    prefix = prefix.rstrip(".")
    return name == prefix or name.startswith(f"{prefix}.")


def is_lora(name: str) -> bool:
    """Whether a parameter is one of those that are added."""
    return _ADDED in name


def add_lora(model: nn.Module, config: LoraConfig) -> None:
    """Adds the matrices to a model; it computes the same until they are trained. Raises ValueError if a prefix is the beginning of no linear
    layer's name, Unavailable without peft."""
    try:
        import peft
    except ImportError:
        raise Unavailable("model.start.lora needs peft: pip install 'voxmill[pretrained]'") from None
    names = [name for name, layer in _outside_experts(model) if isinstance(layer, nn.Linear)]
    for prefix in config.below:
        if not any(is_below(prefix, name) for name in names):
            raise ValueError(f"model.start.lora.below: no linear layer's name begins with {prefix!r}")
    wanted = [name for name in names if any(is_below(prefix, name) for prefix in config.below)]
    learnt = {id(parameter): parameter.requires_grad for parameter in model.parameters()}
    for part, child in model.named_children():
        if inside := [name.removeprefix(f"{part}.") for name in wanted if name.startswith(f"{part}.")]:
            exactly = "|".join(map(re.escape, inside))
            given = peft.LoraConfig(r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=exactly)
            peft.inject_adapter_in_model(given, child)
    for parameter in model.parameters():  # peft has switched off all that is not its own
        parameter.requires_grad_(learnt.get(id(parameter), True))


@torch.no_grad()
def merge_lora(model: nn.Module) -> None:
    """Adds the products of the matrices to the layers that they stand beside, and takes them away."""
    for name, layer in list(model.named_modules()):
        if hasattr(layer, "lora_A") and hasattr(layer, "get_base_layer"):
            merged: Any = layer
            merged.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, merged.get_base_layer())


def _outside_experts(module: nn.Module, name: str = "") -> list[tuple[str, nn.Module]]:
    """Modules with their names, without what is in elastic layers."""
    found = [(name, module)]
    for own, child in module.named_children():
        if not isinstance(child, ElasticMoE):
            found += _outside_experts(child, f"{name}.{own}" if name else own)
    return found
