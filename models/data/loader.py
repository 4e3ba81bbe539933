"""Batches from shards, for any number of ranks and loader processes, resumable at any step.

Batches come in the sampler's order. Each `round` of consecutive batches is one training step: the ranks take them in turn, and
so do the loader processes of a rank, so that a step has the same batches on any number of either. A sample that cannot be used
is left out and counted; no content of a shard stops training. The state is two numbers: the position at which the next round
begins.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import copy
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from voxmill.manifests.config_base import Settings
from voxmill.models.common.sound_features import SoundFeatures
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.batch import Batch, Example, collate
from voxmill.models.data.examples import ExampleConfig, ExampleReader, FramesOf, UnusableSample
from voxmill.models.data.sampler import BucketingSampler, PlannedBatch
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.shard_roots import ShardRoots


class DataConfig(Settings):
    """What is read from the shards, in which order, and how samples become examples."""

    plan: SamplerConfig = SamplerConfig()
    example: ExampleConfig = ExampleConfig()
    workers: int = 0
    """Loader processes of each rank; 0: load in the training process. The batches are the same."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in the order of batches: the `index`-th of an epoch. Past its end it counts on in the next epoch."""

    epoch: int = 0
    index: int = 0


class Loader:
    """Iterates over batches without end. `position` is where the next round begins, `skipped` counts samples left out so
    far."""

    def __init__(
        self,
        shards: ShardRoots,
        tokens: Tokenizer,
        features: SoundFeatures,
        config: DataConfig,
        *,
        rank: int = 0,
        world: int = 1,
        round: int | None = None,
        noises: Sequence[Tensor] = (),
        frames_of: FramesOf | None = None,
    ) -> None:
        """`round`: batches of a training step over all ranks; None: one for each rank.

        Raises what BucketingSampler does.
        """
        self.shards, self.config, self.rank, self.world, self.round = shards, config, rank, world, round or world
        self._sampler = BucketingSampler(shards, config.plan)
        self._reader = ExampleReader(shards, tokens, features, config.example, noises, frames_of)
        self.position = Position()
        self.skipped: Counter[str] = Counter()
        """Samples left out so far, by reason (`examples.REASONS`)."""

    def __iter__(self) -> Iterator[Batch]:
        for after, batch in self._loaded(self.position):
            self.position = after
            self.skipped.update(batch.skipped)
            yield batch

    def once(self) -> Iterator[Batch]:
        """The batches of one epoch for this rank; position and counts stay as they are. For evaluation."""
        for _, batch in self._loaded(None):
            yield batch

    def plain(self, seconds: float) -> Batch:
        """The first samples of the first epoch, of all ranks, in one batch of that much audio: as they are, without augmentation."""
        reader = self.plain_reader()
        examples: list[Example] = []
        for planned in self._sampler.epoch(0):
            for sample in planned.samples:
                with suppress(UnusableSample):
                    examples.append(reader(sample, planned.epoch))
                    seconds -= sample.seconds
            if seconds <= 0:
                break
        return collate(examples, reader.tokens)

    def plain_reader(self) -> ExampleReader:
        """A reader of examples as they are, without augmentation."""
        reader = copy.copy(self._reader)
        reader.config = reader.config.model_copy(update={"augment": None})
        return reader

    def state_dict(self) -> dict[str, Any]:
        """Position and counts, as JSON values."""
        return {"epoch": self.position.epoch, "index": self.position.index, "skipped": dict(self.skipped)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where `state_dict` was taken, on any number of loader processes."""
        self.position = Position(state["epoch"], state["index"])
        self.skipped = Counter(state["skipped"])

    def _loaded(self, start: Position | None) -> Iterator[tuple[Position, Batch]]:
        rounds = _Rounds(self._sampler, self._reader, (self.rank, self.world, self.round), start)
        yield from DataLoader(rounds, batch_size=None, num_workers=self.config.workers, worker_init_fn=_leave_interrupts)


def _leave_interrupts(_: int) -> None:
    """Ctrl-C reaches every process of a terminal; loaders ignore it, since the training process finishes its step and needs
    batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Rounds(IterableDataset):
    """The batches of one loader process: (position after this round, batch). `start` None: one epoch only."""

    def __init__(
        self, sampler: BucketingSampler, reader: ExampleReader, share: tuple[int, int, int], start: Position | None
    ) -> None:
        self.sampler, self.reader, self.start = sampler, reader, start
        self.rank, self.world, self.round = share

    def __iter__(self) -> Iterator[tuple[Position, Batch]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        start = self.start
        stream = self.sampler.epoch(0) if start is None else self.sampler.stream(start.epoch, start.index)
        own = 0
        for offset, planned in enumerate(stream):
            place = offset % self.round
            if place % self.world == self.rank:
                if own % workers == worker:
                    yield Position(planned.epoch, planned.index + self.round - place), load_batch(self.reader, planned)
                own += 1


def load_batch(reader: ExampleReader, planned: PlannedBatch) -> Batch:
    """Reads the samples of a batch; those that cannot be used are counted in it."""
    skipped = Counter(planned.skipped)
    examples = []
    for sample in planned.samples:
        try:
            examples.append(reader(sample, planned.epoch))
        except UnusableSample as error:
            skipped[error.reason] += 1
    return collate(examples, reader.tokens, skipped)
