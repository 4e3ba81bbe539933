"""What the adapters of encoders without a usable decoder share, whose networks are transformers' own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from voxmill.models.network.pretrained.family import Architecture, Sizes
from voxmill.models.network.pretrained.vendor_layers import vendor


class VendorEncoderFamily(ABC):
    """An adapter for the encoder alone, without experts in it. See `Family`."""

    takes_experts = False
    brings_blank = False
    title: str
    """What the kind of network is called."""
    vendor_config: str
    """Name of its class of configs in transformers."""

    def __init__(self, network: Architecture) -> None:
        self.network = network

    def encoder_sizes(self) -> Sizes:
        """Width, depth, heads and hidden units."""
        config = self.config()
        return {
            "dim": config.hidden_size, "layers": config.num_hidden_layers, "heads": config.num_attention_heads,
            "hidden": config.intermediate_size, "dropout": config.hidden_dropout, "causal": False,
        }  # fmt: skip

    def decoder_sizes(self) -> Sizes | None:
        """There is no decoder to use."""
        return None

    def decoder(self, vocabulary: int, feed_forward: Callable[[int], nn.Module]) -> nn.Module:
        """Raises ValueError: there is none to use."""
        raise ValueError(f"of {self.title} only the encoder can be started from: set model.start.parts to encoder")

    def weights(self, folder: Path, parts: frozenset[str]) -> dict[str, Tensor]:
        """Its tensors under our names."""
        return {
            f"{part}.{name}": tensor
            for part, module in zip(("frontend", "encoder"), self.loaded(folder), strict=True)
            for name, tensor in module.state_dict().items()
        }

    @abstractmethod
    def loaded(self, folder: Path) -> tuple[nn.Module, nn.Module]:
        """Front and layers with the values of a folder. Raises ValueError if a tensor is missing."""

    def config(self) -> Any:
        """Transformers' config of the network."""
        known = {name: value for name, value in self.network.items() if name != "preprocessor"}
        return getattr(vendor(), self.vendor_config).from_dict(known)
