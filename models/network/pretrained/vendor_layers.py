"""Parts of transformers' networks behind our interface. They are used as they are: without experts, chunks or tokens before the sound.

Shape suffixes: B utterances, T frames, D model width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from voxmill.manifests.errors import Unavailable
from voxmill.models.common.sound_features import SoundFeatures
from voxmill.models.network.attention import real_mask
from voxmill.models.network.conformer import PrefixTokens
from voxmill.models.network.pretrained.family import Architecture
from voxmill.models.network.route import Route


def vendor() -> Any:
    """The package transformers. Raises Unavailable."""
    try:
        import transformers
    except ImportError:
        raise Unavailable("a pretrained encoder needs transformers: pip install 'voxmill[pretrained]'") from None
    return transformers


def unmasked(network: Architecture, title: str) -> Architecture:
    """The architecture with its own masking and layer drop off. Raises ValueError for adapters of transformers above its layers."""
    if network.get("add_adapter") or network.get("use_intermediate_ffn_before_adapter"):
        raise ValueError(f"this {title} has an adapter above its layers, which is not supported: take a plain one")
    return {**network, "layerdrop": 0.0, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}


class VendorSound:
    """An encoder whose parts are transformers'. See `SoundEncoder`."""

    def __init__(
        self, features: SoundFeatures, dim: int, depth: int, frame_ms: float, front: nn.Module, layers: nn.Module
    ) -> None:
        self.features, self.dim, self.depth, self.frame_ms = features, dim, depth, frame_ms
        self.front, self.layers, self.trails = front, layers, False

    def remembered(self, length_B: Tensor, size: int) -> Tensor:
        """The frames of the utterance."""
        return real_mask(length_B, size)


class VendorLayers(nn.Module):
    """The layers of a vendor's encoder, which take frames and a padding mask. Its buffers become part of the state, so that a checkpoint
    holds them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        keep_buffers(self)

    def forward(
        self, x_BTD: Tensor, length_B: Tensor, route: Route, chunk: int | None = None, prefix: PrefixTokens | None = None
    ) -> Tensor:
        """Frames of the same shape. `route` is ignored. Raises ValueError for chunks and prefix tokens."""
        refuse(chunk, prefix)
        out_BTD: Tensor = self.net(x_BTD, attention_mask=real_mask(length_B, x_BTD.shape[1])).last_hidden_state
        return out_BTD


def refuse(chunk: int | None, prefix: PrefixTokens | None) -> None:
    """Raises ValueError for what this encoder cannot do."""
    if chunk is not None:
        raise ValueError("a pretrained encoder hears whole utterances and cannot stream: leave out `chunk`")
    if prefix is not None:
        raise ValueError(
            "this pretrained encoder takes no tokens before the sound: set model.smoe.guide_token to false, and model.vision.where "
            "to post_encoder"
        )


def keep_buffers(module: nn.Module) -> None:
    """Makes every buffer part of the state dict: those of rotary positions would be lost with a model that is built without memory."""
    for one in module.modules():
        for name, buffer in list(one.named_buffers(recurse=False)):
            one.register_buffer(name, buffer, persistent=True)


def one_by_one(front: Callable[[Tensor], Tensor], wave_BS: Tensor, length_B: Tensor, least: int) -> Tensor:
    """Frames (B, T, D) of waveforms that are heard each by itself: a norm over time would count padding. `least`: samples of one frame."""
    parts = [
        front(_at_least(wave_S[:length], least)[None])[0] for wave_S, length in zip(wave_BS, length_B.tolist(), strict=True)
    ]
    return nn.utils.rnn.pad_sequence(parts, batch_first=True)


def _at_least(wave_S: Tensor, least: int) -> Tensor:
    return nn.functional.pad(wave_S, (0, max(0, least - len(wave_S))))


def convolved(length_B: Tensor, kernels: Sequence[int], strides: Sequence[int]) -> Tensor:
    """Frames left after convolutions without padding, shape (B)."""
    for kernel, stride in zip(kernels, strides, strict=True):
        length_B = (torch.div(length_B - kernel, stride, rounding_mode="floor") + 1).clamp_min(0)
    return length_B


def receptive(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples under one frame of such convolutions."""
    size = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        size = (size - 1) * stride + kernel
    return size


def load_vendor(kind: Any, folder: Path, optional: Sequence[str] = ()) -> nn.Module:
    """A network of transformers' class `kind` from a local folder: safetensors only, float32, no code of the folder's.

    `optional`: parameters that may be missing. Raises ValueError if others are, or if the folder cannot be read.
    """
    try:
        net, found = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, torch_dtype=torch.float32,
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{folder} cannot be loaded: {str(error).partition(chr(10))[0]}") from error
    if missing := sorted(set(found["missing_keys"]) - set(optional)):
        raise ValueError(f"{folder} lacks {missing[0]} and {len(missing) - 1} more: it is no whole {kind.__name__}")
    made: nn.Module = net
    return made
