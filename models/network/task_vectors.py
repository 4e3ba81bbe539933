"""Learnable vectors that switch tasks on (TokenVerse++): added to every frame of the sound, one for each active task.

An utterance labelled for some tasks only is trained with these active, and its target holds their tokens only: nothing has
to be masked, and at inference the same switch decides what the model says.
Shape suffixes: B utterances, T frames, D model width, K tasks.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from voxmill.manifests.config_base import Settings
from voxmill.models.common.tasks import Task


class TaskVectorsConfig(Settings):
    """Vectors that switch tasks on and off (TokenVerse)."""

    tasks: tuple[Task, ...] = ("asr", "language", "speaker_change", "named_entities", "endpoint")
    """In the order of the vectors; `asr` comes first."""
    mode: Literal["sum", "combination"] = "sum"
    """One vector for each task, those of the active ones summed; or one for each combination of tasks. The paper tried both;
    which won was not to be found. Its combinations are of the tasks beside `asr`; ours include it, because an utterance may be
    labelled without a transcript, and a model may be asked for a label alone."""
    where: Literal["frontend", "encoder", "both"] = "frontend"
    """After subsampling, after the encoder, or at both places with vectors of their own."""

    @model_validator(mode="after")
    def _asr_first(self) -> TaskVectorsConfig:
        if self.tasks[:1] != ("asr",) or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks start with asr and none is there twice, unlike {self.tasks}")
        return self

    def active(self, tasks: Iterable[frozenset[Task]]) -> Tensor:
        """Shape (B, K): which tasks of each utterance are active. Tasks without a vector are left out."""
        return torch.tensor([[task in one for task in self.tasks] for one in tasks], dtype=torch.bool)


class TaskVectors(nn.Module):
    def __init__(self, config: TaskVectorsConfig, dim: int) -> None:
        super().__init__()
        self.mode = config.mode
        rows = len(config.tasks) if config.mode == "sum" else 2 ** len(config.tasks)
        self.vectors = nn.Embedding(rows, dim)
        nn.init.normal_(self.vectors.weight, std=0.02)

    def forward(self, x_BTD: Tensor, active_BK: Tensor) -> Tensor:
        if self.mode == "sum":
            vector_BD = active_BK.to(self.vectors.weight.dtype) @ self.vectors.weight
        else:
            place_K = 2 ** torch.arange(active_BK.shape[1], device=active_BK.device)
            vector_BD = self.vectors((active_BK.long() * place_K).sum(dim=1))
        return x_BTD + vector_BD[:, None]
