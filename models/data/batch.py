"""Examples side by side: what a training step gets.

Shape suffixes: B utterances, T feature frames, M mel bins, U tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from voxmill.manifests.records import Bandwidth
from voxmill.models.common.guides import BANDWIDTHS
from voxmill.models.common.seeds import Generator
from voxmill.models.common.tasks import IGNORE, Task
from voxmill.models.common.tokenizer import BLANK, EOT, Tokenizer
from voxmill.models.common.video_frames import VideoFrames, pad_video_frames
from voxmill.models.data.targets import Target


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One utterance, ready to be learnt from."""

    key: str
    feature_TM: Tensor
    bandwidth: Bandwidth
    target: Target
    weight: float
    """1 for a label to be trusted, less for a weak one, 0 for none at all."""
    frame_FC: Tensor | None = None
    """Embeddings of video frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    keys: tuple[str, ...]
    feature_BTM: Tensor
    length_B: Tensor
    read_BU: Tensor
    """What the decoder reads, padded with blanks."""
    said_BU: Tensor
    """What it should say after each token; IGNORE where nothing is learnt."""
    read_backward_BU: Tensor
    said_backward_BU: Tensor
    spoken_BU: Tensor
    """What CTC and the transducer learn, padded with blanks."""
    num_spoken_B: Tensor
    """Its length; -1 where they learn nothing of the utterance."""
    weight_B: Tensor
    bandwidth_B: Tensor
    translates_B: Tensor
    active: tuple[frozenset[Task], ...]
    frames: VideoFrames | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Samples that were to be in this batch and are not, by reason."""

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device | str) -> Batch:
        names = (name for name in self.__dataclass_fields__ if isinstance(getattr(self, name), (Tensor, VideoFrames)))
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def blinded(self, probability: float, generator: Generator) -> Batch:
        """Some utterances lose their video frames."""
        return replace(self, frames=self.frames and self.frames.withheld(probability, generator))


def collate(examples: Sequence[Example], tokens: Tokenizer, skipped: Mapping[str, int] | None = None) -> Batch:
    """Pads to the longest. No examples give a batch of none."""
    both = [[e.target.decoder(tokens[EOT], backwards=backwards) for e in examples] for backwards in (False, True)]
    (read, said), (read_backward, said_backward) = (list(zip(*one, strict=True)) or [(), ()] for one in both)
    spoken = [e.target.ctc for e in examples]
    return Batch(
        keys=tuple(e.key for e in examples),
        feature_BTM=_pad_features([e.feature_TM for e in examples]),
        length_B=torch.tensor([len(e.feature_TM) for e in examples], dtype=torch.long),
        read_BU=_pad(read, BLANK),
        said_BU=_pad(said, IGNORE),
        read_backward_BU=_pad(read_backward, BLANK),
        said_backward_BU=_pad(said_backward, IGNORE),
        spoken_BU=_pad([one or () for one in spoken], BLANK),
        num_spoken_B=torch.tensor([-1 if one is None else len(one) for one in spoken], dtype=torch.long),
        weight_B=torch.tensor([e.weight for e in examples]),
        bandwidth_B=torch.tensor([BANDWIDTHS.index(e.bandwidth) for e in examples], dtype=torch.long),
        translates_B=torch.tensor([e.target.translates for e in examples], dtype=torch.long),
        active=tuple(e.target.active for e in examples),
        frames=pad_video_frames([e.frame_FC for e in examples]),
        skipped=dict(skipped or {}),
    )


def _pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    width = max(map(len, rows), default=0)
    padded = torch.full((len(rows), width), value, dtype=torch.long)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = torch.tensor(row, dtype=torch.long)
    return padded


def _pad_features(rows: Sequence[Tensor]) -> Tensor:
    if not rows:
        return torch.zeros(0, 0, 0)
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
