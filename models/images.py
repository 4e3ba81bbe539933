"""What turns a video frame into an embedding: a seam, a small encoder of our own, and CLIP.

An image encoder is not part of the model: it is never trained with it, so a frame's embedding can be made once and kept.
Shape suffixes: F frames, H height, W width, C width of an embedding.
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Image = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""


class ImageEncoder(Protocol):
    """`name` tells which weights: embeddings of different encoders must not be mixed."""

    name: str
    dim: int

    def embed(self, images: Sequence[Image]) -> Tensor:
        """One embedding for each image, in order, shape (F, C)."""
        ...


class SmallImageEncoder(nn.Module):
    """Four strided convolutions and a mean, for images of any size. For tests and small experiments, where it is trained first."""

    def __init__(self, dim: int = 64, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.name, self.dim = f"small-{dim}-{seed}", dim
        widths = (3, 16, 32, 64, dim)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1) for before, after in pairwise(widths)
        )

    def forward(self, image_F3HW: Tensor) -> Tensor:
        """Of float images in [0, 1]; shape (F, C)."""
        for layer in self.layers:
            image_F3HW = functional.gelu(layer(image_F3HW))
        return image_F3HW.mean(dim=(2, 3))

    @torch.no_grad()
    def embed(self, images: Sequence[Image]) -> Tensor:
        if not images:
            return torch.zeros(0, self.dim)
        embedded: Tensor = torch.cat([self(as_tensor(image)[None]) for image in images])
        return embedded


class ClipImages:
    """CLIP's image tower through transformers, from a local folder or a hub id. Only safetensors are loaded."""

    def __init__(self, model: str, revision: str | None = None, device: torch.device | str = "cpu", batch: int = 32) -> None:
        """A hub id needs a revision, so that the weights are always the same ones. Raises ValueError without."""
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
        parts = [torch.zeros(0, self.dim)]
        for start in range(0, len(images), self.batch):
            pixels = self._processor(images=list(images[start : start + self.batch]), return_tensors="pt")["pixel_values"]
            parts.append(self._tower(pixel_values=pixels.to(self.device)).image_embeds.float().cpu())
        return torch.cat(parts)


def as_tensor(image: Image) -> Tensor:
    """Shape (3, H, W), in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255


def spread_over(count: int, most: int) -> list[int]:
    """Which of `count` frames to take, at most `most`, evenly.

    >>> spread_over(10, 3), spread_over(2, 8), spread_over(0, 8)
    ([1, 5, 8], [0, 1], [])
    """
    taken = min(count, most)
    return [int((index + 0.5) * count / taken) for index in range(taken)]
