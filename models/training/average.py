"""The average of a training's checkpoints: one more model, often better than each of them (arXiv 1803.05407)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.models.checkpoint.checkpoint import Bundle, load
from voxmill.models.data.batch import Batch
from voxmill.models.training.settle import settled


class AverageConfig(Settings):
    """The average of several checkpoints, written to a folder `average-…` at the end of a training; null: none."""

    count: int = Field(ge=2)
    """Checkpoints to average; fewer where there are fewer. `train.keep` does not remove them."""
    of: Literal["last", "best"] = "last"
    """`last`: the last ones; `best`: those that validation found best (the last ones where nothing was validated)."""


def averaged(folders: Sequence[str], batch: Batch | None, device: torch.device | str = "cpu") -> Bundle:
    """The model whose parameters are the mean of those in `folders`, its routers settled on a batch; all else is the last one's.

    Raises CheckpointError.
    """
    last = load(folders[-1], device)
    sums = {name: tensor.double() for name, tensor in last.model.state_dict().items() if tensor.is_floating_point()}
    for folder in folders[:-1]:
        for name, tensor in load(folder, device).model.state_dict().items():
            if name in sums:
                sums[name] += tensor
    last.model.load_state_dict({name: total / len(folders) for name, total in sums.items()}, strict=False)
    return replace(last, model=settled(last.model, batch, last.trained))
