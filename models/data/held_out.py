"""A bounded choice of the samples of the split `dev`, to judge a model on while it is trained: the same ones every time."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator

from voxmill.manifests.ids import digest
from voxmill.manifests.records import Split
from voxmill.models.data.batch import Batch
from voxmill.models.data.batch_cutter import PlannedSample, cut_batches
from voxmill.models.data.examples import ExampleReader
from voxmill.models.data.loader import load_batch
from voxmill.models.data.sampler import BucketingSampler, NothingToLearn, PlannedBatch
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.shard_roots import ShardRoots, roots_of
from voxmill.sharding.index import shards_of
from voxmill.sharding.sidecar import Member, ShardError, read_members

SPLIT: Split = "dev"


_OF_TRAINING = ("split", "shuffle", "root_weights", "sample", "sortagrad")
"""Keys of a plan that say how a training reads, and not what may be read."""


class HeldOut:
    """The samples of `dev` with the smallest hashes of their keys, so that the choice depends on nothing else."""

    def __init__(self, shards: ShardRoots, plan: SamplerConfig, utterances: int, minutes: float) -> None:
        """`plan`: that of the training, whose conditions hold for these samples too, and whose weights do not; `utterances`, `minutes`: the
        most there may be.

        Raises NoShards if no root has a shard of the split, NothingToLearn if no sample of it meets the conditions.
        """
        kept = {name: getattr(plan, name) for name in type(plan).model_fields if name not in _OF_TRAINING}
        self._plan = SamplerConfig(**kept, split=SPLIT, shuffle=False)
        self._roots = roots_of(shards)
        self._sampler = BucketingSampler(shards, self._plan, some=True)
        self.there = 0
        """Samples of the split that meet the conditions."""
        left = minutes * 60
        self.samples: list[PlannedSample] = []
        """Those that were chosen."""
        for sample in heapq.nsmallest(utterances, self._all(), key=lambda one: digest(["held out", one.key])):
            left -= sample.seconds
            if left < 0 and self.samples:
                break
            self.samples.append(sample)
        if not self.samples:
            where = f" where {plan.where}" if plan.where else ""
            raise NothingToLearn(f"no sample of split 'dev' in {self._sampler.root}{where} can be used")

    def _all(self) -> Iterator[PlannedSample]:
        for planned in self._sampler.epoch(0):
            self.there += len(planned.samples)
            yield from planned.samples

    @property
    def seconds(self) -> float:
        """Audio of the chosen samples (s)."""
        return sum(sample.seconds for sample in self.samples)

    def batches(self, reader: ExampleReader) -> list[Batch]:
        """The chosen samples as batches; those that cannot be read are left out."""
        cut = enumerate(cut_batches(self.samples, self._plan))
        made = [load_batch(reader, PlannedBatch(0, index, samples, {})) for index, samples in cut]
        return [batch for batch in made if len(batch)]

    def references(self) -> dict[str, Member]:
        """The chosen samples' rows of the sidecars, with text and language, by key: each of the root that its sound is read from."""
        wanted = {(sample.root, sample.key) for sample in self.samples}
        return {row.key: row for root, row in self._rows({root for root, _ in wanted}) if (root, row.key) in wanted}

    def _rows(self, roots: Collection[int]) -> Iterator[tuple[int, Member]]:
        for root in sorted(roots):
            for shard in shards_of(self._roots[root], SPLIT):
                try:
                    rows = read_members(self._roots[root], shard)
                except ShardError:
                    continue  # its samples were not chosen either
                yield from ((root, row) for row in rows)
