"""OWSM v3.1's encoder (arXiv 2401.16658) of our own modules: E-Branchformer layers (arXiv 2210.00077) over a window of 30 s.

A layer hears in two branches beside each other, self-attention and an MLP that a convolution gates, and merges them with another convolution;
a feed-forward layer stands before and one behind. Checked against ESPnet's modules by `make check-start`. Shape suffixes: B utterances, T
feature frames and then frames, P prefix tokens, S = P + T, M mel bins, D model width, C channels.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxmill.models.network.attention import Attention, real_mask
from voxmill.models.network.conformer import PrefixTokens
from voxmill.models.network.pretrained.owsm_features import FLOOR, OwsmFeatures
from voxmill.models.network.pretrained.vendor_layers import convolved
from voxmill.models.network.pretrained.window_sound import check_window, entered
from voxmill.models.network.route import Route

NORM_EPSILON = 1e-12
"""What ESPnet's layer norms add to the variance."""


def sinusoids(places: int, dim: int) -> Tensor:
    """Positions as sines and cosines by turns (arXiv 1706.03762), shape (places, D)."""
    rate_C = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))
    angle_TC = torch.arange(places, dtype=torch.float32)[:, None] * rate_C
    return torch.stack([angle_TC.sin(), angle_TC.cos()], dim=-1).flatten(1)


@dataclass(frozen=True, slots=True)
class BranchSizes:
    """Sizes of an E-Branchformer layer."""

    dim: int
    heads: int
    gate_hidden: int
    """Channels of the gated MLP; half of them gate the other half."""
    gate_kernel: int
    merge_kernel: int
    dropout: float
    attention_dropout: float


class ConvolvedFront(nn.Module):
    """Fills the window with silence, normalises, makes fewer frames by two-dimensional convolutions, and adds positions."""

    def __init__(self, features: OwsmFeatures, dim: int, dropout: float) -> None:
        super().__init__()
        self.features = features
        assert features.longest is not None
        mels = features.num_mels
        self.register_buffer("mean_M", torch.zeros(mels))
        self.register_buffer("std_M", torch.ones(mels))
        self.convolutions = nn.ModuleList()
        for index, (kernel, stride) in enumerate(features.convolutions):
            self.convolutions.append(nn.Conv2d(dim if index else 1, dim, kernel, stride))
            mels = (mels - kernel) // stride + 1
        self.out = nn.Linear(dim * mels, dim)
        self.register_buffer("place_TD", sinusoids(features.num_encoded(features.longest), dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, feature_BTM: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """(frames (B, T', D) of the whole window, number of those of each utterance (B)). Raises ValueError if it is longer than the window."""
        size = self.features.longest
        assert size is not None
        check_window(feature_BTM, size)
        whole_BTM = functional.pad(feature_BTM, (0, 0, 0, size - feature_BTM.shape[1]))
        whole_BTM = whole_BTM.masked_fill(~real_mask(length_B, size)[..., None], math.log(FLOOR))
        maps = ((whole_BTM - self.mean_M) / self.std_M)[:, None]
        for convolution in self.convolutions:
            maps = functional.relu(convolution(maps))
        x_BTD = self.out(maps.transpose(1, 2).flatten(2))
        kernels, strides = zip(*self.features.convolutions, strict=True)
        return self.dropout(x_BTD * math.sqrt(x_BTD.shape[-1]) + self.place_TD), convolved(length_B, kernels, strides)


class GatedMLP(nn.Module):
    """Linear layer, GELU, half of the channels convolved over time and multiplied with the other half, linear layer (cgMLP, arXiv
    2207.02971)."""

    def __init__(self, sizes: BranchSizes) -> None:
        super().__init__()
        half, kernel = sizes.gate_hidden // 2, sizes.gate_kernel
        self.enter = nn.Linear(sizes.dim, 2 * half)
        self.norm = nn.LayerNorm(half, NORM_EPSILON)
        self.depthwise = nn.Conv1d(half, half, kernel, padding=(kernel - 1) // 2, groups=half)
        self.leave = nn.Linear(half, sizes.dim)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x_BSD: Tensor, num_prefix: int) -> Tensor:
        """Output of the same shape."""
        kept_BSC, gate_BSC = functional.gelu(self.enter(x_BSD)).chunk(2, dim=-1)
        gate_BSC = over_time(self.depthwise, self.norm(gate_BSC), num_prefix)
        out_BSD: Tensor = self.leave(self.dropout(kept_BSC * gate_BSC))
        return out_BSD


def over_time(convolution: nn.Module, x_BSC: Tensor, num_prefix: int) -> Tensor:
    """Frames convolved over time; each prefix token by itself, since it is no moment of the sound."""
    sound_BTC = convolution(x_BSC[:, num_prefix:].transpose(1, 2)).transpose(1, 2)
    if not num_prefix:
        return sound_BTC
    alone = convolution(x_BSC[:, :num_prefix].flatten(0, 1)[..., None])
    return torch.cat([alone[..., 0].unflatten(0, (len(x_BSC), num_prefix)), sound_BTC], dim=1)


class BranchLayer(nn.Module):
    """Feed-forward (macaron), both branches and their merge, feed-forward; each with layer norm before and a residual connection."""

    def __init__(self, sizes: BranchSizes, macaron: nn.Module, feed_forward: nn.Module) -> None:
        super().__init__()
        self.macaron, self.feed_forward = macaron, feed_forward
        self.attention = Attention(sizes.dim, sizes.heads, sizes.attention_dropout)
        self.gated = GatedMLP(sizes)
        both, kernel = 2 * sizes.dim, sizes.merge_kernel
        self.depthwise = nn.Conv1d(both, both, kernel, padding=(kernel - 1) // 2, groups=both)
        self.merge = nn.Linear(both, sizes.dim)
        self.norm_macaron, self.norm_attention, self.norm_gated, self.norm_feed_forward, self.norm_out = (
            nn.LayerNorm(sizes.dim, NORM_EPSILON) for _ in range(5)
        )
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x_BSD: Tensor, mask_B11S: Tensor | None, num_prefix: int, route: Route) -> Tensor:
        """Output of the same shape."""
        x_BSD = x_BSD + 0.5 * self.dropout(self.macaron(self.norm_macaron(x_BSD), route))
        attended_BSD = self.dropout(self.attention(self.norm_attention(x_BSD), mask_B11S))
        gated_BSD = self.dropout(self.gated(self.norm_gated(x_BSD), num_prefix))
        both_BSC = torch.cat([attended_BSD, gated_BSD], dim=-1)
        both_BSC = both_BSC + over_time(self.depthwise, both_BSC, num_prefix)
        x_BSD = x_BSD + self.dropout(self.merge(both_BSC))
        x_BSD = x_BSD + 0.5 * self.dropout(self.feed_forward(self.norm_feed_forward(x_BSD), route))
        out_BSD: Tensor = self.norm_out(x_BSD)
        return out_BSD


class BranchLayers(nn.Module):
    """The layers over a window, prefix tokens before it; and a last layer norm."""

    def __init__(self, sizes: BranchSizes, feed_forwards: list[tuple[nn.Module, nn.Module]]) -> None:
        """`feed_forwards`: the one before and the one behind of each layer."""
        super().__init__()
        self.layers = nn.ModuleList(BranchLayer(sizes, *pair) for pair in feed_forwards)
        self.norm = nn.LayerNorm(sizes.dim, NORM_EPSILON)

    def forward(
        self, x_BTD: Tensor, length_B: Tensor, route: Route, chunk: int | None = None, prefix: PrefixTokens | None = None
    ) -> Tensor:
        """Prefix and frames of the window, shape (B, P + T, D). Raises ValueError for chunks."""
        x_BSD, mask_B11S, route = entered(x_BTD, length_B, route, chunk, prefix)
        num_prefix = x_BSD.shape[1] - x_BTD.shape[1]
        for layer in self.layers:
            x_BSD = layer(x_BSD, mask_B11S, num_prefix, route)
        out_BSD: Tensor = self.norm(x_BSD)
        return out_BSD
