"""Which samples are read, in which order, in which batches: decided from the sidecars alone, before any audio is read.

An epoch takes the shards in random order, a few at a time; their samples are shuffled, put into buckets of similar length, and
cut into batches of bounded size. The order is a function of shards, config and epoch: it is the same for every process and
rank, and two numbers, epoch and index of a batch, are enough to resume exactly.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError, explain
from voxmill.manifests.matching_rows import matching_rows
from voxmill.manifests.records import SAMPLE_RATE, Split
from voxmill.models.common.seeds import Generator, seeded, shuffled
from voxmill.models.data.training_denylist import TrainingDenylist
from voxmill.sharding.index import shards_of
from voxmill.sharding.member_table import member_table
from voxmill.sharding.sidecar import ShardError, ShardSummary, read_members

_COLUMNS = ("key", "num_samples", "weight", "tier")


class NothingToLearn(UserError, ValueError):
    """No sample of the shards can be used."""


class SamplerConfig(Settings):
    """Which samples are read, in which order, and how batches are cut."""

    split: Split = "train"
    """The split that is read: `train`, `dev` or `test`."""
    where: str | None = None
    """SQL condition over the columns of the sidecars and `seconds`: `tier = 'high' and language = 'en'`."""
    deny: tuple[str, ...] = ()
    """Tombstone folders of runs, or text files of ids and hashes: samples so named are left out, and counted as `denied`."""
    min_seconds: float = 0.1
    """Shorter samples (s) are left out, and counted as `too_short`."""
    max_seconds: float = 30.0
    """Longer samples (s) are left out, and counted as `too_long`."""
    batch_seconds: float = Field(default=360.0, gt=0)
    """Most audio in a batch (s), padding included (360 s are WeNet's 36,000 frames). One longer sample is a batch of its
    own."""
    batch_size: int = Field(default=128, ge=1)
    """Most utterances in a batch."""
    bucket_ratio: float = Field(default=1.25, gt=1)
    """Ratio of the longest to the shortest sample of a bucket: bounds padding."""
    window: int = Field(default=16, ge=1)
    """Shards whose samples are shuffled together."""
    seed: int = 0
    """Seed of the order of shards, samples and batches."""
    shuffle: bool = True
    """Shuffle in every epoch; off: the order of the shards."""


def sampler_config(**asked: Any) -> SamplerConfig:
    """The config from command line options. Raises UserError."""
    try:
        return SamplerConfig.model_validate(asked)
    except ValidationError as error:
        raise UserError(explain(error, SamplerConfig, "command line")) from None


@dataclass(frozen=True, slots=True)
class PlannedSample:
    """One sample to load."""

    key: str
    num_samples: int
    weight: float
    tier: str

    @property
    def seconds(self) -> float:
        """Duration of the audio (s)."""
        return self.num_samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """One batch to load, the `index`-th of its epoch. `skipped` counts the samples left out since the batch before, by
    reason."""

    epoch: int
    index: int
    samples: tuple[PlannedSample, ...]
    skipped: Mapping[str, int]


class BucketingSampler:
    """Decides the batches of every epoch. Bucketing by length keeps padding small, as in lhotse's samplers."""

    def __init__(self, root: str, config: SamplerConfig) -> None:
        """Raises NoShards if there is no shard of the split, ConditionError if `where` cannot be read, DenyListError."""
        self.root, self.config = root, config
        self.shards = shards_of(root, config.split)
        self._denied = TrainingDenylist(config.deny)
        if config.where:
            matching_rows(
                member_table([]), config.where
            )  # so that a condition that cannot be read is told before the first shard

    def stream(self, epoch: int = 0, index: int = 0) -> Iterator[PlannedBatch]:
        """Batches without end, epoch after epoch, from a position on. An index past the end of its epoch counts on in the next.

        Raises NothingToLearn if a whole epoch holds no batch.
        """
        while True:
            count, usable = 0, False
            for planned in self.epoch(epoch):
                count, usable = count + 1, usable or bool(planned.samples)
                if planned.index >= index:
                    yield planned
            if not usable:
                where = f" where {self.config.where}" if self.config.where else ""
                raise NothingToLearn(f"no sample of split {self.config.split!r} in {self.root}{where} can be used")
            epoch, index = epoch + 1, max(0, index - count)

    def epoch(self, epoch: int) -> Iterator[PlannedBatch]:
        """The batches of one epoch, in order. Samples left out after the last batch are counted by an empty batch at the
        end."""
        order = self._order("shards", len(self.shards), epoch)
        index, skipped = 0, Counter[str]()
        for start in range(0, len(order), self.config.window):
            samples, unfit = self._samples(self.shards[i] for i in order[start : start + self.config.window])
            skipped += unfit
            samples = [samples[i] for i in self._order("samples", len(samples), epoch, start)]
            batches = list(cut_batches(samples, self.config))
            for position in self._order("batches", len(batches), epoch, start):
                yield PlannedBatch(epoch, index, batches[position], dict(skipped))
                skipped.clear()
                index += 1
        if skipped:
            yield PlannedBatch(epoch, index, (), dict(skipped))

    def _samples(self, shards: Iterable[ShardSummary]) -> tuple[list[PlannedSample], Counter[str]]:
        samples: list[PlannedSample] = []
        skipped: Counter[str] = Counter()
        for shard in shards:
            try:
                rows = read_members(self.root, shard)
            except ShardError:
                skipped["shard"] += shard.num_shard_samples
                continue
            if self._denied:
                skipped["denied"] += sum(row in self._denied for row in rows)
                rows = [row for row in rows if row not in self._denied]
            table = member_table(rows)
            table = matching_rows(table, self.config.where) if self.config.where else table
            for row in table.select(_COLUMNS).to_pylist():
                sample = PlannedSample(**row)
                reason = self._unfit(sample)
                skipped.update([reason] if reason else ())
                samples += [] if reason else [sample]
        return samples, skipped

    def _unfit(self, sample: PlannedSample) -> str | None:
        if sample.seconds < self.config.min_seconds:
            return "too_short"
        return "too_long" if sample.seconds > self.config.max_seconds else None

    def _order(self, what: str, count: int, *when: int) -> list[int]:
        return shuffled(self._generator(what, *when), count) if self.config.shuffle else list(range(count))

    def _generator(self, what: str, *when: int) -> Generator:
        return seeded(self.config.seed, "plan", what, *when)


def cut_batches(samples: Iterable[PlannedSample], config: SamplerConfig) -> Iterator[tuple[PlannedSample, ...]]:
    """Batches of samples of similar length, in their order; a batch ends where one more sample would make it too large."""
    buckets: dict[int, list[PlannedSample]] = {}
    for sample in samples:
        bucket = buckets.setdefault(int(math.log(max(sample.num_samples, 1), config.bucket_ratio)), [])
        longest = max([sample, *bucket], key=lambda p: p.num_samples).seconds
        if bucket and (len(bucket) == config.batch_size or longest * (len(bucket) + 1) > config.batch_seconds):
            yield tuple(bucket)
            bucket.clear()
        bucket.append(sample)
    yield from (tuple(bucket) for _, bucket in sorted(buckets.items()) if bucket)
