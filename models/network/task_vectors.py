"""Task vectors (TokenVerse++, arXiv 2508.19856): learnable vectors that switch tasks on, added to every frame of the sound.

An utterance that is labelled for some tasks only is trained with these active, and its target holds their tokens only, so
nothing has to be masked. At inference the same switch decides which tokens the model says. Shape suffixes: B utterances, T
frames, D model width, K tasks.
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
    """Task vectors (TokenVerse++)."""

    tasks: tuple[Task, ...] = ("asr", "language", "speaker_change", "named_entities", "endpoint")
    """Tasks that have a vector; `asr` comes first."""
    mode: Literal["sum", "combination"] = "sum"
    """`sum`: one vector for each task, those of active tasks are added up. `combination`: one vector for each combination of
    tasks. The paper studied both; which one it chose was not found. Its combinations leave `asr` out; ours include it, because
    an utterance may have labels and no transcript."""
    where: Literal["frontend", "encoder", "both"] = "frontend"
    """Where they are added: after subsampling (`frontend`), after the encoder, or at both places with vectors of their own."""

    @model_validator(mode="after")
    def _asr_first(self) -> TaskVectorsConfig:
        if self.tasks[:1] != ("asr",) or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks start with asr and none is there twice, unlike {self.tasks}")
        return self

    def active(self, tasks: Iterable[frozenset[Task]]) -> Tensor:
        """Which tasks are active in each utterance, shape (B, K). Tasks without a vector are left out."""
        return torch.tensor([[task in one for task in self.tasks] for one in tasks], dtype=torch.bool)


class TaskVectors(nn.Module):
    """Adds the vectors of active tasks to every frame."""

    def __init__(self, config: TaskVectorsConfig, dim: int) -> None:
        super().__init__()
        self.mode = config.mode
        rows = len(config.tasks) if config.mode == "sum" else 2 ** len(config.tasks)
        self.vectors = nn.Embedding(rows, dim)
        nn.init.normal_(self.vectors.weight, std=0.02)

    def forward(self, x_BTD: Tensor, active_BK: Tensor) -> Tensor:
        """Frames of the same shape; `active`: which tasks are on in each utterance."""
        if self.mode == "sum":
            vector_BD = active_BK.to(self.vectors.weight.dtype) @ self.vectors.weight
        else:
            place_K = 2 ** torch.arange(active_BK.shape[1], device=active_BK.device)
            vector_BD = self.vectors((active_BK.long() * place_K).sum(dim=1))
        return x_BTD + vector_BD[:, None]
