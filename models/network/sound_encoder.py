"""The interface of encoders of sound: the Conformer of `conformer.py` is one, those of `pretrained/` are others.

Shape suffixes: B utterances, T frames, P prefix tokens, M numbers of a feature frame, D model width.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from voxmill.models.common.sound_features import SoundFeatures
from voxmill.models.network.attention import real_mask
from voxmill.models.network.conformer import Encoder, EncoderConfig, Subsampling
from voxmill.models.network.layers import ElasticConfig, GuidedConfig, encoder_layers
from voxmill.models.network.vision import VisionConfig


class SoundEncoder(Protocol):
    """An encoder in two parts, between which task vectors are added and other tokens put before the sound.

    `front(feature_BTM, length_B)` is the first frames, shape (B, T', D), and how many of each utterance are no padding.
    `layers(x_BTD, length_B, route, chunk, prefix)` is prefix and frames, shape (B, P + T', D); `chunk` is the size of streaming chunks
    (None: full context), `prefix` the `PrefixTokens` before the sound. It raises ValueError for what it cannot do.
    """

    features: SoundFeatures
    """What it hears."""
    dim: int
    """Width of a frame (D)."""
    depth: int
    """Layers of `layers`."""
    frame_ms: float
    """From frame to frame (ms)."""
    trails: bool
    """Frames of silence follow those of the longest utterance, which nothing above has to read."""
    front: nn.Module
    layers: nn.Module

    def remembered(self, length_B: Tensor, size: int) -> Tensor:
        """Which of `size` frames the decoder may attend to, shape (B, size)."""
        ...


class ConformerSound:
    """Ours: fourfold subsampling of log mel features, and Conformer layers."""

    def __init__(
        self,
        features: SoundFeatures,
        config: EncoderConfig,
        emoe: ElasticConfig | None,
        smoe: GuidedConfig | None,
        vision: VisionConfig | None,
    ) -> None:
        self.features, self.dim, self.depth = features, config.dim, config.layers
        self.frame_ms, self.trails = 4 * features.shift_ms, False
        self.front: nn.Module = Subsampling(features.width, config.dim)
        self.layers: nn.Module = Encoder(config, encoder_layers(config, emoe, smoe, vision))

    def remembered(self, length_B: Tensor, size: int) -> Tensor:
        """The frames of the utterance."""
        return real_mask(length_B, size)
