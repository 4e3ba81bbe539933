"""How often an epoch reads the samples of each group, from their hours, a temperature and weights.

An epoch is as much audio as the shards hold. Without weights every sample comes once; with them, a sample of a group that has a larger share
than its hours comes more often, one of the others in some epochs only. A group that is read a quarter of the time is read once, whole, in any
four epochs in a row: when each sample has its turn is decided by its key.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from voxmill.manifests.errors import UserError
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.usable_samples import GroupAmount, SampleGroup

ONCE = 1 << 32
"""A rate of one; rates are whole numbers of these parts, so that nothing is rounded in any epoch."""
MOST = 100
"""An epoch reads no sample more often: a group of a few seconds, such as a language that was guessed wrong, would be read as long as a large one."""


@dataclass(frozen=True, slots=True)
class GroupShare:
    """What an epoch reads of one group, or of one root: a line of `--dry-run`."""

    name: str
    samples: int
    seconds: float
    share: float
    """Of the audio that is read."""
    rate: float
    """How often an epoch reads each of its samples, on average."""


def times_read(rate: int, epoch: int, number: int) -> int:
    """How often an epoch reads a sample. `number` (`key_number`) decides in which epochs a broken rate is rounded up.

    >>> [times_read(ONCE // 4, epoch, 3 << 30) for epoch in range(8)]
    [1, 0, 0, 0, 1, 0, 0, 0]
    """
    phase = number % ONCE
    return (rate * (epoch + 1) + phase) // ONCE - (rate * epoch + phase) // ONCE


def most_read(rate: int) -> int:
    """The largest number of times that one epoch reads a sample."""
    return -(-rate // ONCE)


def reading_rates(found: Mapping[SampleGroup, GroupAmount], config: SamplerConfig, num_roots: int) -> dict[SampleGroup, int]:
    """The rate of each group, in parts of ONCE. Raises UserError where `root_weights` and the roots do not go together."""
    weights = config.root_weights or (1.0,)
    if config.root_weights and len(weights) != num_roots:
        raise UserError(
            f"data.plan.root_weights has {len(weights)} weights, and there are {num_roots} folders of shards: give one each"
        )
    whole = sum(amount.num_samples for amount in found.values())
    rates: dict[SampleGroup, int] = {}
    for root, weight in enumerate(weights):
        mine = {group: one for group, one in found.items() if not config.root_weights or group.root == root}
        if config.root_weights and not mine:
            raise UserError(
                f"no sample of folder {root + 1} of shards can be used, and data.plan.root_weights gives it a share"
            )
        lengths = Counter[tuple[str, ...]]()
        for group, one in mine.items():
            lengths[group.values] += one.num_samples
        shares = {values: _factor(values, config) * length**config.sample.temperature for values, length in lengths.items()}
        drawn = whole * weight / sum(weights) / math.fsum(shares.values()) if shares else 0.0
        rates |= {group: min(MOST * ONCE, round(ONCE * drawn * shares[group.values] / lengths[group.values])) for group in mine}
    return rates


def _factor(values: tuple[str, ...], config: SamplerConfig) -> float:
    named = zip(config.sample.by, values, strict=True)
    return math.prod(config.sample.weights.get(column, {}).get(value, 1.0) for column, value in named)


def group_shares(
    found: Mapping[SampleGroup, GroupAmount], rates: Mapping[SampleGroup, int], name: Callable[[SampleGroup], str]
) -> tuple[GroupShare, ...]:
    """The groups with one name together, those with the most audio first."""
    whole = sum(one.num_samples for one in found.values())
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for group, one in found.items():
        read = one.num_samples * rates.get(group, ONCE) / ONCE
        sums[name(group)] = [a + b for a, b in zip(sums[name(group)], (*one, read), strict=True)]
    lines = (
        GroupShare(name, int(samples), length / SAMPLE_RATE, read / whole, read / length)
        for name, (samples, length, read) in sums.items()
    )
    return tuple(sorted(lines, key=lambda line: (-line.seconds, line.name)))
