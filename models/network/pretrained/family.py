"""What is particular to one kind of pretrained network: the interface of its adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from voxmill.models.common.sound_features import SoundFeatures
from voxmill.models.network.sound_encoder import SoundEncoder

Architecture = Mapping[str, Any]
"""The content of a network's `config.json`, with that of `preprocessor_config.json` under `preprocessor`; of ESPnet's what decides sizes."""
Sizes = dict[str, Any]
"""Fields of `EncoderConfig` or `DecoderConfig`."""
OF_TOKENS = ("decoder.embed.weight", "decoder.out.weight", "decoder.out.bias", "ctc.weight", "ctc.bias")
"""Parameters of our model whose rows are the tokens of its vocabulary."""


class Family(Protocol):
    """The adapter of one kind of network, made for one architecture."""

    takes_experts: bool
    """Whether feed-forward layers of its encoder may be ours, with experts in them."""

    brings_blank: bool
    """Whether the first row of its vocabulary is CTC's blank."""

    def __init__(self, network: Architecture) -> None: ...

    def encoder_sizes(self) -> Sizes:
        """Fields of `EncoderConfig` that the network decides."""
        ...

    def decoder_sizes(self) -> Sizes | None:
        """Fields of `DecoderConfig` that it decides; None: its decoder cannot be used."""
        ...

    def features(self) -> SoundFeatures:
        """What its encoder hears."""
        ...

    def encoder(self, feed_forward: Callable[[int], nn.Module], whole: bool) -> SoundEncoder:
        """Its encoder with first values. `feed_forward` makes the feed-forward layer of a layer, where the family takes experts; `whole`:
        its own decoder stands above. Raises Unavailable if the package that it needs is missing."""
        ...

    def decoder(self, vocabulary: int, feed_forward: Callable[[int], nn.Module]) -> nn.Module:
        """Its decoder with first values, called as our `Decoder`."""
        ...

    def weights(self, folder: Path, parts: frozenset[str]) -> dict[str, Tensor]:
        """The tensors of a folder under the names of our model's parameters; of these parts (`encoder`, `decoder`; with that a CTC head).

        The embeddings of the tokeniser's tokens are under `decoder.embed.weight`, in its order; the blank's is the first if it brings one.
        Raises ValueError if a tensor is missing.
        """
        ...
