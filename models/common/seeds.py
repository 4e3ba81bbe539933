"""Randomness that can be repeated: every draw comes from a generator that a seed and a name decide.

No module of this folder touches torch's global generator. What happens to a sample depends on the seed, the epoch and the
sample's key, so it does not depend on the worker that loads it, on the batch it falls into, or on a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch

from voxmill.manifests.ids import digest

Generator: TypeAlias = torch.Generator


def seeded(*name: str | int) -> Generator:
    """A CPU generator for a purpose.

    >>> a, b = seeded(1, "noise", "key"), seeded(1, "noise", "key")
    >>> uniform(a) == uniform(b)
    True
    """
    number = int(digest(str(part) for part in name)[:15], 16)  # 60 bits: a seed is a signed 64-bit integer
    return Generator().manual_seed(number)


def uniform(generator: Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def integer(generator: Generator, low: int, high: int) -> int:
    """In [low, high]."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def choice(generator: Generator, weights: Sequence[float]) -> int:
    """An index, drawn in proportion to its weight."""
    return int(torch.multinomial(torch.tensor(weights, dtype=torch.float64), 1, generator=generator))


def shuffled(generator: Generator, count: int) -> list[int]:
    """The numbers below `count` in random order."""
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order
