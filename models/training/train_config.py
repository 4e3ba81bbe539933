"""The settings of the training loop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.models.training.average import AverageConfig
from voxmill.models.training.dev_judge import ValidationConfig
from voxmill.models.training.loggers import LoggerConfig
from voxmill.models.training.loss import LossConfig
from voxmill.models.training.schedule import RateConfig


class TrainConfig(Settings):
    """The training loop and its optimiser."""

    steps: int = Field(default=50_000, ge=1)
    """Optimiser steps."""
    rate: RateConfig = RateConfig()
    accumulate: int = Field(default=1, ge=1)
    """Batches of a step, over all ranks together. The number of ranks does not change what a step computes."""
    clip: float = Field(default=5.0, gt=0)
    """Largest norm of the gradient; a larger one is scaled down to it."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's betas: decay of the means of gradients and of their squares."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the forward pass (autocast); parameters stay float32."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay of an exponential moving average of the parameters, which is then the model that is saved; 0: none."""
    dynamic_chunk: bool = True
    """U2++'s dynamic chunk: half of the batches see chunks and the past only, so that one model can stream and use full
    context."""
    bias_rate: float = 0.02
    """Largest step of the bias that balances experts, in standard deviations of their logits, with `emoe.balance: bias`."""
    loss: LossConfig = LossConfig()
    eyes_first: int = Field(default=0, ge=0)
    """With `model.vision`: steps at the start in which only the parameters of vision are trained (EVA's first phase)."""
    after_eyes: float = Field(default=0.1, gt=0)
    """Factor of the learning rate after these steps, when all parameters are trained (EVA's second phase)."""
    save_every: int = Field(default=1000, ge=1)
    """Steps between checkpoints."""
    keep: int = Field(default=0, ge=0)
    """Checkpoints to keep; older ones are removed after a new one is written, but not the best one by `validation`. 0: keep all."""
    validation: ValidationConfig | None = None
    average_checkpoints: AverageConfig | None = None
    loggers: tuple[LoggerConfig, ...] = ()
    """Loggers besides our own log and TensorBoard's: `[{kind: wandb}, {kind: mlflow}]`, each with `project` (`voxmill`) and `name` (that of the
    training's folder) if you like."""
    seed: int = 0
    """Seed of first parameters, budgets, dropout and chunks."""
