"""What a student learns: a list of values that say everything, and the project's own loader over frames of the frozen encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.experiments.frames import PLAIN, Wave, read_frames
from benchmarks.experiments.lessons import LessonLoader, ListPlanner
from voxmill.models.common.seeds import integer, seeded
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.batch import Example
from voxmill.models.data.examples import ExampleConfig, UnusableSample
from voxmill.models.data.loader import DataConfig, Position
from voxmill.models.data.sampler import PlannedSample, SamplerConfig
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig, make_target

TARGETS = TargetsConfig(tasks=("asr", "language"), disputed="skip")
"""Words in doubt are skipped where a lesson says which those are."""


@dataclass(frozen=True, slots=True)
class Taught:
    """One span of a training: what is learnt of it, and the versions of its sound. All that decides is in its `repr`."""

    key: str
    num_samples: int
    utterance: LabelledUtterance
    versions: tuple[Wave, ...]

    def __repr__(self) -> str:
        return f"{self.key} {self.utterance} {[str(one.path) for one in self.versions]}"


class FrameLoader(LessonLoader):
    """The project's order, batches and exact resume over a list of `Taught`; every epoch draws a version of each."""

    def __init__(self, taught: Sequence[Taught], tokens: Tokenizer, config: DataConfig) -> None:
        self.config = config
        places = [PlannedSample(one.key, one.num_samples, 1.0, "high") for one in taught]
        self._sampler = ListPlanner(places, config.plan, "frames")
        self._reader = _FrameReader(taught, tokens, config.example)  # type: ignore[assignment]
        self.position = Position()
        self.skipped: Counter[str] = Counter()


class _FrameReader:
    def __init__(self, taught: Sequence[Taught], tokens: Tokenizer, config: ExampleConfig) -> None:
        self.tokens, self.config = tokens, config
        self.taught = {one.key: one for one in taught}

    def __call__(self, place: PlannedSample, epoch: int) -> Example:
        one = self.taught[place.key]
        generator = seeded(self.config.seed, "frames", epoch, place.key)
        target = make_target(one.utterance, self.tokens, self.config.targets, generator)
        if len(target.prompt) + len(target.text or ()) > (self.tokens.config.longest or 0):
            raise UnusableSample("text_too_long")
        chosen = next((wave for wave in one.versions if wave.version == PLAIN), one.versions[0])
        if self.config.augment is not None:
            chosen = one.versions[integer(generator, 0, len(one.versions) - 1)]
        return Example(one.key, read_frames(chosen.path), "wide", target, 1.0)


def data(batch_seconds: float, seed: int) -> DataConfig:
    """Batches of so much sound."""
    plan = SamplerConfig(batch_seconds=batch_seconds, batch_size=32, seed=seed)
    return DataConfig(plan=plan, example=ExampleConfig(targets=TARGETS, seed=seed))
