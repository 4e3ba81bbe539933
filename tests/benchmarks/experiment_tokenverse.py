"""TokenVerse++ in small: do vectors that switch tasks on make use of utterances that are labelled for some tasks only?

Exchanges in one of a few languages, in one voice or two, with names in them. Few utterances are labelled for everything: words,
language, speaker changes, names; all others have their words and one or two of the three. One model says it all as tokens. It
learns from the fully labelled ones alone; from all of them, with the vectors of the labelled tasks added to the sound; from all of
them without vectors, where a task without a label looks like one with nothing to say; and, the control, with vectors of zero.

As TokenVerse begins with an encoder that has been trained before, all arms of a seed begin with one dense model that has learnt the
words of all utterances, and nothing else. Vectors are added after the encoder: CTC is linear, so a task switched on or off moves
every token by a constant, and nothing that the encoder has heard.

All arms are heard as `voxmill transcribe` hears: the words first, then each task with its own vector, its tokens set among these
words. That a task which is off takes nothing else away is the promise of that way, and here it is checked; what happens when all
active vectors are added up and heard at once, as published, is printed beside it.

Reduced form: two turns of a digit and a name or none, three languages, a small model. Full form: sentences in two languages, and a
larger model. Three seeds in both.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from torch import nn

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])


from benchmarks.experiments import sizes
from benchmarks.experiments.active import AUXILIARY, TASKS, hearing, judge, lesson
from benchmarks.experiments.corpus import Spoken, corpus
from benchmarks.experiments.dialogue import ROWS, SENTENCES, Material, exchanges
from benchmarks.experiments.estimate import Part, show
from benchmarks.experiments.lessons import Lesson
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import Figures, Job, Start, Trainings
from benchmarks.experiments.verdict import beats, cell, judged
from benchmarks.report import Target, heading, table
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.tasks import Task
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.network.model import ModelConfig, SpeechModel
from voxmill.models.network.task_vectors import TaskVectorsConfig
from voxmill.models.training.loss import LossConfig


@dataclass(frozen=True, slots=True)
class Setting:
    """What a form of this experiment learns, and with how large a model."""

    material: Material
    size: sizes.Size
    """Its steps are those of every arm."""
    first: int
    """Steps of the dense model before."""
    peak: float
    """Highest learning rate of the arms: vectors have a long way to go. That of the dense model is its size's."""
    subwords: int


REDUCED = Setting(
    ROWS,
    sizes.Size(1200, 240, 800, layers=2, dim=64, hidden=192, batch_seconds=20.0, peak=3e-3),
    first=700,
    peak=6e-3,
    subwords=460,
)
FULL = Setting(
    SENTENCES, replace(sizes.FULL, train=2000, test=300, steps=1800, layers=3, hidden=256), first=1200, peak=4e-3, subwords=420
)
VECTORS = 0.3
"""Deviation of the first task vectors. From 0.02, a transformer's usual one, 800 steps did not take them as far as they went."""
FULLY = 8
"""One utterance in so many is labelled for everything."""
SOME = tuple(tasks for size in (1, 2) for tasks in combinations(AUXILIARY, size))
"""What the others are labelled for, in turn. Vectors are summed, so training has to hear sums too, and not of full labels only."""


@dataclass(frozen=True, slots=True)
class Arm:
    name: str
    partial: bool
    """Learns from the partly labelled utterances too."""
    vectors: bool
    deactivate: float


ARMS = (
    Arm("full labels only", partial=False, vectors=True, deactivate=0.3),
    Arm("partial, activated", partial=True, vectors=True, deactivate=0.3),
    Arm("partial, not activated", partial=True, vectors=False, deactivate=0.0),
    Arm("partial, zero vectors", partial=True, vectors=False, deactivate=0.3),
)
"""A model whose vectors are held at zero computes, to the bit, what a model without vectors does: so that is what the control is.
Unlike the arm before it, it is trained with the random deactivation that belongs to vectors."""


def lessons(train: Sequence[Spoken], arm: Arm, languages: int) -> list[Lesson]:
    """Languages alternate, so which utterances are labelled, and for what, goes by groups of one of each."""
    found = []
    for index, one in enumerate(train):
        group = index // languages
        if group % FULLY == 0:
            found.append(lesson(one))
        elif arm.partial:
            found.append(lesson(one, SOME[(group - group // FULLY - 1) % len(SOME)]))
    return found


def model(size: sizes.Size, vectors: bool) -> ModelConfig:
    """Without dropout: it would be an eighth of the time, and trainings are too short to need it."""
    usual = sizes.model(size)
    return sizes.model(
        size,
        encoder=usual.encoder.model_copy(update={"dropout": 0.0}),
        decoder=usual.decoder.model_copy(update={"dropout": 0.0}),
        tasks=TaskVectorsConfig(tasks=TASKS, where="encoder") if vectors else None,
    )


def dense(setting: Setting, seed: int) -> Job:
    """The words alone."""
    return _job("dense", setting.size, seed, TASKS[:1], 0.0, steps=setting.first, model=model(setting.size, vectors=False))


def job(setting: Setting, arm: Arm, seed: int, after: str) -> Job:
    name = arm.name.replace(", ", "-").replace(" ", "-")
    built = model(setting.size, arm.vectors)
    size = replace(setting.size, peak=setting.peak)
    begins = f"{after}, vectors {VECTORS}"
    return _job(name, size, seed, TASKS, arm.deactivate, steps=setting.size.steps, model=built, after=begins)


def _job(name: str, size: sizes.Size, seed: int, tasks: tuple[Task, ...], deactivate: float, *, steps: int, **more: Any) -> Job:
    targets = TargetsConfig(style="activated", tasks=tasks, deactivate=deactivate, translate=0)
    trained = sizes.train(size, seed, steps, loss=LossConfig(ctc=0.8))
    return Job(arm=name, train=trained, data=sizes.data(size, seed, targets=targets), **more)


def starting(bundle: Callable[[], Bundle]) -> Start:
    """From all weights of that model, which has no task vectors: these begin at random, and large enough to be told apart at once."""

    def start(fresh: SpeechModel) -> None:
        missing, unknown = fresh.load_state_dict(bundle().model.cpu().state_dict(), strict=False)
        assert not unknown
        assert all(name.startswith("tasks_") for name in missing)
        if fresh.tasks_late is not None:
            nn.init.normal_(fresh.tasks_late.vectors.weight, std=VECTORS)

    return start


def run(form: Form) -> Outcome | None:
    setting = FULL if form.full else REDUCED
    size, material = setting.size, setting.material
    if form.dry:
        begin = Part("dense", model(size, vectors=False), setting.first, form.seeds)
        show([begin, *(Part(arm.name, model(size, arm.vectors), size.steps, form.seeds) for arm in ARMS)], size)
        return None
    speech = corpus(material.name, exchanges(material, size.train, size.test))
    heading("tokenverse", form.full, f"{speech}, {form.seeds} seeds", ("torch", "jiwer", "sentencepiece"))
    train = speech.split("train")
    tokens = sizes.tokens((one.text for one in train), num_subwords=setting.subwords, language=material.languages)
    trainings = Trainings("tokenverse", speech, tokens, form.clock)
    words = [lesson(one, ()) for one in train]
    taught = {arm: lessons(train, arm, len(material.languages)) for arm in ARMS}

    def first(seed: int) -> Figures:
        return trainings.result(dense(setting, seed), words, hearing(speech))

    def result(arm: Arm, seed: int) -> Figures:
        before = dense(setting, seed)
        after = job(setting, arm, seed, trainings.key(before, words))
        start = starting(lambda: trainings.trained(before, words))
        return trainings.result(after, taught[arm], judge(speech, switches=arm.partial and arm.vectors), start)

    seeds = form.fresh
    together([partial(first, seed) for seed in seeds])
    together([partial(result, arm, seed) for arm in sorted(ARMS, key=lambda arm: not arm.vectors) for seed in seeds])
    results = {arm.name: [result(arm, seed) for seed in seeds] for arm in ARMS}
    return verdict([first(seed) for seed in seeds], results, {arm.name: len(taught[arm]) for arm in ARMS}, setting)


def verdict(start: list[Figures], results: dict[str, list[Figures]], counts: dict[str, int], setting: Setting) -> Outcome:
    subset, activated, plain, _ = (results[arm.name] for arm in ARMS)
    print(f"Errors in %, mean ± deviation over {len(plain)} seeds: words, language, 100 - F1 of speaker changes and of names\n")
    rows: list[tuple[str, ...]] = [
        ("dense, where all begin", "", cell([one["asr"] for one in start]), "", "", "", "", _seconds(start))
    ]
    rows += [(name, str(counts[name]), *_cells(of_arm), _seconds(of_arm)) for name, of_arm in results.items()]
    rows.insert(3, ("  all tasks at once", "", *_cells([one["at_once"] for one in activated]), ""))
    rows.insert(4, ("  its vectors set to zero", "", *_cells([one["zeroed"] for one in activated]), ""))
    table(("arm", "utterances", "asr", *AUXILIARY, "mean of three", "s"), rows)
    print(
        "The activated model with one task switched off: its tokens, the errors of everything else, and the share of utterances"
    )
    print(
        "(%) where everything else is said token for token as with all tasks on; by itself as `transcribe`, at once as published\n"
    )
    summed = [one["at_once"]["off"] for one in activated]
    table(("heard", "off", "tokens before", "after", *TASKS, "same"), [
        (how, task, *(cell([one[task][key] for one in of]) if key != task else "" for key in ("before", "left", *TASKS, "same")))
        for how, of in (("by itself", [one["off"] for one in activated]), ("at once", summed))
        for task in AUXILIARY
    ])  # fmt: skip
    gain = {task: ([one[task] for one in activated], [one[task] for one in subset]) for task in AUXILIARY}
    mean = [_mean(one) for one in activated], [_mean(one) for one in subset]
    worse = [task for task, (ours, theirs) in gain.items() if beats(theirs, ours)]
    words = {name: [one["asr"] for one in of] for name, of in (("ours", activated), ("plain", plain), ("subset", subset))}
    offs = [one["off"][task] for one in activated for task in AUXILIARY]
    before, left, same = min(o["before"] for o in offs), sum(o["left"] for o in offs), [o["same"] for o in offs]
    published = min(one[task]["same"] for one in summed for task in AUXILIARY)
    moved = [f"{other} with {task} off" for task, other in touched(activated)]
    targets: dict[str, Target] = {
        "partial labels help the auxiliary tasks": {
            "value": f"error {cell(mean[0])} with, {cell(mean[1])} without" + (f"; worse: {', '.join(worse)}" if worse else ""),
            "target": "activated below full labels only beyond the seeds, no task worse",
            "met": beats(*mean) and not worse,
        },
        "activation costs no ASR": {
            "value": f"WER {cell(words['ours'])}; not activated {cell(words['plain'])}, full labels only {cell(words['subset'])}",
            "target": "neither is better beyond the seeds",
            "met": not beats(words["plain"], words["ours"]) and not beats(words["subset"], words["ours"]),
        },
        "a task that is off takes only its tokens away": {
            "value": f"{left} left of {sum(o['before'] for o in offs)}; outside the seeds' range: {', '.join(moved) or 'nothing'}; "
            f"all else the same in {statistics.mean(same):.1f} % of utterances, at least {min(same):.1f} % (heard at once {published:.1f} %)",
            "target": "none left, all else the same in every utterance",
            "met": before > 0 and left == 0 and min(same) == 100,
        },
    }  # fmt: skip
    shown = {
        "arms": {name: {task: [one[task] for one in of_arm] for task in TASKS} for name, of_arm in results.items()},
        "off": [one["off"] for one in activated],
        "at_once": [one["at_once"] for one in activated],
        "zeroed": [one["zeroed"] for one in activated],
        "seconds": {name: [one["seconds"] for one in of_arm] for name, of_arm in results.items()},
        "dense": [one["asr"] for one in start],
        "size": {**asdict(setting.size), "first": setting.first},
        "device": activated[0]["device"],
    }
    return shown, judged(targets, words["plain"])


def touched(activated: Sequence[Figures]) -> list[tuple[Task, Task]]:
    """(task that is off, another task whose mean error, better or worse, is then outside the range that seeds have with it on)."""
    found: list[tuple[Task, Task]] = []
    for task in AUXILIARY:
        for other in (one for one in TASKS if one != task):
            on, off = [one[other] for one in activated], [one["off"][task][other] for one in activated]
            found += [] if min(on) <= statistics.mean(off) <= max(on) else [(task, other)]
    return found


def _cells(of_arm: Sequence[Figures]) -> list[str]:
    return [*(cell([one[task] for one in of_arm]) for task in TASKS), cell([_mean(one) for one in of_arm])]


def _seconds(of_arm: Sequence[Figures]) -> str:
    return f"{statistics.mean(one['seconds'] for one in of_arm):.0f}"


def _mean(one: Figures) -> float:
    return float(statistics.mean(one[task] for task in AUXILIARY))


if __name__ == "__main__":
    conduct("tokenverse", seeds=(3, 3), run=run)
