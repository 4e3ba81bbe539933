"""What a training learns of a corpus: a list of values that say everything, and the project's own loader over them.

Whatever an arm does to its data (pseudo-labels instead of truth, labels withheld, shuffled guides, a subset) is done to this list. So
the list's digest, with the corpus's hash, stands for the data in the key of a result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from benchmarks.experiments.corpus import FBANK, Corpus, Spoken
from voxmill.manifests.ids import digest
from voxmill.manifests.records import SAMPLE_RATE, Bandwidth, Labels
from voxmill.models.common.features import num_subsampled, statistics
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.augment import spec_augment
from voxmill.models.data.batch import Batch, Example, collate
from voxmill.models.data.batch_cutter import PlannedSample, cut_batches
from voxmill.models.data.examples import ExampleConfig, ExampleReader, UnusableSample
from voxmill.models.data.loader import DataConfig, Loader, Position
from voxmill.models.data.sampler import BucketingSampler, PlannedBatch
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig, make_target

Pictures = Mapping[str, Tensor]
"""Embeddings of video frames by name, each of shape (F, C)."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One utterance of a corpus, and what is learnt of it. A value: it prints as all that it is."""

    key: str
    """Of the corpus: whose sound."""
    utterance: LabelledUtterance
    """Text and labels; None where an arm does without."""
    bandwidth: Bandwidth = "wide"
    """The guide of S-MoE."""
    weight: float = 1.0
    picture: str | None = None
    """Which of the pictures is seen."""
    task_guide: Literal["transcribe", "translate"] | None = None
    """The expert of S-MoE's decoder, where an arm does not go by the task; the prompt stays that of the task."""


def lesson(spoken: Spoken) -> Lesson:
    """The truth, without any label but the words."""
    return Lesson(spoken.key, LabelledUtterance(spoken.text, Labels(spoken.key)), "narrow" if spoken.room.narrow else "wide")


def digest_of(lessons: Iterable[Lesson]) -> str:
    return digest(repr(one) for one in lessons)


class LessonLoader(Loader):
    """`models.data.Loader`, with a list of lessons in the place of shards: the same order, batches and exact resume."""

    def __init__(
        self, corpus: Corpus, lessons: Sequence[Lesson], tokens: Tokenizer, config: DataConfig, pictures: Pictures | None = None
    ) -> None:
        self.config = config
        self._sampler = ListPlanner(_places(corpus, lessons), config.plan, corpus.name)
        self._reader = _LessonReader(corpus, lessons, tokens, config, pictures or {})  # type: ignore[assignment]
        self.position = Position()
        self.skipped: Counter[str] = Counter()

    def _loaded(self, start: Position | None) -> Iterator[tuple[Position, Batch]]:
        stream = self._sampler.epoch(0) if start is None else self._sampler.stream(start.epoch, start.index)
        yield from ((Position(planned.epoch, planned.index + 1), _batch(planned, self._reader)) for planned in stream)


def _batch(planned: PlannedBatch, read: ExampleReader | _LessonReader) -> Batch:
    examples, skipped = [], Counter[str]()
    for place in planned.samples:
        try:
            examples.append(read(place, planned.epoch))
        except UnusableSample as error:
            skipped[error.reason] += 1
    return collate(examples, read.tokens, skipped)


def _places(corpus: Corpus, lessons: Sequence[Lesson]) -> list[PlannedSample]:
    samples = int(FBANK.shift_ms * SAMPLE_RATE / 1000)
    return [PlannedSample(one.key, corpus.frames(one.key) * samples, one.weight, "high") for one in lessons]


class ListPlanner(BucketingSampler):
    """The project's order and batches, of a list instead of shards."""

    def __init__(self, places: Sequence[PlannedSample], config: SamplerConfig, name: str) -> None:
        self.config, self.root, self._all = config, name, places
        if len({one.key for one in places}) != len(places):
            raise ValueError("two lessons of one training are about the same utterance")

    def epoch(self, epoch: int, *, ascending: bool = False) -> Iterator[PlannedBatch]:
        places = [self._all[i] for i in self._order("samples", len(self._all), epoch)]
        batches = cut_batches(places, self.config)
        for index, position in enumerate(self._order("batches", len(batches), epoch)):
            yield PlannedBatch(epoch, index, batches[position], {})


class _LessonReader:
    """`models.examples.ExampleReader`, without waveforms: of its augmentation only the masks on features are left."""

    def __init__(
        self, corpus: Corpus, lessons: Sequence[Lesson], tokens: Tokenizer, config: DataConfig, pictures: Pictures
    ) -> None:
        self.corpus, self.tokens, self.config, self.pictures = corpus, tokens, config.example, pictures
        self.lessons = {one.key: one for one in lessons}

    def __call__(self, place: PlannedSample, epoch: int) -> Example:
        one = self.lessons[place.key]
        generator = seeded(self.config.seed, "lesson", epoch, place.key)
        target = make_target(one.utterance, self.tokens, self.config.targets, generator)
        feature_TM = self.corpus.features(one.key)
        if not target.teaches:
            raise UnusableSample("no_label")
        if target.ctc is not None and len(target.ctc) > num_subsampled(len(feature_TM)):
            raise UnusableSample("text_too_long")
        if self.config.augment is not None and self.config.augment.spec is not None:
            feature_TM = spec_augment(feature_TM, self.config.augment.spec, generator)
        if one.task_guide is not None:
            target = replace(target, translates=one.task_guide == "translate")
        seen = None if one.picture is None else self.pictures[one.picture]
        return Example(one.key, feature_TM, one.bandwidth, target, one.weight, seen)


def plain_batches(
    corpus: Corpus, lessons: Sequence[Lesson], tokens: Tokenizer, targets: TargetsConfig, pictures: Pictures | None = None
) -> Iterator[Batch]:
    """Everything of the list, unaugmented, by length, 32 at a time, every task of an utterance active that is labelled."""
    plain = DataConfig(example=ExampleConfig(targets=targets.model_copy(update={"deactivate": 0.0}), augment=None))
    reader = _LessonReader(corpus, lessons, tokens, plain, pictures or {})
    order = sorted(lessons, key=lambda one: (corpus.frames(one.key), one.key))
    for start in range(0, len(order), 32):
        yield collate([reader(PlannedSample(one.key, 0, 1.0, "high"), 0) for one in order[start : start + 32]], tokens)


def feature_statistics(corpus: Corpus) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each band over the training split, shape (40,) each: equal for every arm."""
    mean_M, std_M = statistics(corpus.features(one.key) for one in corpus.split("train"))
    return mean_M, std_M


def stacked(pictures: Pictures) -> str:
    """A digest of pictures, for a job that sees some."""
    return digest(f"{name} {torch.round(one.double(), decimals=4).tolist()}" for name, one in sorted(pictures.items()))
