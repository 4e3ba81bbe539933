"""`make experiment-eva`: does a recogniser that sees what is spoken about hear better in noise?

Rows of spoken digits; the camera shows a handwritten digit for each, and sometimes nothing. Of each seed, one dense model learns from
the sound, and is the start of three trainings of equal steps, in which stretches of the sound are missing:

    audio       the sound alone
    frames      EVA's two phases: projection, gates and experts learn to use the frames while the audio model does not move; then all
    shuffled    the same, and every row is shown the frames of another one: what more parameters do without any sight

`frames` is also tested on frames of other rows (misled), and without any (blind). An error rate is a mean over seeds with its standard
deviation; a seed is another training. The reduced form is the first seed of the full one.
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
from voxmill.models.data.augment import SpecAugmentConfig
from voxmill.models.network.assemble import upcycle
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.network.vision import VisionConfig
from voxmill.models.training.checkpoint import Bundle
from voxmill.models.training.loss import LossConfig

SIZE = Size(train=1000, test=60, steps=800, layers=3, dim=64, hidden=192, batch_seconds=20.0, peak=3e-3)
RECORDED = 40
"""Rows by the recorded speaker."""
LATER = 2
"""The trainings that start from the dense model take one step in this many of it."""
EYES_FIRST = 10
"""The first phase takes one step in this many of theirs."""
MISSING = SpecAugmentConfig(num_bands=1, band_mels=8, num_gaps=3, gap_frames=60, gap_share=0.35, num_echoes=0)
"""What sound cannot tell, sight may: gaps of up to 0.6 s, about as long as a digit and a half."""
NOISY = tuple(digits.name(level) for level in digits.LEVELS if level is not None)
Sight = Literal["none", "own", "other"]


@dataclass(frozen=True)
class Plan:
    """All trainings of one seed."""

    size: Size
    seed: int

    @property
    def later(self) -> int:
        return max(1, self.size.steps // LATER)

    def dense(self) -> Job:
        trained = sizes.train(self.size, self.seed, loss=LossConfig(ctc=0.8))
        return Job(arm="dense", model=sizes.model(self.size), train=trained, data=sizes.data(self.size, self.seed))

    def job(self, arm: str, model: ModelConfig, after: str, steps: int | None = None, **more: Any) -> Job:
        """One that starts from the dense model."""
        trained = sizes.train(self.size, self.seed, steps or self.later, loss=LossConfig(ctc=0.8), **more)
        data = sizes.data(self.size, self.seed)
        assert data.example.augment is not None
        augment = data.example.augment.model_copy(update={"spec": MISSING})
        data = data.model_copy(update={"example": data.example.model_copy(update={"augment": augment})})
        return Job(arm=arm, model=model, train=trained, data=data, after=after)

    def audio(self, after: str) -> Job:
        return self.job("audio", sizes.model(self.size), after)

    def seeing(self, arm: str, after: str) -> Job:
        return self.job(arm, self.with_eyes(), after, eyes_first=max(1, self.later // EYES_FIRST), after_eyes=1.0)

    def eyes_only(self, after: str) -> Job:
        """The first phase alone."""
        steps = max(1, self.later // EYES_FIRST)
        return self.job("eyes", self.with_eyes(), after, steps, eyes_first=steps)

    def with_eyes(self) -> ModelConfig:
        vision = VisionConfig(dim=digits.DIM, frames=digits.LENGTHS[1], experts=8, top_k=2, where="all", drop=0.1)
        return sizes.model(self.size, vision=vision)


def run(form: Form) -> Outcome | None:
    if form.dry:
        estimate.show(_parts(Plan(SIZE, 0), form), SIZE)
        return None
    corpus = material(SIZE)
    seen = digits.pictures_of(corpus)
    images = f"images told right by their encoder: {100 * digits.image_accuracy():.0f} %"
    heading("eva", form.full, f"{corpus}, {form.seeds} seeds; {images}", ("torch", "scikit-learn", "jiwer"))
    seeds = [_one_seed(Plan(SIZE, seed), corpus, seen, form) for seed in range(form.seeds)]
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
    return figures, judged(targets(rates, same), rates["dense"]["test clean"])


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

    frames, eyes = plan.seeing("frames", after), plan.eyes_only(after)
    whole = trainings.result(frames, lessons["own"], judge, upcycled)
    watched = whole["tests"]
    audio = trainings.result(plan.audio(after), lessons["none"], judge, upcycled)
    others = trainings.result(plan.seeing("shuffled", after), lessons["other"], judge, upcycled)
    clean = [one for one in tests["none"] if one.key.endswith("@clean")]
    opened = trainings.trained(eyes, lessons["own"], upcycled)
    seeing = trainings.trained(frames, lessons["own"], upcycled)
    return {
        "dense": heard["tests"]["none"],
        "audio": audio["tests"]["none"],
        "frames": watched["own"],
        "shuffled": others["tests"]["other"],
        "misled": watched["other"],
        "blind": watched["none"],
        "apart": whole["apart"],
        "same": same_bits(trainings.trained(dense, lessons["none"]), opened, corpus, clean)
        and same_bits(without_eyes(seeing), seeing, corpus, clean),
    }


def without_eyes(seeing: Bundle) -> Bundle:
    """The same weights in a model that was built without vision."""
    plain = SpeechModel(seeing.model.config.model_copy(update={"vision": None}))
    given = {name.replace("feed_forward.audio.", "feed_forward."): one for name, one in seeing.model.state_dict().items()}
    plain.load_state_dict({name: given[name] for name in plain.state_dict()})
    return replace(seeing, model=plain.to(seeing.model.ctc.weight.device))


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


def same_bits(one: Bundle, other: Bundle, corpus: Corpus, lessons: Sequence[Lesson]) -> bool:
    """Whether both models say the same of the sound: every probability of every frame, to the bit."""
    both = zip(encoded(one, corpus, lessons), encoded(other, corpus, lessons), strict=True)
    with torch.no_grad():
        return all(torch.equal(one.model.ctc_of(a), other.model.ctc_of(b)) for (_, a), (_, b) in both)


Rates = Mapping[str, Mapping[str, Sequence[float]]]
"""Word error rates of the seeds by arm and test."""


def targets(rates: Rates, same: Sequence[bool]) -> dict[str, Target]:
    """Against sound alone: of each seed the better of `dense` and `audio`, as missing stretches may also do harm."""
    audio = [min(pair) for pair in zip(rates["dense"]["test noisy"], rates["audio"]["test noisy"], strict=True)]
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
        "clean sound without frames: as dense after the first phase, as without eyes after both, to the bit": {
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
    jobs = [
        plan.dense(),
        plan.audio("dense"),
        plan.seeing("frames", "dense"),
        plan.seeing("shuffled", "dense"),
        plan.eyes_only("dense"),
    ]
    return [estimate.Part(job.arm, job.model, job.train.steps, form.seeds) for job in jobs]


if __name__ == "__main__":
    conduct("eva", seeds=(1, 5), run=run)
