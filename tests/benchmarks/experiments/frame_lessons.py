"""What a student learns: a list of values that say everything, and the project's own loader over frames of the frozen encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

from benchmarks.experiments.frames import PLAIN, Wave, read_frames
from benchmarks.experiments.lessons import LessonLoader, ListPlanner
from voxmill.manifests.records import Bandwidth
from voxmill.models.common.seeds import integer, seeded
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.batch import Example
from voxmill.models.data.batch_cutter import PlannedSample
from voxmill.models.data.examples import ExampleConfig, UnusableSample
from voxmill.models.data.loader import DataConfig, Position
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig, make_target

TaskName = Literal["transcribe", "translate"]
TARGETS = TargetsConfig(tasks=("asr", "language"), disputed="skip")
"""Words in doubt are skipped where a lesson says which those are."""


@dataclass(frozen=True, slots=True)
class Guides:
    """Which experts of S-MoE an utterance has."""

    bandwidth: Bandwidth
    task: TaskName | None = None
    """In the decoder; None: that of the task which is learnt."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is seen while something is said: a name, and embeddings of frames, shape (F, C), which follow from it."""

    name: str
    frame_FC: Tensor = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Taught:
    """One span of a training: what is learnt of it, and the versions of its sound. All that decides is in its `repr`."""

    key: str
    num_samples: int
    utterance: LabelledUtterance
    versions: tuple[Wave, ...]
    guides: Guides | None = None
    """Of S-MoE; None: those of wide band, and of the task that is learnt."""
    picture: Picture | None = None

    def __repr__(self) -> str:
        more = "".join(f" {one}" for one in (self.guides, self.picture) if one is not None)
        return f"{self.key} {self.utterance} {[str(one.path) for one in self.versions]}{more}"


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
        guides = one.guides or Guides("wide")
        if guides.task is not None:
            target = replace(target, translates=guides.task == "translate")
        seen = None if one.picture is None else one.picture.frame_FC
        return Example(one.key, read_frames(chosen.path), guides.bandwidth, target, 1.0, seen)


def data(batch_seconds: float, seed: int, targets: TargetsConfig = TARGETS) -> DataConfig:
    """Batches of so much sound."""
    plan = SamplerConfig(batch_seconds=batch_seconds, batch_size=32, seed=seed)
    return DataConfig(plan=plan, example=ExampleConfig(targets=targets, seed=seed))
