"""A bounded choice of the samples of the split `dev`, to judge a model on while it is trained: the same ones every time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from voxmill.manifests.ids import digest
from voxmill.models.data.batch import Batch
from voxmill.models.data.examples import ExampleReader
from voxmill.models.data.loader import load_batch
from voxmill.models.data.sampler import (
    BucketingSampler,
    NothingToLearn,
    PlannedBatch,
    PlannedSample,
    SamplerConfig,
    cut_batches,
)
from voxmill.sharding.sidecar import Member, ShardError, read_members


class HeldOut:
    """The samples of `dev` with the smallest hashes of their keys, so that the choice depends on nothing else."""

    def __init__(self, root: str, plan: SamplerConfig, utterances: int, minutes: float) -> None:
        """`plan`: that of the training, whose conditions hold for these samples too; `utterances`, `minutes`: the most there may be.

        Raises NoShards if there is no shard of the split, NothingToLearn if no sample of it meets the conditions.
        """
        self._plan = plan.model_copy(update={"split": "dev", "shuffle": False})
        self._sampler = BucketingSampler(root, self._plan)
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
            raise NothingToLearn(f"no sample of split 'dev' in {root}{where} can be used")

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
        """The chosen samples' rows of the sidecars, with text and language, by key."""
        wanted = {sample.key for sample in self.samples}
        return {row.key: row for row in self._rows() if row.key in wanted}

    def _rows(self) -> Iterator[Member]:
        for shard in self._sampler.shards:
            try:
                yield from read_members(self._sampler.root, shard)
            except ShardError:
                continue  # its samples were not chosen either
