"""The learning rate schedule: linear warm-up, then decay."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from voxmill.manifests.config_base import Settings


class RateConfig(Settings):
    """The learning rate schedule."""

    peak: float = Field(default=1e-3, gt=0)
    """Highest learning rate, reached at the end of the warm-up."""
    warmup: int = Field(default=25_000, ge=1)
    """Steps of linear warm-up; in a small training about 5 % of all steps."""
    shape: Literal["inverse_sqrt", "cosine"] = "inverse_sqrt"
    """Decay: with the inverse square root of the step (WeNet), or along a cosine to 0 at the last step."""


def learning_rate(config: RateConfig, step: int, steps: int) -> float:
    """The learning rate of step number `step` (from 0) of `steps`.

    >>> [learning_rate(RateConfig(peak=1.0, warmup=2), step, 100) for step in (0, 1, 7)]
    [0.5, 1.0, 0.5]
    """
    done = step + 1
    if done <= config.warmup:
        return config.peak * done / config.warmup
    if config.shape == "inverse_sqrt":
        return config.peak * math.sqrt(config.warmup / done)
    share = min(1.0, (done - config.warmup) / max(1, steps - config.warmup))
    return config.peak * 0.5 * (1 + math.cos(math.pi * share))
