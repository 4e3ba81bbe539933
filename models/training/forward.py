"""A batch through a model: the one place where the names of the data meet those of the network."""

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
    """What a batch says to the switches of a model; the defaults are the whole model in full context."""
    active_BK = config.tasks.active(batch.active).to(batch.length_B.device) if config.tasks else None
    return Conditions(
        budget=budget, chunk=chunk, bandwidth_B=batch.bandwidth_B, translates_B=batch.translates_B, active_BK=active_BK,
        frames=batch.frames if config.vision else None, loads=loads,
    )  # fmt: skip


def forward(model: SpeechModel, batch: Batch, conditions: Conditions) -> ModelOutputs:
    """What every head of the model says of a batch."""
    outputs: ModelOutputs = model(
        batch.feature_BTM, batch.length_B, batch.read_BU, conditions, batch.read_backward_BU, batch.spoken_BU
    )
    return outputs
