"""What a model says while tasks are switched on or off, beside what was there to say: the measures of `experiment_tokenverse`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from benchmarks.experiments.corpus import Corpus, Spoken
from benchmarks.experiments.hearing import encoded
from benchmarks.experiments.lessons import Lesson
from benchmarks.experiments.marked import Said, figures, read
from benchmarks.experiments.trainings import Figures, Judge
from voxmill.manifests.records import Annotation, Labels, Mark, Word
from voxmill.models.data.seeds import seeded
from voxmill.models.data.targets import INLINE_TOKENS, TargetsConfig, Task, Utterance, make_target
from voxmill.models.data.tokens import Tokens, class_token
from voxmill.models.inference.decode import ctc_beam
from voxmill.models.training.checkpoint import Bundle

AUXILIARY: tuple[Task, ...] = ("language", "speaker_change", "named_entities")
TASKS: tuple[Task, ...] = ("asr", *AUXILIARY)
BEAM = 4
"""Prefixes that the search keeps."""


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


Ids = dict[str, tuple[int, ...]]


def heard(bundle: Bundle, speech: Corpus, active: Iterable[Task], beam: int) -> Ids:
    """What CTC says of the test while these tasks are active, besides the words.

    By prefix beam search: a token that could stand in any frame of a pause is likely in all of them together, and in none alone.
    """
    test = [lesson(one, active) for one in speech.split("test")]
    found: Ids = {}
    for batch, sound in encoded(bundle, speech, test):
        with torch.no_grad():
            log_BTV = bundle.model.ctc_of(sound).cpu()
        for key, log_TV, length in zip(batch.keys, log_BTV, sound.length_B.tolist(), strict=True):
            found[key] = ctc_beam(log_TV[:length], beam, beam + 1)[0].tokens
    return found


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
        with_all = heard(bundle, speech, AUXILIARY, BEAM)
        found: Figures = _errors(truth, with_all, tokens)
        if not vectors:
            return found
        found["off"] = {}
        for task in AUXILIARY:
            without = heard(bundle, speech, [other for other in AUXILIARY if other != task], BEAM)
            own = of_task(task, tokens)
            left, before = (sum(token in own for ids in of.values() for token in ids) for of in (without, with_all))
            same = sum([t for t in with_all[key] if t not in own] == [t for t in without[key] if t not in own] for key in truth)
            others = {other: error for other, error in _errors(truth, without, tokens).items() if other != task}
            found["off"][task] = {"left": left, "before": before, "same": 100 * same / len(truth), **others}
        assert bundle.model.tasks_late is not None
        torch.nn.init.zeros_(bundle.model.tasks_late.vectors.weight)
        found["zeroed"] = _errors(truth, heard(bundle, speech, AUXILIARY, BEAM), tokens)
        return found

    return measured


def hearing(speech: Corpus) -> Judge:
    """Of the dense model, which is about words alone."""

    def measured(bundle: Bundle) -> Figures:
        return {"asr": _errors(expected(speech, bundle.tokens), heard(bundle, speech, (), BEAM), bundle.tokens)["asr"]}

    return measured


def _errors(truth: dict[str, Said], ids: Ids, tokens: Tokens) -> dict[str, float]:
    return figures(truth, {key: read(of_key, tokens) for key, of_key in ids.items()})
