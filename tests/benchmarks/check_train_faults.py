"""`make check-train-faults`: training on several workers is the training of one, also when one is killed, and bad samples are counted.

Curves: the same recipe on one worker without Ray and on two under Ray Train, three batches a step, so that the two have unequal
shares; then on two of which the first is killed (SIGKILL) while it saves, between the weights and the file that commits them.
Faults: shards with one thing wrong in each, trained on and evaluated on; files and requests that a model cannot make sense of.
"""

from __future__ import annotations

import io
import math
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).resolve().parents[1])
sys.path[0] = HERE

import numpy as np
import torch

from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.spoilt import GOOD, ODD, Case, cases, pack
from networks import SWITCHES
from samples import sample
from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import Bundle, load
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.tokenizer import TokenizerConfig, UnknownTokenError
from voxmill.models.data.loader import DataConfig
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.inference.evaluate_split import EvaluationSamples, evaluate_model
from voxmill.models.inference.load import open_recognizer
from voxmill.models.inference.recognizer import Recognizer
from voxmill.models.inference.recognizer_config import RecognizerConfig
from voxmill.models.network.conformer import EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.model import ModelConfig
from voxmill.models.training import ray_train as distributed
from voxmill.models.training import session as training
from voxmill.models.training.recipe import Recipe, prepare
from voxmill.models.training.schedule import RateConfig
from voxmill.models.training.train_config import TrainConfig
from voxmill.models.training.trainer import Step
from voxmill.pipeline.modelling.audio_inputs import AudioLoader
from voxmill.pipeline.modelling.transcribing import transcribe
from voxmill.sharding.index import NoShards

STEPS, SAVE_EVERY, KILLED_AT = 12, 3, 6
MOST_DIFFERENCE = 1e-3
"""Relative, of a loss: two workers add gradients in another order, and Adam makes much of the rounding of small ones."""


def recipe(steps: int = STEPS) -> Recipe:
    """Small, elastic, with dropout and streaming: everything random is to be the same on any number of workers."""
    model = ModelConfig(
        fbank=FbankConfig(num_mels=20),
        encoder=EncoderConfig(layers=2, dim=16, heads=2, hidden=32, kernel=5),
        decoder=DecoderConfig(layers=1, backward_layers=1, heads=2, hidden=32),
        emoe=SWITCHES["emoe"].model_copy(update={"balance": "bias"}),
    )
    return Recipe(
        tokens=TokenizerConfig(num_subwords=280),
        model=model,
        data=DataConfig(plan=SamplerConfig(batch_seconds=8.0)),
        train=TrainConfig(steps=steps, accumulate=3, save_every=SAVE_EVERY, rate=RateConfig(peak=3e-3, warmup=2)),
    )


@dataclass(frozen=True, slots=True)
class Curve:
    steps: list[Step]
    folder: str
    """The last checkpoint."""

    def worst(self, other: Curve) -> float:
        """Largest relative difference of a loss; infinite where the steps are not the same ones."""
        if [(s.step, s.budget, s.utterances, s.skipped) for s in self.steps] != [
            (s.step, s.budget, s.utterances, s.skipped) for s in other.steps
        ]:
            return math.inf
        return max(abs(a.loss - b.loss) / abs(a.loss) for a, b in zip(self.steps, other.steps, strict=True))

    def farthest(self, other: Curve) -> float:
        """Largest difference of a weight at the end."""
        mine, theirs = (load(one.folder).model.state_dict() for one in (self, other))
        return max(float((mine[name] - theirs[name]).abs().max()) for name in mine)


def curve(train: Callable[..., training.TrainingResult], shards: Path, out: Path, **how: Any) -> Curve:
    steps: list[Step] = []
    trained = train(str(shards), str(out), recipe(), device="cpu", listeners=[steps.append], **how)
    return Curve(steps, trained.folder)


def curves(root: Path) -> tuple[dict[str, Curve], bool]:
    """By kind, and whether the kill happened."""
    shards = pack([*GOOD, sample(ODD, 0, 60), sample(ODD, 1, 0.05)], root / "shards")
    events = root / "events"
    path = os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")])
    os.environ |= {"VOXMILL_ON_COMMIT": "killer:on_event", "VOXMILL_EVENTS": str(events), "PYTHONPATH": path}
    two = distributed.WorkersConfig(workers=2)
    found = {"one worker": curve(training.train, shards, root / "one")}
    found["two workers"] = curve(distributed.train, shards, root / "two", config=two)
    (root / "events.kill-000001").write_text(f"self committed */killed/step-{KILLED_AT:08d}/model.safetensors")
    found["two workers, one killed"] = curve(distributed.train, shards, root / "killed", config=two)
    del os.environ["VOXMILL_ON_COMMIT"]
    return found, (root / "events.killed").exists()


def trained_on(case: Case, root: Path) -> tuple[dict[str, int], dict[str, int], bool]:
    """What had to be counted in an epoch, what was, and whether all losses are numbers."""
    shards = pack(case.samples, root)
    expected = case.spoil(shards)
    trainer = prepare(str(shards), recipe(3))
    counted = Counter[str]()
    for batch in trainer.loader.once():
        counted.update(batch.skipped)
    return expected, dict(counted), all(math.isfinite(trainer.advance().loss) for _ in range(3))


def evaluated_on(case: Case, root: Path, bundle: Bundle) -> tuple[dict[str, int], dict[str, int], bool]:
    """The same of evaluation. It hears what has no label as well, so nothing is left out for that; languages are only words there."""
    shards = pack(case.samples, root)
    expected = {reason: n for reason, n in case.spoil(shards).items() if reason not in ("no_label", "unknown_token")}
    there = sum(expected.values())
    trial = evaluate_model(bundle, "all", EvaluationSamples(str(shards), SamplerConfig()), {"method": "greedy"}, lambda _: None)
    return expected, trial.skipped, trial.utterances == len(case.samples) - there


def refusals(root: Path, bundle: Bundle) -> Iterator[tuple[str, str]]:
    """What is asked for and cannot be: (name, what was said), empty where nothing was refused."""

    def said(ask: Callable[[], Any], kind: type[Exception]) -> str:
        try:
            ask()
        except kind as error:
            return str(error).splitlines()[0].replace(f"{root}/", "")
        return ""

    nothing = pack([sample(ODD, 0, 0.05)], root / "nothing")
    yield "training on nothing usable", said(lambda: prepare(str(nothing), recipe()), ValueError)
    yield "training on no shards", said(lambda: prepare(str(root / "nowhere"), recipe()), NoShards)
    yield (
        "more workers than there is room for",
        said(
            lambda: distributed.train(
                str(root / "shards"), str(root / "many"), recipe(), distributed.WorkersConfig(workers=1000), device="cpu"
            ),
            UserError,
        ),
    )
    yield "translation into an unknown language", said(lambda: open_recognizer(bundle, translate_to="tlh"), UnknownTokenError)
    yield "a task that was not trained", said(lambda: open_recognizer(bundle, tasks=("nonsense",)), UserError)


def heard_in(root: Path, bundle: Bundle) -> Iterator[tuple[str, str, bool]]:
    """Odd sounds and files: (name, what became of it, whether that is what should)."""
    listen = Recognizer(bundle, RecognizerConfig(method="greedy"))
    for name, seconds, speaks in (("no sample at all", 0.0, False), ("0.05 s", 0.05, False), ("60 s", 60.0, True)):
        noise = np.random.default_rng(0).standard_normal(int(16_000 * seconds)).astype(np.float32) * 0.1
        short, normal = listen([noise, np.zeros(16_000, np.float32)])
        outcome = "labels" if short.labels else "says nothing"
        yield f"{name}, beside another", outcome, bool(short.labels) is speaks and bool(normal.labels)
    files = {"empty.wav": b"", "text.wav": b"this is no audio at all", "cut.wav": b"RIFF\x24\x00\x00\x00WAVEfmt "}
    for name, blob in files.items():
        (root / name).write_bytes(blob)
    for file in transcribe([str(root / name) for name in (*files, "missing.wav")], listen, AudioLoader()):
        yield Path(file.file).name, file.error or "heard", file.error is not None


def main() -> None:
    full = full_form(sys.argv)
    torch.set_num_threads(1)
    heading("train-faults", full, "made-up shards of 12 to 14 samples", ("torch", "ray"))
    targets: dict[str, Target] = {}
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        root = Path(folder)
        found, killed = curves(root)
        one = found["one worker"]
        weights = {name: one.farthest(c) for name, c in found.items()}
        rows = (
            (
                name,
                str(len(c.steps)),
                *(f"{c.steps[at].loss:.6f}" for at in (0, -1)),
                f"{one.worst(c):.1e}",
                f"{weights[name]:.1e}",
            )
            for name, c in found.items()
        )
        table(("curve", "steps", "first loss", "last loss", "largest difference", "of a weight"), rows)
        for name, c in list(found.items())[1:]:
            worst = one.worst(c)
            targets[f"{name}: the curve of one"] = {
                "value": f"{worst:.1e}", "target": f"<= {MOST_DIFFERENCE:.0e}", "met": worst <= MOST_DIFFERENCE,
            }  # fmt: skip
            targets[f"{name}: steps"] = {"value": len(c.steps), "target": str(STEPS), "met": len(c.steps) == STEPS}
        targets["a worker was killed while it saved"] = {"value": killed, "target": "True", "met": killed}

        bundle = load(found["two workers, one killed"].folder)
        outcomes = list[tuple[str, str, bool]]()
        for number, case in enumerate(cases()):
            for what, (expected, counted, fine) in {
                "trained": trained_on(case, root / f"trained-{number}"),
                "evaluated": evaluated_on(case, root / f"evaluated-{number}", bundle),
            }.items():
                outcomes.append((f"{case.name}, {what}", str(counted or "all used"), counted == expected and fine))
        outcomes += heard_in(root, bundle)
        outcomes += [(name, said or "no error", bool(said)) for name, said in refusals(root, bundle)]
    table(("fault", "outcome", ""), ((name, outcome[:100], "right" if right else "WRONG") for name, outcome, right in outcomes))
    right = sum(fine for *_, fine in outcomes)
    targets["faults with the outcome that they should have"] = {
        "value": right, "target": str(len(outcomes)), "met": right == len(outcomes),
    }  # fmt: skip
    figures = {
        "curves": {name: [step.loss for step in c.steps] for name, c in found.items()},
        "weights": weights,
        "faults": {name: outcome for name, outcome, _ in outcomes},
    }
    finish("train-faults", figures, targets, full)


if __name__ == "__main__":
    main()
