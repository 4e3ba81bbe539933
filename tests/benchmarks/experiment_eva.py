"""`make experiment-eva`: does a recogniser that sees what is spoken about hear better in noise?

Rows of spoken digits; the camera shows a handwritten digit for each, and sometimes nothing. Of each seed, one dense model learns from
the sound, and is the start of three trainings of equal steps:

    audio       the sound alone, everything goes on learning
    frames      EVA's first phase: projection, gates and experts learn to use the frames, the audio model does not move
    shuffled    the same, and every row is shown the frames of another one: what more parameters and steps do without any sight

`frames` is also tested on frames of other rows (misled), and without any (blind): then it is the dense model, to the bit. The full
form adds `tuned`: after a tenth of the steps the audio model learns too, slower. An error rate is a mean over seeds with its standard
deviation; a seed is another training.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks.experiments import digits, estimate, sizes
from benchmarks.experiments.corpus import Corpus
from benchmarks.experiments.hearing import encoded, error_rates, transcripts
from benchmarks.experiments.lessons import Lesson, Pictures, lesson
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.sight import apart
from benchmarks.experiments.sizes import Size
from benchmarks.experiments.trainings import Figures, Job, Trainings
from benchmarks.experiments.verdict import cell, interval, judged, reductions
from benchmarks.report import Target, heading, table
from speech.prompts import SpeechUnavailable
from voxmill.models.assemble import upcycle
from voxmill.models.checkpoint import Bundle
from voxmill.models.loss import LossConfig
from voxmill.models.model import ModelConfig, SpeechModel
from voxmill.models.vision import VisionConfig

REDUCED = Size(train=1000, test=60, steps=800, layers=3, dim=64, hidden=192, batch_seconds=20.0, peak=3e-3)
FULL = Size(train=2000, test=150, steps=2500, layers=4, dim=96, hidden=384, batch_seconds=24.0, peak=2e-3)
RECORDED = 40
"""Rows by the recorded speaker."""
LATER = 4
"""The trainings that start from the dense model take one step in this many of it."""
NOISY = tuple(digits.name(level) for level in digits.LEVELS if level is not None)
Sight = Literal["none", "own", "other"]


@dataclass(frozen=True)
class Plan:
    """All trainings of one seed."""

    size: Size
    seed: int

    def job(self, arm: str, model: ModelConfig, steps: int, peak: float, after: str = "", **more: Any) -> Job:
        trained = sizes.train(replace(self.size, peak=peak), self.seed, steps, loss=LossConfig(ctc=0.8), **more)
        return Job(arm=arm, model=model, train=trained, data=sizes.data(self.size, self.seed), after=after)

    @property
    def later(self) -> int:
        return max(1, self.size.steps // LATER)

    def dense(self) -> Job:
        return self.job("dense", sizes.model(self.size), self.size.steps, self.size.peak)

    def audio(self, after: str) -> Job:
        return self.job("audio", sizes.model(self.size), self.later, self.size.peak / 4, after)

    def seeing(self, arm: str, after: str, eyes_first: int) -> Job:
        vision = VisionConfig(dim=digits.DIM, frames=digits.LENGTHS[1], experts=8, top_k=2, where="all")
        model = sizes.model(self.size, vision=vision)
        return self.job(arm, model, self.later, self.size.peak, after, eyes_first=eyes_first)


def run(form: Form) -> Outcome | None:
    size = FULL if form.full else REDUCED
    if form.dry:
        estimate.show(_parts(Plan(size, 0), form), size)
        return None
    corpus = material(size)
    seen = digits.pictures_of(corpus)
    images = f"images told right by their encoder: {100 * digits.image_accuracy():.0f} %"
    heading("eva", form.full, f"{corpus}, {form.seeds} seeds; {images}", ("torch", "scikit-learn", "jiwer"))
    seeds = [_one_seed(Plan(size, seed), corpus, seen, form) for seed in range(form.seeds)]
    rates = {
        arm: {test: [one[arm][test] for one in seeds] for test in seeds[0][arm]}
        for arm in seeds[0]
        if arm not in ("same", "apart")
    }
    _print(rates)
    layers = [cell(of, 2) for of in zip(*(one["apart"] for one in seeds), strict=True)]
    print(
        f"how far apart frames and sound are in their choice of experts (0 alike, 1 no expert in common), by layer: {', '.join(layers)}\n"
    )
    figures = {"wer": rates, "seeds": form.seeds, "corpus": corpus.hash, "apart": [one["apart"] for one in seeds]}
    same = [one["same"] for one in seeds]
    # the task is small enough to be judged in either form
    return figures, judged(targets(rates, same), rates["dense"]["test clean"], full=True)


def material(size: Size) -> Corpus:
    try:
        return digits.digits_corpus(size.train, size.test, RECORDED)
    except SpeechUnavailable as error:
        print(f"without the recorded speaker: {error}\n")
        return digits.digits_corpus(size.train, size.test, 0)


def lessons_of(corpus: Corpus, split: str, sight: Sight, seed: int) -> list[Lesson]:
    """`other`: each row is shown the frames of another one of its kind."""
    spoken = corpus.split(split)
    kinds: dict[str, set[str]] = {}
    for one in spoken:
        kinds.setdefault(one.labels["row"].split("-")[0], set()).add(one.labels["row"])
    shown = {row: row for rows in kinds.values() for row in rows}
    if sight == "other":
        shown = {row: other for rows in kinds.values() for row, other in digits.shuffled(sorted(rows), seed).items()}
    return [replace(lesson(one), picture=None if sight == "none" else shown[one.labels["row"]]) for one in spoken]


def _one_seed(plan: Plan, corpus: Corpus, seen: Pictures, form: Form) -> dict[str, Any]:
    """Word error rates by arm and test; `apart` and `same` besides."""
    tokens = sizes.tokens(one.text for one in corpus.split("train"))
    trainings = Trainings("eva", corpus, tokens, form.clock, seen)
    lessons = {sight: lessons_of(corpus, "train", sight, plan.seed) for sight in ("none", "own", "other")}
    tests = {sight: lessons_of(corpus, "test", sight, plan.seed) for sight in ("none", "own", "other")}

    def judge(bundle: Bundle) -> Figures:
        """Word error rates of every kind of speaker and level, with each kind of sight."""
        sights = ("none", "own", "other") if bundle.model.config.vision else ("none",)
        found: Figures = {"apart": apart(bundle, corpus, tests["own"], seen) if bundle.model.config.vision else []}
        return found | {
            "tests": {sight: by_test(corpus, transcripts(bundle, corpus, tests[sight], pictures=seen)) for sight in sights}
        }

    dense = plan.dense()
    heard = trainings.result(dense, lessons["none"], judge)
    after = trainings.key(dense, lessons["none"])

    def upcycled(fresh: SpeechModel) -> None:
        upcycle(fresh, trainings.trained(dense, lessons["none"]).model.cpu())

    frames, others = plan.seeing("frames", after, plan.later), plan.seeing("shuffled", after, plan.later)
    whole = trainings.result(frames, lessons["own"], judge, upcycled)
    watched = whole["tests"]
    found = {
        "dense": heard["tests"]["none"],
        "audio": trainings.result(plan.audio(after), lessons["none"], judge, upcycled)["tests"]["none"],
        "frames": watched["own"],
        "shuffled": trainings.result(others, lessons["other"], judge, upcycled)["tests"]["other"],
        "misled": watched["other"],
        "blind": watched["none"],
        "apart": whole["apart"],
        "same": _same_bits(
            trainings.trained(dense, lessons["none"]), trainings.trained(frames, lessons["own"]), corpus, tests["none"]
        ),
    }
    if form.full:
        tuned = plan.seeing("tuned", after, max(1, plan.later // 10))
        both = trainings.result(tuned, lessons["own"], judge, upcycled)["tests"]
        found |= {"tuned": both["own"], "tuned blind": both["none"]}
    return found


def by_test(corpus: Corpus, said: Mapping[str, str]) -> dict[str, float]:
    """Word error rates (%) of synthesised and recorded speakers at each level of noise, and over all noisy ones."""
    found: dict[str, float] = {}
    for kind in ("test", "recorded"):
        levels = {
            name: {k: v for k, v in said.items() if k.startswith(kind) and k.endswith(f"@{name}")} for name in ("clean", *NOISY)
        }
        if any(levels.values()):
            found |= {f"{kind} {name}": error_rates(corpus, of_level)["wer"] for name, of_level in levels.items()}
            noisy = {k: v for name in NOISY for k, v in levels[name].items()}
            found[f"{kind} noisy"] = error_rates(corpus, noisy)["wer"]
    return found


def _same_bits(dense: Bundle, seeing: Bundle, corpus: Corpus, tests: Sequence[Lesson]) -> bool:
    """Whether the model with eyes, without frames, says of clean sound what the dense model says: every probability, to the bit."""
    clean = [one for one in tests if one.key.endswith("@clean")]
    both = zip(encoded(dense, corpus, clean), encoded(seeing, corpus, clean), strict=True)
    with torch.no_grad():
        return all(torch.equal(dense.model.ctc_of(a), seeing.model.ctc_of(b)) for (_, a), (_, b) in both)


Rates = Mapping[str, Mapping[str, Sequence[float]]]
"""Word error rates of the seeds by arm and test."""


def targets(rates: Rates, same: Sequence[bool]) -> dict[str, Target]:
    audio = rates["audio"]["test noisy"]
    helped = interval(reductions(rates["frames"]["test noisy"], audio))
    control = interval(reductions(rates["shuffled"]["test noisy"], audio))
    apart = interval(reductions(rates["frames"]["test noisy"], rates["shuffled"]["test noisy"]))
    return {
        "frames help in noise: relative reduction of WER": {
            "value": _between(helped), "target": "95 % interval over seeds above 0", "met": helped[1] > 0,
        },
        "shuffled frames do not": {
            "value": _between(control), "target": "95 % interval not above 0", "met": control[1] <= 0,
        },
        "frames against shuffled frames": {
            "value": _between(apart), "target": "95 % interval above 0", "met": apart[1] > 0,
        },
        "clean sound without frames is the dense model's, to the bit": {
            "value": f"{sum(same)} of {len(same)} seeds", "target": "all", "met": all(same),
        },
    }  # fmt: skip


def _between(found: tuple[float, float, float]) -> str:
    return f"{found[0]:.1f} % ({found[1]:.1f} to {found[2]:.1f})"


def _print(rates: Rates) -> None:
    print("WER %, mean ± deviation over seeds; dense is where the others start, noisy is over all levels of noise")
    tests = list(rates["dense"])
    table(("speaker, noise", *rates), [(test, *(cell(found[test]) for found in rates.values())) for test in tests])
    print("relative reduction of WER against audio, %, by test: mean over seeds")
    arms = [arm for arm in rates if arm not in ("dense", "audio", "blind")]
    rows = []
    for test in tests:
        base = rates["audio"][test]
        cells = [f"{statistics.mean(reductions(rates[arm][test], base)):.1f}" if min(base) > 0 else "-" for arm in arms]
        rows.append((test, *cells))
    table(("speaker, noise", *arms), rows)


def _parts(plan: Plan, form: Form) -> list[estimate.Part]:
    jobs = [plan.dense(), plan.audio("dense"), plan.seeing("frames", "dense", 1), plan.seeing("shuffled", "dense", 1)]
    if form.full:
        jobs.append(plan.seeing("tuned", "dense", 1))
    return [estimate.Part(job.arm, job.model, job.train.steps, form.seeds) for job in jobs]


if __name__ == "__main__":
    conduct("eva", seeds=(3, 5), run=run)
