"""EVA on Whisper base: does it help to see what is spoken about, where it is hard to hear?

Lines of the acted play in which somebody or something is named. Each of the ten names that are said most has an emblem, a handwritten digit, and
while a line is said there is a frame for each name in it, in order: some hand's picture of its emblem, and now and then one of nothing.
Visual tokens join the encoder's frames in one mixture of experts, which Whisper's decoder attends to. First these alone are trained, so that
what is heard without pictures stays Whisper's to the bit; then the decoder with them. The test is people whom nobody heard and pictures that
nobody saw, clean, and in music and engine noise.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

from benchmarks.experiment_student import waves_of
from benchmarks.experiments.activated_speech import named
from benchmarks.experiments.by_speaker import Difference, Rates, counted, difference, rate, together
from benchmarks.experiments.digits import DIM, handwritten
from benchmarks.experiments.frame_lessons import Picture, Taught, data
from benchmarks.experiments.frames import Wave, encode_all
from benchmarks.experiments.greedy import token_ids
from benchmarks.experiments.hard import Condition
from benchmarks.experiments.pools import waves
from benchmarks.experiments.spans import Span, Speech, few
from benchmarks.experiments.student_trainings import StudentTrainings, course
from benchmarks.experiments.together import together as at_once
from benchmarks.experiments.trainings import Clock, Figures, Job, Judge
from benchmarks.experiments.whisper_start import FROZEN, attention_of_decoder, switched
from benchmarks.report import Target, table
from benchmarks.words import Edits, english
from voxmill.manifests.records import Annotation, Labels, Mark
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.tokenizer import NO_TIMESTAMPS, SOT, TRANSCRIBE
from voxmill.models.common.video_frames import pad_video_frames
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig
from voxmill.models.network.model import Conditions

CONDITIONS: tuple[Condition, ...] = ("clean", "noise_5", "noise_0")
FRAMES, EXPERTS = 4, 4
PEAK = 1e-3
"""Learning rate of what is new; the decoder learns at a tenth of it (`train.after_eyes`, `start.rate_share`)."""
SOUND, FROZEN_REST, TUNED = "sound alone", "pictures, the rest frozen", "pictures, then tuned"
OWN, OTHERS, NONE = "own", "of another line", "none"
SEEN = (OWN, OTHERS, NONE)
"""Whose pictures are seen in the test."""
TARGETS = TargetsConfig(tasks=("asr", "language"))


@dataclass(frozen=True, slots=True)
class Size:
    """What the two forms differ in."""

    train: float
    test: float
    """Minutes of lines with names."""
    versions: int
    steps: int
    """Of a phase."""
    batch_seconds: float


@dataclass(frozen=True, slots=True)
class Naming:
    """A line with names."""

    span: Span
    emblems: tuple[int, ...]

    @property
    def key(self) -> str:
        return self.span.key

    def picture(self, split: str) -> Picture:
        """What is seen while it is said."""
        name = f"emblems {self.key}"
        return Picture(f"{split} {name}", handwritten(self.emblems, split, name))


def emblems(train: Sequence[Span]) -> dict[str, int]:
    """The emblem of each of the ten names that training says most."""
    counts = Counter(
        word for names in named(train) for name in names for word in english(name) if word.isalpha() and len(word) > 2
    )
    order = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: place for place, word in enumerate(order[:10])}


def namings(spans: Sequence[Span], known: Mapping[str, int]) -> list[Naming]:
    """The lines in which one of the names is said; of many names the first ones are seen."""
    found = []
    for one in spans:
        said = tuple(known[word] for word in one.words if word in known)
        if said:
            found.append(Naming(one, said[:FRAMES]))
    return found


def lines(speech: Speech, part: Any) -> list[Span]:
    """Of the play."""
    return [one for one in speech.of(part) if one.recording.condition == "acted"]


def taught(found: Sequence[Naming], versions: int) -> list[Taught]:
    lessons = []
    for one in found:
        language = Annotation((Mark("en"),), "stated")
        said = LabelledUtterance(one.span.truth, Labels(one.key, language=language))
        lessons.append(Taught(one.key, one.span.num_samples, said, waves(one.span, versions), picture=one.picture("train")))
    return lessons


def job(size: Size, arm: str, seed: int) -> Job:
    name = arm.replace(", ", "-").replace(" ", "-")
    eyes = {"dim": DIM, "frames": FRAMES, "experts": EXPERTS, "where": "post_encoder"}
    if arm == SOUND:
        model, train = switched((*FROZEN, *attention_of_decoder())), course(size.steps, 0.1 * PEAK, seed)
    else:
        steps = size.steps if arm == FROZEN_REST else 2 * size.steps
        model = switched((*FROZEN, *attention_of_decoder()), vision=eyes)
        train = course(steps, PEAK, seed, eyes_first=size.steps)
    return Job(arm=f"eva-{name}", model=model, train=train, data=data(size.batch_seconds, seed, TARGETS))


Tests = Mapping[str, Sequence[Wave]]


def judge(test: Sequence[Naming], tests: Tests, known: Collection[str]) -> Judge:
    """Errors by condition, by whose pictures are seen, and by speaker; names that are heard; and what is said without any picture."""

    def measured(bundle: Bundle) -> Figures:
        tokens, sees = bundle.tokens, bundle.model.config.vision is not None
        prompt = (tokens[SOT], tokens.of_class("language", "en"), tokens[TRANSCRIBE], tokens[NO_TIMESTAMPS])
        own = {one.key: one.picture("test").frame_FC for one in test}
        pictures = {OWN: own, OTHERS: {key: own[other] for key, other in _others(test).items()}}
        found: Figures = {"errors": {}, "names": {}, "said": {}}
        for condition, of in tests.items():
            for seen in SEEN if sees else (NONE,):

                def conditions(keys: Sequence[str], seen: str = seen) -> Conditions:
                    return Conditions(frames=pad_video_frames([pictures[seen][key] for key in keys]) if seen != NONE else None)

                ids = token_ids(bundle.model, tokens, of, lambda _: prompt, conditions)
                said = {key: tokens.decode(one) for key, one in ids.items()}
                where = f"{condition}, {seen}"
                found["errors"][where] = stored(counted([one.span for one in test], said))
                found["names"][where] = names_missed(test, said, known)
                if seen == NONE:
                    found["said"][condition] = said
        return found

    return measured


def _others(test: Sequence[Naming]) -> dict[str, str]:
    """To each line another one, of which other things are seen wherever there is one."""
    order = sorted(test, key=lambda one: one.key)
    random.Random("others").shuffle(order)
    found = {}
    for place, one in enumerate(order):
        after = [*order[place + 1 :], *order[:place]]
        found[one.key] = next((other.key for other in after if other.emblems != one.emblems), after[0].key)
    return found


def names_missed(test: Sequence[Naming], said: Mapping[str, str], known: Collection[str]) -> float:
    """Share (%) of the names in these lines that are not in what is said."""
    missed = total = 0
    for one in test:
        true = Counter(word for word in one.span.words if word in known)
        total += true.total()
        missed += (true - Counter(english(said[one.key]))).total()
    return 100 * missed / total


def stored(rates: Rates) -> dict[str, list[int]]:
    """As JSON."""
    return {name: [one.words, one.substitutions, one.deletions, one.insertions] for name, one in rates.items()}


def pooled(results: Sequence[Figures], conditions: Sequence[Condition], seen: str) -> Rates:
    """Errors of all seeds, by speaker."""
    found = [one["errors"][f"{condition}, {seen}"] for one in results for condition in conditions]
    return together([{name: Edits(*counts) for name, counts in of.items()} for of in found])


def compare(speech: Speech, size: Size, seeds: Sequence[int], clock: Clock) -> tuple[dict[str, Any], dict[str, Target]]:
    """All arms of all seeds; prints their tables. (figures, targets). Raises OutOfTime."""
    known = emblems(lines(speech, "train"))
    train, test = (
        namings(few([one for one in lines(speech, part) if set(one.words) & set(known)], minutes, f"named {part}"), known)
        for part, minutes in (("train", size.train), ("test", size.test))
    )
    lessons, tests = taught(train, size.versions), waves_of([one.span for one in test], CONDITIONS)
    encode_all(
        [*(wave for one in lessons for wave in one.versions), *(wave for of in tests.values() for wave in of)], clock, "lines"
    )
    trainings = StudentTrainings("seeds", clock)

    def figures(arm: str, seed: int) -> Figures:
        result = trainings.result(job(size, arm, seed), lessons, judge(test, tests, known))
        trainings.forget(job(size, arm, seed), lessons)
        return result

    arms = (TUNED, FROZEN_REST, SOUND)
    at_once([*(partial(figures, arm, seed) for seed in seeds for arm in arms), partial(trainings.untaught, tests)])
    results = {arm: [figures(arm, seed) for seed in seeds] for arm in arms}
    whisper = trainings.untaught(tests)
    print(
        f"EVA: {len(train)} lines that name {', '.join(known)}; tested on {len(test)} of {len({one.span.speaker for one in test})} other people"
    )
    untaught = {condition: rate(counted([one.span for one in test], whisper[condition])) for condition in CONDITIONS}
    alike = all(dict(one["said"]) == dict(whisper) for one in results[FROZEN_REST])
    return _shown(results, untaught), _targets(results, untaught, alike)


def _shown(results: Mapping[str, Sequence[Figures]], untaught: Mapping[Condition, float]) -> dict[str, Any]:
    rows = [("whisper, untaught", NONE, *(f"{untaught[condition]:.2f}" for condition in CONDITIONS), "", "")]
    for arm, of in reversed(list(results.items())):
        for seen in SEEN if arm != SOUND else (NONE,):
            rates = [f"{rate(pooled(of, [condition], seen)):.2f}" for condition in CONDITIONS]
            names = mean(one["names"][f"{condition}, {seen}"] for one in of for condition in CONDITIONS[1:])
            rows.append(
                (arm, seen, *rates, f"{names:.1f}", f"{mean(one['seconds'] for one in of):.0f}" if seen != OTHERS else "")
            )
    print("word error rates in %, all seeds; names: share (%) of them that is not heard in noise")
    table(("arm", "pictures seen", *CONDITIONS, "names", "s"), rows)
    gains = differences(results)
    print("differences in points in noise, with the interval of a paired bootstrap over speakers")
    table(("", "points"), [(name, str(one)) for name, one in gains.items()])
    return {"differences": {name: str(one) for name, one in gains.items()}, "untaught": untaught}


def differences(results: Mapping[str, Sequence[Figures]]) -> dict[str, Difference]:
    """In noise."""
    noise = CONDITIONS[1:]
    sound, seen = pooled(results[SOUND], noise, NONE), {one: pooled(results[TUNED], noise, one) for one in SEEN}
    return {
        "pictures - sound alone": difference(seen[OWN], sound),
        "own - another line's": difference(seen[OWN], seen[OTHERS]),
        "another line's - none": difference(seen[OTHERS], seen[NONE]),
    }


def _targets(results: Mapping[str, Sequence[Figures]], untaught: Mapping[Condition, float], alike: bool) -> dict[str, Target]:
    clean = max(rate(pooled([one], ["clean"], NONE)) for one in results[SOUND])
    control = differences(results)["another line's - none"]
    return {
        "eva: sound alone transcribes": {"value": f"{clean:.1f} %", "target": "every seed <= 20 % clean", "met": clean <= 20},
        "eva: another line's pictures do not help": {
            "value": str(control), "target": "interval not below 0", "met": control.high >= 0,
        },
        "eva: without pictures Whisper's words are as they were": {
            "value": "the same" if alike else "others", "target": "the same while the rest is frozen", "met": alike,
        },
    }  # fmt: skip


def effect(found: Mapping[str, Any]) -> str:
    """What came of the paper's claim, in a line."""
    return ", ".join(f"{name} {one}" for name, one in found["differences"].items())
