"""What a model says while tasks are switched on or off, beside what was there to say: the measures of `experiment_tokenverse`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.experiments.corpus import Corpus, Spoken
from benchmarks.experiments.hearing import encoded
from benchmarks.experiments.lessons import Lesson
from benchmarks.experiments.marked import Said, figures, read
from benchmarks.experiments.trainings import Figures, Judge
from voxmill.manifests.records import Annotation, Labels, Mark, Word
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tasks import Task
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig, make_target
from voxmill.models.inference.decode import ctc_beam
from voxmill.models.inference.per_task import mask_tokens, own_tokens, with_marks

AUXILIARY: tuple[Task, ...] = ("language", "speaker_change", "named_entities")
TASKS: tuple[Task, ...] = ("asr", *AUXILIARY)
BEAM = 4
"""Prefixes that the search keeps."""


def lesson(spoken: Spoken, labelled: Iterable[Task] = AUXILIARY) -> Lesson:
    """Words, and the labels of those tasks."""
    words, known = spoken.text.split(), spoken.labels
    names = tuple(
        Mark(" ".join(words[first:last]), start=100 * first - 5, end=100 * last - 5) for first, last in known["names"]
    )
    return Lesson(spoken.key, utterance(spoken.key, spoken.text, known["language"], known["changes"], names, labelled))


def utterance(
    key: str, text: str, language: str, changes: Iterable[int], names: tuple[Mark, ...], labelled: Iterable[Task]
) -> LabelledUtterance:
    """Words, and the labels of those tasks; `changes`: after how many words. A word's time is its number: only the order of words and
    marks counts."""
    truth: dict[str, tuple[Mark, ...]] = {
        "language": (Mark(language),),
        "speaker_change": tuple(Mark("", start=100 * place - 10) for place in changes),
        "named_entities": names,
    }
    labels: dict[str, Any] = {task: Annotation(truth[task], "truth") for task in labelled}
    timed = tuple(Word(word, 100 * index, 100 * index + 90) for index, word in enumerate(text.split()))
    return LabelledUtterance(text, Labels(key, **labels), timed)


Ids = dict[str, tuple[int, ...]]


def heard(bundle: Bundle, speech: Corpus, active: Iterable[Task]) -> Ids:
    """What CTC says of the test while these tasks are active, besides the words; as `transcribe` does it, each task by itself.

    By prefix beam search: a token that could stand in any frame of a pause is likely in all of them together, and in none alone.
    """
    tokens = bundle.tokens
    marks = [token for task in AUXILIARY for token in own_tokens(task, tokens)]
    of_words = {key: mask_tokens(log_TV, marks) for key, log_TV in _logs(bundle, speech, ())}
    said = {key: ctc_beam(log_TV, BEAM, BEAM + 1)[0].tokens for key, log_TV in of_words.items()}
    of_task: dict[str, dict[Task, Tensor]] = {key: {} for key in said}
    for task in active:
        for key, log_TV in _logs(bundle, speech, (task,)):
            of_task[key][task] = log_TV
    return {key: with_marks(words, of_task[key], tokens, BEAM) for key, words in said.items()}


def heard_at_once(bundle: Bundle, speech: Corpus, active: Iterable[Task]) -> Ids:
    """The same in one pass, as TokenVerse++ has it: with the sum of all active vectors. Tokens of other tasks cannot be said."""
    active = tuple(active)
    marks = [token for task in AUXILIARY if task not in active for token in own_tokens(task, bundle.tokens)]
    logs = _logs(bundle, speech, active)
    return {key: ctc_beam(mask_tokens(log_TV, marks), BEAM, BEAM + 1)[0].tokens for key, log_TV in logs}


def _logs(bundle: Bundle, speech: Corpus, active: Iterable[Task]) -> Iterator[tuple[str, Tensor]]:
    """(key, log probabilities (T, V)) of each utterance of the test."""
    for batch, sound in encoded(bundle, speech, [lesson(one, tuple(active)) for one in speech.split("test")]):
        with torch.no_grad():
            log_BTV = bundle.model.ctc_of(sound).cpu()
        for key, log_TV, length in zip(batch.keys, log_BTV, sound.length_B.tolist(), strict=True):
            yield key, log_TV[:length]


def expected(speech: Corpus, tokens: Tokenizer) -> dict[str, Said]:
    config = TargetsConfig(style="activated", tasks=TASKS, deactivate=0, translate=0)
    targets = {
        one.key: make_target(lesson(one).utterance, tokens, config, seeded("test", one.key)) for one in speech.split("test")
    }
    return {key: read(target.ctc or (), tokens) for key, target in targets.items()}


def judge(speech: Corpus, switches: bool) -> Judge:
    """Errors with all tasks active; where it is switches that count, also with vectors at zero, with each task off, and all that
    `at_once`.

    Of a task that is off: `left`, its tokens that are still said, of those `before`; the errors of everything else; and `same`, the
    share of utterances (%) of which everything else is said token for token as before.
    """

    def measured(bundle: Bundle) -> Figures:
        truth = expected(speech, bundle.tokens)
        with_all = heard(bundle, speech, AUXILIARY)
        found: Figures = _errors(truth, with_all, bundle.tokens)
        if not switches:
            return found
        found["off"] = _switched(heard, bundle, speech, with_all)
        summed = heard_at_once(bundle, speech, AUXILIARY)
        found["at_once"] = {
            **_errors(truth, summed, bundle.tokens), "off": _switched(heard_at_once, bundle, speech, summed)
        }  # fmt: skip
        assert bundle.model.tasks_late is not None
        torch.nn.init.zeros_(bundle.model.tasks_late.vectors.weight)
        found["zeroed"] = _errors(truth, heard(bundle, speech, AUXILIARY), bundle.tokens)
        return found

    return measured


def _switched(hear: Callable[[Bundle, Corpus, Iterable[Task]], Ids], bundle: Bundle, speech: Corpus, with_all: Ids) -> Figures:
    found: Figures = {}
    truth = expected(speech, bundle.tokens)
    for task in AUXILIARY:
        without = hear(bundle, speech, [other for other in AUXILIARY if other != task])
        own = set(own_tokens(task, bundle.tokens))
        left, before = (sum(token in own for ids in of.values() for token in ids) for of in (without, with_all))
        same = sum([t for t in with_all[key] if t not in own] == [t for t in without[key] if t not in own] for key in truth)
        others = {other: error for other, error in _errors(truth, without, bundle.tokens).items() if other != task}
        found[task] = {"left": left, "before": before, "same": 100 * same / len(truth), **others}
    return found


def hearing(speech: Corpus) -> Judge:
    """Of the dense model, which is about words alone."""

    def measured(bundle: Bundle) -> Figures:
        return {"asr": _errors(expected(speech, bundle.tokens), heard(bundle, speech, ()), bundle.tokens)["asr"]}

    return measured


def _errors(truth: dict[str, Said], ids: Ids, tokens: Tokenizer) -> dict[str, float]:
    return figures(truth, {key: read(of_key, tokens) for key, of_key in ids.items()})
