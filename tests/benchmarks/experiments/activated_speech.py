"""TokenVerse++ on Whisper base: who speaks, who is named and in which language, of real voices that are labelled for some of it.

An utterance is two lines: of the acted play, by one person or by two, or two prompts in Spanish, French or Italian. Names are those that spaCy's English
pipeline finds in what was said, as the line's labeller does; prompts name nobody. Few utterances are labelled for everything, the others have
their words and one or two labels. Whisper's encoder is frozen, task vectors are added to its frames, and the decoder, which is tuned,
says words and task tokens. All arms begin with one model that was tuned to the words alone. The test is people of the play whom nobody
heard, and prompts that nobody heard, of the same readers.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from benchmarks.experiments.active import AUXILIARY, TASKS, utterance
from benchmarks.experiments.frame_lessons import Taught, data
from benchmarks.experiments.frames import Wave, encode_all
from benchmarks.experiments.greedy import token_ids
from benchmarks.experiments.marked import Said, figures, read
from benchmarks.experiments.spans import Span, Speech
from benchmarks.experiments.student_trainings import StudentTrainings, course
from benchmarks.experiments.together import together
from benchmarks.experiments.trainings import Clock, Figures, Job, Judge, Start
from benchmarks.experiments.verdict import beats, cell
from benchmarks.experiments.whisper_start import switched
from benchmarks.report import Target, table
from benchmarks.words import english
from speech.prompts import prompts
from speech.spacy_model import spacy_model
from speech.waves import Pcm, join, read_wave
from voxmill.manifests.ids import digest
from voxmill.manifests.records import Mark
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tasks import Task
from voxmill.models.common.tokenizer import NO_TIMESTAMPS, SOT, TRANSCRIBE, Tokenizer
from voxmill.models.data.targets import TargetsConfig, make_target
from voxmill.models.inference.per_task import own_tokens
from voxmill.models.network.model import Conditions, SpeechModel
from voxmill.operators.contract.adapters import LabelInput, Scene
from voxmill.operators.label.entities import SpacyEntities, SpacyEntitiesConfig

LANGUAGES = ("es", "fr", "it")
PAUSE = 4800
"""Samples between two lines, before the first and after the last."""
LONGEST = 25.0
"""Of two lines (s)."""
HELD_OUT = 0.2
"""Share of the prompts."""
FULLY = 8
"""One utterance in so many is labelled for everything."""
SOME = tuple(tasks for size in (1, 2) for tasks in combinations(AUXILIARY, size))
"""What the others are labelled for, in turn."""
VECTORS = 0.3
"""Deviation of the first task vectors: of the size of what they are added to."""
PEAK, SHARE = 1e-3, 0.1
"""Learning rate of what is new, and the share of it at which the decoder learns."""


@dataclass(frozen=True, slots=True)
class Size:
    """What the two forms differ in."""

    train: int
    test: int
    """Utterances."""
    first: int
    """Steps of the model that all arms begin with."""
    steps: int
    batch_seconds: float


@dataclass(frozen=True, slots=True)
class Labelling:
    """Which labels an arm has, and whether vectors say so."""

    name: str
    partial: bool
    vectors: bool
    deactivate: float


SUBSET, ACTIVATED, PLAIN, ZERO = "full labels only", "partial, activated", "partial, not activated", "partial, zero vectors"
ARMS = (
    Labelling(SUBSET, partial=False, vectors=True, deactivate=0.3),
    Labelling(ACTIVATED, partial=True, vectors=True, deactivate=0.3),
    Labelling(PLAIN, partial=True, vectors=False, deactivate=0.0),
    Labelling(ZERO, partial=True, vectors=False, deactivate=0.3),
)
"""Vectors that are held at zero compute what no vectors do: so that is the control, with the deactivation that belongs to vectors."""


@dataclass(frozen=True)
class Line:
    """What one person said at once, and where its sound is."""

    key: str
    text: str
    language: str
    speaker: str
    seconds: float
    read: Any
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exchange:
    """Two lines, one after the other."""

    first: Line
    second: Line

    @cached_property
    def key(self) -> str:
        return digest(["exchange", self.first.key, self.second.key])[:24]

    @property
    def text(self) -> str:
        return f"{self.first.text} {self.second.text}"

    @property
    def changes(self) -> tuple[int, ...]:
        """After how many words somebody else speaks."""
        return (len(self.first.text.split()),) if self.first.speaker != self.second.speaker else ()

    def audio(self) -> Pcm:
        """Samples at 16 kHz."""
        samples, _ = join([np.asarray(one.read()) for one in (self.first, self.second)], [PAUSE] * 3)
        return samples

    @property
    def wave(self) -> Wave:
        return Wave(self.key, self.audio)

    def taught(self, labelled: Collection[Task]) -> Taught:
        """Its words, and the labels of those tasks."""
        marks = tuple(Mark(name) for one in (self.first, self.second) for name in one.names)
        said = utterance(self.key, self.text, self.first.language, self.changes, marks, labelled)
        samples = round(16_000 * (self.first.seconds + self.second.seconds)) + 3 * PAUSE
        return Taught(self.key, samples, said, (self.wave,))


def exchanges(speech: Speech, part: str, count: int) -> list[Exchange]:
    """So many: six in nine of the play, half of these by two people, and one in nine of each other language."""
    lines = _lines(speech, part)
    draw = random.Random(f"exchanges {part}")
    found: dict[str, Exchange] = {}
    languages = ["en"] * 6 + list(LANGUAGES)
    while len(found) < count:
        language = languages[len(found) % len(languages)]
        first = draw.choice(lines[language])
        alike = draw.random() < 0.5
        others = [
            one for one in lines[language]
            if one.key != first.key and first.seconds + one.seconds < LONGEST
            and (language != "en" or (one.speaker == first.speaker) == alike)
        ]  # fmt: skip
        if others:
            one = Exchange(first, draw.choice(others))
            found[one.key] = one
    return list(found.values())


def _lines(speech: Speech, part: str) -> dict[str, list[Line]]:
    """By language; names are told of all lines at once."""
    acted = [one for one in speech.of(cast(Any, part)) if one.recording.condition == "acted" and one.minutes * 60 < LONGEST / 2]
    found = {"en": [Line(s.key, s.truth, "en", s.speaker, s.minutes * 60, s.audio, names) for s, names in zip(acted, named(acted), strict=True)]}  # fmt: skip
    for language in LANGUAGES:
        found[language] = [
            Line(one.id, one.text, language, one.speaker, one.seconds, partial(read_wave, one.path))
            for one in prompts(language)
            if one.seconds < LONGEST / 2 and _held_out(one.id) == (part != "train") and english(one.text)
        ]
    return found


def _held_out(prompt: str) -> bool:
    return int(digest(["activated", prompt])[:8], 16) < HELD_OUT * 16**8


def named(spans: Sequence[Span]) -> list[tuple[str, ...]]:
    """The names in what was said in each span, by the line's own labeller. Raises RuntimeError where its pipeline cannot be had."""
    if (model := spacy_model()) is None:
        raise RuntimeError("spaCy's English pipeline cannot be had here: named entities would have no labels")
    labeller = SpacyEntities(SpacyEntitiesConfig(model=str(model)))
    inputs = tuple(
        LabelInput(cast(Any, None), replace(one.label, text=one.truth, rejection=None, language="en")) for one in spans
    )
    answers = labeller.label(Scene(cast(Any, None), cast(Any, None), inputs))
    kinds = {"PERSON", "GPE", "LOC", "ORG", "NORP", "FAC"}
    return [tuple(mark.value for one in answer for mark in one.marks or () if mark.kind in kinds) for answer in answers]


def taught(found: Sequence[Exchange], arm: Labelling) -> list[Taught]:
    """Which are labelled, and for what, goes by groups of nine, so that each language has its share of all."""
    lessons = []
    for index, one in enumerate(found):
        group = index // (6 + len(LANGUAGES))
        if group % FULLY == 0:
            lessons.append(one.taught(AUXILIARY))
        elif arm.partial:
            lessons.append(one.taught(SOME[(group - group // FULLY - 1) % len(SOME)]))
    return lessons


def first(size: Size, seed: int) -> Job:
    """The words alone."""
    return _job("tokenverse-words", size, seed, size.first, TASKS[:1], 0.0)


def job(size: Size, arm: Labelling, seed: int, after: str) -> Job:
    name = arm.name.replace(", ", "-").replace(" ", "-")
    tasks = {"tasks": TASKS, "where": "encoder"} if arm.vectors else None
    return _job(f"tokenverse-{name}", size, seed, size.steps, TASKS, arm.deactivate, tasks, f"{after}, vectors {VECTORS}")


def _job(
    name: str, size: Size, seed: int, steps: int, learnt: tuple[Task, ...], deactivate: float,
    vectors: dict[str, Any] | None = None, after: str = "",
) -> Job:  # fmt: skip
    targets = TargetsConfig(style="activated", tasks=learnt, deactivate=deactivate, translate=0)
    return Job(
        arm=name, model=switched(("frontend", "encoder", "decoder.place"), SHARE, tasks=vectors), after=after,
        train=course(steps, PEAK, seed), data=data(size.batch_seconds, seed, targets),
    )  # fmt: skip


def starting(bundle: Any) -> Start:
    """From all weights of the model that knows the words; task vectors begin at random."""

    def start(fresh: SpeechModel) -> None:
        missing, unknown = fresh.load_state_dict(bundle().model.state_dict(), strict=False)
        assert not unknown
        assert all(name.startswith("tasks_") for name in missing)
        if fresh.tasks_late is not None:
            nn.init.normal_(fresh.tasks_late.vectors.weight, std=VECTORS)

    return start


def heard(bundle: Bundle, test: Sequence[Exchange], active: Collection[Task]) -> dict[str, Said]:
    """What the decoder says with the vectors of these tasks, beside asr, added up; tokens of other tasks cannot be said."""
    tokens, config = bundle.tokens, bundle.model.config.tasks
    tasks = frozenset[Task](("asr", *active))

    def conditions(keys: Sequence[str]) -> Conditions:
        return Conditions(active_BK=None if config is None else config.active([tasks] * len(keys)))

    prompt = (tokens[SOT], tokens[TRANSCRIBE], tokens[NO_TIMESTAMPS])
    marks = [token for task in active for token in own_tokens(task, tokens)]
    ids = token_ids(bundle.model, tokens, [one.wave for one in test], lambda _: prompt, conditions, marks)
    return {key: compared(read(of, tokens)) for key, of in ids.items()}


def expected(test: Sequence[Exchange], tokens: Tokenizer) -> dict[str, Said]:
    """What there is to say."""
    config = TargetsConfig(style="activated", tasks=TASKS, deactivate=0, translate=0)
    found = {}
    for one in test:
        target = make_target(one.taught(AUXILIARY).utterance, tokens, config, seeded("test", one.key))
        found[one.key] = compared(read(target.text or (), tokens))
    return found


def compared(said: Said) -> Said:
    """As words are compared: in lower case, without punctuation. Changes are counted in such words."""
    places = [len(english(" ".join(said.words[:place]))) for place in said.changes]
    names = tuple(" ".join(english(name)) for name in said.names)
    return Said(said.language, english(" ".join(said.words)), tuple(places), names)


def judge(test: Sequence[Exchange], switches: bool) -> Judge:
    """Errors with all tasks active; where it is switches that count, also with each task off, and with vectors at zero."""

    def measured(bundle: Bundle) -> Figures:
        truth = expected(test, bundle.tokens)
        whole = heard(bundle, test, AUXILIARY)
        found: Figures = figures(truth, whole)
        if switches:
            found["off"] = {}
            for task in AUXILIARY:
                said = heard(bundle, test, [other for other in AUXILIARY if other != task])
                same = sum(_without(said[key], task) == _without(whole[key], task) for key in truth)
                errors = {other: error for other, error in figures(truth, said).items() if other != task}
                found["off"][task] = {
                    "left": sum(_of(one, task) for one in said.values()),
                    "same": 100 * same / len(truth),
                    **errors,
                }
            assert bundle.model.tasks_late is not None
            torch.nn.init.zeros_(bundle.model.tasks_late.vectors.weight)
            found["zeroed"] = figures(truth, heard(bundle, test, AUXILIARY))
        return found

    return measured


def _of(said: Said, task: Task) -> int:
    """Tokens of a task."""
    return {"language": int(said.language is not None), "speaker_change": len(said.changes), "named_entities": len(said.names)}[
        task
    ]


def _without(said: Said, task: Task) -> Said:
    nothing: dict[str, Any] = {
        "language": {"language": None},
        "speaker_change": {"changes": ()},
        "named_entities": {"names": ()},
    }
    return replace(said, **nothing[task])


def words_alone(test: Sequence[Exchange]) -> Judge:
    """Of the model that all arms begin with."""

    def measured(bundle: Bundle) -> Figures:
        return {"asr": figures(expected(test, bundle.tokens), heard(bundle, test, ()))["asr"]}

    return measured


def compare(speech: Speech, size: Size, seeds: Sequence[int], clock: Clock) -> tuple[dict[str, Any], dict[str, Target]]:
    """All arms of all seeds; prints their tables. (figures, targets). Raises OutOfTime."""
    train, test = exchanges(speech, "train", size.train), exchanges(speech, "test", size.test)
    encode_all([one.wave for one in (*train, *test)], clock, "exchanges")
    trainings = StudentTrainings("seeds", clock)
    of_words = [one.taught(()) for one in train]
    lessons = {arm: taught(train, arm) for arm in ARMS}

    def begun(seed: int) -> Figures:
        return trainings.result(first(size, seed), of_words, words_alone(test))

    def result(arm: Labelling, seed: int) -> Figures:
        before = first(size, seed)
        one = job(size, arm, seed, trainings.key(before, of_words))
        start = starting(lambda: trainings.trained(before, of_words))
        found = trainings.result(one, lessons[arm], judge(test, arm.name == ACTIVATED), start)
        trainings.forget(one, lessons[arm])
        return found

    together([partial(begun, seed) for seed in seeds])
    together([partial(result, arm, seed) for seed in seeds for arm in ARMS])
    results = {arm.name: [result(arm, seed) for seed in seeds] for arm in ARMS}
    before = [begun(seed) for seed in seeds]
    for seed in seeds:
        trainings.forget(first(size, seed), of_words)
    print(
        f"TokenVerse++: {len(train)} exchanges, one in {FULLY} labelled for everything; tested on {len(test)}, of other people and prompts"
    )
    return _shown(before, results, {arm.name: len(lessons[arm]) for arm in ARMS}), _targets(before, results)


def _shown(before: Sequence[Figures], results: Mapping[str, Sequence[Figures]], counts: Mapping[str, int]) -> dict[str, Any]:
    activated = results[ACTIVATED]
    rows: list[tuple[str, ...]] = [("words alone, where all begin", "", cell([one["asr"] for one in before]), *[""] * 5)]
    for name, of in results.items():
        spent = f"{statistics.mean(one['seconds'] for one in of):.0f}"
        rows.append((name, str(counts[name]), *_cells(of), spent))
    rows.append(("  activated, its vectors set to zero", "", *_cells([one["zeroed"] for one in activated]), ""))
    print("errors in %, mean ± deviation over seeds: words, language, 100 - F1 of speaker changes and of names")
    table(("arm", "utterances", "asr", *AUXILIARY, "mean of three", "s"), rows)
    print(
        "the activated model with one task off: what it still says of it, other errors, and utterances (%) whose rest stays word for word"
    )
    table(("off", "tokens left", *TASKS, "same"), [
        (task, *(cell([one["off"][task][key] for one in activated]) if key != task else "" for key in ("left", *TASKS, "same")))
        for task in AUXILIARY
    ])  # fmt: skip
    arms = {name: {key: [one[key] for one in of] for key in (*TASKS, "seconds")} for name, of in results.items()}
    return {**arms, "off": [one["off"] for one in activated], "zeroed": [one["zeroed"] for one in activated]}


def _cells(of: Sequence[Figures]) -> list[str]:
    return [*(cell([one[task] for one in of]) for task in TASKS), cell([_mean(one) for one in of])]


def _mean(one: Mapping[str, float]) -> float:
    return statistics.mean(one[task] for task in AUXILIARY)


def _targets(before: Sequence[Figures], results: Mapping[str, Sequence[Figures]]) -> dict[str, Target]:
    asr, left = (
        max(one["asr"] for one in before),
        sum(one["off"][task]["left"] for one in results[ACTIVATED] for task in AUXILIARY),
    )
    zeroed, whole = [[_mean(one) for one in of] for of in ([one["zeroed"] for one in results[ACTIVATED]], results[ACTIVATED])]
    return {
        "tokenverse: the model of words transcribes": {"value": f"{asr:.1f} %", "target": "every seed <= 20 %", "met": asr <= 20},
        "tokenverse: a task that is off is not said": {"value": str(left), "target": "0 tokens", "met": left == 0},
        "tokenverse: vectors at zero do not say the tasks": {
            "value": f"{cell(zeroed)} against {cell(whole)}", "target": "worse beyond the seeds", "met": beats(whole, zeroed),
        },
    }  # fmt: skip


def effect(found: Mapping[str, Any]) -> str:
    """What came of the paper's claim, in a line."""

    def mean(name: str) -> list[float]:
        columns = (found[name][task] for task in AUXILIARY)
        return [statistics.mean(values) for values in zip(*columns, strict=True)]

    helped = beats(mean(ACTIVATED), mean(SUBSET))
    words = not any(beats(found[name]["asr"], found[ACTIVATED]["asr"]) for name in (SUBSET, PLAIN))
    return (
        f"partial labels with activation against full ones only, mean of three: {cell(mean(ACTIVATED))} and {cell(mean(SUBSET))}: "
        f"{'there' if helped else 'not there'}; costs no words: {'yes' if words else 'no'}"
    )
