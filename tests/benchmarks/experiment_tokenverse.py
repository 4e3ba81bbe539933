"""TokenVerse++ in small: do vectors that switch tasks on make use of utterances that are labelled for some tasks only?

Exchanges in one of a few languages, in one voice or two, with names in them. Few utterances are labelled for everything:
words, language, speaker changes, names; all others have their words and one or two of the three. One model says it all as tokens. It learns from
the fully labelled ones alone; from all of them, with the vectors of the labelled tasks added to the sound; from all of them
without vectors, where a task without a label looks like one with nothing to say; and, the control, with vectors of zero.

Vectors are added after the encoder. CTC is linear, so that a task switched on or off moves every token by a constant, and nothing
that the encoder has heard. Reduced form: two turns of digits and names in three languages, a small model, three seeds. Full form:
sentences in two languages, a larger one.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch

from benchmarks.experiments import sizes
from benchmarks.experiments.corpus import Corpus, Spoken, corpus
from benchmarks.experiments.dialogue import ROWS, SENTENCES, Material, exchanges
from benchmarks.experiments.estimate import Part, show
from benchmarks.experiments.hearing import ctc_ids, encoded
from benchmarks.experiments.lessons import Lesson
from benchmarks.experiments.marked import Said, figures, read
from benchmarks.experiments.room import Form, Outcome, conduct
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import Figures, Job, Judge, Trainings
from benchmarks.experiments.verdict import beats, cell, judged
from benchmarks.report import Target, heading, table
from voxmill.manifests.records import Annotation, Labels, Mark, Word
from voxmill.models.data.seeds import seeded
from voxmill.models.data.targets import INLINE_TOKENS, TargetsConfig, Task, Utterance, make_target
from voxmill.models.data.tokens import Tokens, class_token
from voxmill.models.network.model import ModelConfig
from voxmill.models.network.task_vectors import TaskVectorsConfig
from voxmill.models.training.checkpoint import Bundle
from voxmill.models.training.loss import LossConfig

AUXILIARY: tuple[Task, ...] = ("language", "speaker_change", "named_entities")
TASKS: tuple[Task, ...] = ("asr", *AUXILIARY)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a form of this experiment learns, and with how large a model."""

    material: Material
    size: sizes.Size
    subwords: int


REDUCED = Setting(ROWS, sizes.Size(1200, 240, 700, layers=3, dim=64, hidden=192, batch_seconds=20.0, peak=3e-3), 460)
FULL = Setting(SENTENCES, replace(sizes.FULL, train=2000, test=300, steps=1200, layers=3, hidden=256), 420)
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


def lesson(spoken: Spoken, labelled: Iterable[Task] = AUXILIARY) -> Lesson:
    """Words, and the labels of those tasks. A word's time is its number: only the order of words and marks counts."""
    words = spoken.text.split()
    truth: dict[str, list[Mark]] = {
        "language": [Mark(spoken.labels["language"])],
        "speaker_change": [Mark("", start=100 * place - 10) for place in spoken.labels["changes"]],
        "named_entities": [
            Mark(" ".join(words[first:last]), start=100 * first - 5, end=100 * last - 5)
            for first, last in spoken.labels["names"]
        ],
    }
    labels: dict[str, Any] = {task: Annotation(tuple(truth[task]), "grammar") for task in labelled}
    timed = tuple(Word(word, 100 * index, 100 * index + 90) for index, word in enumerate(words))
    return Lesson(spoken.key, Utterance(spoken.text, Labels(spoken.key, **labels), timed))


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


def model(size: sizes.Size, arm: Arm) -> ModelConfig:
    return sizes.model(size, tasks=TaskVectorsConfig(tasks=TASKS, where="encoder") if arm.vectors else None)


def job(size: sizes.Size, arm: Arm, seed: int) -> Job:
    targets = TargetsConfig(style="activated", tasks=TASKS, deactivate=arm.deactivate, translate=0)
    return Job(
        arm=arm.name.replace(", ", "-").replace(" ", "-"),
        model=model(size, arm),
        train=sizes.train(size, seed, loss=LossConfig(ctc=0.7)),
        data=sizes.data(size, seed, targets=targets),
    )  # fmt: skip


Ids = dict[str, tuple[int, ...]]


def heard(bundle: Bundle, speech: Corpus, active: Iterable[Task] = AUXILIARY) -> Ids:
    """What CTC says of the test while these tasks are active, besides the words."""
    test = [lesson(one, active) for one in speech.split("test")]
    return {key: ids for batch, found in encoded(bundle, speech, test) for key, ids in ctc_ids(bundle, batch, found)}


def expected(speech: Corpus, tokens: Tokens) -> dict[str, Said]:
    config = TargetsConfig(style="activated", tasks=TASKS, deactivate=0, translate=0)
    targets = {
        one.key: make_target(lesson(one).utterance, tokens, config, seeded("test", one.key)) for one in speech.split("test")
    }
    return {key: read(target.ctc or (), tokens) for key, target in targets.items()}


def of_task(task: Task, tokens: Tokens) -> frozenset[int]:
    """The ids of a task's own tokens."""
    names = INLINE_TOKENS.get(task) or tuple(map(class_token, tokens.config.language))
    return frozenset(tokens[name] for name in names)


def judge(speech: Corpus, vectors: bool) -> Judge:
    """Errors with all tasks active; with vectors, also with these at zero, and with each task off.

    Of a task that is off: `left`, its tokens that are still said, of those `before`; the errors of everything else; and `same`, the
    share of utterances (%) of which everything else is said token for token as before.
    """

    def measured(bundle: Bundle) -> Figures:
        tokens, truth = bundle.tokens, expected(speech, bundle.tokens)
        with_all = heard(bundle, speech)
        found: Figures = _errors(truth, with_all, tokens)
        if not vectors:
            return found
        found["off"] = {}
        for task in AUXILIARY:
            without = heard(bundle, speech, [other for other in AUXILIARY if other != task])
            own = of_task(task, tokens)
            left, before = (sum(token in own for ids in of.values() for token in ids) for of in (without, with_all))
            same = sum([t for t in with_all[key] if t not in own] == [t for t in without[key] if t not in own] for key in truth)
            others = {other: error for other, error in _errors(truth, without, tokens).items() if other != task}
            found["off"][task] = {"left": left, "before": before, "same": 100 * same / len(truth), **others}
        assert bundle.model.tasks_late is not None
        torch.nn.init.zeros_(bundle.model.tasks_late.vectors.weight)
        found["zeroed"] = _errors(truth, heard(bundle, speech), tokens)
        return found

    return measured


def _errors(truth: dict[str, Said], ids: Ids, tokens: Tokens) -> dict[str, float]:
    return figures(truth, {key: read(of_key, tokens) for key, of_key in ids.items()})


def run(form: Form) -> Outcome | None:
    setting = FULL if form.full else REDUCED
    size, material = setting.size, setting.material
    if form.dry:
        show([Part(arm.name, model(size, arm), size.steps, form.seeds) for arm in ARMS], size)
        return None
    speech = corpus(material.name, exchanges(material, size.train, size.test))
    heading("tokenverse", form.full, f"{speech}, {form.seeds} seeds", ("torch", "jiwer", "sentencepiece"))
    train = speech.split("train")
    tokens = sizes.tokens((one.text for one in train), num_subwords=setting.subwords, language=material.languages)
    trainings = Trainings("tokenverse", speech, tokens, form.clock)
    taught = {arm: lessons(train, arm, len(material.languages)) for arm in ARMS}

    def result(arm: Arm, seed: int) -> Figures:
        return trainings.result(job(size, arm, seed), taught[arm], judge(speech, arm.vectors))

    together(
        [partial(result, arm, seed) for arm in sorted(ARMS, key=lambda arm: not arm.vectors) for seed in range(form.seeds)]
    )
    results = {arm.name: [result(arm, seed) for seed in range(form.seeds)] for arm in ARMS}
    return verdict(results, {arm.name: len(of_arm) for arm, of_arm in taught.items()}, size)


def verdict(results: dict[str, list[Figures]], counts: dict[str, int], size: sizes.Size) -> Outcome:
    subset, activated, plain, _ = (results[arm.name] for arm in ARMS)
    print(f"Errors in %, mean ± deviation over {len(plain)} seeds: words, language, 100 - F1 of speaker changes and of names\n")
    rows = [
        (name, str(counts[name]), *_cells(of_arm), f"{statistics.mean(one['seconds'] for one in of_arm):.0f}")
        for name, of_arm in results.items()
    ]
    rows.append(("  its vectors set to zero", "", *_cells([one["zeroed"] for one in activated]), ""))
    table(("arm", "utterances", "asr", *AUXILIARY, "mean of three", "s"), rows)
    print(
        "The activated model with one task switched off: its tokens, the errors of everything else, and the share of utterances (%)"
    )
    print("of which everything else is said token for token as with all tasks on\n")
    table(
        ("off", "tokens before", "after", *TASKS, "same"),
        [
            (task, *(cell([one["off"][task][key] for one in activated]) if key != task else "" for key in
            ("before", "left", *TASKS, "same"))) for task in AUXILIARY
        ],
    )  # fmt: skip
    gain = {task: ([one[task] for one in activated], [one[task] for one in subset]) for task in AUXILIARY}
    mean = [_mean(one) for one in activated], [_mean(one) for one in subset]
    worse = [task for task, (ours, theirs) in gain.items() if beats(theirs, ours)]
    words = {name: [one["asr"] for one in of] for name, of in (("ours", activated), ("plain", plain), ("subset", subset))}
    offs = [one["off"][task] for one in activated for task in AUXILIARY]
    before, left, same = min(o["before"] for o in offs), sum(o["left"] for o in offs), [o["same"] for o in offs]
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
            "value": f"{left} left of {sum(o['before'] for o in offs)}; moved: {', '.join(moved) or 'nothing'}; "
            f"all else the same in {statistics.mean(same):.1f} % of utterances, at least {min(same):.1f} %",
            "target": "none left; words and other tasks: mean error within the seeds' range with it on",
            "met": before > 0 and left == 0 and not moved,
        },
    }  # fmt: skip
    shown = {
        "arms": {name: {task: [one[task] for one in of_arm] for task in TASKS} for name, of_arm in results.items()},
        "off": [one["off"] for one in activated],
        "zeroed": [one["zeroed"] for one in activated],
        "seconds": {name: [one["seconds"] for one in of_arm] for name, of_arm in results.items()},
        "size": asdict(size),
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


def _mean(one: Figures) -> float:
    return float(statistics.mean(one[task] for task in AUXILIARY))


if __name__ == "__main__":
    conduct("tokenverse", seeds=(3, 3), run=run)
