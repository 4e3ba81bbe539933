"""Trainings of students, each to be stopped and continued anywhere, and what each of them says of a test.

What `Trainings` does for experiments on made-up speech, over frames of the frozen encoder. In the end only what a student says is kept: its
parameters are 0.3 GB.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.experiments.frame_lessons import FrameLoader, Taught, data
from benchmarks.experiments.frames import Wave
from benchmarks.experiments.greedy import transcripts
from benchmarks.experiments.lessons import LessonLoader
from benchmarks.experiments.trainings import Clock, Job, Start, Trainings, models_code, write_text
from benchmarks.experiments.whisper_start import architecture, begun, from_frames
from speech.cache import cache_root
from voxmill.manifests.ids import digest
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.network.budget import Budget
from voxmill.models.network.model import SpeechModel
from voxmill.models.training.loss import LossConfig
from voxmill.models.training.schedule import RateConfig
from voxmill.models.training.train_config import TrainConfig
from voxmill.models.training.trainer import Trainer

Said = Mapping[str, Mapping[str, str]]
"""By condition, then by key."""


def job(
    arm: str, steps: int, peak: float, batch_seconds: float, seed: int, *, experts: bool = True, attention: bool = False
) -> Job:
    """One training of a student."""
    return Job(arm=arm, model=architecture(experts, attention), train=course(steps, peak, seed), data=data(batch_seconds, seed))


def course(steps: int, peak: float, seed: int, **more: Any) -> TrainConfig:
    """A tenth of the steps warms up; the mean of the last tenth or so is what is kept."""
    return TrainConfig(
        steps=steps, rate=RateConfig(peak=peak, warmup=max(1, steps // 10), shape="cosine"), dynamic_chunk=False,
        loss=LossConfig(smoothing=0.0), average=max(0.0, 1 - 20 / steps), save_every=1 << 30, seed=seed, **more,
    )  # fmt: skip


class StudentTrainings(Trainings):
    """Trains students from Whisper base."""

    def __init__(self, name: str, clock: Clock, late: int = 0, translate_to: tuple[str, ...] = ()) -> None:
        """`late`: layers of the encoder that are not done in the frames, and can be trained; `translate_to`: languages, with a token each."""
        self.name, self.clock, self.device = name, clock, "cpu"
        self.home = cache_root() / "experiments" / "trained"
        self.late, self.translate_to = late, translate_to
        _, self.tokens = begun(architecture(experts=False, attention=False), 0, translate_to)
        self._setting = [self.tokens.digest, models_code()]

    def said(
        self, job: Job, taught: Sequence[Taught], tests: Mapping[str, Sequence[Wave]], budget: Budget | None = None
    ) -> Said:
        """What the trained student says of each test, at its full size or under a budget. Raises OutOfTime."""
        folder = self.home / self.key(job, taught)
        paths = _paths(folder, tests, budget)
        missing = [name for name, path in paths.items() if not path.is_file()]
        if missing:
            bundle = self.trained(job, taught)
            for name in missing:
                self.clock.check()
                said = transcripts(bundle.model, bundle.tokens, tests[name], budget)
                write_text(paths[name], json.dumps(said, indent=1))
        return _read(paths)

    def untaught(self, tests: Mapping[str, Sequence[Wave]]) -> Said:
        """What Whisper base says of each test before any training, of the same frames and as greedily. Raises OutOfTime."""
        folder = self.home / f"{self.name}-untaught-{digest([models_code(), self.tokens.digest])[:16]}"
        paths = _paths(folder, tests)
        if missing := [name for name, path in paths.items() if not path.is_file()]:
            model = from_frames(begun(architecture(experts=False, attention=False), 0)[0].eval())
            for name in missing:
                self.clock.check()
                write_text(paths[name], json.dumps(transcripts(model, self.tokens, tests[name]), indent=1))
        return _read(paths)

    def forget(self, job: Job, taught: Sequence[Taught]) -> None:
        """Removes the trained model; what it said stays."""
        shutil.rmtree(self.home / self.key(job, taught) / "final", ignore_errors=True)

    def facts(self, job: Job, taught: Sequence[Taught]) -> dict[str, Any]:
        """`steps`, `seconds` and `loss` of a training that is done."""
        found: dict[str, Any] = json.loads((self.home / self.key(job, taught) / "training.json").read_text())
        return found

    def _loader(self, job: Job, lessons: Sequence[Any]) -> LessonLoader:
        return FrameLoader(lessons, self.tokens, job.data)

    def trained(self, job: Job, lessons: Sequence[Any], start: Start | None = None) -> Bundle:
        """As `Trainings.trained`; its model is given frames."""
        bundle = super().trained(job, lessons, start)
        from_frames(bundle.model, self.late)
        return bundle

    def _fresh(self, job: Job) -> SpeechModel:
        return begun(job.model, job.train.seed, self.translate_to)[0]

    def _begin(self, job: Job, *given: Any) -> tuple[Trainer, float]:
        trainer, seconds = super()._begin(job, *given)
        for model in (trainer.model, *([trainer.mean.module] if trainer.mean else [])):
            from_frames(model, self.late)
        return trainer, seconds


def _paths(folder: Path, tests: Mapping[str, Sequence[Wave]], budget: Budget | None = None) -> dict[str, Path]:
    at = "" if budget is None else f"-at-{str(budget).replace(':', '-')}"
    return {name: folder / f"said-{name}-{digest(one.key for one in waves)[:12]}{at}.json" for name, waves in tests.items()}


def _read(paths: Mapping[str, Path]) -> Said:
    return {name: json.loads(path.read_text()) for name, path in paths.items()}
