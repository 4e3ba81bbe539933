"""Image encoders, which turn a video frame into an embedding: the interface, CLIP, and a small one of our own for experiments.

An image encoder is not part of the speech model and is never trained with it, so each frame is embedded once and cached.
Shape suffixes: F frames, H height, W width, C width of an embedding.
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError
from voxmill.sharding.reader import StoredSample

Image = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

_SMALL = "small_image_encoder.safetensors"


class ImageEncoderConfig(Settings):
    """The image encoder for the video frames of samples."""

    kind: Literal["clip", "small"] = "clip"
    """`clip`: a CLIP of the hub or a folder; `small`: the small encoder that the experiments train."""
    model: str
    """CLIP: a local folder or a hub id. Small: the folder that `SmallImageEncoder.save` wrote."""
    revision: str | None = None
    """Of a hub id; needed there, so that the weights stay the same."""
    frames: int = Field(default=8, ge=1)
    """Frames of a sample at most, spread evenly over those that it has."""

    def load(self) -> ImageEncoder:
        """Loads the encoder. Raises ValueError, or what transformers raises, if the weights are missing or invalid."""
        return SmallImageEncoder.load(self.model) if self.kind == "small" else ClipImageEncoder(self.model, self.revision)


class ImageEncoder(Protocol):
    """An image encoder. Embeddings of different encoders must not be mixed: `name` tells their weights apart.

    >>> class MeanColour:
    ...     dim, name = 3, "mean-colour"
    ...     def embed(self, images):
    ...         return torch.stack([as_tensor(image).mean(dim=(1, 2)) for image in images])
    """

    dim: int
    """Width C of an embedding."""

    @property
    def name(self) -> str:
        """Identifies the weights."""
        ...

    def embed(self, images: Sequence[Image]) -> Tensor:
        """One embedding for each image, in order, shape (F, C)."""
        ...


class SmallImageEncoder(nn.Module):
    """Four strided convolutions and a mean over the image, of any size. For tests and small experiments, which train it
    first."""

    def __init__(self, dim: int = 64, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.dim = dim
        widths = (3, 16, 32, 64, dim)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1) for before, after in pairwise(widths)
        )

    @property
    def name(self) -> str:
        """Holds a digest of the weights: another training is another encoder."""
        blob = b"".join(tensor.detach().cpu().numpy().tobytes() for tensor in self.state_dict().values())
        return f"small-{self.dim}-{hashlib.sha256(blob).hexdigest()[:12]}"

    def save(self, folder: str | Path) -> None:
        """Writes the weights into a folder as safetensors."""
        from safetensors.torch import save_file

        Path(folder).mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, Path(folder) / _SMALL)

    @classmethod
    def load(cls, folder: str | Path) -> SmallImageEncoder:
        """Loads what `save` wrote. Raises ValueError if the folder holds no such weights."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = Path(folder) / _SMALL
        try:
            tensors = load_file(path)
            encoder = cls(len(tensors["layers.3.bias"]))
            encoder.load_state_dict(tensors)
        except (OSError, KeyError, RuntimeError, SafetensorError) as error:
            raise ValueError(f"{path} holds no weights of a small image encoder: {error}") from error
        ready: SmallImageEncoder = encoder.eval()
        return ready

    def forward(self, image_F3HW: Tensor) -> Tensor:
        """Embeddings, shape (F, C), of float images (F, 3, H, W) in [0, 1]."""
        for layer in self.layers:
            image_F3HW = functional.gelu(layer(image_F3HW))
        return image_F3HW.mean(dim=(2, 3))

    @torch.no_grad()
    def embed(self, images: Sequence[Image]) -> Tensor:
        """One embedding for each image, in order, shape (F, C)."""
        if not images:
            return torch.zeros(0, self.dim)
        embedded: Tensor = torch.cat([self(as_tensor(image)[None]) for image in images])
        return embedded


class ClipImageEncoder:
    """The image tower of a CLIP, through transformers, from a local folder or a hub id. Loads safetensors only."""

    def __init__(self, model: str, revision: str | None = None, device: torch.device | str = "cpu", batch: int = 32) -> None:
        """`batch`: images per forward pass. Raises ValueError for a hub id without a revision: its weights could change."""
        if revision is None and not Path(model).is_dir():
            raise ValueError(f"{model} is no local folder: a model of a hub needs a revision, to stay the same")
        from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

        self.name, self.device, self.batch = f"{model}@{revision or 'local'}", device, batch
        self._processor: Any = CLIPImageProcessor.from_pretrained(model, revision=revision)
        self._tower: Any = CLIPVisionModelWithProjection.from_pretrained(model, revision=revision, use_safetensors=True)
        self._tower.to(device).eval()
        self.dim: int = self._tower.config.projection_dim

    @torch.no_grad()
    def embed(self, images: Sequence[Image]) -> Tensor:
        """One embedding for each image, in order, shape (F, C), on the CPU."""
        parts = [torch.zeros(0, self.dim)]
        for start in range(0, len(images), self.batch):
            pixels = self._processor(images=list(images[start : start + self.batch]), return_tensors="pt")["pixel_values"]
            parts.append(self._tower(pixel_values=pixels.to(self.device)).image_embeds.float().cpu())
        return torch.cat(parts)


class FrameEmbedder:
    """Embeds the video frames of stored samples, with a cache. The encoder is loaded when the first frame is needed."""

    def __init__(self, config: ImageEncoderConfig, encoder: ImageEncoder | None = None, name: str | None = None) -> None:
        """`name`: the name that the encoder must have, because a model was trained on its embeddings."""
        self.config, self.name = config, name
        self._encoder = encoder
        self._known: dict[bytes, Tensor] = {}

    def __call__(self, sample: StoredSample) -> Tensor | None:
        """Embeddings of at most `config.frames` frames, shape (F, C); None if the sample has no video or its frames were not
        kept.

        Raises ValueError on bytes that are no JPEG, UserError if the encoder is not the one named.
        """
        if sample.document.get("pictures") is None:
            return None
        if self._encoder is None:
            self._encoder = self.config.load()
            if self.name and self._encoder.name != self.name:
                raise UserError(f"{self.config.model} is {self._encoder.name}, and the model was trained on {self.name}")
        blobs = [sample.pictures[index] for index in spread_over(len(sample.pictures), self.config.frames)]
        keys = [hashlib.sha256(blob).digest() for blob in blobs]
        fresh = {key: blob for key, blob in zip(keys, blobs, strict=True) if key not in self._known}
        if len(self._known) > MAX_CACHED:
            self._known.clear()
            fresh = dict(zip(keys, blobs, strict=True))
        made_NC = self._encoder.embed([decode_jpeg(blob) for blob in fresh.values()])
        self._known |= zip(fresh, made_NC, strict=True)
        return torch.stack([self._known[key] for key in keys]) if keys else made_NC


MAX_CACHED = 200_000
"""Embeddings that the cache holds (400 MB of CLIP's), so that a frame is embedded once and not once an epoch."""


def decode_jpeg(blob: bytes) -> Image:
    """RGB pixels of a JPEG. Raises ValueError on bytes that are none."""
    import av
    import av.error

    decoder: Any = av.CodecContext.create("mjpeg", "r")
    try:
        frames = [*decoder.decode(av.Packet(blob)), *decoder.decode(None)]
    except av.error.FFmpegError as error:
        raise ValueError(f"no JPEG: {error}") from error
    if not frames:
        raise ValueError("no JPEG: nothing in it")
    image: Image = frames[0].to_ndarray(format="rgb24")
    return image


def as_tensor(image: Image) -> Tensor:
    """The image as floats in [0, 1], shape (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255


def spread_over(count: int, most: int) -> list[int]:
    """Indices of at most `most` of `count` frames, spread evenly.

    >>> spread_over(10, 3), spread_over(2, 8), spread_over(0, 8)
    ([1, 5, 8], [0, 1], [])
    """
    taken = min(count, most)
    return [int((index + 0.5) * count / taken) for index in range(taken)]
