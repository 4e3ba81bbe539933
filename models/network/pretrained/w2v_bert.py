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
from voxmill.models.network.pretrained.family import Architecture
from voxmill.models.network.pretrained.vendor_encoder import VendorEncoderFamily
from voxmill.models.network.pretrained.vendor_layers import VendorLayers, VendorSound, load_vendor, unmasked, vendor
from voxmill.models.network.pretrained.wave_features import LEAST_VARIANCE, Unspectral
from voxmill.models.network.sound_encoder import SoundEncoder


@dataclass(frozen=True, slots=True)
class StackedFbank(Unspectral):
    """Log mel features of mean 0 and variance 1 in every band of an utterance, stacked: a mask of neighbouring numbers would be no band. See
    `SoundFeatures`."""

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

    def of(self, wave_S: Tensor, generator: Generator | None = None) -> Tensor:
        """Features, shape (T, M); none of an utterance that is too short for two stacks, of which no variance can be taken."""
        single = self.fbank.of(wave_S, generator)
        if len(single) < 2 * self.stack:
            return wave_S.new_zeros(0, self.width)
        single = (single - single.mean(dim=0)) / (single.var(dim=0) + LEAST_VARIANCE).sqrt()
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


class W2vBertFamily(VendorEncoderFamily):
    """Adapter for w2v-BERT 2.0. See `Family`."""

    title, vendor_config = "w2v-BERT", "Wav2Vec2BertConfig"

    def __init__(self, network: Architecture) -> None:
        super().__init__(unmasked(network, self.title))

    def features(self) -> StackedFbank:
        """Stacked log mel features."""
        given = self.network.get("preprocessor", {})
        return StackedFbank(FbankConfig(num_mels=given.get("num_mel_bins", 80)), given.get("stride", 2))

    def encoder(self, feed_forward: Callable[[int], nn.Module], whole: bool) -> SoundEncoder:
        """The network without its heads."""
        net, features = vendor().Wav2Vec2BertModel(self.config()), self.features()
        sizes = (net.config.hidden_size, net.config.num_hidden_layers, features.shift_ms)
        return VendorSound(features, *sizes, *_parts(net))

    def loaded(self, folder: Path) -> tuple[nn.Module, nn.Module]:
        """Front and layers with the values of a folder."""
        return _parts(load_vendor(vendor().Wav2Vec2BertModel, folder, ("masked_spec_embed",)))


def _parts(net: Any) -> tuple[nn.Module, nn.Module]:
    return W2vBertFront(net), VendorLayers(net.encoder)
