"""`make experiment-eva`: does a recogniser that sees what is spoken about hear better in noise?

Rows of spoken digits; the camera shows a handwritten digit for each, and sometimes nothing. Of each seed, one dense model learns from
the sound, and is the start of three trainings of equal steps, in which stretches of the sound are missing:

    audio       the sound alone
    frames      EVA's two phases: projection, gates and experts learn to use the frames while the audio model does not move; then all
    shuffled    the same, and every row is shown the frames of another one: what more parameters do without any sight

`frames` is also tested on frames of other rows (misled), and without any (blind). An error rate is a mean over seeds with its standard
deviation; a seed is another training. The reduced form has four seeds, the full one eight, longer trainings, and a recorded speaker,
who is outside of what the model learns: all voices of the training are of one synthesiser.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks.experiments import digits, estimate, sizes
from benchmarks.experiments.corpus import Corpus
from benchmarks.experiments.hearing import encoded, error_rates, transcripts
from benchmarks.experiments.lessons import Lesson, Pictures, lesson
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.rows import LENGTHS
from benchmarks.experiments.sight import apart
from benchmarks.experiments.sizes import Size
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import Figures, Job, Trainings
from benchmarks.experiments.verdict import cell, interval, judged, reductions
from benchmarks.report import Target, heading, table
from speech.debian import PackagesUnavailable
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.data.augment import SpecAugmentConfig
from voxmill.models.network.layers import upcycle
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.network.vision import VisionConfig
from voxmill.models.training.loss import LossConfig

REDUCED = Size(train=1200, test=100, steps=700, layers=2, dim=48, hidden=192, batch_seconds=20.0, peak=4e-3)
FULL = replace(REDUCED, train=2000, test=200, steps=1200, layers=3, dim=64)
RECORDED = 40
"""Rows by the recorded speaker, in the full form."""
LATER = 3
"""The trainings that start from the dense model take one step in this many of it."""
EYES_FIRST = 10
"""The first phase takes one step in this many of theirs."""
MISSING = SpecAugmentConfig(num_bands=1, band_mels=8, num_gaps=3, gap_frames=60, gap_share=0.35, num_echoes=0)
"""What sound cannot tell, sight may: gaps of up to 0.6 s, about as long as two digits."""
NOISY = tuple(digits.name(level) for level in digits.LEVELS if level is not None)
Sight = Literal["none", "own", "other"]
SIGHTS: tuple[Sight, ...] = ("none", "own", "other")


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
        vision = VisionConfig(dim=digits.DIM, frames=LENGTHS[1], experts=8, top_k=2, where="all", drop=0.1)
        return sizes.model(self.size, vision=vision)


def run(form: Form) -> Outcome | None:
    size = FULL if form.full else REDUCED
    if form.dry:
        estimate.show(_parts(Plan(size, 0), form), size)
        return None
    corpus = material(size, RECORDED if form.full else 0)
    seen = digits.pictures_of(corpus)
    images = f"images told right by their encoder: {100 * digits.image_accuracy():.0f} %"
    heading("eva", form.full, f"{corpus}, {form.seeds} seeds; {images}", ("torch", "scikit-learn", "jiwer"))
    tokens = sizes.words_only(one.text for one in corpus.split("train"))
    trainings = Trainings("eva", corpus, tokens, form.clock, seen)
    seeds = [Seed(Plan(size, seed), corpus, seen, trainings) for seed in range(form.seeds)]
    together([one.dense for one in seeds])
    together(
        [arm for arms in (Seed.frames, Seed.shuffled, Seed.audio, Seed.opened) for arm in (partial(arms, one) for one in seeds)]
    )
    found = [one.found() for one in seeds]
    rates = {
        arm: {test: [one[arm][test] for one in found] for test in found[0][arm]}
        for arm in found[0]
        if arm not in ("same", "apart")
    }
    _print(rates)
    layers = [cell(of, 2) for of in zip(*(one["apart"] for one in found), strict=True)]
    print(
        f"how far apart frames and sound are in their choice of experts (0 alike, 1 no expert in common), by layer: {', '.join(layers)}\n"
    )
    figures = {"wer": rates, "seeds": form.seeds, "corpus": corpus.hash, "apart": [one["apart"] for one in found]}
    same = [one["same"] for one in found]
    return figures, judged(targets(rates, same), rates["dense"]["test clean"])


def material(size: Size, recorded: int) -> Corpus:
    try:
        return digits.digits_corpus(size.train, size.test, recorded)
    except PackagesUnavailable as error:
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


class Seed:
    """The trainings of one seed, each read from the cache where it was done before."""

    def __init__(self, plan: Plan, corpus: Corpus, seen: Pictures, trainings: Trainings) -> None:
        self.plan, self.corpus, self.seen, self.trainings = plan, corpus, seen, trainings
        self.lessons = {sight: lessons_of(corpus, "train", sight, plan.seed) for sight in SIGHTS}
        self.tests = {sight: lessons_of(corpus, "test", sight, plan.seed) for sight in SIGHTS}
        self.after = trainings.key(plan.dense(), self.lessons["none"])

    def judge(self, bundle: Bundle) -> Figures:
        """Word error rates of every kind of speaker and level, with each kind of sight."""
        sights = SIGHTS if bundle.model.config.vision else SIGHTS[:1]
        sees = bundle.model.config.vision is not None
        found: Figures = {"apart": apart(bundle, self.corpus, self.tests["own"], self.seen) if sees else []}
        said = {sight: transcripts(bundle, self.corpus, self.tests[sight], pictures=self.seen) for sight in sights}
        return found | {"tests": {sight: by_test(self.corpus, of_sight) for sight, of_sight in said.items()}}

    def dense(self) -> Figures:
        return self.trainings.result(self.plan.dense(), self.lessons["none"], self.judge)

    def audio(self) -> Figures:
        return self.trainings.result(self.plan.audio(self.after), self.lessons["none"], self.judge, self.upcycled)

    def frames(self) -> Figures:
        return self.trainings.result(self.plan.seeing("frames", self.after), self.lessons["own"], self.judge, self.upcycled)

    def shuffled(self) -> Figures:
        return self.trainings.result(self.plan.seeing("shuffled", self.after), self.lessons["other"], self.judge, self.upcycled)

    def opened(self) -> Bundle:
        """After the first phase."""
        return self.trainings.trained(self.plan.eyes_only(self.after), self.lessons["own"], self.upcycled)

    def upcycled(self, fresh: SpeechModel) -> None:
        upcycle(fresh, self._dense().model.cpu())

    def _dense(self) -> Bundle:
        return self.trainings.trained(self.plan.dense(), self.lessons["none"])

    def found(self) -> dict[str, Any]:
        """Word error rates by arm and test; `apart` and `same` besides."""
        whole = self.frames()
        clean = [one for one in self.tests["none"] if one.key.endswith("@clean")]
        seeing = self.trainings.trained(self.plan.seeing("frames", self.after), self.lessons["own"], self.upcycled)
        return {
            "dense": self.dense()["tests"]["none"],
            "audio": self.audio()["tests"]["none"],
            "frames": whole["tests"]["own"],
            "shuffled": self.shuffled()["tests"]["other"],
            "misled": whole["tests"]["other"],
            "blind": whole["tests"]["none"],
            "apart": whole["apart"],
            "same": same_bits(self._dense(), self.opened(), self.corpus, clean)
            and same_bits(without_eyes(seeing), seeing, self.corpus, clean),
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
    if any(test.startswith("recorded") for test in tests):
        print("recorded: a human voice, outside of what was trained on")
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
    conduct("eva", seeds=(4, 8), run=run)
