"""Cuts samples into batches of similar length and bounded size, and leaves no batch nearly empty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.data.sampler_config import SamplerConfig

HALF = 0.5
"""A batch less full than this is put together with another one at the end."""
TRIED = 16
"""Of how many batches of similar length the one to put it together with is chosen."""


@dataclass(frozen=True, slots=True)
class PlannedSample:
    """One sample to load."""

    key: str
    num_samples: int
    weight: float
    tier: str
    root: int = 0
    """Which of the folders of shards holds it, from 0."""
    turn: int = 0
    """How often the epoch has read it before: each time it is augmented in another way."""

    @property
    def seconds(self) -> float:
        """Duration of the audio (s)."""
        return self.num_samples / SAMPLE_RATE


Cut = tuple[PlannedSample, ...]
"""The samples of a batch."""


class BatchCutter:
    """Buckets of similar length; each gives a batch when it is full. What a bucket holds at the end of a window waits for the next one, as in
    lhotse's DynamicBucketingSampler, and only the end of an epoch has to do with what is left."""

    def __init__(self, config: SamplerConfig) -> None:
        self.config = config
        self._buckets: dict[int, list[PlannedSample]] = {}

    def add(self, samples: Iterable[PlannedSample]) -> Iterator[Cut]:
        """The batches that these samples make full, in their order. One ends where one more sample would make it too large."""
        for sample in samples:
            bucket = self._buckets.setdefault(int(math.log(max(sample.num_samples, 1), self.config.bucket_ratio)), [])
            if bucket and self._fullness([sample, *bucket]) > 1:
                yield tuple(bucket)
                bucket.clear()
            bucket.append(sample)

    def finish(self, ready: Sequence[Cut]) -> list[Cut]:
        """`ready` and batches of all that is left in the buckets, cut from the longest on; every one is at least half full, but the last.

        If that is less than half full, it and another batch are put together or evened out: the batch of the most similar length with which
        both are half full, or fullest.
        """
        left = sorted((sample for bucket in self._buckets.values() for sample in bucket), key=_longest_first)
        self._buckets.clear()
        batches, batch = list(ready), list[PlannedSample]()
        for sample in left:
            if batch and self._fullness([*batch, sample]) > 1:
                batches.append(tuple(batch))
                batch = []
            batch.append(sample)
        if not batch or not batches or self._fullness(batch) >= HALF:
            return [*batches, tuple(batch)] if batch else batches
        near = sorted(range(len(batches)), key=lambda i: abs(max(s.num_samples for s in batches[i]) - batch[0].num_samples))
        tries = {index: self._evened(batches[index], batch) for index in near[:TRIED]}
        index = max(tries, key=lambda i: min(HALF, *map(self._fullness, tries[i])))  # the first, so the most similar, of equals
        return [*batches[:index], *tries[index], *batches[index + 1 :]]

    def _evened(self, one: Sequence[PlannedSample], other: Sequence[PlannedSample]) -> list[Cut]:
        """The samples of two batches in one if they fit, or else in two whose emptier one is as full as can be."""
        both = tuple(sorted([*one, *other], key=_longest_first))
        if self._fullness(both) <= 1:
            return [both]
        pairs = ((both[:count], both[count:]) for count in range(1, len(both)))
        fitting = (pair for pair in pairs if max(map(self._fullness, pair)) <= 1)
        return list(max(fitting, key=lambda pair: min(map(self._fullness, pair)), default=(tuple(one), tuple(other))))

    def _fullness(self, samples: Sequence[PlannedSample]) -> float:
        """Size of a batch, padding included, as a share of the largest one that is allowed."""
        longest = max(sample.num_samples for sample in samples)
        most = self.config.batch_seconds * SAMPLE_RATE
        return max(len(samples) / self.config.batch_size, longest * len(samples) / most)


def cut_batches(samples: Iterable[PlannedSample], config: SamplerConfig) -> list[Cut]:
    """All of the samples in batches, as one window that is a whole epoch."""
    cutter = BatchCutter(config)
    return cutter.finish(list(cutter.add(samples)))


def _longest_first(sample: PlannedSample) -> int:
    return -sample.num_samples
