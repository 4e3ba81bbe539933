"""w2v-BERT 2.0 (SeamlessM4T v2, arXiv 2312.05187): the encoder, through transformers.

It hears Kaldi's log mel features, normalised for each utterance, two frames stacked to one of 20 ms. Shape suffixes: B utterances, S
samples, T frames, M numbers of a feature frame, D model width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from voxmill.models.common.features import FbankConfig
from voxmill.models.common.seeds import Generator
from voxmill.models.network.pretrained.family import Architecture, Sizes
from voxmill.models.network.pretrained.vendor_layers import VendorLayers, VendorSound, load_vendor, vendor
from voxmill.models.network.sound_encoder import SoundEncoder

_LEAST_VARIANCE = 1e-7
"""Added to the variance before it divides, as in transformers."""


@dataclass(frozen=True, slots=True)
class StackedFbank:
    """Log mel features of mean 0 and variance 1 in every band of an utterance, stacked. See `SoundFeatures`."""

    fbank: FbankConfig
    stack: int

    @property
    def width(self) -> int:
        """Bands of all frames of a stack."""
        return self.stack * self.fbank.num_mels

    @property
    def shift_ms(self) -> float:
        """From stack to stack."""
        return self.stack * self.fbank.shift_ms

    @property
    def spectral(self) -> bool:
        """Two spectra in one: a mask of neighbouring numbers would be no band."""
        return False

    @property
    def longest(self) -> int | None:
        """Utterances of any length are heard."""
        return None

    def of(self, wave_S: Tensor, generator: Generator | None = None) -> Tensor:
        """Features, shape (T, M); none of an utterance that is too short for two stacks, of which no variance can be taken."""
        single = self.fbank.of(wave_S, generator)
        if len(single) < 2 * self.stack:
            return wave_S.new_zeros(0, self.width)
        single = (single - single.mean(dim=0)) / (single.var(dim=0) + _LEAST_VARIANCE).sqrt()
        return single[: len(single) // self.stack * self.stack].reshape(-1, self.width)

    def num_encoded(self, length: int) -> int:
        """A frame for each stack."""
        return length


class W2vBertFront(nn.Module):
    """The projection of features to the model's width."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.projection = net.feature_projection

    def forward(self, feature_BTM: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """(frames (B, T, D), number of frames of each utterance (B))."""
        return self.projection(feature_BTM)[0], length_B


class W2vBertFamily:
    """Adapter for w2v-BERT 2.0. See `Family`."""

    takes_experts = False

    def __init__(self, network: Architecture) -> None:
        if network.get("add_adapter") or network.get("use_intermediate_ffn_before_adapter"):
            raise ValueError("this w2v-BERT has an adapter above its layers, which is not supported: take a plain one")
        self.network = {**network, "layerdrop": 0.0, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}

    def encoder_sizes(self) -> Sizes:
        """Width, depth and heads."""
        config = self._config()
        return {
            "dim": config.hidden_size, "layers": config.num_hidden_layers, "heads": config.num_attention_heads,
            "hidden": config.intermediate_size, "dropout": config.hidden_dropout, "causal": False,
        }  # fmt: skip

    def decoder_sizes(self) -> Sizes | None:
        """It has no decoder."""
        return None

    def features(self) -> StackedFbank:
        """Stacked log mel features."""
        given = self.network.get("preprocessor", {})
        return StackedFbank(FbankConfig(num_mels=given.get("num_mel_bins", 80)), given.get("stride", 2))

    def encoder(self, feed_forward: Callable[[int], nn.Module], whole: bool) -> SoundEncoder:
        """The network without its heads."""
        net, features = vendor().Wav2Vec2BertModel(self._config()), self.features()
        sizes = (net.config.hidden_size, net.config.num_hidden_layers, features.shift_ms)
        return VendorSound(features, *sizes, W2vBertFront(net), VendorLayers(net.encoder))

    def decoder(self, vocabulary: int, feed_forward: Callable[[int], nn.Module]) -> nn.Module:
        """Raises ValueError: it has none."""
        raise ValueError("w2v-BERT has no decoder: set model.start.parts to encoder")

    def weights(self, folder: Path, parts: frozenset[str]) -> dict[str, Tensor]:
        """Its tensors under our names."""
        net: Any = load_vendor(vendor().Wav2Vec2BertModel, folder, ("masked_spec_embed",))
        return {
            **{f"frontend.{name}": tensor for name, tensor in W2vBertFront(net).state_dict().items()},
            **{f"encoder.{name}": tensor for name, tensor in VendorLayers(net.encoder).state_dict().items()},
        }

    def _config(self) -> Any:
        known = {name: value for name, value in self.network.items() if name != "preprocessor"}
        return vendor().Wav2Vec2BertConfig.from_dict(known)
