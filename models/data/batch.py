"""Examples padded into the tensors that a training step reads.

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
    """One utterance with features and target, ready for training."""

    key: str
    feature_TM: Tensor
    """Log mel features."""
    bandwidth: Bandwidth
    target: Target
    weight: float
    """Weight of its loss: 1 for a label to be trusted, less for a weak one, 0 to learn nothing from it."""
    frame_FC: Tensor | None = None
    """Embeddings of its video frames; None: no video."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Utterances as padded tensors."""

    keys: tuple[str, ...]
    feature_BTM: Tensor
    length_B: Tensor
    read_BU: Tensor
    """Input tokens of the decoder, padded with blanks."""
    said_BU: Tensor
    """Its target tokens; IGNORE where nothing is learnt, on padding too."""
    read_backward_BU: Tensor
    """The same for the decoder that reads the text from its end."""
    said_backward_BU: Tensor
    spoken_BU: Tensor
    """Targets of CTC and the transducer, padded with blanks."""
    num_spoken_B: Tensor
    """Length of each of these; -1: no target."""
    weight_B: Tensor
    bandwidth_B: Tensor
    """Indices into `guides.BANDWIDTHS`."""
    translates_B: Tensor
    """Indices into `guides.PROMPT_TASKS`: 1 where the target is a translation."""
    active: tuple[frozenset[Task], ...]
    """Tasks that each target holds labels of."""
    frames: VideoFrames | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Samples left out of this batch, by reason (`examples.REASONS`)."""

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device | str) -> Batch:
        """A copy on a device."""
        names = (name for name in self.__dataclass_fields__ if isinstance(getattr(self, name), (Tensor, VideoFrames)))
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def blinded(self, probability: float, generator: Generator) -> Batch:
        """Modality dropout: each utterance loses its video frames with this probability."""
        return replace(self, frames=self.frames and self.frames.withheld(probability, generator))


def collate(examples: Sequence[Example], tokens: Tokenizer, skipped: Mapping[str, int] | None = None) -> Batch:
    """A batch of examples, padded to the longest; there may be none."""
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
