"""Runs a model on a batch: translates the fields of `Batch` into the inputs of `SpeechModel`."""

from __future__ import annotations

from voxmill.models.data.batch import Batch
from voxmill.models.network.budget import Budget
from voxmill.models.network.model import Conditions, ModelConfig, ModelOutputs, SpeechModel
from voxmill.models.network.route import ExpertLoad


def conditions_of(
    batch: Batch,
    config: ModelConfig,
    budget: Budget | None = None,
    chunk: int | None = None,
    loads: list[ExpertLoad] | None = None,
) -> Conditions:
    """The inputs of a model besides the sound, from a batch. The defaults use the whole model in full context."""
    active_BK = config.tasks.active(batch.active).to(batch.length_B.device) if config.tasks else None
    return Conditions(
        budget=budget, chunk=chunk, bandwidth_B=batch.bandwidth_B, translates_B=batch.translates_B, active_BK=active_BK,
        frames=batch.frames if config.vision else None, loads=loads,
    )  # fmt: skip


def forward(model: SpeechModel, batch: Batch, conditions: Conditions) -> ModelOutputs:
    """Predictions of every head of the model for a batch."""
    outputs: ModelOutputs = model(
        batch.feature_BTM, batch.length_B, batch.read_BU, conditions, batch.read_backward_BU, batch.spoken_BU
    )
    return outputs
