"""Reproducible random numbers: every draw comes from a generator that is seeded by a name.

What happens to a sample depends on the seed, the epoch and the sample's key, so it is the same in any loader process, in any
batch and after a restart. torch's global generator is only used where torch offers nothing else (dropout, first parameters).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch

from voxmill.manifests.ids import digest

Generator: TypeAlias = torch.Generator


def seeded(*name: str | int) -> Generator:
    """A CPU generator whose seed is a digest of the name's parts, for example `seeded(seed, "example", epoch, key)`.

    >>> a, b = seeded(1, "noise", "key"), seeded(1, "noise", "key")
    >>> uniform(a) == uniform(b)
    True
    """
    number = int(digest(str(part) for part in name)[:15], 16)  # 60 bits: a seed is a signed 64-bit integer
    return Generator().manual_seed(number)


def uniform(generator: Generator, low: float = 0.0, high: float = 1.0) -> float:
    """A float, uniform in [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def integer(generator: Generator, low: int, high: int) -> int:
    """A whole number, uniform in [low, high], both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def choice(generator: Generator, weights: Sequence[float]) -> int:
    """An index into `weights`, drawn in proportion to its weight."""
    return int(torch.multinomial(torch.tensor(weights, dtype=torch.float64), 1, generator=generator))


def shuffled(generator: Generator, count: int) -> list[int]:
    """The numbers 0 to `count` - 1 in random order."""
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order
