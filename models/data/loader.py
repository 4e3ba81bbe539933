"""From shards to batches, for any number of ranks and of loader processes, to be stopped and continued anywhere.

Batches come in the order of the plan. Every `round` neighbours in it are what all ranks do before they meet, a training step. The
ranks take them in turn, and so do the loader processes of a rank: a step's batches are the same on any number of either. A sample that cannot be used is left out and counted; nothing of a
shard's content stops training. All the state there is are two numbers: where in the plan the next round begins.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from voxmill.manifests.config_base import Settings
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.batch import Batch, collate
from voxmill.models.data.examples import ExampleConfig, ExampleReader, FramesOf, UnusableSample
from voxmill.models.data.sampler import BucketingSampler, PlannedBatch, SamplerConfig


class DataConfig(Settings):
    """What is read from the shards, in which order, and what becomes of it."""

    plan: SamplerConfig = SamplerConfig()
    example: ExampleConfig = ExampleConfig()
    workers: int = 0
    """Loader processes; 0: in the training process. The batches are the same."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the plan: the `index`-th batch of an epoch. Past its end it counts on in the next epoch."""

    epoch: int = 0
    index: int = 0


class Loader:
    """Iterates over batches without end. `position` and `skipped` say what was handed out so far."""

    def __init__(
        self,
        root: str,
        tokens: Tokenizer,
        fbank_config: FbankConfig,
        config: DataConfig,
        *,
        rank: int = 0,
        world: int = 1,
        round: int | None = None,
        noises: Sequence[Tensor] = (),
        frames_of: FramesOf | None = None,
    ) -> None:
        """`round`: batches between two meetings of all ranks; None: one for each rank.

        Raises NothingToLearn where there is no shard, ConditionError where `where` cannot be read.
        """
        self.config, self.rank, self.world, self.round = config, rank, world, round or world
        self._planner = BucketingSampler(root, config.plan)
        self._reader = ExampleReader(root, tokens, fbank_config, config.example, noises, frames_of)
        self.position = Position()
        self.skipped: Counter[str] = Counter()
        """Samples left out so far, by `examples.REASONS`."""

    def __iter__(self) -> Iterator[Batch]:
        for after, batch in self._loaded(self.position):
            self.position = after
            self.skipped.update(batch.skipped)
            yield batch

    def once(self) -> Iterator[Batch]:
        """One epoch's batches for this rank, from the start; position and counts do not move. For evaluation."""
        for _, batch in self._loaded(None):
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.position.epoch, "index": self.position.index, "skipped": dict(self.skipped)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next batch is the one that would have come next, on any number of loader processes."""
        self.position = Position(state["epoch"], state["index"])
        self.skipped = Counter(state["skipped"])

    def _loaded(self, start: Position | None) -> Iterator[tuple[Position, Batch]]:
        rounds = _Rounds(self._planner, self._reader, (self.rank, self.world, self.round), start)
        yield from DataLoader(rounds, batch_size=None, num_workers=self.config.workers, worker_init_fn=_leave_interrupts)


def _leave_interrupts(_: int) -> None:
    """Ctrl-C reaches every process of a terminal; what it means is for the training process to say, which still needs batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Rounds(IterableDataset):
    """What one loader process loads: (position after this round, batch). `start` None: one epoch and no more."""

    def __init__(
        self, planner: BucketingSampler, reader: ExampleReader, share: tuple[int, int, int], start: Position | None
    ) -> None:
        self.planner, self.reader, self.start = planner, reader, start
        self.rank, self.world, self.round = share

    def __iter__(self) -> Iterator[tuple[Position, Batch]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        start = self.start
        stream = self.planner.epoch(0) if start is None else self.planner.stream(start.epoch, start.index)
        own = 0
        for offset, planned in enumerate(stream):
            place = offset % self.round
            if place % self.world == self.rank:
                if own % workers == worker:
                    yield Position(planned.epoch, planned.index + self.round - place), self._load(planned)
                own += 1

    def _load(self, planned: PlannedBatch) -> Batch:
        skipped = Counter(planned.skipped)
        examples = []
        for place in planned.places:
            try:
                examples.append(self.reader(place, planned.epoch))
            except UnusableSample as error:
                skipped[error.reason] += 1
        return collate(examples, self.reader.tokens, skipped)
