"""One training after the other, each to be stopped and continued anywhere, each result kept.

A training is a `Job`: everything that decides its outcome, as a value. Its result is a JSON file in the cache, named by the digest of
the job, the corpus, the lessons and the code of `models/` (comments and docstrings aside). So a full run may be cut into
calls of any length, on CPU or CUDA, and what is asked for a second time is read.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.experiments.corpus import Corpus
from benchmarks.experiments.lessons import LessonLoader, Pictures, digest_of, feature_statistics, stacked
from speech.cache import REPOSITORY, cache_root
from voxmill.manifests.config_base import Settings
from voxmill.manifests.ids import digest
from voxmill.models.checkpoint.checkpoint import Bundle, load, save
from voxmill.models.checkpoint.manifest import COMMIT
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.loader import DataConfig
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.training.train_config import TrainConfig
from voxmill.models.training.trainer import Trainer

Figures = dict[str, Any]
Judge = Callable[[Bundle], Figures]
"""What is measured of a trained model. Its source is part of the result's name."""


class Job(Settings):
    """One training: `train.seed` decides the first weights, dropout, budgets; `data.plan.seed` the order."""

    arm: str
    model: ModelConfig
    train: TrainConfig
    data: DataConfig
    after: str = ""
    """Key of another training that this one starts from, see `Start`."""

    @property
    def seed(self) -> int:
        return self.train.seed


class OutOfTime(Exception):
    """The call's time is over. What was trained so far is kept."""


@dataclass
class Clock:
    """How long this call may go on; `seconds` None: to the end."""

    seconds: float | None = None
    _began: float = field(default_factory=time.monotonic)

    def spent(self) -> float:
        return time.monotonic() - self._began

    def check(self) -> None:
        """Raises OutOfTime."""
        if self.seconds is not None and self.spent() > self.seconds:
            raise OutOfTime


Start = Callable[[SpeechModel], None]
"""Gives a fresh model, on the CPU, what it takes from elsewhere. `Job.after` says from where."""


class Trainings:
    """Trains jobs on one corpus with one tokeniser."""

    def __init__(
        self,
        name: str,
        corpus: Corpus,
        tokens: Tokenizer,
        clock: Clock,
        pictures: Pictures | None = None,
        device: str | None = None,
    ) -> None:
        self.name, self.corpus, self.tokens, self.clock = name, corpus, tokens, clock
        self.pictures = pictures or {}
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.home = cache_root() / "experiments" / "trained"
        self._statistics = feature_statistics(corpus)
        self._setting = [corpus.hash, tokens.digest, models_code(), stacked(self.pictures) if self.pictures else ""]

    def key(self, job: Job, lessons: Sequence[Any]) -> str:
        return f"{self.name}-{job.arm}-{job.seed}-{digest([*self._setting, job.model_dump_json(), digest_of(lessons)])[:16]}"

    def result(self, job: Job, lessons: Sequence[Any], judge: Judge, start: Start | None = None) -> Figures:
        """What `judge` says of the trained model, and `seconds`, `steps`, `loss` of its training. Raises OutOfTime."""
        path = self.home / self.key(job, lessons) / f"result-{digest([inspect.getsource(judge)])[:12]}.json"
        if not path.is_file():
            bundle = self.trained(job, lessons, start)
            self.clock.check()
            figures = {**json.loads((path.parent / "training.json").read_text()), **judge(bundle)}
            write_text(path, json.dumps(figures, indent=1))
        found: Figures = json.loads(path.read_text())
        return found

    def trained(self, job: Job, lessons: Sequence[Any], start: Start | None = None) -> Bundle:
        """The model after all steps, on the device. Trained again where only its results are here. Raises OutOfTime."""
        folder = self.home / self.key(job, lessons)
        if not (folder / "training.json").is_file() or not (folder / "final" / COMMIT).is_file():
            self._train(job, lessons, folder, start)
        return load(str(folder / "final"), self.device)

    def _train(self, job: Job, lessons: Sequence[Any], folder: Path, start: Start | None) -> None:
        self.clock.check()
        loader = self._loader(job, lessons)
        trainer, before = self._begin(job, folder, loader, start)
        began = time.monotonic()
        say = _Progress(f"{job.arm}, seed {job.seed}", job.train.steps)
        try:
            while trainer.step < job.train.steps:
                self.clock.check()
                step = trainer.advance()
                say(step.step, step.loss)
        except OutOfTime:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / "seconds.json", json.dumps(before + time.monotonic() - began))
            shutil.rmtree(folder / "resume", ignore_errors=True)
            trainer.save(str(folder / "resume"))
            raise
        save(str(folder / "final"), trainer.bundle())
        spent = round(before + time.monotonic() - began, 1)
        figures = {
            "arm": job.arm,
            "seed": job.seed,
            "steps": trainer.step,
            "seconds": spent,
            "loss": step.loss,
            "expert_peak": step.expert_peak,
            "device": self.device,
        }
        write_text(folder / "training.json", json.dumps(figures))
        shutil.rmtree(folder / "resume", ignore_errors=True)

    def _begin(self, job: Job, folder: Path, loader: LessonLoader, start: Start | None) -> tuple[Trainer, float]:
        """The trainer where an earlier call left it, or before its first step; and the seconds spent so far."""
        if (folder / "resume" / "checkpoint.json").is_file():
            trainer = Trainer.resumed(str(folder / "resume"), loader, job.train, self.device)
            return trainer, float((folder / "seconds.json").read_text())
        model = self._fresh(job)
        if bool(job.after) != bool(start):
            raise ValueError(f"{job.arm}: `after` names what `start` takes from, so one needs the other")
        if start is not None:
            start(model)
        return Trainer(model.to(self.device), self.tokens, loader, job.train), 0.0

    def _loader(self, job: Job, lessons: Sequence[Any]) -> LessonLoader:
        return LessonLoader(self.corpus, lessons, self.tokens, job.data, self.pictures)

    def _fresh(self, job: Job) -> SpeechModel:
        """A model before its first step."""
        torch.manual_seed(job.train.seed)
        model = SpeechModel(job.model.model_copy(update={"vocabulary": len(self.tokens)}))
        mean_M, std_M = self._statistics
        model.frontend.mean_M.copy_(mean_M)
        model.frontend.std_M.copy_(std_M)
        return model


@cache
def models_code() -> str:
    """A digest of what `models/` does: of its syntax trees, without docstrings."""
    return digest(
        f"{path.relative_to(REPOSITORY)} {ast.dump(_without_docstrings(ast.parse(path.read_text(encoding='utf8'))))}"
        for path in sorted((REPOSITORY / "models").rglob("*.py"))
    )


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            node.body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return tree


class _Progress:
    """A line every half a minute."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.steps, self._last = name, steps, time.monotonic()

    def __call__(self, step: int, loss: float) -> None:
        if (now := time.monotonic()) - self._last > 30 or step == self.steps:
            self._last = now
            print(f"  … {self.name}: step {step} of {self.steps}, loss {loss:.2f}", flush=True)


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(text)
    scratch.rename(path)
