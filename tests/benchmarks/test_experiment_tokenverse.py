"""What experiment-tokenverse reads of tokens, and what its arms are told, without training any."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from benchmarks import experiment_tokenverse as tokenverse
from benchmarks.experiments import sizes
from benchmarks.experiments.active import AUXILIARY, TASKS, lesson
from benchmarks.experiments.corpus import Spoken
from benchmarks.experiments.dialogue import HIGH, HIGH_PITCH, ROWS, SENTENCES, Material, exchanges
from benchmarks.experiments.marked import Said, f1, figures, read
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.data.targets import TargetsConfig, make_target
from voxmill.models.network.model import SpeechModel

TOKENS = Tokenizer.train(["hello there hi"], TokenizerConfig(num_subwords=300, language=("en", "es", "fr")))
TRAIN = {material.name: [one for one in exchanges(material, 240, 40) if one.split == "train"] for material in (ROWS, SENTENCES)}
of_each = pytest.mark.parametrize(
    ("material", "train"), [(ROWS, TRAIN["rows"]), (SENTENCES, TRAIN["dialogue"])], ids=["rows", "sentences"]
)
ALL = TargetsConfig(style="activated", tasks=TASKS, deactivate=0, translate=0)
TRUTH = {"a": Said("en", ("call", "anna", "now", "and", "go"), (3,), ("anna",)), "b": Said("es", ("hola",), (), ())}


@of_each
def test_targets_say_all_that_is_known_of_an_exchange(material: Material, train: list[Spoken]) -> None:
    for one in train:
        target = make_target(lesson(one).utterance, TOKENS, ALL, seeded())
        words = one.text.split()
        names = tuple(" ".join(words[first:last]) for first, last in one.labels["names"])
        assert target.ctc is not None
        assert read(target.ctc, TOKENS) == Said(one.labels["language"], tuple(words), tuple(one.labels["changes"]), names)
        assert target.active == set(TASKS)


def test_a_task_without_a_label_is_inactive_and_says_nothing() -> None:
    one = TRAIN["rows"][0]
    for task in AUXILIARY:
        target = make_target(lesson(one, [task]).utterance, TOKENS, ALL, seeded())
        assert target.active == {"asr", task}
    unlabelled = make_target(lesson(one, []).utterance, TOKENS, ALL, seeded())
    assert unlabelled.ctc is not None
    assert all(map(TOKENS.is_subword, unlabelled.ctc))


@of_each
def test_a_high_voice_takes_over_after_any_turn_or_never(material: Material, train: list[Spoken]) -> None:
    for turns in range(material.turns[0], material.turns[1] + 1):
        of_length = [one for one in train if len(one.turns) == turns]
        taken = Counter(sum(voice.variant not in HIGH for voice, _ in one.turns) for one in of_length)
        assert set(taken) == set(range(1, turns + 1))
        share = len(of_length) / turns
        assert all(count == pytest.approx(share, abs=4 * share**0.5) for count in taken.values())
        for one in of_length:
            assert all(
                (voice.variant in HIGH) == (voice.pitch in range(HIGH_PITCH[0], HIGH_PITCH[1] + 1)) for voice, _ in one.turns
            )
            ends = [sum(len(said.split()) for _, said in one.turns[:end]) for end in range(1, turns)]
            voices = [voice for voice, _ in one.turns]
            assert one.labels["changes"] == [
                end for end, (before, after) in zip(ends, pairwise(voices), strict=True) if before != after
            ]


@of_each
def test_arms_have_the_labels_that_their_names_say(material: Material, train: list[Spoken]) -> None:
    full, activated, plain, zero = (tokenverse.lessons(train, arm, len(material.languages)) for arm in tokenverse.ARMS)
    assert activated == plain == zero
    assert len(activated) == len(train)
    labelled = {one.key: [task for task in AUXILIARY if getattr(one.utterance.labels, task)] for one in activated}
    assert {one.key for one in full} == {key for key, tasks in labelled.items() if len(tasks) == 3}
    assert len(full) == pytest.approx(len(train) / tokenverse.FULLY, abs=2)
    languages = Counter(one.labels["language"] for one in train if one.key in {labelled.key for labelled in full})
    assert set(languages.values()) == {len(full) / len(material.languages)}
    partial = [tasks for tasks in labelled.values() if len(tasks) < 3]
    assert {tuple(tasks) for tasks in partial} == set(tokenverse.SOME)
    for task in AUXILIARY:  # none is better off
        assert sum(task in tasks for tasks in partial) == pytest.approx(len(partial) / 2, rel=0.05)


def test_a_task_that_is_off_touches_what_leaves_the_range_of_the_seeds() -> None:
    on = {"asr": 5.0, "language": 1.0, "speaker_change": 8.0, "named_entities": 2.0}
    off = {task: {other: error for other, error in on.items() if other != task} for task in AUXILIARY}
    seeds = [{**on, "off": off}, {**on, "asr": 6.0, "off": off}]
    assert not tokenverse.touched(seeds)
    worse = {**off, "language": {**off["language"], "named_entities": 2.5, "asr": 5.9}}
    assert tokenverse.touched([{**one, "off": worse} for one in seeds]) == [("language", "named_entities")]


def test_all_arms_of_a_seed_begin_with_the_words_and_vectors_that_can_be_told_apart() -> None:
    def fresh(vectors: bool) -> SpeechModel:
        config = tokenverse.model(sizes.SMOKE, vectors).model_copy(update={"vocabulary": len(TOKENS)})
        return SpeechModel(config)

    words = fresh(vectors=False)
    starting = tokenverse.starting(lambda: Bundle(words, TOKENS, ALL))
    for vectors in (True, False):
        starting(begun := fresh(vectors))
        assert torch.equal(begun.ctc.weight, words.ctc.weight)
        if begun.tasks_late is not None:
            assert float(begun.tasks_late.vectors.weight.detach().std()) == pytest.approx(tokenverse.VECTORS, rel=0.3)


def test_a_perfect_output_has_no_errors_and_an_empty_one_all() -> None:
    assert set(figures(TRUTH, TRUTH).values()) == {0}
    nothing = {key: Said(None, (), (), ()) for key in TRUTH}
    assert set(figures(TRUTH, nothing).values()) == {100}


def test_each_error_counts_for_its_own_task() -> None:
    said = TRUTH["a"]
    for task, wrong in (
        ("language", replace(said, language="es")),
        ("speaker_change", replace(said, changes=(4,))),
        ("named_entities", replace(said, names=("anna now",))),
        ("asr", replace(said, words=("call", "anna", "now", "an", "go"))),
    ):
        assert {name for name, error in figures(TRUTH, {**TRUTH, "a": wrong}).items() if error} == {task}


def test_changes_are_judged_between_the_words_that_were_aligned() -> None:
    shorter = replace(TRUTH["a"], words=("call", "now", "and", "go"), changes=(2,))
    found = figures(TRUTH, {**TRUTH, "a": shorter})
    assert (found["speaker_change"], found["asr"] > 0) == (0, True)


def test_names_that_are_not_opened_or_closed_are_none() -> None:
    open_, close = TOKENS["[NE]"], TOKENS["[/NE]"]
    hello = TOKENS.encode("hello")
    assert read([close, open_, *hello, close, open_, *hello], TOKENS).names == ("hello",)
    assert f1({"right": 1, "said": 2, "true": 1}) == pytest.approx(200 / 3)
