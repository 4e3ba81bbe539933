"""The memory of a training is estimated from short utterances: as much as a long batch keeps in truth."""

from __future__ import annotations

from typing import Any

import pytest

from networks import model
from voxmill.models.training.memory import kept_bytes, training_memory
from voxmill.models.training.train_config import TrainConfig


@pytest.mark.parametrize("switches", [(), ("emoe", "tasks")])
def test_a_large_batch_keeps_what_small_ones_foretell(switches: tuple[str, ...]) -> None:
    made, config = model(*switches), TrainConfig(average=0.9)
    memory = training_memory(made, config, [(1, 1.0), (3, 6.0), (2, 2.0)])
    stored = 4 * sum(p.numel() for p in made.parameters())
    assert (memory.parameters, memory.optimizer) == (2 * stored, 3 * stored)
    assert memory.activations == pytest.approx(kept_bytes(made, 3, 6.0, config), rel=0.1)
    assert memory.total == memory.parameters + memory.optimizer + memory.activations


def test_what_is_not_trained_has_no_optimiser() -> None:
    changes: dict[str, Any] = {"transducer": None}
    made = model(**changes)
    for parameter in made.encoder.parameters():
        parameter.requires_grad_(False)
    trained = 4 * sum(p.numel() for p in made.parameters() if p.requires_grad)
    assert training_memory(made, TrainConfig(), [(1, 1.0)]).optimizer == 3 * trained
