"""Moonshine (arXiv 2410.15608): the encoder, through transformers.

It hears 16 kHz samples, makes a frame of 24 ms (384 samples), and turns its queries and keys by their positions. Shape suffixes: B
utterances, S samples, T frames, D model width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxmill.models.network.attention import real_mask
from voxmill.models.network.conformer import PrefixTokens
from voxmill.models.network.pretrained.family import Sizes
from voxmill.models.network.pretrained.vendor_encoder import VendorEncoderFamily
from voxmill.models.network.pretrained.vendor_layers import (
    VendorSound,
    convolved,
    keep_buffers,
    load_vendor,
    one_by_one,
    receptive,
    refuse,
    vendor,
)
from voxmill.models.network.pretrained.wave_features import WaveFeatures, wave_features
from voxmill.models.network.route import Route
from voxmill.models.network.sound_encoder import SoundEncoder

_KERNELS, _STRIDES = (127, 7, 3), (64, 3, 2)
"""Of its three convolutions, the same in every size."""
_FRAME_MS = 24.0


class MoonshineFront(nn.Module):
    """Three convolutions over samples. A norm over the whole utterance stands between them, so that each is heard by itself."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.conv1, self.groupnorm, self.conv2, self.conv3 = net.conv1, net.groupnorm, net.conv2, net.conv3

    def forward(self, feature_BS1: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """(frames (B, T, D), number of frames of each utterance (B))."""
        x_BTD = one_by_one(self._convolve, feature_BS1[..., 0], length_B, receptive(_KERNELS, _STRIDES))
        return x_BTD, convolved(length_B, _KERNELS, _STRIDES)

    def _convolve(self, wave_BS: Tensor) -> Tensor:
        x_BDT = self.groupnorm(torch.tanh(self.conv1(wave_BS[:, None])))
        x_BDT = functional.gelu(self.conv3(functional.gelu(self.conv2(x_BDT))))
        return x_BDT.transpose(1, 2)


class MoonshineLayers(nn.Module):
    """Its Transformer layers."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.rotary, self.layers, self.norm = net.rotary_emb, net.layers, net.layer_norm
        keep_buffers(self)

    def forward(
        self, x_BTD: Tensor, length_B: Tensor, route: Route, chunk: int | None = None, prefix: PrefixTokens | None = None
    ) -> Tensor:
        """Frames of the same shape. `route` is ignored. Raises ValueError for chunks and prefix tokens."""
        refuse(chunk, prefix)
        size = x_BTD.shape[1]
        itself_TT = torch.eye(size, dtype=torch.bool, device=x_BTD.device)  # no row without any key, which would be NaN
        mask_B1TT = (real_mask(length_B, size)[:, None] | itself_TT)[:, None]
        positions_1T = torch.arange(size, device=x_BTD.device)[None]
        angles = self.rotary(x_BTD, positions_1T)
        for layer in self.layers:
            x_BTD = layer(x_BTD, attention_mask=mask_B1TT, position_ids=positions_1T, position_embeddings=angles)
        out_BTD: Tensor = self.norm(x_BTD)
        return out_BTD


class MoonshineFamily(VendorEncoderFamily):
    """Adapter for Moonshine. See `Family`."""

    title, vendor_config = "Moonshine", "MoonshineConfig"

    def encoder_sizes(self) -> Sizes:
        """Width, depth, heads and hidden units of the encoder, which its config names apart."""
        config = self.config()
        return {
            "dim": config.hidden_size, "layers": config.encoder_num_hidden_layers, "heads": config.encoder_num_attention_heads,
            "hidden": config.intermediate_size, "dropout": config.attention_dropout, "causal": False,
        }  # fmt: skip

    def features(self) -> WaveFeatures:
        """Samples as they are."""
        return wave_features(_KERNELS, _STRIDES, normal=self.network.get("preprocessor", {}).get("do_normalize", False))

    def encoder(self, feed_forward: Callable[[int], nn.Module], whole: bool) -> SoundEncoder:
        """The encoder."""
        config = self.config()
        sizes = (config.hidden_size, config.encoder_num_hidden_layers, _FRAME_MS)
        return VendorSound(self.features(), *sizes, *_parts(vendor().MoonshineModel(config)))

    def loaded(self, folder: Path) -> tuple[nn.Module, nn.Module]:
        """Front and layers with the values of a folder."""
        return _parts(load_vendor(vendor().MoonshineModel, folder))


def _parts(net: Any) -> tuple[nn.Module, nn.Module]:
    net.config._attn_implementation = "sdpa"  # whose mask is one of truth values, as ours is
    return MoonshineFront(net.encoder), MoonshineLayers(net.encoder)
