"""wav2vec 2.0 and XLS-R (arXiv 2006.11477, 2111.09296): the encoder, through transformers.

It hears 16 kHz samples and makes a frame of 20 ms. Its masking in training (SpecAugment on frames) and its layer drop are off: augmentation
is the loader's. Shape suffixes: B utterances, S samples, T frames, D model width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from voxmill.models.network.pretrained.family import Architecture
from voxmill.models.network.pretrained.vendor_encoder import VendorEncoderFamily
from voxmill.models.network.pretrained.vendor_layers import (
    VendorLayers,
    VendorSound,
    convolved,
    load_vendor,
    one_by_one,
    receptive,
    unmasked,
    vendor,
)
from voxmill.models.network.pretrained.wave_features import WaveFeatures, wave_features
from voxmill.models.network.sound_encoder import SoundEncoder


class Wav2Vec2Front(nn.Module):
    """Convolutions over samples, and a projection to the model's width."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.extractor, self.projection = net.feature_extractor, net.feature_projection
        self.extractor._requires_grad = False  # else it asks for a gradient of the sound itself, through all that is frozen
        self.kernels, self.strides = net.config.conv_kernel, net.config.conv_stride
        self.alone = net.config.feat_extract_norm == "group"

    def forward(self, feature_BS1: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """(frames (B, T, D), number of frames of each utterance (B))."""
        least, wave_BS = receptive(self.kernels, self.strides), feature_BS1[..., 0]
        if self.alone:
            x_BTD = one_by_one(self._convolve, wave_BS, length_B, least)
        else:
            x_BTD = self._convolve(nn.functional.pad(wave_BS, (0, max(0, least - wave_BS.shape[1]))))
        return self.projection(x_BTD)[0], convolved(length_B, self.kernels, self.strides)

    def _convolve(self, wave_BS: Tensor) -> Tensor:
        x_BTC: Tensor = self.extractor(wave_BS).transpose(1, 2)
        return x_BTC


class Wav2Vec2Family(VendorEncoderFamily):
    """Adapter for wav2vec 2.0, XLSR and XLS-R. See `Family`."""

    title, vendor_config = "wav2vec 2.0", "Wav2Vec2Config"

    def __init__(self, network: Architecture) -> None:
        super().__init__(unmasked(network, self.title))

    def features(self) -> WaveFeatures:
        """Samples, normalised where its preprocessor says so."""
        config = self.config()
        normal = self.network.get("preprocessor", {}).get("do_normalize", True)
        return wave_features(config.conv_kernel, config.conv_stride, normal=normal)

    def encoder(self, feed_forward: Callable[[int], nn.Module], whole: bool) -> SoundEncoder:
        """The network without its heads."""
        net = vendor().Wav2Vec2Model(self.config())
        config, features = net.config, self.features()
        sizes = (config.hidden_size, config.num_hidden_layers, features.shift_ms * math.prod(config.conv_stride))
        return VendorSound(features, *sizes, *_parts(net))

    def loaded(self, folder: Path) -> tuple[nn.Module, nn.Module]:
        """Front and layers with the values of a folder."""
        return _parts(load_vendor(vendor().Wav2Vec2Model, folder, ("masked_spec_embed",)))


def _parts(net: Any) -> tuple[nn.Module, nn.Module]:
    return Wav2Vec2Front(net), VendorLayers(net.encoder)
