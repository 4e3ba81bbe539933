"""The learning rate over a training: a rise, then a fall."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from voxmill.manifests.config_base import Settings


class RateConfig(Settings):
    """The learning rate over the steps."""

    peak: float = Field(default=1e-3, gt=0)
    """Highest learning rate, reached after the warm-up."""
    warmup: int = Field(default=25_000, ge=1)
    """Steps. In a small training about 5 % of them."""
    shape: Literal["inverse_sqrt", "cosine"] = "inverse_sqrt"
    """How it falls: with the root of the step for as long as one likes (WeNet), or to 0 on a cosine over `steps`."""


def learning_rate(config: RateConfig, step: int, steps: int) -> float:
    """Of the step with this number, counted from 0.

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
