"""Multi-head attention with rotary positions, and the attention masks.

Shape suffixes: B utterances, T queries, S keys, P prefix tokens, D model width, H heads, C channels of a head.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxmill.models.common.seeds import Generator, integer
from voxmill.models.network.decoder_cache import AttentionCache


class Rotation(NamedTuple):
    """Cosine and sine of every position's angles, shape (B or 1, 1, T, C)."""

    cosine: Tensor
    sine: Tensor


def rotation(position_BT: Tensor, channels: int) -> Rotation:
    """Angles of rotary position embedding (RoFormer, arXiv 2104.09864) for positions (B, T) and heads of `channels` channels.

    Positions may be fractions: a video frame stands between two frames of sound.
    """
    half = torch.arange(0, channels, 2, device=position_BT.device, dtype=torch.float32)
    angle_BTC = position_BT.float()[..., None] * (10_000.0 ** (-half / channels)).repeat(2)
    return Rotation(angle_BTC.cos()[:, None], angle_BTC.sin()[:, None])


def _last(by: Rotation, number: int) -> Rotation:
    """Of the last positions."""
    return Rotation(by.cosine[..., -number:, :], by.sine[..., -number:, :])


def rotate(x_BHTC: Tensor, by: Rotation) -> Tensor:
    """Turns pairs of channels by the angles of their positions."""
    first, second = x_BHTC.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (x_BHTC * by.cosine + turned * by.sine).to(x_BHTC.dtype)


class Attention(nn.Module):
    """Multi-head attention of a sequence to itself, or to another one."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, *, key_bias: bool = True) -> None:
        super().__init__()
        if dim % (2 * heads):
            raise ValueError(
                f"width {dim} must be a multiple of twice the {heads} heads: rotary positions turn pairs of channels"
            )
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim, bias=bias) for bias in (True, key_bias, True, True))

    def forward(
        self,
        x_BTD: Tensor,
        mask_B1TS: Tensor | None,
        by: Rotation | None = None,
        source_BSD: Tensor | None = None,
        cache: AttentionCache | None = None,
    ) -> Tensor:
        """Output of the shape of `x`. `mask`: True where a query may attend to a key; every query needs one; None: all may. `by`:
        rotary angles, for attention to itself. `source`: the other sequence, or, with `by`, `x` and what came before it. `cache`: keys and values of earlier calls, which are
        attended to as well, or of the other sequence, which are computed once."""
        query = self._split(self.query(x_BTD))
        if source_BSD is not None and cache is not None and cache.key_BHSC is not None and cache.value_BHSC is not None:
            key, value = cache.key_BHSC, cache.value_BHSC
        else:
            heard_BSD = x_BTD if source_BSD is None else source_BSD
            key, value = self._split(self.key(heard_BSD)), self._split(self.value(heard_BSD))
            if by is not None:
                query, key = rotate(query, by if source_BSD is None else _last(by, x_BTD.shape[1])), rotate(key, by)
            if cache is not None:
                key, value = cache.grown(key, value)
        dropout = self.dropout if self.training else 0.0
        out_BHTC = functional.scaled_dot_product_attention(query, key, value, mask_B1TS, dropout_p=dropout)
        out_BTD: Tensor = self.out(out_BHTC.transpose(1, 2).flatten(2))
        return out_BTD

    def _split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def real_mask(length_B: Tensor, size: int) -> Tensor:
    """True on positions that are not padding, shape (B, size)."""
    return torch.arange(size, device=length_B.device)[None] < length_B[:, None]


def encoder_mask(real_BS: Tensor, num_prefix: int, chunk: int | None, left: int | None = None) -> Tensor:
    """Attention mask (B, 1, S, S) of prefix tokens followed by frames: a frame sees its own chunk and those before it, of which
    `left`, if given, bounds how many frames before the chunk.

    All frames see the prefix. With chunks the prefix sees only itself, or frames would learn of later ones through it. Padding
    sees itself, so that no row is empty.
    """
    index_S = torch.arange(real_BS.shape[1], device=real_BS.device)
    part_S = torch.zeros_like(index_S)
    if chunk is not None:
        part_S = torch.div(index_S - num_prefix, chunk, rounding_mode="floor").clamp_min(-1)  # the prefix is part -1
    look_SS = part_S[None, :] <= part_S[:, None]
    if chunk is not None and left is not None:
        oldest_S = part_S * chunk + num_prefix - left
        look_SS &= (index_S[None, :] >= oldest_S[:, None]) | (part_S[None, :] == -1)
    itself_SS = index_S[None, :] == index_S[:, None]
    return ((look_SS & real_BS[:, None, :]) | itself_SS)[:, None]


def past_mask(size: int, device: torch.device, before: int = 0) -> Tensor:
    """Causal mask (1, 1, U, before + U): a token sees itself and those before it, of which `before` came in earlier calls."""
    index_S = torch.arange(before + size, device=device)
    return (index_S[None, :] <= index_S[before:, None])[None, None]


def sample_chunk(num_frames: int, generator: Generator) -> int | None:
    """A chunk size (encoder frames) drawn as in U2++: full context (None) half of the time, else 1 to 25 frames (1 s)."""
    drawn = integer(generator, 1, max(1, num_frames - 1))
    return None if drawn > num_frames / 2 else drawn % 25 + 1
