"""Embeddings of the video frames of a batch: made by an image encoder, read by a model with vision.

Shape suffixes: B utterances, F video frames, C width of an image embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from voxmill.models.common.seeds import Generator


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrames:
    """Embeddings of the video frames of a batch of utterances."""

    embedding_BFC: Tensor
    number_B: Tensor
    """How many frames of each utterance are not padding; 0 for one without video."""

    def to(self, device: torch.device | str) -> VideoFrames:
        """A copy on a device."""
        return VideoFrames(self.embedding_BFC.to(device), self.number_B.to(device))

    def withheld(self, probability: float, generator: Generator) -> VideoFrames | None:
        """Modality dropout: each utterance loses its frames with this probability. None if no utterance keeps any."""
        kept_B = torch.rand(len(self.number_B), generator=generator) >= probability
        number_B = self.number_B * kept_B.to(self.number_B.device)
        return VideoFrames(self.embedding_BFC, number_B) if bool(number_B.any()) else None


def pad_video_frames(rows: Sequence[Tensor | None]) -> VideoFrames | None:
    """Embeddings (F, C) of each utterance, padded to the most frames. None if no utterance has any."""
    seen = [row for row in rows if row is not None and len(row)]
    if not seen:
        return None
    filled = [row if row is not None else seen[0].new_zeros(0, seen[0].shape[1]) for row in rows]
    return VideoFrames(torch.nn.utils.rnn.pad_sequence(filled, batch_first=True), torch.tensor([len(row) for row in filled]))
