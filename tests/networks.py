"""Small models with any switches, and batches for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from voxmill.models.common.features import FbankConfig
from voxmill.models.common.seeds import seeded
from voxmill.models.common.video_frames import VideoFrames
from voxmill.models.network.budget import BudgetSchedule
from voxmill.models.network.conformer import EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.emoe import Router
from voxmill.models.network.layers import ElasticConfig, GuidedConfig
from voxmill.models.network.model import Conditions, ModelConfig, SpeechModel
from voxmill.models.network.task_vectors import TaskVectorsConfig
from voxmill.models.network.transducer import TransducerConfig
from voxmill.models.network.vision import VisionConfig

VOCABULARY, MELS, DIM = 23, 20, 16
SWITCHES: dict[str, Any] = {
    "emoe": ElasticConfig(
        experts=5, top_k=2, width=8, dropout=0, macaron=True,
        schedule=BudgetSchedule(experts=(1, 3, 5), top_k=(1, 2), width=(4, 8)),
    ),
    "smoe": GuidedConfig(guide_token=False),
    "vision": VisionConfig(dim=6, frames=3, experts=3, where="all"),
    "tasks": TaskVectorsConfig(tasks=("asr", "language", "endpoint"), where="both"),
}  # fmt: skip


def config(*on: str, **changes: Any) -> ModelConfig:
    dense: dict[str, Any] = {
        "vocabulary": VOCABULARY,
        "fbank": FbankConfig(num_mels=MELS),
        "encoder": EncoderConfig(layers=2, dim=DIM, heads=2, hidden=32, kernel=5, dropout=0),
        "decoder": DecoderConfig(layers=2, backward_layers=1, heads=2, hidden=32, dropout=0),
        "transducer": TransducerConfig(dim=8, joiner=8),
    }
    return ModelConfig(**{**dense, **{name: SWITCHES[name] for name in on}, **changes})


def model(*on: str, seed: int = 0, **changes: Any) -> SpeechModel:
    """In evaluation mode, with gates that decide clearly: fresh ones are nearly even, and ties hide mistakes."""
    torch.manual_seed(seed)
    made = SpeechModel(config(*on, **changes))
    for module in made.modules():
        if isinstance(module, Router):
            torch.nn.init.normal_(module.gate.weight)
    made.eval()
    return made


def features(*lengths: int, seed: str = "features") -> tuple[Tensor, Tensor]:
    """(B, T, M), zero on padding; and the lengths."""
    batch = torch.zeros(len(lengths), max(lengths), MELS)
    for row, length in enumerate(lengths):
        batch[row, :length] = torch.randn(length, MELS, generator=seeded(seed, row))
    return batch, torch.tensor(lengths)


def tokens(batch: int, length: int = 6) -> Tensor:
    return torch.randint(1, VOCABULARY, (batch, length), generator=seeded("tokens", batch, length))


def frames(*numbers: int) -> VideoFrames:
    return VideoFrames(torch.randn(len(numbers), 3, 6, generator=seeded("frames")), torch.tensor(numbers))


def conditions(batch: int, *on: str, neutral: bool = False, **changes: Any) -> Conditions:
    """Such that every switch that is on has something to do; or, neutral, nothing."""
    given: dict[str, Any] = {}
    if "smoe" in on:
        given |= {"bandwidth_B": torch.arange(batch) % 2, "translates_B": (torch.arange(batch) + 1) % 2}
    if "tasks" in on:
        active = torch.ones(batch, 3) * (torch.arange(batch) % 2)[:, None]
        given["active_BK"] = (torch.zeros(batch, 3) if neutral else active).bool()
    if "vision" in on and not neutral:
        given["frames"] = frames(*[3 * (row % 2) for row in range(batch)])
    return Conditions(**{**given, **changes})
