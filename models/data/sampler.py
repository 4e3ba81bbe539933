"""Which samples are read, in which order, in which batches: decided from the sidecars alone, before any audio is read.

An epoch takes the shards of all roots in random order, a few at a time; their samples are shuffled, put into buckets of similar length, and
cut into batches of bounded size. A shard whose samples are read more than once (`reading_rates.py`) takes part as often. The order is a
function of shards, config and epoch: it is the same for every process and rank, and two numbers, epoch and index of a batch, are enough to
resume exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxmill.manifests.errors import UserError
from voxmill.models.common.seeds import Generator, seeded, shuffled
from voxmill.models.data.batch_cutter import BatchCutter, Cut, PlannedSample
from voxmill.models.data.reading_rates import ONCE, GroupShare, group_shares, most_read, reading_rates, times_read
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.shard_roots import ShardRoots
from voxmill.models.data.usable_samples import GroupAmount, SampleGroup, UsableSamples, key_number

_COLUMNS = ("key", "num_samples", "weight", "tier")

_Turn = tuple[int, int]
"""Number of a shard, and how often the epoch had it before."""


class NothingToLearn(UserError, ValueError):
    """No sample of the shards can be used."""


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

    def __init__(self, shards: ShardRoots, config: SamplerConfig, *, some: bool = False) -> None:
        """Reads every sidecar once if there are several roots or weights. `some`: roots may lack the split, though not all of them.

        Raises NoShards if a root has no shard of the split, ConditionError if `where` cannot be read, DenyListError, UserError.
        """
        self.config, self._usable = config, UsableSamples(shards, config, some=some)
        self.root = ", ".join(self._usable.roots)
        self._found: Mapping[SampleGroup, GroupAmount] = {}
        self._rates: dict[SampleGroup, int] = {}
        self._turns: list[_Turn] = [(index, 0) for index in range(len(self._usable.shards))]
        held: Sequence[frozenset[SampleGroup]] = ()
        if len(self._usable.roots) > 1 or config.root_weights or config.sample.by:
            self._found, held = self._usable.survey()
        if config.root_weights or config.sample.temperature != 1 or config.sample.weights:
            self._rates = reading_rates(self._found, config, len(self._usable.roots))
            turns = (max((most_read(self._rates[group]) for group in groups), default=1) for groups in held)
            self._turns = [(index, before) for index, count in enumerate(turns) for before in range(max(1, count))]

    def stream(self, epoch: int = 0, index: int = 0) -> Iterator[PlannedBatch]:
        """Batches without end, epoch after epoch, from a position on. An index past the end of its epoch counts on in the next.

        Raises NothingToLearn if a whole epoch holds no batch.
        """
        while True:
            count, usable = 0, False
            for planned in self.epoch(epoch, ascending=epoch < self.config.sortagrad):
                count, usable = count + 1, usable or bool(planned.samples)
                if planned.index >= index:
                    yield planned
            if not usable:
                where = f" where {self.config.where}" if self.config.where else ""
                raise NothingToLearn(f"no sample of split {self.config.split!r} in {self.root}{where} can be used")
            epoch, index = epoch + 1, max(0, index - count)

    def epoch(self, epoch: int, *, ascending: bool = False) -> Iterator[PlannedBatch]:
        """The batches of one epoch, in order; `ascending`: from the shortest to the longest. Samples left out after the last batch are
        counted by an empty batch at the end."""
        index, skipped = 0, Counter[str]()
        for start, batches in self._windows(epoch, len(self._turns) if ascending else self.config.window, skipped):
            order: Sequence[int] = self._order("batches", len(batches), epoch, start)
            if ascending:
                order = sorted(order, key=lambda i: max(sample.num_samples for sample in batches[i]))
            for position in order:
                yield PlannedBatch(epoch, index, batches[position], dict(skipped))
                skipped.clear()
                index += 1
        if skipped:
            yield PlannedBatch(epoch, index, (), dict(skipped))

    def texts(self) -> Iterator[str]:
        """The transcripts of what the first epoch reads, in the order of the shards, as often as it reads them."""
        for turn in self._turns:
            yield from (row["text"] for row in self._rows(turn, 0, ("text",))[0] if row["text"])

    def roots(self) -> tuple[GroupShare, ...]:
        """What an epoch reads of each root; empty if there is only one."""
        names = self._usable.roots
        return group_shares(self._found, self._rates, lambda group: names[group.root]) if len(names) > 1 else ()

    def groups(self) -> tuple[GroupShare, ...]:
        """What an epoch reads of each group; empty without `sample.by`."""
        return group_shares(self._found, self._rates, lambda g: ", ".join(g.values)) if self.config.sample.by else ()

    def _windows(self, epoch: int, window: int, skipped: Counter[str]) -> Iterator[tuple[int, list[Cut]]]:
        """(Number of the first shard, batches) of each window, a window late: what is left over at the end needs batches to go with."""
        order = self._order("shards", len(self._turns), epoch)
        cutter, ready, at = BatchCutter(self.config), list[Cut](), 0
        for start in range(0, len(order), window):
            samples, unfit = self._samples([self._turns[i] for i in order[start : start + window]], epoch)
            skipped += unfit
            full = list(cutter.add(samples[i] for i in self._order("samples", len(samples), epoch, start)))
            if full:
                yield at, ready
                ready, at = full, start
        yield at, cutter.finish(ready)

    def _samples(self, turns: Sequence[_Turn], epoch: int) -> tuple[list[PlannedSample], Counter[str]]:
        samples, skipped = list[PlannedSample](), Counter[str]()
        for turn in turns:
            rows, unfit = self._rows(turn, epoch, _COLUMNS)
            root, _ = self._usable.shards[turn[0]]
            samples += [PlannedSample(**row, root=root, turn=turn[1]) for row in rows]
            skipped += unfit if turn[1] == 0 else Counter()
        return samples, skipped

    def _rows(self, turn: _Turn, epoch: int, columns: Sequence[str]) -> tuple[list[dict[str, Any]], Counter[str]]:
        """(What an epoch reads of a shard in one of its turns, what is left out)."""
        index, before = turn
        table, skipped = self._usable.read(index, *columns)
        rows: list[dict[str, Any]] = table.select(columns).to_pylist()
        if not self._rates:
            return rows, skipped
        groups = self._usable.groups_of(table, self._usable.shards[index][0])
        numbers = [key_number(str(key), self.config.seed) for key in table["key"].to_pylist()]
        times = (times_read(self._rates.get(g, ONCE), epoch, n) for g, n in zip(groups, numbers, strict=True))
        return [row for row, count in zip(rows, times, strict=True) if count > before], skipped

    def _order(self, what: str, count: int, *when: int) -> list[int]:
        return shuffled(self._generator(what, *when), count) if self.config.shuffle else list(range(count))

    def _generator(self, what: str, *when: int) -> Generator:
        return seeded(self.config.seed, "plan", what, *when)
