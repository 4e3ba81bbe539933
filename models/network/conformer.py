"""The encoder: fourfold subsampling and Conformer layers (arXiv 2005.08100), as in WeNet's U2++ but with rotary positions.

Shape suffixes: B utterances, T frames, P prefix tokens, S = P + T, M mel bins, D model width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from voxmill.manifests.config_base import Settings
from voxmill.models.common.features import MIN_FRAMES, num_subsampled
from voxmill.models.network.activation import Activation
from voxmill.models.network.attention import Attention, Rotation, encoder_mask, real_mask, rotation
from voxmill.models.network.route import Route


class EncoderConfig(Settings):
    """The Conformer encoder."""

    layers: int = Field(default=12, ge=1)
    """Conformer layers."""
    dim: int = 256
    """Model width, a multiple of twice `heads`."""
    heads: int = 4
    """Attention heads of a layer."""
    hidden: int = 2048
    """Hidden units of a dense feed-forward layer."""
    kernel: int = 15
    """Kernel of the convolution, in encoder frames (40 ms)."""
    causal: bool = True
    """The convolution sees the past only, which streaming needs."""
    activation: Activation = "silu"
    """Nonlinearity of the feed-forward layers. Filled in with `model.start`, as the other sizes are."""
    dropout: float = 0.1
    """Dropout probability."""


class PrefixTokens(NamedTuple):
    """Tokens before the sound (guide, video frames). Attention and feed-forward layers process them, the convolution does
    not."""

    token_BPD: Tensor
    real_BP: Tensor
    """False on padding."""
    position_BP: Tensor
    """Position of each on the time axis, in encoder frames; may be a fraction."""


class Subsampling(nn.Module):
    """Normalises features, and makes a quarter as many frames of the model's width by two strided convolutions without
    padding."""

    def __init__(self, num_mels: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean_M", torch.zeros(num_mels))
        self.register_buffer("std_M", torch.ones(num_mels))
        self.first = nn.Conv2d(1, dim, kernel_size=3, stride=2)
        self.second = nn.Conv2d(dim, dim, kernel_size=3, stride=2)
        self.out = nn.Linear(dim * num_subsampled(num_mels), dim)

    def forward(self, features_BTM: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """(frames (B, T', D), number of frames of each utterance (B)), with T' = num_subsampled(T)."""
        missing = max(0, MIN_FRAMES - features_BTM.shape[1])
        normal_BTM = functional.pad((features_BTM - self.mean_M) / self.std_M, (0, 0, 0, missing))
        maps = functional.relu(self.second(functional.relu(self.first(normal_BTM[:, None]))))
        return self.out(maps.transpose(1, 2).flatten(2)), subsampled(length_B)


def subsampled(length_B: Tensor) -> Tensor:
    """`num_subsampled` of every length, shape (B)."""
    return torch.div(torch.div(length_B - 1, 2, rounding_mode="floor") - 1, 2, rounding_mode="floor").clamp_min(0)


class Convolution(nn.Module):
    """Conformer's convolution module: gated linear layer, depthwise convolution over time, layer norm, SiLU, linear layer."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.enter = nn.Linear(config.dim, 2 * config.dim)
        self.depthwise = nn.Conv1d(config.dim, config.dim, config.kernel, groups=config.dim)
        self.norm = nn.LayerNorm(config.dim)
        self.leave = nn.Linear(config.dim, config.dim)
        before = config.kernel - 1 if config.causal else (config.kernel - 1) // 2
        self.margins = (before, config.kernel - 1 - before)

    def forward(self, x_BTD: Tensor, real_BT: Tensor) -> Tensor:
        """Output of the same shape; padding counts as zero."""
        x_BTD = functional.glu(self.enter(x_BTD), dim=-1).masked_fill(~real_BT[..., None], 0.0)
        return self._over_time(functional.pad(x_BTD, (0, 0, *self.margins)))

    def step(self, x_BTD: Tensor, past_BKD: Tensor) -> tuple[Tensor, Tensor]:
        """The next frames of a stream, and the past of those after them. `past`: what the last call returned, K = kernel - 1
        frames; zeros at the start."""
        x_BSD = torch.cat([past_BKD, functional.glu(self.enter(x_BTD), dim=-1)], dim=1)
        return self._over_time(x_BSD), x_BSD[:, x_BTD.shape[1] :]

    def _over_time(self, x_BSD: Tensor) -> Tensor:
        mixed_BTD = self.depthwise(x_BSD.transpose(1, 2)).transpose(1, 2)
        out_BTD: Tensor = self.leave(functional.silu(self.norm(mixed_BTD)))
        return out_BTD


class ConformerLayer(nn.Module):
    """Feed-forward (macaron), attention, convolution, feed-forward; each with layer norm before and a residual connection."""

    def __init__(self, config: EncoderConfig, macaron: nn.Module, feed_forward: nn.Module) -> None:
        super().__init__()
        self.macaron, self.feed_forward = macaron, feed_forward
        self.attention = Attention(config.dim, config.heads, config.dropout)
        self.convolution = Convolution(config)
        self.norm_macaron, self.norm_attention, self.norm_convolution, self.norm_feed_forward, self.norm_out = (
            nn.LayerNorm(config.dim) for _ in range(5)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BSD: Tensor, mask_B1SS: Tensor, by: Rotation, real_BT: Tensor, route: Route) -> Tensor:
        """Output of the same shape; `real_BT` is the padding mask of the sound alone."""
        x_BSD = x_BSD + 0.5 * self.dropout(self.macaron(self.norm_macaron(x_BSD), route))
        x_BSD = x_BSD + self.dropout(self.attention(self.norm_attention(x_BSD), mask_B1SS, by))
        prefix_BPD, sound_BTD = x_BSD.split([x_BSD.shape[1] - real_BT.shape[1], real_BT.shape[1]], dim=1)
        sound_BTD = sound_BTD + self.dropout(self.convolution(self.norm_convolution(sound_BTD), real_BT))
        x_BSD = torch.cat([prefix_BPD, sound_BTD], dim=1)
        x_BSD = x_BSD + 0.5 * self.dropout(self.feed_forward(self.norm_feed_forward(x_BSD), route))
        out_BSD: Tensor = self.norm_out(x_BSD)
        return out_BSD

    def step(
        self, x_BTD: Tensor, seen_BPD: Tensor, past_BKD: Tensor, mask_B1TS: Tensor, by: Rotation, route: Route
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next frames of a stream; what its attention may see of earlier ones, with these; the past of its convolution.

        `seen`: normed inputs of the attention, prefix tokens first, as the last call returned them. `mask`, `by`: of all of these
        positions, S = P + T."""
        x_BTD = x_BTD + 0.5 * self.macaron(self.norm_macaron(x_BTD), route)
        heard_BTD = self.norm_attention(x_BTD)
        seen_BSD = torch.cat([seen_BPD, heard_BTD], dim=1)
        x_BTD = x_BTD + self.attention(heard_BTD, mask_B1TS, by, seen_BSD)
        mixed_BTD, past_BKD = self.convolution.step(self.norm_convolution(x_BTD), past_BKD)
        x_BTD = x_BTD + mixed_BTD
        x_BTD = x_BTD + 0.5 * self.feed_forward(self.norm_feed_forward(x_BTD), route)
        return self.norm_out(x_BTD), seen_BSD, past_BKD


class Encoder(nn.Module):
    """Conformer layers over prefix tokens and sound."""

    def __init__(self, config: EncoderConfig, layers: list[ConformerLayer]) -> None:
        super().__init__()
        self.channels = config.dim // config.heads
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x_BTD: Tensor, length_B: Tensor, route: Route, chunk: int | None = None, prefix: PrefixTokens | None = None
    ) -> Tensor:
        """Prefix and frames, shape (B, P + T, D). `chunk`: see `encoder_mask`. `route.real_BT` is filled in here."""
        real_BT = real_mask(length_B, x_BTD.shape[1])
        position_BS = torch.arange(x_BTD.shape[1], device=x_BTD.device)[None]
        real_BS, num_prefix = real_BT, 0
        if prefix is not None:
            num_prefix = prefix.token_BPD.shape[1]
            x_BTD = torch.cat([prefix.token_BPD.to(x_BTD.dtype), x_BTD], dim=1)
            real_BS = torch.cat([prefix.real_BP, real_BT], dim=1)
            position_BS = torch.cat([prefix.position_BP, position_BS.expand(len(x_BTD), -1)], dim=1)
        left = route.left
        route = Route(route.budget, route.guide_B, route.seen_B, real_BS, route.loads)
        mask_B1SS, by = encoder_mask(real_BS, num_prefix, chunk, left), rotation(position_BS, self.channels)
        for layer in self.layers:
            x_BTD = layer(x_BTD, mask_B1SS, by, real_BT, route)
        return x_BTD
